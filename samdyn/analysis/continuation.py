"""Continuation: a branch of fixed points or cycles against a number, through its folds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from samdyn.analysis.linear import NEUTRAL, Linear, growth, kind_of
from samdyn.forward import differentiated
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System, refuse_unknown

_TURN = 0.2
"""The largest angle, in radians, between the tangents at neighbouring places."""

_SMALLEST, _FARTHEST = 1e-9, 1e6
_EPS = float(np.finfo(float).eps)


class _Place(NamedTuple):
    """A point of a branch, with what the search for special points looks at."""

    u: np.ndarray  # the state, then the number
    scale: np.ndarray  # the units in which lengths along the branch are measured
    tangent: np.ndarray  # of length 1 in these units
    orbit: np.ndarray
    eigenvalues: np.ndarray
    orientation: float  # the sign of the determinant of the bordered matrix

    def reversed(self) -> _Place:
        return self._replace(tangent=-self.tangent, orientation=-self.orientation)


class Special(NamedTuple):
    """A special point of a branch: where it is, what it is, and the multiplier that makes it so."""

    place: _Place
    kind: str
    multiplier: complex


def continuation(
    system: System,
    name: str,
    start: Any,
    between: tuple[float, float],
    *,
    period: int = 1,
    step: float = 0.02,
    points: int = 1000,
) -> xr.Dataset:
    """Follow a fixed point or a cycle as a number changes, through folds, with its bifurcations.

    Keller's pseudo-arclength continuation with exact derivatives, in both directions from
    ``start`` at the system's own value of the number. Special points are places of the branch too,
    located to rounding where they are regular.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Of a flow, the zeros of its field are followed.
    name : str
        The number that changes: one of ``system.numbers``.
    start : array_like, shape (d,) or (rows,)
        A point near the fixed point, or near the first point of the cycle.
    between : (float, float)
        The interval of the number; the branch stops exactly at its ends.
    period : int, default 1
        The period of the cycle, of a map.
    step : float, default 0.02
        The longest step along the branch: the number is measured in units of the interval, the
        state in units of its largest distance from 0 so far. Steps are shortened where the branch
        bends.
    points : int, default 1000
        The most steps taken in each direction.

    Returns
    -------
    xarray.Dataset
        Along ``place``: the number itself under its name, ``z`` (place, row), ``orbit``
        (place, phase, row), ``multiplier_real`` and ``multiplier_imag`` (place, row; of a flow,
        the eigenvalues of its field), the most unstable first, ``stable`` and ``kind``, as
        `samdyn.stability` has it. Along ``special``: ``special_kind``, ``special_value`` of the
        number, ``special_z`` (special, row), ``special_place`` and the critical multiplier,
        ``special_multiplier_real`` and ``special_multiplier_imag``. Kinds: "fold" (the branch
        turns back), "branch point" (another branch passes: transcritical or pitchfork, seen from
        any of its branches), "flip" (multiplier -1), "Neimark-Sacker" (a complex pair on the
        circle), "Hopf" of a flow. The attributes ``first_end`` and ``last_end`` say why the
        branch stops: at an end of the interval, because it closes, because a cycle shrinks to a
        shorter one, after so many points, or because no further point was found (where normalised
        SAM jumps, say).

    Raises
    ------
    ValueError
        If the name is none of the system's numbers, the interval does not hold the system's own
        value, or no isolated fixed point or cycle of this period is near ``start``.

    References
    ----------
    Keller, in Applications of Bifurcation Theory, 1977; Kuznetsov, Elements of Applied Bifurcation
    Theory, chapter 10.

    Examples
    --------
    >>> from samdyn import FormulaMap
    >>> logistic = FormulaMap({"x": "r*x*(1 - x)"}, r=2.5)
    >>> branch = continuation(logistic, "r", 0.6, (2.0, 3.5))
    >>> branch.special_kind.values.tolist(), branch.special_value.values.round(12).tolist()
    (['flip'], [3.0])
    """
    curve = _Curve(system, name, between, period)
    step = checked_number("step", step, above=0.0)
    points = checked_whole("points", points, 1)
    first = curve.first(start)
    upward, last_end = curve.followed(first, step, points)
    if last_end == _CLOSED:
        places, first_end = [first, *upward], _CLOSED
    else:
        downward, first_end = curve.followed(first.reversed(), step, points)
        places = [*(place.reversed() for place in downward[::-1]), first, *upward]
    home = next(i for i, place in enumerate(places) if place is first)
    found = _special_points(curve, places)
    left, right = -1.0, float(len(places))
    for at, special in found:
        shorter = curve.shortened(special.place)
        if special.kind == "branch point" and shorter is not None:
            said = f"the cycle shrinks to one of period {shorter}"
            if at < home and at > left:
                left, first_end = at, said
            elif at > home and at < right:
                right, last_end = at, said
    kept = [(at, special) for at, special in found if left <= at <= right]
    taken = [at for at, _ in kept]
    ordinary = [
        (float(i), place)
        for i, place in enumerate(places)
        if left <= i <= right and not np.any(np.abs(np.subtract(taken, i)) < 1e-9)
    ]
    line: list[tuple[float, Any]] = sorted([*ordinary, *kept], key=lambda pair: pair[0])
    return _dataset(curve, [one for _, one in line], (first_end, last_end))


_CLOSED = "the branch closes"


class _Curve:
    """The curve of the states and numbers at which a residual vanishes."""

    def __init__(self, system: System, name: str, between: tuple[float, float], period: int):
        self.linear = Linear(system)
        self.system, self.name = system, name
        self.period = checked_whole("period", period, 1)
        if system.continuous and period != 1:
            raise ValueError(f"period must be 1 for the fixed points of a flow, got {period}")
        refuse_unknown({name: 0.0}, tuple(system.numbers), system.title)
        if system.continuous and name == "dt":
            raise ValueError("name must be a number of the field, which does not depend on dt")
        try:
            low, high = (checked_number("between", end) for end in between)
        except (TypeError, ValueError):
            raise ValueError(f"between must be two numbers (low, high), got {between!r}") from None
        self.value = float(system.numbers[name])
        if not (low < high and low <= self.value <= high):
            raise ValueError(
                f"between must be (low, high) with the system's own {name} = {self.value:g} "
                f"inside, got ({low:g}, {high:g})"
            )
        for end in (low, high):
            system.replace(**{name: end})  # refuses what the number may not be
        self.low, self.high, self.n = low, high, len(system.rows)
        self._place = system.law.inputs.index(name)
        self._others = [np.float64(value) for value in system.numbers.values()]
        self._program = differentiated(system.law, (*system.rows, name))

    def law(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The law at a state and number u, and its derivative by u, of shape (n, n + 1)."""
        n, inputs = self.n, [*u[: self.n], *self._others]
        inputs[self._place] = u[n]
        with np.errstate(all="ignore"):
            outputs = np.array(self._program(*inputs), dtype=float)
        return outputs[:n], outputs[n:].reshape(n, n + 1)

    def whole(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The orbit (period, n), where it ends, and the derivative of the end by u."""
        n, z, orbit = self.n, u[: self.n], []
        derivative = np.eye(n, n + 1)
        for _ in range(self.period):
            orbit.append(z)
            z, own = self.law(np.append(z, u[n]))
            with np.errstate(all="ignore"):
                derivative = own[:, :n] @ derivative
            derivative[:, n] += own[:, n]
        return np.array(orbit), z, derivative

    def residual(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What vanishes on the curve, its derivative, and how large rounding may make it."""
        _, value, derivative = self.whole(u)
        noise = 4 * _EPS * (np.abs(derivative) @ np.abs(u))
        if self.system.continuous:
            return value, derivative, noise
        n = self.n
        noise = noise + 4 * _EPS * np.abs(u[:n])
        return value - u[:n], derivative - np.eye(n, n + 1), noise

    def corrected(self, u: np.ndarray, normal: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
        """The point of the curve on the plane through u with a normal, by Newton's method."""
        origin = u
        before: Any = np.inf
        for _ in range(12):
            value, derivative, noise = self.residual(u)
            aside = normal @ ((u - origin) / scale)
            if np.all(np.abs(value) <= noise) and abs(aside) <= 1e-14:
                return u
            move = _solved(np.vstack([derivative * scale, normal]), np.append(value, aside))
            size, room = np.linalg.norm(move), 1.0 + np.linalg.norm(u / scale)
            if not np.isfinite(size) or (size > 2 * before and before > 1e-9 * room):
                return None
            if size >= before and before <= 1e-9 * room:  # rounding is reached
                return u
            u, before = u - scale * move, size
            if size <= 4 * _EPS * room:
                return u
        return u if before <= 1e-9 * room else None

    def place(self, u: np.ndarray, scale: np.ndarray, along: np.ndarray) -> _Place | None:
        """A point of the curve with its tangent, taken in the direction of a vector."""
        orbit, _, derivative = self.whole(u)
        if not np.all(np.isfinite(derivative)):
            return None
        slope = derivative if self.system.continuous else derivative - np.eye(self.n, self.n + 1)
        tangent = np.linalg.svd(slope * scale)[2][-1]
        tangent = tangent if tangent @ along >= 0 else -tangent
        values = np.linalg.eigvals(derivative[:, : self.n]).astype(complex)
        order = np.lexsort((-values.imag, -growth(values, self.system.continuous)))
        orientation = np.linalg.slogdet(np.vstack([slope * scale, tangent]))[0]
        return _Place(u, scale, tangent, orbit, values[order], float(orientation))

    def first(self, start: Any) -> _Place:
        """The place at the system's own value of the number, facing upward."""
        z = self.linear.states(start, "start")
        if z.shape != (self.n,):
            raise ValueError(f"start must be one point, got an array of shape {z.shape}")
        what = "fixed point" if self.period == 1 else f"cycle of period {self.period}"
        solutions, errors = self.linear.polished(z[None], self.period)
        z = solutions[0]
        # where the Jacobian is singular Newton's step may be 0 and the residual not
        error = max(errors[0], np.linalg.norm(self.linear.residual(z, self.period)[0]))
        if not error <= 1e-8 * (1.0 + np.linalg.norm(z)):
            raise ValueError(
                f"start must be near a {what} at {self.name} = {self.value:g}; Newton's method "
                f"finds none from {np.asarray(start).tolist()}"
            )
        u = np.append(z, self.value)
        unit = max(float(np.linalg.norm(z)), 1e-3)
        scale = np.append(np.full(self.n, unit), self.high - self.low)
        place = self.place(u, scale, np.eye(self.n + 1)[-1])
        if place is None or any(self.linear.smoothness(one) == "jumps" for one in place.orbit):
            raise ValueError(f"start must be where the law is smooth; it jumps at {z.tolist()}")
        if self.shortened(place) is not None:
            raise ValueError(
                f"start must have period {self.period}; {z.tolist()} has period "
                f"{self.shortened(place)}"
            )
        singular = np.linalg.svd(self.residual(u)[1] * scale)[1]
        if singular[-1] <= 1e-12 * max(singular[0], 1e-300):
            raise ValueError(
                f"start must be an isolated {what}, not a branch point or one of a continuum; the "
                f"multiplier at {z.tolist()} is 1 and the branch has no single direction"
            )
        return place

    def shortened(self, place: _Place) -> int | None:
        """The shorter period that a cycle has, if it does."""
        size = 1e-6 * (1e-9 + np.max(np.abs(place.orbit)))
        for q in range(1, self.period):
            if self.period % q == 0 and np.all(np.abs(place.orbit[q] - place.orbit[0]) <= size):
                return q
        return None

    def followed(self, first: _Place, longest: float, points: int) -> tuple[list[_Place], str]:
        """The places after the first, along its tangent, and why there are no more."""
        places: list[_Place] = []
        here, length = first, longest / 8
        for end in (self.low, self.high):
            if here.u[-1] == end and (here.tangent[-1] > 0) == (end == self.high):
                return [], f"{self.name} reaches {end:g}"
        while len(places) < points:
            there, bend = self._stepped(here, length)
            if there is None:
                length /= 2
                if length < _SMALLEST:
                    return places, "no further point was found"
                continue
            places.append(there)
            if there.u[-1] in (self.low, self.high):
                return places, f"{self.name} reaches {there.u[-1]:g}"
            if np.linalg.norm(there.u[:-1]) > _FARTHEST:
                return places, "the state goes to infinity"
            if len(places) > 3 and _passes(here, there, first):
                places[-1] = first
                return places, _CLOSED
            here = there
            length = min(longest, length * (1.5 if bend < _TURN / 3 else 1.0))
        return places, f"after {points} points"

    def _stepped(self, here: _Place, length: float) -> tuple[_Place | None, float]:
        """A place a step further on, at an end of the interval if that is nearer."""
        ahead = here.u + length * here.scale * here.tangent
        u = None
        if self.low < ahead[-1] < self.high:
            u = self.corrected(ahead, here.tangent, here.scale)
        if u is None or not self.low < u[-1] < self.high:
            outside = ahead[-1] if u is None else u[-1]
            if self.low < outside < self.high:
                return None, 0.0
            end = self.high if outside >= self.high else self.low
            part = (end - here.u[-1]) / (outside - here.u[-1])
            ahead = here.u + part * ((ahead if u is None else u) - here.u)
            ahead[-1] = end
            u = self.corrected(ahead, np.eye(self.n + 1)[-1], here.scale)
            if u is None:
                return None, 0.0
            u[-1] = end
        unit = max(here.scale[0], float(np.linalg.norm(u[:-1])))
        scale = np.append(np.full(self.n, unit), here.scale[-1])
        there = self.place(u, scale, here.tangent)
        if there is None or np.linalg.norm((u - ahead) / here.scale) > 0.3 * length:
            return None, 0.0
        seen = there.tangent * there.scale / here.scale
        bend = float(np.arccos(min(1.0, seen @ here.tangent / np.linalg.norm(seen))))
        return (there, bend) if bend <= _TURN else (None, bend)


def _special_points(curve: _Curve, places: list[_Place]) -> list[tuple[float, Special]]:
    """The special points of a branch, each with its position among the places."""
    tests = np.array([_tests(curve, place) for place in places])
    found: list[tuple[float, Special]] = []
    for column in range(tests.shape[1]):
        told = np.flatnonzero(tests[:, column])
        for i, j in pairwise(told):
            if tests[i, column] * tests[j, column] > 0 or j - i > 2:
                continue
            chord = _Chord(curve, places[i], places[j])

            t = chord.root(column)
            at = float(i + t * (j - i))
            near = [one for other, one in found if abs(other - at) < 1e-5]
            special = chord.special(t, column)
            # one crossing is seen by several tests; the first of them is the sharpest
            if special is None or any(one.kind == special.kind or column > 2 for one in near):
                continue
            if not (near and column == 1):
                found.append((at, special))
    return sorted(found, key=lambda pair: pair[0])


def _tests(curve: _Curve, place: _Place, exact: bool = False) -> np.ndarray:
    """Numbers that change sign at special points; 0 where the sign is in doubt.

    In order: the tangent's component along the number, the product of (multiplier - 1) and that
    of (multiplier + 1), and how much faster than neutral each multiplier is.
    """
    continuous, values = curve.system.continuous, place.eigenvalues
    above = values if continuous else values - 1.0
    below = np.ones(1) if continuous else values + 1.0
    grown = growth(values, continuous)
    tests = np.array([place.tangent[-1], np.prod(above).real, np.prod(below).real, *grown])
    if not exact:
        sizes = [abs(tests[0]) * 1e3, np.min(np.abs(above)), np.min(np.abs(below)), *np.abs(grown)]
        tests[np.array(sizes) <= NEUTRAL] = 0.0
    return tests


class _Chord(NamedTuple):
    """The piece of a curve between two places, by the planes across their chord."""

    curve: _Curve
    begin: _Place
    end: _Place

    def at(self, t: float) -> _Place | None:
        scale = self.end.scale
        chord = (self.end.u - self.begin.u) / scale
        normal = chord / np.linalg.norm(chord)
        u = self.curve.corrected(self.begin.u + t * chord * scale, normal, scale)
        return None if u is None else self.curve.place(u, scale, normal)

    def root(self, column: int) -> float:
        """Where a test vanishes; close to it if the curve is singular there."""
        from scipy.optimize import brentq

        known: dict[float, float] = {}

        def value(t: float) -> float:
            place = self.at(t)
            known[t] = np.nan if place is None else _tests(self.curve, place, exact=True)[column]
            return known[t]

        try:
            return float(brentq(value, 0.0, 1.0, xtol=1e-15, rtol=4 * _EPS))
        except ValueError:  # Newton's method was lost
            told = [t for t in known if np.isfinite(known[t])]
            return min(told, key=lambda t: abs(known[t]))

    def special(self, t: float, column: int) -> Special | None:
        """What is special at t, a root of a test."""
        place = self.at(t)
        if place is None:
            return None
        continuous = self.curve.system.continuous
        critical = _critical(place, continuous, column)
        if abs(critical.imag) > 1e-6:
            return Special(place, "Hopf" if continuous else "Neimark-Sacker", critical)
        if not continuous and critical.real < 0:
            return Special(place, "flip", critical)
        before = (self.at(t - 0.05) if t > 0.05 else None) or self.begin
        after = (self.at(t + 0.05) if t < 0.95 else None) or self.end
        if column == 0 and before.orientation == after.orientation:
            return Special(place, "fold", critical)
        place = _crossing(self.curve, place)
        return Special(place, "branch point", _critical(place, continuous, column))


def _critical(place: _Place, continuous: bool, column: int) -> complex:
    """The eigenvalue that is neutral where a test vanishes."""
    values = place.eigenvalues
    if column >= 3:
        return complex(values[np.argmin(np.abs(growth(values, continuous)))])
    neutral = 0.0 if continuous else (1.0, 1.0, -1.0)[column]
    return complex(values[np.argmin(np.abs(values - neutral))])


def _crossing(curve: _Curve, near: _Place) -> _Place:
    """The branch point near a place: where the derivative of the residual loses rank.

    On the curve itself Newton's method is lost there. These equations are regular at a simple
    branch point: residual + m psi = 0, psi^T derivative = 0, psi^T psi = 1.
    """
    n, scale = curve.n, near.scale

    def system(x: np.ndarray) -> np.ndarray:
        u, m, psi = x[: n + 1] * scale, x[n + 1], x[n + 2 :]
        value, derivative, _ = curve.residual(u)
        return np.concatenate([value + m * psi, psi @ (derivative * scale), [psi @ psi - 1.0]])

    psi = np.linalg.svd(curve.residual(near.u)[1] * scale)[0][:, -1]
    x = np.concatenate([near.u / scale, [0.0], psi])
    for _ in range(12):
        value = system(x)
        steps = 1e-6 * np.eye(len(x))
        slopes = [(system(x + one) - system(x - one)) / 2e-6 for one in steps]
        if not np.all(np.isfinite(slopes)):
            return near
        move = np.linalg.lstsq(np.array(slopes).T, value, rcond=1e-10)[0]
        x = x - move
        if np.linalg.norm(move) <= 1e-14 * (1.0 + np.linalg.norm(x)):
            break
    sound = np.linalg.norm(move) <= 1e-11 * (1.0 + np.linalg.norm(x))
    if not sound or np.linalg.norm(x[: n + 1] - near.u / scale) > 1e-3:
        return near
    return curve.place(x[: n + 1] * scale, scale, near.tangent) or near


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(right))):
        return np.full(right.shape, np.nan)
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]


def _passes(here: _Place, there: _Place, first: _Place) -> bool:
    """Whether a step leads through the first place, in its direction."""
    scale, tangent = here.scale, here.tangent
    whole, part = (there.u - here.u) / scale, (first.u - here.u) / scale
    length = np.linalg.norm(whole)
    along = part @ whole / length
    aside = np.linalg.norm(part - along * whole / length)
    facing = (first.tangent * first.scale / scale) @ tangent > 0
    return bool(facing and 0.0 < along <= length and aside <= 0.1 * length)


def _dataset(curve: _Curve, line: list[_Place | Special], ends: tuple[str, str]) -> xr.Dataset:
    continuous, name = curve.system.continuous, curve.name
    places = [one.place if isinstance(one, Special) else one for one in line]
    special = [one for one in line if isinstance(one, Special)]
    n, orbits = curve.n, np.array([place.orbit for place in places])
    values = np.array([place.eigenvalues for place in places])
    sort = "eigenvalue" if continuous else "multiplier"
    critical = np.array([one.multiplier for one in special], dtype=complex)
    variables: dict[str, Any] = {
        name: ("place", np.array([place.u[-1] for place in places])),
        "z": (("place", "row"), orbits[:, 0], {"long_name": "first point of the orbit"}),
        "orbit": (("place", "phase", "row"), orbits),
        "multiplier_real": (("place", "row"), values.real, {"long_name": f"{sort}, real part"}),
        "multiplier_imag": (("place", "row"), values.imag, {"long_name": f"{sort}, imaginary"}),
        "stable": ("place", np.all(growth(values, continuous) < -NEUTRAL, axis=1)),
        "kind": ("place", np.array([kind_of(one, continuous) for one in values], dtype=object)),
        "special_kind": ("special", np.array([one.kind for one in special], dtype=object)),
        "special_value": ("special", np.array([one.place.u[-1] for one in special], float)),
        "special_z": (
            ("special", "row"),
            np.array([one.place.u[:n] for one in special], float).reshape(-1, n),
        ),
        "special_place": (
            "special",
            np.array([i for i, one in enumerate(line) if isinstance(one, Special)], dtype=int),
        ),
        "special_multiplier_real": ("special", critical.real),
        "special_multiplier_imag": ("special", critical.imag),
    }
    attributes = {
        "title": f"branch of {curve.system.title} against {name}",
        "system": curve.system.title,
        "number": name,
        "period": curve.period,
        "first_end": ends[0],
        "last_end": ends[1],
    }
    result = xr.Dataset(variables, coords={"row": list(curve.system.rows)}, attrs=attributes)
    return result.set_coords(name)
