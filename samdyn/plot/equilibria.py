"""Critical points of a loss and fixed points of a system, marked by what they are for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from samdyn.analysis.fixed.cycles import fixed_points
from samdyn.analysis.linear import Linear, described, kind_of
from samdyn.plot.style import COLORS

_SAME = 1e-5
_GONE = 1e-9

_LOOKS = {
    "attractor": ("o", True),
    "repeller": ("o", False),
    "saddle": ("X", False),
    "centre": ("s", False),
    "neutral": ("D", False),
    "discontinuous": ("*", False),
    "moving": ("P", False),
}
"""A marker for what a point is for the system, and whether it is filled."""

_COLORS = {
    "minimum": COLORS[0],
    "saddle": COLORS[1],
    "maximum": COLORS[3],
    "degenerate": COLORS[4],
    "none": COLORS[6],
}
"""A colour for what it is for the loss."""


class Mark(NamedTuple):
    """A point to mark: where, what it is for the loss ("none": not critical), for the system."""

    point: np.ndarray
    of_loss: str
    of_system: str


def marks(linear: Linear, box: Any) -> list[Mark]:
    """Critical points of the loss in a box of the plane, and the system's other fixed points.

    Parameters
    ----------
    linear : Linear
        Of a system of two coordinates, or of one with a velocity.
    box : ndarray, shape (2, 2)
    """
    found, loss = [], linear.system.loss
    if loss is not None:
        for critical in loss.critical_points(box[: loss.dimension]):
            z = linear.states(critical.point)
            found.append(Mark(z[:2], critical.kind, kind_for(linear, z)))
    width = box[:, 1] - box[:, 0]
    for fixed in fixed_points(linear.system, box[: len(linear.system.coordinates)]):
        place = fixed.points[0, :2]
        apart = all(np.max(np.abs(place - mark.point) / width) > _SAME for mark in found)
        if apart and fixed.isolated:
            found.append(Mark(place, "none", fixed.kind))
    return found


def kind_for(linear: Linear, z: np.ndarray) -> str:
    """What a point is for a system: a kind of fixed point, or "moving" if it is none."""
    smooth = linear.smoothness(z)
    moved, _ = linear.residual(z)
    still = np.linalg.norm(moved) <= _GONE * (1.0 + np.linalg.norm(z))
    if smooth == "jumps":
        return "discontinuous"
    if not still:
        return "moving"
    return kind_of(described(linear, z).eigenvalues, linear.system.continuous)


def draw_marks(ax: Axes, found: Sequence[Mark], continuous: bool, has_loss: bool) -> None:
    """Draw the marks, with one label for all that are alike."""
    system = "flow" if continuous else "map"
    for of_loss, color in _COLORS.items():
        for of_system, (marker, filled) in _LOOKS.items():
            here = [one.point for one in found if one[1:] == (of_loss, of_system)]
            if here:
                face, edge = (color, "white") if filled else ("white", color)
                ax.plot(
                    *np.transpose(here),
                    marker,
                    color=face,
                    mec=edge,
                    ms=10 if marker == "*" else 7.0,
                    mew=0.8 if filled else 1.2,
                    label=_said(of_loss, of_system, system, has_loss),
                    zorder=7,
                )


def _said(of_loss: str, of_system: str, system: str, has_loss: bool) -> str:
    own = {
        "discontinuous": f"the {system} jumps here",
        "moving": f"not fixed by the {system}",
    }.get(of_system, f"{of_system} of the {system}")
    if not has_loss:
        return own
    return f"{'no critical point' if of_loss == 'none' else of_loss} of $L$, {own}"
