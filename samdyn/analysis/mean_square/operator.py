"""The growth of second moments across the directions that a step leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.spread.draws import draws_at
from samdyn.analysis.spread.moments import moments
from samdyn.analysis.spread.rules import Draws
from samdyn.systems.base import System

_NODES = np.array([0.35, 1.0, 0.65, 0.85, 1.3])
"""Where a polynomial in the number is fitted and tested, in units of the number."""
_NEUTRAL = 1e-9
_FIXED = 1e-6
_POLYNOMIAL = 1e-11


class SecondMoments:
    """What one number of a random map does to the second moments about a point.

    Every draw's Jacobian of the step is a polynomial of lr, rho or the momentum at the minimiser
    of a quadratic loss: it is then fitted, once, and many values of the number are cheap.
    Directions along which no draw moves anything (a manifold of minimisers) have a factor of
    exactly 1 always; they are left out.

    Parameters
    ----------
    system : System
        A map, each of its numbers being one value.
    point : array_like
        A fixed point of the mean step.
    name : str
        The number that changes.
    unit : float
        A value of the number that is usual for it.
    """

    def __init__(self, system: System, point: Any, name: str, unit: float):
        self.system, self.name = system, name
        # a momentum that was left out brings its velocity into the state
        usual = system.replace(**{name: unit})
        self.z: np.ndarray = moments(usual, point, 0)["mean"].values[0]
        seen = [self._draws(value) for value in unit * _NODES[:3]]
        self.weights = seen[0].weights
        _check_fixed(seen[1], self.z)
        self.basis = _moving(np.stack([one.jacobians for one in seen]))
        self.polynomial = _fitted([one.jacobians for one in seen])
        if self.polynomial is None:
            seen += [self._draws(value) for value in unit * _NODES[3:]]
            self.polynomial = _fitted([one.jacobians for one in seen])
        self._unit = unit

    def growth(self, values: np.ndarray) -> np.ndarray:
        """The spectral radius of S -> E[J S J^T] at each of the values, shape (m,)."""
        values = np.asarray(values, float)
        if self.polynomial is None:
            return np.array([self.exactly(float(value)) for value in values])
        powers = (values[:, None] / self._unit) ** np.arange(len(self.polynomial))
        steps = np.tensordot(powers, self.polynomial, 1)
        return _radii(self.weights, steps, self.basis)

    def exactly(self, value: float) -> float:
        """The same at one value, from the system itself."""
        draws = self._draws(value)
        return float(_radii(draws.weights, draws.jacobians[None], self.basis)[0])

    def _draws(self, value: float) -> Draws:
        return draws_at(self.system.replace(**{self.name: value}), self.z)


def _check_fixed(draws: Draws, z: np.ndarray) -> None:
    """Refuse a point from which the mean step leads away."""
    moved = float(np.linalg.norm(draws.weights @ draws.offsets))
    steep = float(np.max(np.abs(draws.jacobians - np.eye(z.size)), initial=0.0))
    if moved > _FIXED * steep * (1.0 + float(np.linalg.norm(z))):
        raise ValueError(
            f"point must be a fixed point of the mean step, which moves {z.tolist()} by {moved:.3g}"
        )


def _fitted(seen: list[np.ndarray]) -> np.ndarray | None:
    """Coefficients in powers of number/unit, of the lowest degree that passes all nodes seen."""
    steps, nodes = np.stack(seen), _NODES[: len(seen)]
    size = float(np.max(np.abs(steps)))
    for degree in range(len(nodes) - 1):
        few = np.vander(nodes[: degree + 1], increasing=True)
        found = np.tensordot(np.linalg.inv(few), steps[: degree + 1], 1)
        back = np.tensordot(np.vander(nodes, degree + 1, increasing=True), found, 1)
        if np.max(np.abs(back - steps)) <= _POLYNOMIAL * size:
            # what is rounding of 0 must not be multiplied up far from the nodes
            return np.where(np.abs(found) < 1e-13 * size, 0.0, found)
    return None


def _moving(steps: np.ndarray) -> np.ndarray:
    """An orthonormal basis across the vectors that every step leaves as they are."""
    n = steps.shape[-1]
    away = (steps - np.eye(n)).reshape(-1, n)
    _, sizes, rows = np.linalg.svd(away, full_matrices=False)
    kept = rows[sizes > _NEUTRAL * sizes[0]] if sizes[0] > 0 else rows[:0]
    if not len(kept):
        raise ValueError("point must be where a step moves something: here every direction is flat")
    return kept.T


def _radii(weights: np.ndarray, steps: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Spectral radii of S -> E[J S J^T], of steps of shape (m, k, n, n) on the basis."""
    inner = basis.T @ steps @ basis
    n = inner.shape[-1]
    square = np.einsum("k,mkij,mkpq->mipjq", weights, inner, inner, optimize=True)
    return np.max(np.abs(np.linalg.eigvals(square.reshape(-1, n * n, n * n))), axis=-1)
