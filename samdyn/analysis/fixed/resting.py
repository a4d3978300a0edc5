"""The critical points of a loss at which a system jumps, but rests if it is there exactly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from samdyn.analysis.fixed.cycle import Cycle
from samdyn.analysis.linear import Linear, kind_of
from samdyn.losses.critical import CriticalPoint
from samdyn.systems.flow import Flow
from samdyn.systems.map import Map
from samdyn.words import Point

_STILL = 1e-12
"""How far, beside its size, a state may move that counts as resting."""


def resting(linear: Linear, centres: list[CriticalPoint]) -> list[Cycle]:
    """The fixed points where the gradient is exactly 0 and the system jumps."""
    system, found = linear.system, []
    for c in centres:
        z = linear.states(c.point)
        if not isinstance(system, Map | Flow) or linear.smoothness(z) != "jumps":
            continue
        gap = float(np.linalg.norm(_stepped(system, c.point) - z))
        rounding = float(np.linalg.norm(np.spacing(c.point)))
        if gap <= _STILL * (1.0 + np.linalg.norm(z)):
            values = np.full(linear.size, np.nan + 0j)
            kind = kind_of(values, system.continuous)
            names = system.coordinates
            found.append(Cycle(z[None], values, kind, gap, rounding, names, c.isolated))
    return found


def _stepped(system: Map | Flow, point: np.ndarray) -> np.ndarray:
    """A step of the algorithm from rest at a point, the loss's gradient there being exactly 0.

    The gradient at a float beside the true critical point is not 0, and normalised it is as long
    as any other.
    """
    algorithm = Map(system.loss, system.algorithm).single
    constants = {name: np.float64(value) for name, value in system.loss.constants.items()}
    numbers = {name: np.float64(value) for name, value in algorithm.numbers.items()}
    w, zero = Point(point), Point(np.zeros(len(point)))

    def oracle(p: Any) -> Any:
        return zero if np.array_equal([*p], point) else system.loss.gradient_at(p, constants)

    with np.errstate(all="ignore"):
        vectors = (w, *(zero for _ in algorithm.state))
        moved = algorithm.step(oracle, vectors, SimpleNamespace(**numbers))
    return np.array([float(scalar) for vector in moved for scalar in vector])
