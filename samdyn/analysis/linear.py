"""The linear part of a system: exact Jacobians, orbits with their multipliers, Newton's method.

The base of the analyses: each of them looks at a system through `Linear`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samdyn.forward import differentiated
from samdyn.numbers import check_single
from samdyn.systems.base import System, checked_system, refuse_random

NEUTRAL = 1e-9
"""A multiplier that is this close to the unit circle does not decide stability."""

_NEWTON_STEPS = 80
_DISTANCES = (1e-6, 1e-8, 1e-10)


class Linear:
    """A system with the Jacobian of its law, on many states at once.

    The law is the step of a map and the field of a flow.

    Parameters
    ----------
    system : System
        Of one phase, each of its numbers being one value.

    Raises
    ------
    TypeError
        If it is no system, or a random map.
    ValueError
        If one of its numbers is an array.
    """

    def __init__(self, system: System):
        checked_system(system)
        if not system.continuous:  # of an SDE the drift is looked at
            refuse_random(system)
        check_single("this", system.numbers)
        self.system = system
        self.names = tuple(system.numbers)
        self.size = len(system.rows)
        self._program = differentiated(system.law, system.rows)

    def states(self, points: Any, name: str = "point") -> np.ndarray:
        """States of shape (…, rows) from states or from coordinates; velocities are then 0.

        Raises
        ------
        ValueError
            If the last dimension is neither, or a value is not finite.
        """
        points = np.asarray(points, dtype=float)
        d, rows = len(self.system.coordinates), self.system.rows
        if points.ndim == 0 and self.size == 1:
            points = points.reshape(1)
        if points.ndim == 0 or points.shape[-1] not in (d, self.size):
            whole = f", or {self.size} for the whole state" if self.size > d else ""
            raise ValueError(
                f"{name} must have {d} entries ({', '.join(rows[:d])}){whole}, got shape "
                f"{points.shape}"
            )
        if not np.all(np.isfinite(points)):
            raise ValueError(f"{name} must be finite, got {points}")
        if points.shape[-1] == self.size:
            return points
        resting = np.zeros((*points.shape[:-1], self.size))
        resting[..., :d] = points
        return resting

    def law(self, z: np.ndarray, **numbers: Any) -> tuple[np.ndarray, np.ndarray]:
        """The law at states of shape (…, n) and its Jacobian of shape (…, n, n).

        Other values of some numbers may be given, as arrays that broadcast with (…).
        """
        known = {
            name: np.asarray(x, float) for name, x in {**self.system.numbers, **numbers}.items()
        }
        with np.errstate(all="ignore"):
            outputs = self._program(*np.moveaxis(z, -1, 0), *(known[name] for name in self.names))
        shape = np.broadcast_shapes(z.shape[:-1], *(x.shape for x in known.values()))
        flat = np.stack([np.broadcast_to(out, shape) for out in outputs], axis=-1)
        n = self.size
        return flat[..., :n], flat[..., n:].reshape(*shape, n, n)

    def orbit(
        self, z: np.ndarray, period: int = 1, **numbers: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``period`` steps of a map from states of shape (…, n).

        Returns
        -------
        points : ndarray, shape (period, …, n)
            The states passed, the first included.
        end : ndarray, shape (…, n)
        jacobian : ndarray, shape (…, n, n)
            Of the whole: the product of the steps' own.
        """
        points, jacobian = [], None
        for _ in range(period):
            points.append(z)
            z, own = self.law(z, **numbers)
            jacobian = own if jacobian is None else own @ jacobian
        return np.stack(points), z, jacobian  # type: ignore[return-value]

    def residual(
        self, z: np.ndarray, period: int = 1, **numbers: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """What vanishes at a cycle, F^p(z) - z (a flow: the field), and its Jacobian."""
        if self.system.continuous:
            return self.law(z, **numbers)
        _, end, jacobian = self.orbit(z, period, **numbers)
        return end - z, jacobian - np.eye(self.size)

    def polished(
        self, z: np.ndarray, period: int = 1, reach: float = np.inf, **numbers: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Newton's method on `residual` from every row of ``z``, until it no longer improves.

        Parameters
        ----------
        z : ndarray, shape (m, n)
        reach : float
            The longest step taken.

        Returns
        -------
        z : ndarray, shape (m, n)
            The best states found.
        error : ndarray, shape (m,)
            The length of the next step, by which a simple root is missed; inf where Newton's
            method went nowhere, or only to where the Jacobian is singular and no step would take
            the residual away.
        """
        best, error = np.array(z, float), np.full(len(z), np.inf)
        z, active = best.copy(), np.arange(len(best))
        idle = np.zeros(len(best), int)
        for _ in range(_NEWTON_STEPS):
            here = {name: x[active] if np.ndim(x) else x for name, x in numbers.items()}
            value, jacobian = self.residual(z[active], period, **here)
            step = solved(jacobian, value)
            length = np.linalg.norm(step, axis=-1)
            better = (length < error[active]) & _explained(jacobian, step, value, z[active])
            best[active[better]] = z[active[better]]
            error[active[better]] = length[better]
            idle[active] = np.where(better, 0, idle[active] + 1)
            z[active] -= step * np.minimum(1.0, reach / np.maximum(length, 1e-300))[:, None]
            small = length <= 4e-16 * (1.0 + np.linalg.norm(z[active], axis=-1))
            alive = np.isfinite(length) & (length > 0) & (idle[active] < 12) & ~small
            active = active[alive]
            if not len(active):
                break
        return best, error

    def smoothness(self, z: np.ndarray) -> str:
        """Whether the law is "smooth" at a state, has a "kink" there, or "jumps".

        The law beside the state is held against what the Jacobian says: over a distance d a smooth
        law misses it by about d**2, a kink by d, and a jump by the same at every distance.
        Normalised SAM jumps at the critical points of the loss, where g/|g| has no limit. A
        Jacobian that is not finite counts as a jump.
        """
        value, jacobian = self.law(z)
        if not np.all(np.isfinite(jacobian)) or self._tears(z, value):
            return "jumps"
        directions = np.concatenate([np.eye(self.size), -np.eye(self.size), _diagonals(self.size)])
        # what a float can tell at all
        noise = 64 * np.finfo(float).eps * (1.0 + np.linalg.norm(np.concatenate([z, value])))
        noise *= 1.0 + np.linalg.norm(jacobian, 2)
        slopes = []
        for distance in _DISTANCES:
            moved, _ = self.law(z + distance * directions)
            gap = moved - (value + distance * directions @ jacobian.T)
            slopes.append(float(np.max(np.linalg.norm(gap, axis=-1))) / distance)
        # the nearest look at which rounding does not hide the answer decides
        for k in (-1, -2):
            far, near = slopes[k - 1], slopes[k]
            if near <= 0.1 * far:
                return "smooth"
            if near > noise / _DISTANCES[k]:
                return "jumps" if near > 10 * far else "kink"
        return "smooth"

    def _tears(self, z: np.ndarray, value: np.ndarray) -> bool:
        """Whether the two sides of a state stay apart as they come together.

        A critical point is known to rounding only, and just beside it the Jacobian of normalised
        SAM is finite and huge: it says nothing there.
        """
        directions = np.concatenate([np.eye(self.size), _diagonals(self.size)])
        changes = []
        for distance in _DISTANCES[:2]:
            there, back = z + distance * directions, z - distance * directions
            change = self.law(there)[0] - self.law(back)[0]
            if not self.system.continuous:
                change -= there - back
            changes.append(float(np.max(np.abs(change))))
        noise = 64 * np.finfo(float).eps * (1.0 + float(np.max(np.abs([z, value]))))
        return changes[1] > max(0.3 * changes[0], noise)


class Orbit(NamedTuple):
    """A fixed point or a cycle with its linear part.

    Attributes
    ----------
    points : ndarray, shape (period, n)
    eigenvalues : ndarray of complex, shape (n,)
        Multipliers of a map, eigenvalues of a flow's field; the most unstable first.
    eigenvectors : ndarray of complex, shape (n, n)
        Its columns, at the first point.
    """

    points: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray


def described(linear: Linear, z: np.ndarray, period: int = 1) -> Orbit:
    """The orbit of a state with its eigenvalues, the most unstable first."""
    if linear.system.continuous:
        points, jacobian = z[None], linear.law(z)[1]
    else:
        points, _, jacobian = linear.orbit(z, period)
    if not np.all(np.isfinite(jacobian)):
        n = linear.size
        return Orbit(points, np.full(n, np.nan + 0j), np.full((n, n), np.nan + 0j))
    values, vectors = np.linalg.eig(jacobian)
    measure = growth(values, linear.system.continuous)
    order = np.lexsort((-values.imag, -measure))
    return Orbit(points, values[order].astype(complex), vectors[:, order].astype(complex))


def growth(eigenvalues: np.ndarray, continuous: bool) -> np.ndarray:
    """How much faster than neutral: |m| - 1 of a multiplier, the real part for a flow."""
    return eigenvalues.real if continuous else np.abs(eigenvalues) - 1.0


def kind_of(eigenvalues: np.ndarray, continuous: bool) -> str:
    """The kind of a fixed point or a cycle by its eigenvalues; see `samdyn.stability`."""
    grown = growth(np.asarray(eigenvalues), continuous)
    if np.any(np.isnan(grown)):
        return "discontinuous"
    neutral = np.abs(grown) <= NEUTRAL
    if np.any(neutral):
        if np.all(neutral) and np.any(np.abs(np.imag(eigenvalues)) > NEUTRAL):
            return "centre"
        return "neutral"
    if np.all(grown < 0):
        return "attractor"
    return "repeller" if np.all(grown > 0) else "saddle"


def solved(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of many small linear systems; the shortest least-squares one if singular."""
    finite = np.isfinite(matrices).all(axis=(-2, -1)) & np.isfinite(right).all(axis=-1)
    result = np.full(right.shape, np.nan)
    if not np.any(finite):
        return result
    matrices, right = matrices[finite], right[finite]
    try:
        result[finite] = np.linalg.solve(matrices, right[..., None])[..., 0]
    except np.linalg.LinAlgError:  # one of them at least: then each by itself
        result[finite] = [_shortest(a, b) for a, b in zip(matrices, right, strict=True)]
    return result


def _explained(
    matrices: np.ndarray, steps: np.ndarray, right: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """Which steps solve their systems, to a part in a million or as far as a float can tell."""
    with np.errstate(all="ignore"):
        missed = np.linalg.norm(np.einsum("mij,mj->mi", matrices, steps) - right, axis=-1)
        size = 1.0 + np.linalg.norm(z, axis=-1)
        noise = 64 * np.finfo(float).eps * size * (1.0 + np.linalg.norm(matrices, axis=(-2, -1)))
        return missed <= np.maximum(noise, 1e-6 * np.linalg.norm(right, axis=-1))


def _shortest(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix, right, rcond=1e-13)[0]


def _diagonals(n: int) -> np.ndarray:
    directions = np.random.default_rng(0).standard_normal((2 * n, n))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
