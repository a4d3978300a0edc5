"""A particle at one step, as events and statistics see it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import sympy

from samdyn.losses.formula import FormulaError, parse, parse_condition
from samdyn.symbols import evaluate, symbols
from samdyn.systems.base import System
from samdyn.words import Point, norm

EXTRA_NAMES = ("loss", "grad_norm")
"""What a formula of a run may name besides variables and constants."""


class Moment:
    """A particle at one step, as events and statistics see it: in words, before it moves.

    Attributes
    ----------
    z : Point
        The state now.
    w : Point
        The weights now: the leading part of the state.
    moved : Point
        The weights after the coming step.
    """

    def __init__(self, system: System, z: Point, moved: Point, numbers: Mapping[str, Any]):
        d = len(system.coordinates)
        self.system = system
        self.z = z
        self.w = Point(z.components[:d])
        self.moved = Point(moved.components[:d])
        self.numbers = numbers

    @property
    def next(self) -> Moment:
        """The particle after the coming step, of which only the weights are known."""
        return Moment(self.system, self.moved, self.moved, self.numbers)

    @cached_property
    def loss(self) -> Any:
        """The loss now."""
        return self.system.loss.value_at(self.w, self.numbers)  # type: ignore[union-attr]

    @cached_property
    def grad_norm(self) -> Any:
        """The length of the loss's gradient now."""
        loss = self.system.loss
        return norm(loss.gradient_at(self.w, self.numbers))  # type: ignore[union-attr]

    def evaluate(self, expression: sympy.Basic, thresholds: Mapping[str, Any] | None = None) -> Any:
        """A formula of variables, constants, ``loss``, ``grad_norm`` and thresholds, in words."""
        names = {symbol.name for symbol in expression.free_symbols}
        known = dict(zip(self.system.coordinates, self.w, strict=True))
        known |= {threshold(name).name: value for name, value in (thresholds or {}).items()}
        for name in names - set(known):
            constant = name in self.system.constants
            known[name] = self.numbers[name] if constant else getattr(self, name)
        return evaluate(expression, {symbols([name])[0]: known[name] for name in names})


def threshold(name: str) -> sympy.Symbol:
    """The symbol of an event's threshold in a formula: no name of the user's has a space."""
    return symbols([f"threshold {name}"])[0]


def read_formula(text: str, system: System, what: str, *, condition: bool = False) -> sympy.Basic:
    """Parse a formula of a run and refuse names that the system does not have."""
    expression = parse_condition(text) if condition else parse(text)
    extra = EXTRA_NAMES if system.loss else ()
    allowed = (*system.coordinates, *system.constants, *extra)
    unknown = sorted({symbol.name for symbol in expression.free_symbols} - set(allowed))
    if unknown:
        raise FormulaError(
            f"{what} {text!r} names {unknown[0]}, which is none of {', '.join(allowed)}"
        )
    return expression
