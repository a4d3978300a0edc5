"""Newton's method on all points of many cycles at once, and what is alike among its ends."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.linear import Linear

FLAT = 1e-6
"""Beside the largest, a singular value below this is that of a neutral direction."""

_CUT, _LOOSE = 1e-7, 1e-4
_BORN = 3e-5


def shooting(linear: Linear, orbits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of shape (m, period, n) and their Jacobians, (m, period n, period n).

    With every point unknown, an unstable cycle closes as well as a stable one.
    """
    (m, period, n), (value, own) = orbits.shape, linear.law(orbits)
    if linear.system.continuous:
        return value, own[:, 0]
    whole = np.zeros((m, period, n, period, n))
    for k in range(period):
        whole[:, k, :, k] += own[:, k]
        whole[:, k, :, (k + 1) % period] -= np.eye(n)
    return value - np.roll(orbits, -1, axis=1), whole.reshape(m, period * n, period * n)


def _decomposed(linear: Linear, jacobians: np.ndarray) -> tuple[np.ndarray, ...]:
    """Singular value decompositions, and beside what a singular value counts as small.

    An expanding direction, however strong, does not make the others neutral.
    """
    u, s, vh = np.linalg.svd(jacobians)
    largest = np.maximum(s[:, :1], 1e-300)
    return u, s, vh, largest if linear.system.continuous else np.minimum(largest, 1.0)


def refined(
    linear: Linear, orbits: np.ndarray, cut: float = _CUT
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orbits after Newton steps across, not along, a continuum; their residuals and next steps."""
    best, closest = orbits.copy(), np.full(len(orbits), np.inf)
    residual, now = closest.copy(), orbits
    for _ in range(20):
        gap, jacobian = shooting(linear, now)
        step = np.full(orbits.shape, np.nan)
        fine = np.isfinite(gap).all(axis=(1, 2)) & np.isfinite(jacobian).all(axis=(1, 2))
        u, s, vh, size = _decomposed(linear, jacobian[fine])
        flat = s <= np.maximum(cut * size, 1e-14 * s[:, :1])
        along = np.einsum("mji,mj->mi", u, gap[fine].reshape(len(u), s.shape[1]))
        along = np.where(flat, 0.0, along / np.where(flat, 1.0, s))
        step[fine] = np.einsum("mij,mi->mj", vh, along).reshape(-1, *orbits.shape[1:])
        length = np.max(np.linalg.norm(step, axis=2), axis=1)
        better = length < closest
        best[better], closest[better] = now[better], length[better]
        residual[better] = np.max(np.linalg.norm(gap[better], axis=2), axis=1, initial=0.0)
        if not np.any(better):
            break
        now = now - step
    return best, residual, closest


def alone(linear: Linear, orbit: np.ndarray, box: np.ndarray, unit: float) -> bool:
    """Whether Newton's method, started a little way off along flat directions, finds no other."""
    jacobian = shooting(linear, orbit[None])[1][0]
    _, values, vectors, size = (part[0] for part in _decomposed(linear, jacobian[None]))
    flat = vectors[values <= FLAT * size]
    mixed = np.random.default_rng(0).standard_normal((8, len(flat))) @ flat
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    distance = 1e-3 * np.min(box[:, 1] - box[:, 0])
    if len(orbit) > 1:  # a continuum of small cycles may be as small as they are
        distance = min(distance, 0.1 * np.max(np.linalg.norm(orbit - orbit[0], axis=1)))
    away = orbit + distance * np.concatenate([mixed, -mixed]).reshape(-1, *orbit.shape)
    before = np.max(np.linalg.norm(shooting(linear, away)[0], axis=2))
    ends, residual, _ = refined(linear, away, _LOOSE)
    moved = np.linalg.norm((ends - orbit).reshape(len(ends), -1), axis=1)
    closed = residual <= 1e-3 * before + 16 * np.finfo(float).eps * np.max(np.abs(orbit)) * unit
    return not np.any(closed & (moved > distance / 4))


def collapsed(linear: Linear, orbit: np.ndarray, scale: float) -> bool:
    """Whether a neutral orbit is a shorter one, as far as floats can tell.

    Where a cycle is born, the next images of all points nearby are closer than rounding.
    """
    for k in shorter(len(orbit)):
        spread = np.max(np.linalg.norm(orbit - np.roll(orbit, -k, axis=0), axis=1))
        if spread <= _BORN * scale:
            middle = np.stack([np.mean(orbit[j::k], axis=0) for j in range(k)])
            ends, residual, _ = refined(linear, middle[None])
            near = np.max(np.abs(ends[0] - middle)) <= 3 * spread
            if near and residual[0] <= 1e-12 * scale and linear.smoothness(ends[0, 0]) == "smooth":
                return True
    return False


def shorter(period: int) -> list[int]:
    """The periods that an orbit of this period may have in truth."""
    return [k for k in range(1, period) if period % k == 0]


def spaced(orbits: np.ndarray, distance: float) -> list[int]:
    """The orbits in order, without those that begin close to any point of an earlier one."""
    from scipy.spatial import cKDTree

    tree = cKDTree(orbits[:, 0])
    taken, kept = np.zeros(len(orbits), dtype=bool), []
    for i, orbit in enumerate(orbits):
        if not taken[i]:
            kept.append(i)
            for near in tree.query_ball_point(orbit, distance):
                taken[near] = True
    return kept


def conditioned(linear: Linear, orbits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the flattest direction is from neutral, and how far rounding may move a cycle.

    The second leaves neutral directions out of account.
    """
    jacobians = shooting(linear, orbits)[1]
    finite = np.isfinite(jacobians).all(axis=(1, 2))
    ratio, moved = np.zeros(len(orbits)), np.full(len(orbits), np.inf)
    _, values, _, size = _decomposed(linear, jacobians[finite])
    ratio[finite] = values[:, -1] / size[:, 0]
    least = np.min(np.where(values > _CUT * size, values, np.inf), axis=1)
    noise = np.finfo(float).eps / 2 * np.max(np.abs(orbits[finite]), axis=(1, 2), initial=0.0)
    moved[finite] = noise * (size[:, 0] if linear.system.continuous else 1.0) / least
    return ratio, moved
