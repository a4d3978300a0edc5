"""The ascent of SAM and its kin, drawn: from the weights to where the gradient is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from samdyn.plot.fields import counts, mesh
from samdyn.plot.style import COLORS
from samdyn.systems.base import System
from samdyn.systems.flow import Flow
from samdyn.systems.map import Map
from samdyn.words import Point

_ASCENT = 0.27
"""Inches from one arrow to the next."""


class Perturbed:
    """The point at which a system asks for the gradient that it descends along.

    The algorithm itself is run, on an oracle that notes where it is asked.
    """

    def __init__(self, system: System):
        if not isinstance(system, Map | Flow) or system.loss.dimension != 2:
            raise ValueError(
                f"ascent=True needs a Map or a Flow on a loss of 2 variables, got {system.title}"
            )
        self.map = Map(system.loss, system.algorithm)
        probe = np.array([0.37, 0.61]) + np.arange(5)[:, None] / 7
        if np.array_equal(self.at(probe), probe):
            raise ValueError(
                "ascent=True needs an algorithm that descends along the gradient of a perturbed "
                f"point, such as SAM with rho above 0, got {system.algorithm!r}"
            )

    def at(self, w: np.ndarray) -> np.ndarray:
        """The perturbed points of weights of shape (…, 2), in the same shape."""
        numbers = {name: np.asarray(value, float) for name, value in self.map.numbers.items()}
        given, asked = self.map._oracle(numbers), []

        def noting(p: Any) -> Any:
            asked.append(p)
            return given(p)

        algorithm, namespace = self.map.single, self.map._namespace(numbers)
        start = Point(np.moveaxis(w, -1, 0))
        resting = tuple(0.0 * start for _ in algorithm.state)
        try:
            oracle = algorithm.gradient(noting, namespace)
        except TypeError:  # one written as a function says it by its step only
            oracle = None
        with np.errstate(all="ignore"):
            if oracle is None:
                algorithm.step(noting, (start, *resting), namespace)
            else:
                oracle(start)
        return np.stack(np.broadcast_arrays(*(asked[-1] if asked else start)), axis=-1)


def draw_ascent(ax: Axes, perturbed: Perturbed, box: np.ndarray, density: float) -> None:
    """Draw arrows from weights to their perturbed points, none longer than a cell of their grid."""
    sides = counts(ax, _ASCENT / density)
    w = np.stack(np.meshgrid(*mesh(box, sides, centred=True)), axis=-1)
    cell = (box[:, 1] - box[:, 0]) / sides
    way = perturbed.at(w) - w
    cells = np.linalg.norm(way / cell, axis=-1)
    way = way / np.maximum(cells / 0.9, 1.0)[..., None]
    shown = np.isfinite(cells) & (cells > 0)
    cut = bool(np.any(cells[shown] > 0.9))
    ax.quiver(
        *np.moveaxis(w[shown], -1, 0),
        *np.moveaxis(way[shown], -1, 0),
        angles="xy",
        scale_units="xy",
        scale=1.0,
        units="inches",
        width=0.011,
        color=COLORS[3],
        zorder=3,
    )
    said = "ascent $w \\to w^p$" + (" (long ones cut)" if cut else "")
    ax.plot([], [], color=COLORS[3], marker=">", ms=4, label=said)
