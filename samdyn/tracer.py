"""Tracing: a definition run on symbols that write down what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NoReturn

import numpy as np

from samdyn import words
from samdyn.program import OPERATIONS, UNARY, Argument, Line, Program, integer_power, pruned


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


def trace(definition: Callable[..., Sequence[Any]], inputs: Sequence[str]) -> Program:
    """Run a definition on symbols and return what it did, as a program.

    Parameters
    ----------
    definition : callable
        Takes one scalar for each input and returns a sequence of scalars.
    inputs : sequence of str
        Names of the inputs, for readers; they do not reach generated code.

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
    tape = _Tape(len(inputs))
    outputs = definition(*(Traced(tape, slot) for slot in range(len(inputs))))
    return pruned(tuple(inputs), tape.lines, tuple(tape.argument(out) for out in outputs))


class _Tape:
    """The lines written so far; a line that is there already is not written again."""

    def __init__(self, inputs: int):
        self.inputs = inputs
        self.lines: list[Line] = []
        self._known: dict[tuple, int] = {}

    def write(self, operation: str, *values: Any) -> Traced:
        line = Line(operation, tuple(map(self.argument, values)))
        key = (operation, *((type(a), repr(a)) for a in line.arguments))  # 0.0 is not -0.0
        if key not in self._known:
            self._known[key] = self.inputs + len(self.lines)
            self.lines.append(line)
        return Traced(self, self._known[key])

    def argument(self, value: Any) -> Argument:
        if isinstance(value, Traced):
            if value.tape is not self:
                raise DefinitionError("a traced value was used outside its own trace")
            return value.slot
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
        return self.tape.write(operation, *values)


for _name in UNARY:
    if _name != "negative":
        OPERATIONS[_name].register(  # type: ignore[attr-defined]
            Traced, lambda x, _name=_name: x.tape.write(_name, x)
        )
words.power.register(
    Traced,
    lambda base, exponent: (base if isinstance(base, Traced) else exponent).tape.write(
        "power", base, exponent
    ),
)
words.where.register(  # type: ignore[attr-defined]
    Traced, lambda condition, a, b: condition.tape.write("where", condition, a, b)
)
