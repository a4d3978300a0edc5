"""Expectations over what a step draws near a point, as finitely many affine maps with weights.

Near a point z* a step is d' = A d + b, where A and b depend on what the step draws. The first two
moments of d need expectations of A, b and of their products only. Those are exact over a finite set
of draws: the nodes of a Gauss-Hermite rule for Gaussian noise that enters as a polynomial, and
two points a normal for noise that enters b alone, linearly.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from samdyn.program import Program
from samdyn.systems.base import System

MOST = 20_000
"""Draws that are enumerated."""
_FINEST = 9
_STEEPEST = 1e10
"""A larger slope is a jump, seen from where rounding put the point."""
_NUDGE = 1e-7


class Draws(NamedTuple):
    """A step near a point as affine maps d' = A d + b of the deviation d, with weights.

    Attributes
    ----------
    weights : ndarray, shape (k,)
    jacobians : ndarray, shape (k, n, n)
    offsets : ndarray, shape (k, n)
    """

    weights: np.ndarray
    jacobians: np.ndarray
    offsets: np.ndarray


def gaussian(program: Program, system: System, z: np.ndarray, count: int) -> Draws:
    """Expectations over standard normals, the program's last ``count`` inputs."""
    simple = affine(program, system, z, count)
    if simple is not None:
        return simple
    nodes = min(_FINEST, int(MOST ** (1.0 / count) + 1e-9))
    if nodes < 3:
        raise ValueError(
            f"a step with {count} normals that does not depend on them linearly has too many "
            f"nodes to sum over; at most {MOST} are"
        )
    fine, coarse = (_hermite(program, system, z, count, n) for n in (nodes, nodes - 1))
    for moment in (_second, _mixed, _square):
        a, b = moment(fine), moment(coarse)
        if not np.allclose(a, b, rtol=1e-9, atol=1e-12 * (1.0 + np.max(np.abs(a)))):
            raise ValueError(
                f"the step of {system.title} is no polynomial of the noise of a degree below "
                f"{nodes - 1} (normalised SAM is none), so that its moments have no exact "
                "recursion; take USAM, or simulate"
            )
    return fine


def affine(program: Program, system: System, z: np.ndarray, count: int) -> Draws | None:
    """Two draws a normal, exact in mean and covariance, if the noise enters b alone, linearly."""
    rng = np.random.default_rng(0)
    probes = np.concatenate([np.zeros((1, count)), np.eye(count), rng.standard_normal((4, count))])
    seen = evaluated(program, system, z, probes.T, np.ones(len(probes)))
    predicted = seen.offsets[0] + probes @ (seen.offsets[1 : 1 + count] - seen.offsets[0])
    size = 1e-11 * (1.0 + np.max(np.abs(seen.offsets)))
    still = np.allclose(seen.jacobians, seen.jacobians[0], rtol=1e-11, atol=1e-13)
    if not still or not np.allclose(seen.offsets, predicted, rtol=0.0, atol=size):
        return None
    rule = np.sqrt(count) * np.concatenate([np.eye(count), -np.eye(count)])
    return evaluated(program, system, z, rule.T, np.full(2 * count, 0.5 / count))


def _hermite(program: Program, system: System, z: np.ndarray, count: int, nodes: int) -> Draws:
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.array(list(product(x, repeat=count)))
    weights = np.prod(list(product(w / w.sum(), repeat=count)), axis=1)
    return evaluated(program, system, z, grid.T, weights)


def evaluated(
    program: Program, system: System, z: np.ndarray, drawn: Any, weights: np.ndarray
) -> Draws:
    """A program of step and Jacobian on all draws at once."""
    numbers = [np.asarray(value, float) for value in system.numbers.values()]
    n, k = len(z), len(weights)

    def outputs(state: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            values = program(*state, *numbers, *drawn)
        return np.stack([np.broadcast_to(value, (k,)) for value in values], axis=-1)

    flat = outputs(z)
    step, jacobians = flat[:, :n], flat[:, n:].reshape(k, n, n)
    smooth = bool(np.all(np.abs(flat) < _STEEPEST))
    for i in range(n if smooth else 0):
        for nudge in (-_NUDGE, _NUDGE):
            beside = outputs(z + nudge * np.eye(n)[i])[:, :n]
            jump = np.max(np.abs(beside - step - nudge * jacobians[:, :, i]))
            smooth &= bool(jump < 1e-6 * (1.0 + np.max(np.abs(step))))
    if not smooth:
        raise ValueError(
            f"the step of {system.title} has no derivative at {z.tolist()} (normalised SAM jumps "
            "where the gradient is 0); take USAM, or another point"
        )
    return Draws(weights, jacobians, step - z)


def _second(draws: Draws) -> np.ndarray:
    return np.einsum("k,kij,klm->iljm", *draws[:2], draws.jacobians)


def _mixed(draws: Draws) -> np.ndarray:
    return np.einsum("k,kij,kl->ijl", *draws)


def _square(draws: Draws) -> np.ndarray:
    return np.einsum("k,ki,kj->ij", draws.weights, draws.offsets, draws.offsets)
