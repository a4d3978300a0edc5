"""Straight-line programs: what a definition becomes when it is traced.

A program has no branches and no loops, so that any reading of it (NumPy, a Numba kernel, torch,
mpmath) does the same operations in the same order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from samdyn import words

_BINARY: dict[str, Callable] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "less": operator.lt,
    "less_equal": operator.le,
    "both": operator.and_,
    "either": operator.or_,
    "power": words.power,
}
UNARY: dict[str, Callable] = {
    "negative": operator.neg,
    "sqrt": words.sqrt,
    "exp": words.exp,
    "log": words.log,
    "sin": words.sin,
    "cos": words.cos,
    "tan": words.tan,
    "sinh": words.sinh,
    "cosh": words.cosh,
    "tanh": words.tanh,
    "arcsin": words.arcsin,
    "arccos": words.arccos,
    "arctan": words.arctan,
    "absolute": words.absolute,
    "sign": words.sign,
}
"""Operations on one number, and their meaning in words."""

OPERATIONS: dict[str, Callable] = {
    **_BINARY,
    **UNARY,
    "where": words.where,
    "entry": lambda values, place: values[int(place)],
}
"""Every operation a line may have, and its meaning in words."""

TRANSCENDENTAL = frozenset({*UNARY, "power"} - {"negative", "sqrt", "absolute", "sign"})
"""Operations that IEEE arithmetic does not fix to the last bit."""

Argument = int | float | bool
"""A slot (int: an input or an earlier line) or a constant (float or bool)."""


class Line(NamedTuple):
    """One operation: its name and its arguments."""

    operation: str | Mean
    arguments: tuple[Argument, ...]


class Program(NamedTuple):
    """A straight-line program.

    Slots are numbered from 0: first the inputs, then one for each line.
    """

    inputs: tuple[str, ...]
    lines: tuple[Line, ...]
    outputs: tuple[Argument, ...]

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """Evaluate the lines one after the other on numbers of any kind."""
        if len(values) != len(self.inputs):
            raise TypeError(f"the program takes {len(self.inputs)} inputs, got {len(values)}")
        slots: list[Any] = list(values)

        def get(argument: Argument) -> Any:
            return slots[argument] if type(argument) is int else argument

        for operation, arguments in self.lines:
            does = OPERATIONS[operation] if isinstance(operation, str) else operation
            slots.append(does(*map(get, arguments)))
        return tuple(map(get, self.outputs))

    @property
    def is_ieee(self) -> bool:
        """Whether every line is fixed to the last bit by IEEE 754 arithmetic."""
        return all(line.operation not in TRANSCENDENTAL for line in self.lines)


class Mean(NamedTuple):
    """The one operation with a loop in it: the means of a program's outputs over a batch.

    Its arguments are the batch, then what the body takes besides its own inputs. It gives a
    sequence, whose members "entry" takes.

    Attributes
    ----------
    body : Program
        Of the fields of one sample, or of one part of the batch; then of the further arguments.
    part : int
        0: one sample after the other. Else: one part of so many samples after the other (the last
        may be shorter), each counting by its size.
    """

    body: Program
    part: int

    def __call__(self, batch: Any, *captured: Any) -> Sequence[Any]:
        """The means, on a batch of any kind."""
        if self.part:
            return batch.over_parts(self.part, lambda part: self.body(part, *captured))
        return batch.mean(lambda *fields: self.body(*fields, *captured))


def pruned(inputs: tuple[str, ...], lines: list[Line], outputs: tuple[Argument, ...]) -> Program:
    """A program without the lines that no output needs."""
    first = len(inputs)
    needed = {slot for slot in outputs if type(slot) is int}
    for slot in range(first + len(lines) - 1, first - 1, -1):
        if slot in needed:
            needed.update(a for a in lines[slot - first].arguments if type(a) is int)
    renamed = {slot: slot for slot in range(first)}
    kept: list[Line] = []

    def rename(argument: Argument) -> Argument:
        return renamed[argument] if type(argument) is int else argument

    for slot, line in enumerate(lines, start=first):
        if slot in needed:
            renamed[slot] = first + len(kept)
            kept.append(Line(line.operation, tuple(map(rename, line.arguments))))
    return Program(inputs, tuple(kept), tuple(map(rename, outputs)))


def integer_power(base: Any, exponent: int) -> Any:
    """``base ** exponent`` as products, by repeated squaring."""
    if exponent < 0:
        return 1.0 / integer_power(base, -exponent)
    if exponent == 0:
        return 1.0
    if exponent == 1:
        return base
    half = integer_power(base, exponent // 2)
    return half * half * base if exponent % 2 else half * half
