"""The text that all kernels share, with places for what a program puts there."""

from __future__ import annotations

from samdyn.readings.lines import LANES

MODULE = '''\
"""{title}

A block's table has {lanes} lanes a row:
{rows}
"""

from math import {math}

import numpy as np
from numba import njit

# a function that LLVM leaves as a call stops the lane loop from vectorising
inlined = njit(error_model="numpy", forceinline=True)


{functions}@njit(error_model="numpy")
def by_itself(row, shared, key0, key1, {given}{tools}i, t, until, end, after):
    """Take one lane from step ``t`` up to its event, or to ``until``."""
{thresholds}    for u in range(t, until):
        counting = u >= after
        going = u < end
{alone_before}{by_itself}


@njit(
    "void(float64[:, ::1], float64[::1], uint64[:, :, ::1], float64[:, ::1], int64, int64, int64, "
    "int64, int64, int64[::1], float64[:, :, ::1])",
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def advance(table, shared, keys, data, most, first, stop, end, after, times, record):
    """Take every block from step ``first`` to ``stop``.

    A lane moves while the step is below ``end``. ``record[k]`` gets the leading rows as they are
    at step ``times[k]``, before that step is taken. Sums count from step ``after``. ``keys`` has
    the key of each lane's random stream, ``data`` the samples of a finite sum, of which a batch
    has at most ``most``.
    """
{thresholds}    saved = np.empty({moving})
{room}    for block in range(table.shape[0]):
        row = table[block]
        key0, key1 = keys[block, 0], keys[block, 1]
{fresh}        k = 0
        t = first
        while t < stop:
            while k < times.shape[0] and times[k] == t:
                record[k, block, :] = row[: record.shape[2]]
                k += 1
            until = min(t + {stretch}, stop)
            if k < times.shape[0]:
                until = min(until, times[k])
            if t < end:
                until = min(until, end)
            running = 0
            for i in range({lanes}):
                running += 1 if row[{code} + i] == 0.0 else 0
            if running == 0:
                break
            alone = running <= {few} or t >= end
            flagged = 0
            if not alone:
                saved[:] = row[:{moving}]
                row[{flag} : {flag} + {lanes}] = 0.0
                going = True
                for u in range(t, until):
                    counting = u >= after
{before}                    for i in range({lanes}):
{together}
                for i in range({lanes}):
                    flagged += 1 if (row[{flag} + i] != 0.0) & (row[{code} + i] == 0.0) else 0
                if running < {lanes}:
                    for i in range({lanes}):
                        done = row[{code} + i] != 0.0
{restore}
            if alone or flagged > 0:
                for i in range({lanes}):
                    if row[{code} + i] == 0.0 and (alone or row[{flag} + i] != 0.0):
                        if not alone:
                            for j in range(i, {moving}, {lanes}):
                                row[j] = saved[j]
                        by_itself(row, shared, key0, key1, {given}{tools}i, t, until, end, after)
            t = until
        while k < times.shape[0]:
            record[k, block, :] = row[: record.shape[2]]
            k += 1
'''

STAGES = '''\
@njit(error_model="numpy")
def prepare(row, shared, key0, key1, {now}{tools}a, b, u):
    """Put aside what step ``u`` of lanes ``a`` to ``b`` comes to."""
{thresholds}    deal(row, key0, key1, data, samples, sizes, deck, dealt, swapped, a, b, u, most)
{stages}
'''

BEFORE = [
    "if u >> 2 != four:",
    "    four = u >> 2",
    f"    draw(key0, key1, 0, {LANES}, u, drawn)",
    "now = drawn[u & 3]",
]

ALONE = [
    "if u == t or u & 3 == 0:",
    "    draw(key0, key1, i, i + 1, u, drawn)",
    "now = drawn[u & 3]",
]

TOOLS = "data, samples, sizes, deck, dealt, swapped, aside, most, "

ROOM = """\
samples = np.zeros(({batches}, most, data.shape[1], {lanes}))
sizes = np.empty({batches} * {lanes})
deck = np.empty(({batches}, {lanes}, {cards}), np.int64)
for k in range({cards}):
    deck[:, :, k] = k
dealt = np.empty(({batches}, {lanes}), np.int64)
swapped = np.empty({cards}, np.int64)
aside = np.empty({aside} * {lanes})"""
