"""Straight-line programs: what a definition becomes when it is traced.

``trace`` runs a definition on symbols and writes down each operation as one line. The program
has no branches and no loops, so that any reading of it (NumPy, a Numba kernel, torch, mpmath)
does the same operations in the same order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple, NoReturn

import numpy as np

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
_UNARY: dict[str, Callable] = {
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
OPERATIONS: dict[str, Callable] = {**_BINARY, **_UNARY, "where": words.where}
"""Every operation a line may have, and its meaning in words."""

TRANSCENDENTAL = frozenset({*_UNARY, "power"} - {"negative", "sqrt", "absolute", "sign"})
"""Operations that IEEE arithmetic does not fix to the last bit."""

Argument = int | float | bool
"""A slot (int: an input or an earlier line) or a constant (float or bool)."""


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


class Line(NamedTuple):
    """One operation: its name and its arguments."""

    operation: str
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
            slots.append(OPERATIONS[operation](*map(get, arguments)))
        return tuple(map(get, self.outputs))

    @property
    def is_ieee(self) -> bool:
        """Whether every line is fixed to the last bit by IEEE 754 arithmetic."""
        return all(line.operation not in TRANSCENDENTAL for line in self.lines)


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
    return _prune(tuple(inputs), tape.lines, tuple(tape.argument(out) for out in outputs))


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


for _name in _UNARY:
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


def integer_power(base: Any, exponent: int) -> Any:
    """``base ** exponent`` as products, by repeated squaring."""
    if exponent < 0:
        return 1.0 / integer_power(base, -exponent)
    if exponent == 0:
        return 1.0
    half = integer_power(base, exponent // 2) if exponent > 1 else None
    if half is None:
        return base
    return half * half * base if exponent % 2 else half * half


def _prune(inputs: tuple[str, ...], lines: list[Line], outputs: tuple[Argument, ...]) -> Program:
    """Leave out the lines that no output needs."""
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
