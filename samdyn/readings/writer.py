"""A straight-line program written out as one Numba function that advances blocks of particles.

Sixty-four particles (lanes) go through each step together, the lane loop innermost and without
branches, which LLVM turns into full-width SIMD. A block's numbers stand in one table, a row a
quantity and a column a lane, so that every load and store has a constant offset.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from samdyn.program import Argument, Line, Program
from samdyn.readings import elementary

LANES = 64


class Layout(NamedTuple):
    """The rows of a block's table, in order, and what the program's outputs are for.

    The program's inputs are the rows of ``state``, ``sums`` and ``numbers``; its outputs the new
    ``state``, the new ``sums`` and one condition for each event.
    """

    state: tuple[str, ...]
    sums: tuple[str, ...]
    numbers: tuple[str, ...]
    events: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the program's inputs."""
        return self.state + self.sums + self.numbers

    @property
    def code(self) -> int:
        """The row that holds 0 while a lane runs, then 1 + the number of the event."""
        return len(self.inputs)

    @property
    def ended(self) -> int:
        """The row that holds the step at which a lane stopped."""
        return len(self.inputs) + 1

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.inputs) + 2


_HEADER = '''\
"""{title}

One block's table, a row of {lanes} lanes each:
{rows}
"""

from math import {math}

import numpy as np
from numba import njit

# a call that LLVM leaves in the lane loop would stop it from vectorising
inlined = njit(error_model="numpy", forceinline=True)


{functions}@njit(
    "void(float64[:, ::1], int64, int64, int64, int64, int64[::1], float64[:, :, ::1])",
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def advance(table, first, stop, end, after, times, record):
    """Take every block from step ``first`` to ``stop``; a lane moves while the step is below ``end``.

    ``record[k]`` gets the leading rows as they are at step ``times[k]``, before that step is
    taken. Sums count from step ``after``.
    """
    for block in range(table.shape[0]):
        row = table[block]
        k = 0
        for t in range(first, stop):
            while k < times.shape[0] and times[k] == t:
                record[k, block, :] = row[: record.shape[2]]
                k += 1
            now = float(t)
            going = t < end
            counting = t >= after
            for i in range({lanes}):
{body}
            if t & 15 == 15:
                running = 0
                for i in range({lanes}):
                    running += 1 if row[{code} + i] == 0.0 else 0
                if running == 0:
                    break
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
    described = zip(names, layout.inputs, strict=True)
    return _HEADER.format(
        title=title,
        lanes=LANES,
        rows="\n".join(f"  {short}: {name}" for short, name in described),
        math=", ".join([*libm, *special]) or "pi",
        functions=functions + "\n\n" if functions else "",
        code=layout.code * LANES,
        body="\n".join(" " * 16 + line for line in _body(program, layout, names)),
    )


def _names(layout: Layout) -> list[str]:
    return [
        f"{letter}{i}"
        for letter, rows in zip("zsp", (layout.state, layout.sums, layout.numbers), strict=True)
        for i in range(len(rows))
    ]


def _body(program: Program, layout: Layout, names: list[str]) -> list[str]:
    values = [*names, *(f"v{i}" for i in range(len(program.lines)))]

    def say(argument: Argument) -> str:
        return values[argument] if type(argument) is int else _constant(argument)

    text = [f"{name} = row[{_at(i)}]" for i, name in enumerate(names)]
    text.append(f"code = row[{_at(layout.code)}]")
    text.append(f"ended = row[{_at(layout.ended)}]")
    for i, line in enumerate(program.lines):
        text.append(f"v{i} = {_operation(line, [say(a) for a in line.arguments])}")

    moving = len(layout.state)
    kept = moving + len(layout.sums)
    hits = program.outputs[kept:]
    text.append("hit = 0.0")
    for number in reversed(range(layout.events)):  # the first event given wins
        text.append(f"hit = {number + 1}.0 if {say(hits[number])} else hit")
    text.append("free = code == 0.0")
    text.append("code = hit if free else code")
    text.append("ended = now if free else ended")
    text.append("move = (code == 0.0) & going")
    for i in range(moving):
        text.append(f"row[{_at(i)}] = {say(program.outputs[i])} if move else {names[i]}")
    if layout.sums:
        text.append("count = free & counting")
    for i in range(moving, kept):
        text.append(f"row[{_at(i)}] = {say(program.outputs[i])} if count else {names[i]}")
    text.append(f"row[{_at(layout.code)}] = code")
    text.append(f"row[{_at(layout.ended)}] = ended")
    return text


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
