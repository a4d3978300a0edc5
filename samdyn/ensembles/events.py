"""Events: conditions on a particle that end its run, watched in the kernel at every step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, and_, or_
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational

from samdyn.algorithms.switch import Condition
from samdyn.ensembles.bridge import crossing, depth
from samdyn.ensembles.moment import SPECTRAL, Moment, read_formula, threshold
from samdyn.losses.formula import parse_condition
from samdyn.numbers import checked_number
from samdyn.symbols import symbols
from samdyn.systems.base import System
from samdyn.systems.diffusion import Diffusion
from samdyn.words import Point, absolute, dot, norm

_LARGEST = sys.float_info.max


class Watched(Condition):
    """The interface of every event."""

    reason: str

    def numbers(self) -> dict[str, float]:
        """The thresholds, which reach the kernel as data."""
        raise NotImplementedError

    def prepare(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        """The condition for a system, as a definition in words of a moment and the thresholds."""
        raise NotImplementedError

    def bridges(self, system: System) -> bool:
        """Whether the condition looks between two steps.

        The thresholds then hold an ``exponential`` number too, and whether the particle is
        ``going`` on.
        """
        return False


@dataclass(frozen=True)
class Escape(Watched):
    """A particle leaves a ball or a box, or enters a region given by a condition.

    Give exactly one of the three forms.

    Parameters
    ----------
    region : str, optional
        A condition such as ``"x > 0.8"`` or ``"loss > 2 or grad_norm > 10"`` of the variables,
        the constants and what ``statistics`` of `samdyn.simulate` may name: the particle escapes
        where it holds.
    center, radius : sequence of float, float
        It escapes where its distance from ``center`` exceeds ``radius``.
    box : sequence of (low, high)
        It escapes where a coordinate is outside its interval.
    bridge : bool, optional
        Whether a path of an SDE that may have crossed between two steps, by the Brownian bridge,
        has escaped there: it then stops where it was before, and its time is half a step later.
        Default: for an SDE only, and not if the condition asks for the Hessian. An algorithm's
        step is its clock.

    Raises
    ------
    ValueError
        If not exactly one form is given, radius is not above 0, or a system that is no SDE is to
        be bridged.

    Examples
    --------
    >>> Escape(center=(0, 0), radius=1.0).reason
    'escaped'
    """

    region: str | None = None
    center: tuple[float, ...] | None = None
    radius: float | None = None
    box: tuple[tuple[float, float], ...] | None = None
    bridge: bool | None = None

    reason = "escaped"

    def __post_init__(self) -> None:
        forms = [self.region is not None, self.center is not None, self.box is not None]
        if sum(forms) != 1 or (self.center is None) != (self.radius is None):
            raise ValueError(
                "Escape takes a condition, or center= with radius=, or box=; write for example "
                "Escape(center=(0, 0), radius=1.0)"
            )
        if self.center is not None:
            checked_number("radius", self.radius, above=0.0)
            center = tuple(np.atleast_1d(checked_number("center", self.center)).tolist())
            object.__setattr__(self, "center", center)
        if self.box is not None:
            box = tuple((float(low), float(high)) for low, high in self.box)
            if not all(low < high for low, high in box):
                raise ValueError(f"box must be intervals (low, high) with low < high, got {box}")
            object.__setattr__(self, "box", box)

    def numbers(self) -> dict[str, float]:
        """The thresholds, which reach the kernel as data."""
        if self.center is not None:
            centers = {f"center{i}": x for i, x in enumerate(self.center)}
            return {**centers, "radius": float(self.radius or 0.0)}
        if self.box is not None:
            return {
                f"{side}{i}": value
                for i, interval in enumerate(self.box)
                for side, value in zip(("low", "high"), interval, strict=True)
            }
        return {f"level{i}": float(level) for i, level in enumerate(_levels(str(self.region)))}

    def bridges(self, system: System) -> bool:
        """Whether the condition looks between two steps; see the parameter."""
        stochastic = isinstance(system, Diffusion)
        if self.bridge and not stochastic:
            raise ValueError(
                f"bridge goes with an SDE, whose path runs on between two steps; {system.title} "
                "is none"
            )
        asked = parse_condition(self.region).free_symbols if self.region else ()
        names = {symbol.name for symbol in asked} - {*system.coordinates, *system.constants}
        if self.bridge and names & {*SPECTRAL}:
            raise ValueError(
                f"bridge does not go with a region of the Hessian's quantities, got {self.region!r}"
            )
        return stochastic and self.bridge is not False and not names & {*SPECTRAL}

    def prepare(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        """The condition for a system, as a definition in words."""
        size = len(system.coordinates)
        for name, given in (("center", self.center), ("box", self.box)):
            if given is not None and len(given) != size:
                raise ValueError(
                    f"{name} of Escape must have {size} entries, one for each of "
                    f"{', '.join(system.coordinates)}; got {len(given)}"
                )
        outside = self._outside(system)
        if not self.bridges(system):
            return outside
        crosses = crossing(system, self._inside(system))  # type: ignore[arg-type]
        return lambda moment, n: outside(moment, n) | crosses(moment, n)

    def holds_at(self, system: System, points: np.ndarray) -> np.ndarray:
        """Whether points of shape (…, d) are outside, for the first values of swept numbers."""
        numbers = {name: np.ravel(value)[0] for name, value in system.numbers.items()}
        w = Point(np.moveaxis(points, -1, 0)[: len(system.coordinates)])
        thresholds = {name: np.float64(value) for name, value in self.numbers().items()}
        return np.asarray(self._outside(system)(Moment(system, w, w, numbers), thresholds))

    def _outside(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        size = len(system.coordinates)
        if self.center is not None:

            def outside(moment: Moment, n: Mapping[str, Any]) -> Any:
                away = moment.w - Point(n[f"center{i}"] for i in range(size))
                return dot(away, away) > n["radius"] * n["radius"]

            return outside
        if self.box is not None:
            return lambda moment, n: reduce(
                or_, [(x < n[f"low{i}"]) | (x > n[f"high{i}"]) for i, x in enumerate(moment.w)]
            )
        region = self._region(system)
        return lambda moment, n: moment.evaluate(region, n)

    def _inside(self, system: System) -> sympy.Expr:
        """What is positive where the particle has not escaped, of coordinates and thresholds."""
        w = symbols(system.coordinates)
        if self.region is not None:
            return depth(self._region(system))
        marks = {name: threshold(name) for name in self.numbers()}
        if self.center is not None:
            away = [x - marks[f"center{i}"] for i, x in enumerate(w)]
            return marks["radius"] - sympy.sqrt(sympy.Add(*(x**2 for x in away)))
        sides = [(x - marks[f"low{i}"], marks[f"high{i}"] - x) for i, x in enumerate(w)]
        return sympy.Min(*(side for pair in sides for side in pair))

    def _region(self, system: System) -> sympy.Basic:
        """The condition, with the names of thresholds where it compares with numbers."""
        region = read_formula(str(self.region), system, "region", condition=True)
        levels = _levels(str(self.region))
        marks = {level: threshold(f"level{i}") for i, level in enumerate(levels)}
        return region.xreplace(
            {
                comparison: comparison.func(*(marks.get(side, side) for side in comparison.args))
                for comparison in region.atoms(Relational)
            }
        )


@dataclass(frozen=True)
class Converged(Watched):
    """The gradient, or the coming step, is as short as asked.

    Parameters
    ----------
    tol : float or None, default 1e-10
        Holds where the norm of the loss's gradient is at most this. None: not looked at.
    step : float, optional
        Holds where the step about to be taken is at most this long. With both, both must hold.

    Raises
    ------
    ValueError
        If neither is given or one is negative.
    """

    tol: float | None = 1e-10
    step: float | None = None

    reason = "converged"

    def __post_init__(self) -> None:
        if self.tol is None and self.step is None:
            raise ValueError("Converged needs tol (gradient norm) or step (step length)")
        for name in ("tol", "step"):
            if getattr(self, name) is not None:
                checked_number(name, getattr(self, name), minimum=0.0)

    def numbers(self) -> dict[str, float]:
        """The thresholds, which reach the kernel as data."""
        given = {"tol": self.tol, "step": self.step}
        return {name: float(value) for name, value in given.items() if value is not None}

    def prepare(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        """The condition for a system, as a definition in words."""
        if self.tol is not None and system.loss is None:
            raise ValueError(
                "Converged(tol=…) looks at the gradient of a loss, which this system has not; "
                "write Converged(tol=None, step=1e-12)"
            )

        def short(moment: Moment, n: Mapping[str, Any]) -> Any:
            conditions = []
            if "tol" in n:
                conditions.append(moment.grad_norm <= n["tol"])
            if "step" in n:
                conditions.append(norm(moment.moved - moment.w) <= n["step"])
            return reduce(and_, conditions)

        return short


@dataclass(frozen=True)
class Diverged(Watched):
    """A coordinate is larger in size than a limit, or is not a number.

    Every run watches for ``Diverged()``: a coordinate is infinite or NaN, or all together are
    too large for a float.

    Parameters
    ----------
    limit : float, optional
        At least 0. Default: whatever is finite is within.

    Raises
    ------
    ValueError
        If the limit is negative or NaN.
    """

    limit: float | None = None

    reason = "diverged"

    def __post_init__(self) -> None:
        if self.limit is not None:
            checked_number("limit", self.limit, minimum=0.0)

    def numbers(self) -> dict[str, float]:
        """The threshold, which reaches the kernel as data."""
        return {"limit": _LARGEST if self.limit is None else float(self.limit)}

    def prepare(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        """The condition for a system, as a definition in words."""
        # NaN fails every comparison, so the test asks who is within. That a sum is finite takes
        # one comparison for all coordinates: every run pays for this one at every step.
        if self.limit is None:
            return lambda moment, n: ~(absolute(reduce(add, moment.w)) <= n["limit"])
        return lambda moment, n: ~reduce(and_, [absolute(x) <= n["limit"] for x in moment.w])


def _levels(region: str) -> list[sympy.Number]:
    """The numbers that a condition compares with: they travel as data, like a radius."""
    comparisons = parse_condition(region).atoms(Relational)
    sides = [side for one in sorted(comparisons, key=str) for side in one.args if side.is_Number]
    return list(dict.fromkeys(sides))


@dataclass(frozen=True)
class Reached(Watched):
    """A particle comes within a ball: a target, or what attracts it.

    Parameters
    ----------
    center : sequence of float
        One entry for each coordinate; or one for each scalar of the state (weights, then
        velocities), and then the whole state must come near.
    radius : float

    Raises
    ------
    ValueError
        If radius is not above 0, or the center does not fit the system.

    Examples
    --------
    >>> Reached(center=(3.0, 0.5), radius=0.1).reason
    'reached'
    """

    center: tuple[float, ...]
    radius: float

    reason = "reached"

    def __post_init__(self) -> None:
        center = np.atleast_1d(checked_number("center", self.center))
        if center.ndim > 1:
            raise ValueError(f"center of Reached must be one point, got {self.center!r}")
        if np.ndim(self.radius):
            raise ValueError(f"radius of Reached must be one number, got {self.radius!r}")
        object.__setattr__(self, "center", tuple(center.tolist()))
        object.__setattr__(self, "radius", checked_number("radius", self.radius, above=0.0))

    def numbers(self) -> dict[str, float]:
        """The thresholds, which reach the kernel as data."""
        center = {f"center{i}": x for i, x in enumerate(self.center)}
        return {**center, "squared_radius": self.radius**2}

    def prepare(self, system: System) -> Callable[[Moment, Mapping[str, Any]], Any]:
        """The condition for a system, as a definition in words."""
        size, d, rows = len(self.center), len(system.coordinates), len(system.rows)
        if size not in (d, rows):
            raise ValueError(
                f"center of Reached must have {d} entries, one for each of "
                + ", ".join(system.coordinates)
                + (f", or {rows} for the whole state" if rows > d else "")
                + f"; got {size}"
            )

        def near(moment: Moment, n: Mapping[str, Any]) -> Any:
            center = Point(n[f"center{i}"] for i in range(size))
            away = Point(moment.z.components[:size]) - center
            return dot(away, away) <= n["squared_radius"]

        return near


Event = Escape | Converged | Diverged | Reached
REASONS = ("running", "escaped", "converged", "diverged", "interrupted", "reached")
"""Why a particle's run ended; the code in a result is the place in this list."""


def checked_condition(when: str | Condition) -> Event:
    """The event that begins a phase of a `samdyn.Switch`; text is a region."""
    event = Escape(when) if isinstance(when, str) else when
    if not isinstance(event, Event):
        raise TypeError(f"a phase must begin at a step or an event, got {when!r}")
    return event


def checked_events(until: Event | Sequence[Event]) -> tuple[tuple[Event, ...], int]:
    """The events to watch, and how many of them, from the front, the user gave.

    A coordinate that is not finite always ends a run.
    """
    several = isinstance(until, Sequence) and not isinstance(until, str)
    events = tuple(until) if several else (until,)  # type: ignore[arg-type]
    for event in events:
        if not isinstance(event, Event):
            raise TypeError(
                "until must be events such as Escape(center=(0, 0), radius=1.0) or "
                f"Escape('x > 1'), got {event!r}"
            )
    return (*events, Diverged()), len(events)
