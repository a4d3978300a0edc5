"""A straight-line program written out as one Numba function that advances blocks of particles.

Sixty-four particles (lanes) go through each step together, the lane loop innermost and without
branches, which LLVM turns into full-width SIMD. A block's numbers stand in one table, a row a
quantity and a column a lane, so that every load and store has a constant offset.

Watching for events costs almost nothing this way: all lanes go through a stretch of steps at full
width, and a flag remembers whose event held on the way. A flagged lane is put back to where the
stretch began and taken through it once more by itself, up to its event. That happens once in a
particle's life. The same scalar loop takes over where only a few lanes are left.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from samdyn.program import Argument, Line, Program
from samdyn.readings import elementary

LANES = 64
_STRETCH = 32
_FEW = 4


class Layout(NamedTuple):
    """The rows of a block's table, in order, and what the program's outputs are for.

    The program's inputs are the rows of ``state``, ``sums`` and ``numbers``, then the
    ``thresholds``, which all lanes share; its outputs are the new ``state``, the new ``sums`` and
    one condition for each event.
    """

    state: tuple[str, ...]
    sums: tuple[str, ...]
    numbers: tuple[str, ...]
    thresholds: tuple[str, ...]
    events: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the program's inputs."""
        return self.state + self.sums + self.numbers + self.thresholds

    @property
    def code(self) -> int:
        """The row that holds 0 while a lane runs, then 1 + the number of the event."""
        return len(self.state) + len(self.sums) + len(self.numbers)

    @property
    def ended(self) -> int:
        """The row that holds the step at which a lane stopped."""
        return self.code + 1

    @property
    def flag(self) -> int:
        """The row that says whose event held in the stretch under way."""
        return self.code + 2

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.code + 3


_MODULE = '''\
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
def by_itself(row, shared, i, t, until, end, after):
    """Take one lane from step ``t`` up to its event, or to ``until``."""
{thresholds}    for u in range(t, until):
        counting = u >= after
{by_itself}


@njit(
    "void(float64[:, ::1], float64[::1], int64, int64, int64, int64, "
    "int64[::1], float64[:, :, ::1])",
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def advance(table, shared, first, stop, end, after, times, record):
    """Take every block from step ``first`` to ``stop``.

    A lane moves while the step is below ``end``. ``record[k]`` gets the leading rows as they are
    at step ``times[k]``, before that step is taken. Sums count from step ``after``.
    """
{thresholds}    saved = np.empty({moving})
    for block in range(table.shape[0]):
        row = table[block]
        k = 0
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
                for u in range(t, until):
                    counting = u >= after
                    for i in range({lanes}):
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
                        by_itself(row, shared, i, t, until, end, after)
            t = until
        while k < times.shape[0]:
            record[k, block, :] = row[: record.shape[2]]
            k += 1
'''

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "less": "<",
    "less_equal": "<=",
    "both": "&",
    "either": "|",
    "power": "**",
}
_CALLS = {
    "sqrt": "sqrt",
    "absolute": "abs",
    "tan": "tan",
    "sinh": "sinh",
    "cosh": "cosh",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
} | {name: name for name in elementary.NAMES}


def write(program: Program, layout: Layout, title: str) -> str:
    """The source of a kernel module.

    Parameters
    ----------
    program : Program
        Inputs and outputs as `Layout` has them.
    layout : Layout
    title : str
        One line for the reader of the source.
    """
    used = {line.operation for line in program.lines}
    functions = elementary.text(used & elementary.NAMES)
    libm = sorted({_CALLS[name] for name in used & set(_CALLS) - elementary.NAMES} - {"abs"})
    constants = {argument for line in program.lines for argument in line.arguments}
    constants |= set(program.outputs)
    special = [name for name in ("inf", "nan") if any(name in repr(c) for c in constants)]
    names = _names(layout)
    moving = len(layout.state) + len(layout.sums)
    thresholds = names[layout.code :]
    return _MODULE.format(
        title=title,
        lanes=LANES,
        stretch=_STRETCH,
        few=_FEW,
        rows="\n".join(
            f"  {short}: {name}" for short, name in zip(names, layout.inputs, strict=True)
        ),
        math=", ".join([*libm, *special]) or "pi",
        functions=functions + "\n\n" if functions else "",
        thresholds="".join(f"    {name} = shared[{i}]\n" for i, name in enumerate(thresholds)),
        moving=moving * LANES,
        code=layout.code * LANES,
        flag=layout.flag * LANES,
        together=_indented(24, _together(program, layout, names)),
        restore=_indented(
            24,
            [f"row[{_at(i)}] = saved[{_at(i)}] if done else row[{_at(i)}]" for i in range(moving)],
        ),
        by_itself=_indented(8, _by_itself(program, layout, names)),
    )


def _names(layout: Layout) -> list[str]:
    groups = zip("zspq", layout[:4], strict=True)
    return [f"{letter}{i}" for letter, rows in groups for i in range(len(rows))]


def _step(program: Program, layout: Layout, names: list[str]) -> tuple[list[str], list[str]]:
    """The loads and the lines of the program, and what its outputs are called."""
    values = [*names, *(f"v{i}" for i in range(len(program.lines)))]

    def say(argument: Argument) -> str:
        return values[argument] if type(argument) is int else _constant(argument)

    text = [f"{name} = row[{_at(i)}]" for i, name in enumerate(names[: layout.code])]
    for i, line in enumerate(program.lines):
        text.append(f"v{i} = {_operation(line, [say(a) for a in line.arguments])}")
    return text, [say(output) for output in program.outputs]


def _together(program: Program, layout: Layout, names: list[str]) -> list[str]:
    """A step of all lanes: everybody moves, and whose event holds is remembered."""
    text, outputs = _step(program, layout, names)
    moving, kept = len(layout.state), len(layout.state) + len(layout.sums)
    text.append(f"hit = {' | '.join(outputs[kept:])}")
    text.append(f"row[{_at(layout.flag)}] = 1.0 if hit else row[{_at(layout.flag)}]")
    text += [f"row[{_at(i)}] = {outputs[i]}" for i in range(moving)]
    text += [
        f"row[{_at(i)}] = {outputs[i]} if counting else {names[i]}" for i in range(moving, kept)
    ]
    return text


def _by_itself(program: Program, layout: Layout, names: list[str]) -> list[str]:
    """A step of one lane, up to its event."""
    text, outputs = _step(program, layout, names)
    moving, kept = len(layout.state), len(layout.state) + len(layout.sums)
    if layout.sums:
        text.append("if counting:")
        text += [f"    row[{_at(i)}] = {outputs[i]}" for i in range(moving, kept)]
    text.append("hit = 0.0")
    for number in reversed(range(layout.events)):  # the first event given wins
        text.append(f"hit = {number + 1}.0 if {outputs[kept + number]} else hit")
    text += [
        "if hit != 0.0:",
        f"    row[{_at(layout.code)}] = hit",
        f"    row[{_at(layout.ended)}] = float(u)",
        "    break",
        "if u < end:",
    ]
    return text + [f"    row[{_at(i)}] = {outputs[i]}" for i in range(moving)]


def _indented(depth: int, lines: list[str]) -> str:
    return "\n".join(" " * depth + line for line in lines)


def _at(row: int) -> str:
    return f"{row * LANES} + i" if row else "i"


def _constant(value: float | bool) -> str:
    text = repr(value)
    return f"({text})" if isinstance(value, float) and math.copysign(1.0, value) < 0 else text


def _operation(line: Line, arguments: list[str]) -> str:
    if line.operation in _INFIX:
        return f"{arguments[0]} {_INFIX[line.operation]} {arguments[1]}"
    if line.operation == "negative":
        return f"-{arguments[0]}"
    if line.operation == "where":
        return f"{arguments[1]} if {arguments[0]} else {arguments[2]}"
    return f"{_CALLS[line.operation]}({arguments[0]})"
