"""A branch of a manifold, grown from its piece near the saddle."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.curves.images import Forward, Inverse, images_of
from samdyn.analysis.curves.line import coarse, inside, length_of
from samdyn.analysis.curves.series import Local
from samdyn.analysis.linear import Linear

_MOST = 100_000
"""The most points of a branch."""


def _sampled(local: Local, spacing: float) -> np.ndarray:
    """The local piece from the saddle to t = 1."""
    size = length_of(local(np.linspace(0.0, 1.0, 33)))
    return local(np.linspace(0.0, 1.0, 16 + int(2 * size / spacing)))


def trajectory(
    linear: Linear, local: Local, period: int, length: float, spacing: float, limits: np.ndarray
) -> tuple[np.ndarray, str]:
    """A branch of a flow: the trajectory by arclength, from the end of the local piece."""
    from scipy.integrate import solve_ivp

    sign, begin = np.sign(local.factor), _sampled(local, spacing)
    size = 1.0 + float(np.linalg.norm(begin[0]))
    slow = 1e-6 * np.linalg.norm(linear.law(begin[0])[1], 2) * size

    def direction(_: float, z: np.ndarray) -> np.ndarray:
        rate = images_of(linear, z[None], 1)[0]
        return sign * rate / np.linalg.norm(rate)

    def arrives(_: float, z: np.ndarray) -> float:
        return float(np.linalg.norm(images_of(linear, z[None], 1)) - slow)

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


def iterates(
    linear: Linear, local: Local, period: int, length: float, spacing: float, limits: np.ndarray
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
    law: Forward | Inverse = (
        Forward(linear, whole) if multiplier > 1 else Inverse(linear, whole, local(0.0))
    )
    ratio = max(multiplier, 1 / multiplier)
    count = max(1, int(np.ceil(4 * np.log2(ratio))))
    t = ratio ** (np.arange(1 - count, 1) / count)
    levels, line = [local(t)], [*_sampled(local, spacing)]
    ends = [local(1 / ratio), local(1.0)]
    total, before = length_of(np.array(line)), np.inf
    while total < length:
        levels.append(law.level(levels[-1], ends[-1], ends[-2]))
        for _ in range(40):
            tried = np.array([*line[-2:], *levels[-1]])
            places = coarse(tried, length - total, spacing, limits)
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
        moved = length_of(np.array([line[-1], *latest]))
        line.extend(latest)
        ends, total = [ends[-1], latest[-1]], total + moved
        near = 1e-6 * (1.0 + np.linalg.norm(line[-1]))
        if moved == 0 or (moved < before < np.inf and moved * moved < near * (before - moved)):
            return _ended(linear, np.array(line), period)
        before = moved
        if len(line) > _MOST:
            return np.array(line), f"after {len(line)} points"
        if not np.all(inside(latest, limits)):
            break
    return np.array(line), ""
