"""Lines of a program as lines of generated text, in a loop over the lanes ``i``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from samdyn.program import Line
from samdyn.readings import elementary

LANES = 64

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
CALLS = {
    "sqrt": "sqrt",
    "absolute": "abs",
    "tan": "tan",
    "sinh": "sinh",
    "cosh": "cosh",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
} | {name: name for name in elementary.NAMES}
"""Operations that are calls, and what is called."""


def said(line: Line, arguments: Sequence[str]) -> str:
    """The right-hand side of a line."""
    name = str(line.operation)
    if name in _INFIX:
        return f"{arguments[0]} {_INFIX[name]} {arguments[1]}"
    if name == "negative":
        return f"-{arguments[0]}"
    if name == "where":
        return f"{arguments[1]} if {arguments[0]} else {arguments[2]}"
    return f"{CALLS[name]}({arguments[0]})"


def constant(value: float | bool) -> str:
    """A constant."""
    text = repr(value)
    return f"({text})" if isinstance(value, float) and math.copysign(1.0, value) < 0 else text


def at(row: int) -> str:
    """The place of lane ``i`` in a row of a table."""
    return f"{row * LANES} + i" if row else "i"


def indented(depth: int, lines: Sequence[str]) -> str:
    """Lines as one text."""
    return "\n".join(" " * depth + line for line in lines)
