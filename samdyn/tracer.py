"""Tracing: a definition run on symbols that write down what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NoReturn

import numpy as np

from samdyn import words
from samdyn.program import (
    OPERATIONS,
    UNARY,
    Argument,
    Line,
    Mean,
    Program,
    integer_power,
    pruned,
)


class DefinitionError(TypeError):
    """A definition that cannot be read; the message says what would be right."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what Python says about a user's definition into one sentence that says what to do."""
    try:
        yield
    except DefinitionError:
        raise
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DefinitionError(
            f"in {name}: {said}; a definition is written in Python's arithmetic and the words of "
            "samdyn.words (sqrt, exp, sin, norm, unit, where, …)"
        ) from error


def trace(
    definition: Callable[..., Sequence[Any]],
    inputs: Sequence[str],
    batches: Mapping[str, int] | None = None,
) -> Program:
    """Run a definition on symbols and return what it did, as a program.

    Parameters
    ----------
    definition : callable
        Takes one scalar for each input and returns a sequence of scalars.
    inputs : sequence of str
        Names of the inputs, for readers; they do not reach generated code.
    batches : mapping from name to int, optional
        Those of the inputs that are batches, and how many fields their samples have. The
        definition may take means over them.

    Raises
    ------
    DefinitionError
        If the definition branches on a value, or returns something that is no scalar.

    Examples
    --------
    >>> program = trace(lambda x, y: [x * y + 1.0], ["x", "y"])
    >>> program(2.0, 3.0)
    (7.0,)
    """
    fields = batches or {}
    tape = _Tape(len(inputs))
    given = (
        TracedBatch(tape, slot, fields[name]) if name in fields else Traced(tape, slot)
        for slot, name in enumerate(inputs)
    )
    return tape.closed(definition(*given), inputs)


class _Tape:
    """The lines written so far; a line that is there already is not written again.

    A tape within another writes the body of a loop. What it uses of the outer one, it captures.
    """

    def __init__(self, inputs: int, outer: _Tape | None = None):
        self.inputs = inputs
        self.outer = outer
        self.depth: int = outer.depth + 1 if outer else 0
        self.lines: list[Line] = []
        self.captured: list[Any] = []
        self._known: dict[tuple, int] = {}

    def write(self, operation: str | Mean, *values: Any) -> Traced:
        line = Line(operation, tuple(map(self.argument, values)))
        # 0.0 is not -0.0
        key = (repr(operation), *((type(a), repr(a)) for a in line.arguments))
        if key not in self._known:
            self._known[key] = self.inputs + len(self.lines)
            self.lines.append(line)
        return Traced(self, self._known[key])

    def argument(self, value: Any) -> Argument:
        if isinstance(value, Traced | TracedBatch):
            return value.slot if value.tape is self else self._capture(value)
        if isinstance(value, bool | np.bool_):
            return bool(value)
        try:
            if isinstance(value, str | bytes) or np.ndim(value):
                raise TypeError
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise DefinitionError(
                f"a definition must return and combine scalars, got {type(value).__name__}"
            ) from None

    def closed(self, outputs: Sequence[Any], inputs: Sequence[str]) -> Program:
        """The program written, its inputs followed by what was captured."""
        given = tuple(map(self.argument, outputs))
        more = len(self.captured)

        def place(argument: Argument) -> Argument:
            if type(argument) is not int or 0 <= argument < self.inputs:
                return argument
            return argument + more if argument >= 0 else self.inputs - 1 - argument

        lines = [Line(line.operation, tuple(map(place, line.arguments))) for line in self.lines]
        names = (*inputs, *(f"captured{k}" for k in range(more)))
        return pruned(names, lines, tuple(map(place, given)))

    def _capture(self, value: Traced | TracedBatch) -> int:
        """A provisional slot, -1 or below, for a value of an outer tape."""
        tape = self.outer
        while tape is not None and tape is not value.tape:
            tape = tape.outer
        if tape is None:
            raise DefinitionError("a traced value was used outside its own trace")
        for k, known in enumerate(self.captured):
            if known.tape is value.tape and known.slot == value.slot:
                return -1 - k
        self.captured.append(value)
        return -len(self.captured)


class TracedBatch:
    """A batch that writes down the means that are taken over it."""

    __slots__ = ("fields", "slot", "tape")

    def __init__(self, tape: _Tape, slot: int, fields: int):
        self.tape = tape
        self.slot = slot
        self.fields = fields

    def mean(self, function: Callable[..., Sequence[Any]]) -> list[Traced]:
        """The means of a function of one sample's fields."""
        inner = _Tape(self.fields, self.tape)
        samples = (Traced(inner, slot) for slot in range(self.fields))
        return self._mean(inner, function(*samples), 0)

    def over_parts(self, size: int, function: Callable[[Any], Sequence[Any]]) -> list[Traced]:
        """The means of a function of a part of the batch, over parts of so many samples."""
        inner = _Tape(1, self.tape)
        return self._mean(inner, function(TracedBatch(inner, 0, self.fields)), size)

    def _mean(self, inner: _Tape, outputs: Sequence[Any], part: int) -> list[Traced]:
        body = inner.closed(outputs, [f"own{k}" for k in range(inner.inputs)])
        means = self.tape.write(Mean(body, part), self, *inner.captured)
        return [self.tape.write("entry", means, float(k)) for k in range(len(outputs))]


class Traced:
    """A scalar that writes down what is done to it."""

    __slots__ = ("slot", "tape")
    __array_ufunc__ = None

    def __init__(self, tape: _Tape, slot: int):
        self.tape = tape
        self.slot = slot

    def __add__(self, other: Any) -> Any:
        return self._write("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._write("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._write("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._write("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._write("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._write("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._write("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._write("divide", other, self)

    def __neg__(self) -> Any:
        return self._write("negative", self)

    def __abs__(self) -> Any:
        return self._write("absolute", self)

    def __pow__(self, exponent: Any) -> Any:
        if isinstance(exponent, Integral) and not isinstance(exponent, bool):
            return integer_power(self, int(exponent))
        return self._write("power", self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return self._write("power", base, self)

    def __lt__(self, other: Any) -> Any:
        return self._write("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self._write("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._write("less", other, self)

    def __ge__(self, other: Any) -> Any:
        return self._write("less_equal", other, self)

    def __and__(self, other: Any) -> Any:
        return self._write("both", self, other)

    def __or__(self, other: Any) -> Any:
        return self._write("either", self, other)

    def __invert__(self) -> Any:
        return self._write("where", self, False, True)

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            "a definition cannot branch on a value (if, and, or, not, min, max); "
            "use where(condition, a, b), and & | ~ between conditions"
        )

    def _refuse_equality(self, other: Any) -> NoReturn:
        raise DefinitionError(
            "a definition cannot test equality; compare with < or <= and use where"
        )

    __eq__ = _refuse_equality
    __ne__ = _refuse_equality
    __hash__ = None  # type: ignore[assignment]

    def _write(self, operation: str, *values: Any) -> Any:
        if any(isinstance(value, words.Point) for value in values):
            return NotImplemented
        return _write(operation, *values)


def _write(operation: str, *values: Any) -> Traced:
    """A line where its innermost value stands: what a loop does not change is written outside."""
    tapes = [value.tape for value in values if isinstance(value, Traced)]
    return max(tapes, key=lambda tape: tape.depth).write(operation, *values)


for _name in UNARY:
    if _name != "negative":
        OPERATIONS[_name].register(  # type: ignore[attr-defined]
            Traced, lambda x, _name=_name: x.tape.write(_name, x)
        )
words.power.register(
    Traced,
    lambda base, exponent: _write("power", base, exponent),
)
words.where.register(  # type: ignore[attr-defined]
    Traced, lambda condition, a, b: _write("where", condition, a, b)
)
