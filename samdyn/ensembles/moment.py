"""A particle at one step, as events and statistics see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from operator import add
from typing import Any

import sympy

from samdyn.losses.formula import FormulaError, parse, parse_condition
from samdyn.spectrum import LARGEST, Pair, top_eigenpair
from samdyn.symbols import evaluate, symbols
from samdyn.systems.base import System
from samdyn.systems.map import Map
from samdyn.words import Point, absolute, dot, norm, unit, where

SPECTRAL = ("top_eigenvalue", "trace", "frobenius", "gradient_alignment", "ascent_alignment")
"""Names of a formula that ask for the loss's Hessian."""

EXTRA_NAMES = ("loss", "grad_norm", *SPECTRAL, "switch_distance")
"""What a formula of a run may name besides variables and constants; see `Moment`."""


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
    origin : Point or None
        Where the phase of a `Switch` that is under way began.
    followers : sequence of (condition, Moment)
        The same particle as later phases of a `Switch` see it, and whether they act already.
    """

    def __init__(
        self,
        system: System,
        z: Point,
        moved: Point,
        numbers: Mapping[str, Any],
        origin: Point | None = None,
        followers: Sequence[tuple[Any, Moment]] = (),
    ):
        d = len(system.coordinates)
        self.system = system
        self.z = z
        self.w = Point(z.components[:d])
        self.moved = Point(moved.components[:d])
        self.numbers = numbers
        self.origin = origin
        self.followers = followers

    @property
    def next(self) -> Moment:
        """The particle after the coming step, of which only the weights are known."""
        return Moment(self.system, self.moved, self.moved, self.numbers)

    @cached_property
    def loss(self) -> Any:
        """The loss now."""
        return self.system.loss.value_at(self.w, self.numbers)  # type: ignore[union-attr]

    @cached_property
    def _gradient(self) -> Point:
        return self.system.loss.gradient_at(self.w, self.numbers)  # type: ignore[union-attr]

    @cached_property
    def grad_norm(self) -> Any:
        """The length of the loss's gradient now."""
        return norm(self._gradient)

    @cached_property
    def _hessian(self) -> list[list[Any]]:
        return self.system.loss.hessian_at(self.w, self.numbers)  # type: ignore[union-attr]

    @cached_property
    def _top(self) -> Pair:
        return top_eigenpair(self._hessian)

    @cached_property
    def top_eigenvalue(self) -> Any:
        """The largest eigenvalue of the loss's Hessian."""
        return self._top.value

    @cached_property
    def trace(self) -> Any:
        """The trace of the loss's Hessian."""
        return reduce(add, [row[k] for k, row in enumerate(self._hessian)])

    @cached_property
    def frobenius(self) -> Any:
        """The Frobenius norm of the loss's Hessian."""
        return norm([entry for row in self._hessian for entry in row])

    @cached_property
    def gradient_alignment(self) -> Any:
        """The cosine between gradient and top eigenvector, without sign; 0 at a critical point."""
        return absolute(dot(unit(self._gradient), self._top.vector))

    @cached_property
    def ascent_alignment(self) -> Any:
        """The cosine between SAM's perturbation and top eigenvector; 0 for gradient descent."""
        return absolute(dot(unit(self._ascent()), self._top.vector))

    def _ascent(self) -> Point:
        """SAM's perturbation, of whichever phase acts."""
        ascent = self.system.ascent_at(self.w, self.numbers)  # type: ignore[attr-defined]
        for acts, later in self.followers:
            ascent = where(acts, later._ascent(), ascent)
        return ascent

    @cached_property
    def switch_distance(self) -> Any:
        """The distance from where the phase of a `Switch` that is under way began."""
        if self.origin is None:
            raise FormulaError(
                "switch_distance is the distance from where a Switch changed the algorithm, but "
                f"{self.system.title} is no Switch"
            )
        return norm(self.w - self.origin)

    def evaluate(self, expression: sympy.Basic, thresholds: Mapping[str, Any] | None = None) -> Any:
        """A formula of variables, constants, `EXTRA_NAMES` and thresholds, in words."""
        # in one order: a kernel's source, which a store goes by, is the same in every process
        names = sorted(symbol.name for symbol in expression.free_symbols)
        known = dict(zip(self.system.coordinates, self.w, strict=True))
        known |= {threshold(name).name: value for name, value in (thresholds or {}).items()}
        for name in names:
            if name not in known:
                constant = name in self.system.constants
                known[name] = self.numbers[name] if constant else getattr(self, name)
        return evaluate(expression, {symbols([name])[0]: known[name] for name in names})


def threshold(name: str) -> sympy.Symbol:
    """The symbol of an event's threshold in a formula: no name of the user's has a space."""
    return symbols([f"threshold {name}"])[0]


def read_formula(text: str, system: System, what: str, *, condition: bool = False) -> sympy.Basic:
    """Parse a formula of a run and refuse names that the system does not have."""
    expression = parse_condition(text) if condition else parse(text)
    ascends = isinstance(system, Map)
    extra = [
        name for name in EXTRA_NAMES if system.loss and (ascends or name != "ascent_alignment")
    ]
    own = (*system.coordinates, *system.constants)
    names = {symbol.name for symbol in expression.free_symbols}
    unknown = sorted(names - {*own, *extra})
    if unknown:
        raise FormulaError(
            f"{what} {text!r} names {unknown[0]}, which is none of {', '.join((*own, *extra))}"
        )
    spectral = sorted(names & set(SPECTRAL) - {*own, "trace", "frobenius"})
    if spectral and len(system.coordinates) > LARGEST:
        raise FormulaError(
            f"{what} {text!r} names {spectral[0]}, which is watched in at most {LARGEST} "
            f"variables, but the loss has {len(system.coordinates)}; record the run and take "
            "samdyn.diagnostics of it"
        )
    return expression
