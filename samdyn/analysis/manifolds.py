"""Stable and unstable manifolds of saddles, where they are curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from samdyn.analysis.linear import NEUTRAL, Linear, described, growth, kind_of, solved
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System

_ORDER = 20
_BEND = 0.2
"""The largest angle, in radians, between neighbouring pieces longer than spacing/100."""

_MOST = 100_000
"""The most points of a branch."""

_EPS = float(np.finfo(float).eps)


class _Local(NamedTuple):
    """The manifold near its saddle, W(t) = sum of a_j t^j for |t| <= 1.

    A map takes W(t) to W(factor t); a flow moves t at the rate (factor t).
    """

    coefficients: np.ndarray  # (order + 1, n)
    factor: float

    def __call__(self, t: Any) -> np.ndarray:
        return np.polynomial.polynomial.polyval(np.asarray(t), self.coefficients).T


def manifolds(
    system: System,
    point: Any,
    *,
    kind: str = "unstable",
    length: float = 10.0,
    spacing: float | None = None,
    box: Sequence[tuple[float, float]] | None = None,
    period: int = 1,
) -> xr.Dataset:
    """The two branches of a saddle's stable or unstable manifold, where it is a curve.

    Near the saddle the manifold is a power series, the solution of F(W(t)) = W(m t), m being the
    multiplier (of a flow, of f(W) = W' m t), taken as far as it holds to rounding. Beyond, the
    images of this piece under the map are followed; the stable manifold's under its inverse,
    solved by Newton's method from the neighbouring point. Points are added where neighbours are
    farther apart than ``spacing`` or the curve bends, each iterated from the local piece itself
    and not interpolated. A flow's is its trajectory.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
    point : array_like, shape (d,) or (rows,)
        The saddle, or a point of a cycle; to four digits or better.
    kind : "unstable" or "stable", default "unstable"
    length : float, default 10
        Arclength of each branch, in the space of all rows.
    spacing : float, optional
        The largest distance between neighbouring points; default length/500.
    box : sequence of (low, high), optional
        One pair a coordinate; a branch stops where it leaves.
    period : int, default 1
        The period of the cycle, of a map.

    Returns
    -------
    xarray.Dataset
        ``w`` (branch, place, coord) and ``arclength`` (branch, place), NaN beyond a branch's end;
        if the state has more rows than coordinates, also ``z`` (branch, place, row). A branch
        begins at the saddle; the first leaves it along the eigenvector whose largest weight is
        positive. The attributes hold the ``eigenvalue`` and why each branch stopped:
        ``stopped_0`` and ``stopped_1``. The stable manifold of a map that has no inverse has
        further preimages; only the piece through the saddle is followed, up to where the Jacobian
        becomes singular.

    Raises
    ------
    ValueError
        If the point is no fixed point or cycle of the period, is no saddle, lies where the law
        jumps (normalised SAM at a critical point), or the manifold is no curve.

    References
    ----------
    You, Kostelich and Yorke, Int. J. Bifurcation Chaos 1 (1991) 605; Hobson, J. Comput. Phys. 104
    (1993) 14; Cabre, Fontich and de la Llave, J. Differential Equations 218 (2005) 444.

    Examples
    --------
    >>> from samdyn import GD, Loss, Map
    >>> wells = Map(Loss("(x**2 - 1)**2/4 + y**2/2"), GD(lr=0.1))
    >>> curve = manifolds(wells, [0.0, 0.0])
    >>> curve.w.isel(branch=0).dropna("place").values[-1].round(6)
    array([1., 0.])
    >>> curve.stopped_0
    'it tends to [1.0, 0.0]'
    """
    linear = Linear(system)
    if kind not in ("unstable", "stable"):
        raise ValueError(f'kind must be "unstable" or "stable", got {kind!r}')
    length = checked_number("length", length, above=0.0)
    spacing = length / 500 if spacing is None else checked_number("spacing", spacing, above=0.0)
    limits = _limits(system, box)
    saddle = _saddle(linear, point, checked_whole("period", period, 1))
    factor, vector = _direction(linear, saddle, period, kind)
    local = _local(linear, saddle, period, factor, vector, length)
    grow = _trajectory if system.continuous else _iterates
    branches = []
    for side in (1.0, -1.0):
        turned = _Local(
            local.coefficients * side ** np.arange(len(local.coefficients))[:, None], local.factor
        )
        line, why = grow(linear, turned, period, length, spacing, limits)
        line, why = _cut(line, why, length, limits)
        branches.append((_thinned(line, spacing), why))
    return _dataset(linear, kind, factor, period, branches)


def _limits(system: System, box: Any) -> np.ndarray:
    d = len(system.coordinates)
    if box is None:
        return np.tile([-np.inf, np.inf], (d, 1))
    limits = np.asarray(box, dtype=float)
    if limits.shape != (d, 2) or not np.all(limits[:, 0] < limits[:, 1]):
        raise ValueError(f"box must be {d} pairs (low, high), one a coordinate, got {box!r}")
    return limits


def _saddle(linear: Linear, point: Any, period: int) -> np.ndarray:
    """The saddle near a point, to rounding."""
    z = linear.states(point)
    if z.shape != (linear.size,):
        raise ValueError(f"point must be one point, got an array of shape {z.shape}")
    if linear.system.continuous and period != 1:
        raise ValueError(f"period must be 1 for a fixed point of a flow, got {period}")
    orbit = [z] if linear.system.continuous else linear.orbit(z, period)[0]
    if any(linear.smoothness(one) == "jumps" for one in orbit):
        raise ValueError(
            f"point must be where the law is smooth, and it jumps at {z.tolist()}, as normalised "
            "SAM does at critical points: it has no manifolds there"
        )
    solutions, errors = linear.polished(z[None], period)
    near = np.linalg.norm(solutions[0] - z) <= 1e-3 * (1.0 + np.linalg.norm(z))
    residual = np.linalg.norm(linear.residual(solutions[0], period)[0])
    if not (near and max(errors[0], residual) <= 1e-8 * (1.0 + np.linalg.norm(z))):
        residual = np.linalg.norm(linear.residual(z, period)[0])
        what = "fixed point" if period == 1 else f"point of a cycle of period {period}"
        raise ValueError(f"point must be a {what}; at {z.tolist()} the residual is {residual:.3g}")
    return solutions[0]


def _direction(
    linear: Linear, saddle: np.ndarray, period: int, kind: str
) -> tuple[float, np.ndarray]:
    """The eigenvalue and the eigenvector on the side asked for, of which there must be one."""
    continuous = linear.system.continuous
    orbit = described(linear, saddle, period)
    grown = growth(orbit.eigenvalues, continuous)
    sort = kind_of(orbit.eigenvalues, continuous)
    sides = {"unstable": grown > NEUTRAL, "stable": grown < -NEUTRAL}
    if not all(np.any(side) for side in sides.values()):
        raise ValueError(f"point must be a saddle; {saddle.tolist()} is of kind {sort!r}")
    places = np.flatnonzero(sides[kind])
    if len(places) != 1:
        raise ValueError(
            f"the {kind} manifold must be a curve, of one {kind} direction; at {saddle.tolist()} "
            f"there are {len(places)}"
        )
    vector = orbit.eigenvectors[:, places[0]].real
    vector = vector / np.linalg.norm(vector)
    weights = vector[: len(linear.system.coordinates)]
    vector *= np.sign(weights[np.argmax(np.abs(weights))])
    return float(orbit.eigenvalues[places[0]].real), vector


def _local(
    linear: Linear,
    saddle: np.ndarray,
    period: int,
    factor: float,
    vector: np.ndarray,
    length: float,
) -> _Local:
    """The power series of the manifold, as far as it holds to rounding."""
    continuous = linear.system.continuous
    jacobian = linear.residual(saddle, period)[1] + (0.0 if continuous else np.eye(linear.size))
    rate = abs(factor) if continuous else abs(np.log(abs(factor)))
    size = 1.0 + float(np.linalg.norm(saddle))
    noise = 4 * _EPS * size * (1.0 + np.linalg.norm(jacobian, 2))
    for order in (_ORDER, 1):  # what is not smooth enough has its tangent only
        reach = min(length / 4, size)
        while reach > 1e-5 * size:
            local = _series(linear, period, jacobian, factor, saddle, reach * vector, order)
            if _defect(linear, local, period) <= noise + 1e-12 * min(rate, 1.0) * reach:
                return local
            reach /= 2
    return _Local(np.array([saddle, reach * vector]), factor)


def _series(
    linear: Linear,
    period: int,
    jacobian: np.ndarray,
    factor: float,
    saddle: np.ndarray,
    vector: np.ndarray,
    order: int,
) -> _Local:
    """The coefficients one after the other, by Cauchy's integrals over the unit circle."""
    circle = np.exp(2j * np.pi * np.arange(64) / 64)
    coefficients = np.zeros((order + 1, len(saddle)))
    coefficients[0], coefficients[1] = saddle, vector
    local = _Local(coefficients, factor)
    for j in range(2, order + 1):
        images = np.fft.fft(_images(linear, local(circle), period), axis=0)[j].real / 64
        power = j * factor if linear.system.continuous else factor**j
        coefficients[j] = solved(power * np.eye(len(saddle)) - jacobian, images)
        if not np.all(np.abs(coefficients[j]) < 1e6):
            coefficients[j:] = np.nan
            break
    return local


def _images(linear: Linear, z: np.ndarray, period: int) -> np.ndarray:
    """The law, ``period`` times over, at states of shape (m, n), which may be complex."""
    system = linear.system
    numbers = [np.float64(value) for value in system.numbers.values()]
    with np.errstate(all="ignore"):
        for _ in range(period):
            out = system.law(*z.T, *numbers)
            z = np.stack([np.broadcast_to(one, len(z)) for one in out], axis=-1)
    return z


def _defect(linear: Linear, local: _Local, period: int) -> float:
    """By how much the local piece fails to be invariant."""
    if not np.all(np.isfinite(local.coefficients)):
        return np.inf
    t, m = np.linspace(-1.0, 1.0, 65), local.factor
    if linear.system.continuous:
        slopes = np.polynomial.polynomial.polyval(
            t, np.polynomial.polynomial.polyder(local.coefficients)
        ).T
        gap = _images(linear, local(t), 1) - slopes * (m * t)[:, None]
    else:
        t = t / max(1.0, abs(m))
        gap = _images(linear, local(t), period) - local(m * t)
    worst = float(np.max(np.abs(gap)))
    return worst if np.isfinite(worst) else np.inf


def _sampled(local: _Local, spacing: float) -> np.ndarray:
    """The local piece from the saddle to t = 1."""
    size = _length(local(np.linspace(0.0, 1.0, 33)))
    return local(np.linspace(0.0, 1.0, 16 + int(2 * size / spacing)))


def _trajectory(
    linear: Linear, local: _Local, period: int, length: float, spacing: float, limits: np.ndarray
) -> tuple[np.ndarray, str]:
    """A branch of a flow: the trajectory by arclength, from the end of the local piece."""
    from scipy.integrate import solve_ivp

    sign, begin = np.sign(local.factor), _sampled(local, spacing)
    size = 1.0 + float(np.linalg.norm(begin[0]))
    slow = 1e-6 * np.linalg.norm(linear.law(begin[0])[1], 2) * size

    def direction(_: float, z: np.ndarray) -> np.ndarray:
        rate = _images(linear, z[None], 1)[0]
        return sign * rate / np.linalg.norm(rate)

    def arrives(_: float, z: np.ndarray) -> float:
        return float(np.linalg.norm(_images(linear, z[None], 1)) - slow)

    arrives.terminal = True  # type: ignore[attr-defined]
    with np.errstate(all="ignore"):
        run = solve_ivp(
            direction,
            (0.0, length),
            begin[-1],
            "LSODA",  # along a valley the equation is stiff
            events=arrives,
            dense_output=True,
            rtol=1e-10,
            atol=1e-12 * size,
            max_step=length / 20,
        )
    s = np.union1d(np.arange(0.0, run.t[-1], spacing), run.t)
    line = np.concatenate([begin, run.sol(s[1:]).T])
    if run.status == 1:
        return _ended(linear, line, 1)
    return line, "" if run.status == 0 else f"the field is lost at {line[-1].tolist()}"


def _ended(linear: Linear, line: np.ndarray, period: int) -> tuple[np.ndarray, str]:
    """A branch that tends to a fixed point of the iterated map, together with this point."""
    solutions, errors = linear.polished(line[-1:], period)
    near = np.linalg.norm(solutions[0] - line[-1]) <= 1e-4 * (1.0 + np.linalg.norm(line[-1]))
    if near and errors[0] <= 1e-8:
        line = np.concatenate([line, solutions])
    return line, f"it tends to {[float(x) + 0.0 for x in np.round(line[-1], 9)]}"


def _iterates(
    linear: Linear, local: _Local, period: int, length: float, spacing: float, limits: np.ndarray
) -> tuple[np.ndarray, str]:
    """A branch of a map: images of a fundamental piece of the local manifold.

    Level n holds the n-th images of W(t), 1/M < t <= 1. A point that is added to a level is
    added to all before, so that it is iterated and never interpolated.
    """
    whole = period if local.factor > 0 else 2 * period  # then each branch is mapped to itself
    multiplier = abs(local.factor) ** (whole // period)
    if multiplier > 1:  # a level doubles the distance at least: fewer and larger ones
        times = min(int(np.ceil(np.log(2) / np.log(multiplier))), 10_000)
        whole, multiplier = whole * times, multiplier**times
    law: _Forward | _Inverse = (
        _Forward(linear, whole) if multiplier > 1 else _Inverse(linear, whole, local(0.0))
    )
    ratio = max(multiplier, 1 / multiplier)
    count = max(1, int(np.ceil(4 * np.log2(ratio))))
    t = ratio ** (np.arange(1 - count, 1) / count)
    levels, line = [local(t)], [*_sampled(local, spacing)]
    ends = [local(1 / ratio), local(1.0)]
    total, before = _length(np.array(line)), np.inf
    while total < length:
        levels.append(law.level(levels[-1], ends[-1], ends[-2]))
        for _ in range(40):
            tried = np.array([*line[-2:], *levels[-1]])
            places = _coarse(tried, length - total, spacing, limits)
            lower = np.concatenate([[1 / ratio], t[:-1]])
            places = places[t[places] / lower[places] - 1 > 1e-12]
            if not len(places) or len(t) + len(places) > _MOST:
                break
            added = np.sqrt(t[places] * lower[places])
            z = local(added)
            right = levels[0][places]
            for n, level in enumerate(levels):
                if n:
                    z = law.points(z, level[places], right)
                right = level[places]
                levels[n] = np.insert(level, places, z, axis=0)
            t = np.insert(t, places, added)
        latest = levels[-1]
        lost = ~np.all(np.abs(latest) < 1e12, axis=1)
        if np.any(lost):
            return np.array([*line, *latest[: np.argmax(lost)]]), law.lost
        moved = _length(np.array([line[-1], *latest]))
        line.extend(latest)
        ends, total = [ends[-1], latest[-1]], total + moved
        near = 1e-6 * (1.0 + np.linalg.norm(line[-1]))
        if moved == 0 or (moved < before < np.inf and moved * moved < near * (before - moved)):
            return _ended(linear, np.array(line), period)
        before = moved
        if len(line) > _MOST:
            return np.array(line), f"after {len(line)} points"
        if not np.all(_inside(latest, limits)):
            break
    return np.array(line), ""


class _Forward:
    """Images under a map iterated ``steps`` times."""

    lost = "it goes to infinity"

    def __init__(self, linear: Linear, steps: int):
        self.linear, self.steps = linear, steps

    def points(self, y: np.ndarray, near: np.ndarray, images: np.ndarray) -> np.ndarray:
        return _images(self.linear, y, self.steps)

    def level(self, y: np.ndarray, x: np.ndarray, image: np.ndarray) -> np.ndarray:
        return _images(self.linear, y, self.steps)


class _Inverse:
    """Preimages under a map iterated ``steps`` times, by continuity from known ones."""

    def __init__(self, linear: Linear, steps: int, saddle: np.ndarray):
        self.linear, self.steps, self.lost = linear, steps, ""
        self.sign = np.sign(np.linalg.det(linear.orbit(saddle, steps)[2]))
        if self.sign == 0:
            raise ValueError(
                f"the stable manifold needs a map that is invertible at the saddle "
                f"{saddle.tolist()}; its Jacobian is singular there"
            )

    def points(self, y: np.ndarray, near: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Preimages of each of y, beside those known of ``images``."""
        with np.errstate(all="ignore"):
            guess = near + solved(self.linear.orbit(near, self.steps)[2], y - images)
            x, size = guess, np.full(len(y), np.inf)
            for _ in range(8):  # all at once, if they are as easy as most are
                _, end, jacobian = self.linear.orbit(x, self.steps)
                move = solved(jacobian, end - y)
                size = np.linalg.norm(move, axis=1)
                x = x - move
                if np.all(size <= 4 * _EPS * (1 + np.linalg.norm(x, axis=1))):
                    break
            room = 0.3 * np.linalg.norm(guess - near, axis=1)
            sound = size <= 1e-14 * (1 + np.linalg.norm(x, axis=1))
            sound &= np.linalg.norm(x - guess, axis=1) <= room
            sound &= np.sign(np.linalg.det(jacobian)) == self.sign
        for i in np.flatnonzero(~sound):
            x[i] = self.one(y[i], near[i], images[i])
        return x

    def level(self, y: np.ndarray, x: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Preimages of points along a curve, the preimage x of the point before being known."""
        found = np.empty_like(y)
        for i, target in enumerate(y):
            x, image = self.one(target, x, image), target
            found[i] = x
        return found

    def one(self, y: np.ndarray, x: np.ndarray, image: np.ndarray, depth: int = 8) -> np.ndarray:
        """The preimage of y, from x, that of an image close by; NaN where it is lost."""
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
            return np.full_like(x, np.nan)
        _, _, jacobian = self.linear.orbit(x, self.steps)
        guess = x + solved(jacobian, y - image)
        best = self._solved(y, guess)
        if best is not None:
            room = 0.3 * np.linalg.norm(guess - x) + 1e-9 * (1 + np.linalg.norm(x))
            if np.linalg.norm(best - guess) <= room:
                return best
        if depth == 0:
            self.lost = self.lost or (
                f"no preimage is found beyond {np.round(x, 6).tolist()}: the Jacobian becomes "
                "singular"
            )
            return np.full_like(x, np.nan)
        half = (y + image) / 2
        return self.one(y, self.one(half, x, image, depth - 1), half, depth - 1)

    def _solved(self, y: np.ndarray, x: np.ndarray) -> np.ndarray | None:
        before = np.inf
        for _ in range(20):
            _, end, jacobian = self.linear.orbit(x, self.steps)
            move = solved(jacobian, end - y)
            size, room = float(np.linalg.norm(move)), 1 + float(np.linalg.norm(x))
            if not np.isfinite(size) or np.sign(np.linalg.det(jacobian)) != self.sign:
                return None
            if size >= before and before <= 1e-10 * room:
                return x
            x, before = x - move, size
            if size <= 2 * _EPS * room:
                return x
        return None


def _length(line: np.ndarray) -> float:
    return float(np.sum(np.linalg.norm(np.diff(line, axis=0), axis=1)))


def _inside(z: np.ndarray, limits: np.ndarray) -> np.ndarray:
    w = z[:, : len(limits)]
    return np.all((w >= limits[:, 0]) & (w <= limits[:, 1]), axis=1)


def _turns(line: np.ndarray) -> np.ndarray:
    """The angle by which a line turns at each of its points but the two ends."""
    pieces = np.diff(line, axis=0)
    sizes = np.linalg.norm(pieces, axis=1)
    with np.errstate(all="ignore"):
        cosines = np.sum(pieces[1:] * pieces[:-1], axis=1) / (sizes[1:] * sizes[:-1])
    return np.arccos(np.clip(np.nan_to_num(cosines, nan=1.0), -1.0, 1.0))


def _coarse(line: np.ndarray, room: float, spacing: float, limits: np.ndarray) -> np.ndarray:
    """Which points of a line, counted from its third, lie too far behind their predecessor."""
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(np.diff(line, axis=0), axis=1)
        turns = _turns(line)
        run = np.cumsum(sizes[1:]) - sizes[1:]
    bent = np.maximum(turns, np.append(turns[1:], 0.0)) > _BEND
    coarse = (sizes[1:] > spacing) | (bent & (sizes[1:] > spacing / 100))
    outside = np.cumsum(~_inside(line[1:-1], limits)) > 0
    return np.flatnonzero(coarse & (run <= room) & ~outside)


def _cut(line: np.ndarray, why: str, length: float, limits: np.ndarray) -> tuple[np.ndarray, str]:
    """The part of a line inside the box and not longer than asked for, and why it ends."""
    run = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    beyond, outside = run > length * (1 + 1e-12), ~_inside(line, limits)
    if not np.any(beyond | outside):
        return line, why or "its length is reached"
    first = int(np.argmax(beyond | outside))
    return line[:first], "it leaves the box" if outside[first] else "its length is reached"


def _thinned(line: np.ndarray, spacing: float) -> np.ndarray:
    """A line without the points that lie close together where it is straight."""
    kept = [0]
    for i in range(1, len(line) - 1):
        here, last, following = line[i], line[kept[-1]], line[i + 1]
        far = np.linalg.norm(following - last) > spacing
        apart = np.linalg.norm(here - last) > spacing / 200
        if far or (apart and _turns(np.array([last, here, following]))[0] > _BEND / 4):
            kept.append(i)
    return line[[*kept, len(line) - 1]] if len(line) > 1 else line


def _dataset(
    linear: Linear, kind: str, factor: float, period: int, branches: list[tuple[np.ndarray, str]]
) -> xr.Dataset:
    system, d = linear.system, len(linear.system.coordinates)
    longest = max(len(line) for line, _ in branches)
    z = np.full((2, longest, linear.size), np.nan)
    arclength = np.full((2, longest), np.nan)
    for k, (line, _) in enumerate(branches):
        z[k, : len(line)] = line
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        arclength[k, : len(line)] = np.append(0.0, np.cumsum(steps))
    variables: dict[str, Any] = {
        "w": (("branch", "place", "coord"), z[..., :d], {"long_name": f"{kind} manifold"}),
        "arclength": (("branch", "place"), arclength, {"long_name": "arclength"}),
    }
    coords: dict[str, Any] = {"coord": list(system.coordinates)}
    if linear.size > d:
        variables["z"] = (("branch", "place", "row"), z)
        coords["row"] = list(system.rows)
    attributes = {
        "title": f"{kind} manifold of {system.title}",
        "system": system.title,
        "kind": kind,
        "period": period,
        "eigenvalue": factor,
        "stopped_0": branches[0][1],
        "stopped_1": branches[1][1],
    }
    return xr.Dataset(variables, coords=coords, attrs=attributes)
