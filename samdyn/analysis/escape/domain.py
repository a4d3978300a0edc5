"""A diffusion and a region as functions of points: what first-passage times are solved from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from samdyn.ensembles.events import Escape
from samdyn.ensembles.moment import Moment
from samdyn.systems.diffusion import Diffusion
from samdyn.words import Point

Field = Callable[[np.ndarray], np.ndarray]
"""A function of points of shape (…, d)."""


def coefficients(system: Diffusion) -> tuple[Field, Field]:
    """Drift and b b^T of a diffusion as functions of points of shape (…, d)."""
    numbers = {name: np.asarray(value, float) for name, value in system.numbers.items()}

    def filled(entries: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([np.broadcast_to(entry, shape) for entry in entries], axis=-1)

    def drift(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return filled(system.drift(list(np.moveaxis(z, -1, 0)), numbers), z.shape[:-1])

    def covariance(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            rows = system.diffusion(list(np.moveaxis(z, -1, 0)), numbers)
        b = np.stack([filled(row, z.shape[:-1]) for row in rows], axis=-2)
        return b @ np.swapaxes(b, -1, -2)

    return drift, covariance


def staying(system: Diffusion, region: Escape) -> Callable[[np.ndarray], np.ndarray]:
    """Whether points of shape (…, d) have not escaped."""
    # where it is now, not whether it crossed within a step
    escaped = replace(region, bridge=False).prepare(system)
    numbers = {name: np.asarray(value, float) for name, value in system.numbers.items()}
    levels = region.numbers()

    def inside(z: np.ndarray) -> np.ndarray:
        point = Point(np.moveaxis(np.asarray(z, float), -1, 0))
        with np.errstate(all="ignore"):
            out = escaped(Moment(system, point, point, numbers), levels)
        return ~np.broadcast_to(np.asarray(out, bool), np.shape(z)[:-1])

    return inside


def extent(region: Escape) -> np.ndarray | None:
    """The smallest box around a region that is a ball or a box."""
    if region.center is not None:
        return np.array(region.center)[:, None] + np.array([-1.0, 1.0]) * float(region.radius or 0)
    return None if region.box is None else np.array(region.box)
