"""The names in a formula: which are variables, which are constants, which are unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy

from samdyn.losses.formula import FormulaError, check_name
from samdyn.numbers import Number, checked_number
from samdyn.symbols import symbols


def variable_names(
    variables: str | Sequence[str] | None, expression: sympy.Expr | None, constants: Mapping
) -> tuple[str, ...]:
    """The variables, as the user gave them or else the formula's names that are no constants.

    Raises
    ------
    FormulaError
        If a name is unknown, given twice, or cannot be one.
    """
    used = {symbol.name for symbol in expression.free_symbols} if expression is not None else set()
    if variables is None:
        names = tuple(sorted(used - set(constants), key=_natural))
        if not names:
            raise FormulaError(f"formula {expression} has no variables")
        return names
    names = name_list("variables", variables)
    both = sorted(set(names) & set(constants))
    if both:
        raise FormulaError(f"{both[0]} is given both as a variable and as a constant")
    unknown = sorted(used - set(names) - set(constants))
    if unknown:
        raise FormulaError(
            f"formula names {unknown[0]}, which is neither a variable ({' '.join(names)}) nor a "
            f"constant ({' '.join(constants) or 'none'}); give it a value: {unknown[0]}=…"
        )
    return names


def name_list(what: str, names: Any) -> tuple[str, ...]:
    """Names given as "x y" or as a list.

    Raises
    ------
    TypeError, FormulaError
        If they are no names, or one is given twice.
    """
    if not isinstance(names, Iterable) or any(not isinstance(name, str) for name in names):
        raise TypeError(f"{what} must be names such as 'x y' or ['x', 'y'], got {names!r}")
    listed = tuple(re.findall(r"[^\s,]+", names) if isinstance(names, str) else names)
    for name in listed:
        check_name(name)
    if not listed or len(set(listed)) < len(listed):
        raise FormulaError(f"{what} must be different names, at least one; got {listed}")
    return listed


def named_constants(constants: Mapping[str, Number]) -> dict[str, Any]:
    """The constants that a user gave by name, as numbers or arrays.

    Raises
    ------
    FormulaError, TypeError, ValueError
        If a name or a value cannot be one.
    """
    return {
        check_name(name): checked_number(f"constant {name}", value)
        for name, value in constants.items()
    }


def check_constants(constants: Iterable[str], used: Iterable[str]) -> None:
    """Refuse a constant that the formula does not have: it would change nothing.

    Raises
    ------
    FormulaError
        If a name of ``constants`` is not among those ``used``.
    """
    for name in constants:
        if name not in used:
            raise FormulaError(
                f"constant {name} does not occur in the formula, whose names are "
                f"{', '.join(sorted(used, key=_natural)) or 'none'}; leave it out or use it"
            )


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def realised(expression: sympy.Expr) -> sympy.Expr:
    """The user's expression on real symbols, so that a name is one symbol everywhere."""
    free = sorted(expression.free_symbols, key=str)
    return expression.xreplace({symbol: symbols([check_name(str(symbol))])[0] for symbol in free})
