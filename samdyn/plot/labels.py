"""What names are called in a picture, and legends that cover nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.transforms import ScaledTranslation

from samdyn.notation import LATEX

_BELOW = 31
"""Points that tick labels and the label of the horizontal axis take."""

_LETTER, _HANDLE = 0.056, 0.45
"""Inches that a letter of a legend and its handle take, at 8 points."""


def symbol(name: str, values: xr.DataArray | None = None) -> str:
    r"""A name as mathematics, such as ``$\rho$``: as its data says, or as the field writes it.

    Examples
    --------
    >>> symbol("lr"), symbol("x"), symbol("velocity_x"), symbol("x1")
    ('$\\eta$', '$x$', '$v_{x}$', '$x_{1}$')
    """
    said = name if values is None else str(values.attrs.get("latex", name))
    if said != name:
        return f"${said}$"
    if name in LATEX:
        return f"${LATEX[name][0]}$"
    return f"${sympy.latex(sympy.Symbol(name.replace('velocity_', 'v_')))}$"


def number_label(name: str, values: xr.DataArray | None = None) -> str:
    """A hyperparameter in words and as mathematics, for an axis."""
    long_name = str(values.attrs.get("long_name", "")) if values is not None else ""
    long_name = long_name or LATEX.get(name, ("", ""))[1]
    plain = symbol(name, values)
    return f"{long_name} {plain}" if long_name and long_name != name else plain


def legend_below(ax: Axes, handles: Sequence[Any] = (), labels: Sequence[str] = ()) -> Legend:
    """A legend under the axis labels, in as many columns as fit.

    Parameters
    ----------
    ax : Axes
    handles, labels : sequences, optional
        Default: whatever on the axes has a label.
    """
    if not handles:
        handles, labels = ax.get_legend_handles_labels()
    figure: Any = ax.figure
    down = ScaledTranslation(0, -_BELOW / 72, figure.dpi_scale_trans)
    return ax.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + down,
        ncols=_columns(labels, axes_inches(ax)[0]),
        borderaxespad=0.0,
        handlelength=1.6,
        columnspacing=1.2,
    )


def plain(value: float, digits: int = 4) -> str:
    """A number as it is read, with a real minus sign."""
    return f"{value:.{digits}g}".replace("-", "\u2212")


def axes_inches(ax: Axes) -> np.ndarray:
    """Width and height of axes in inches, before a layout makes room for what surrounds them."""
    figure: Any = ax.figure
    place = ax.get_position()
    return np.array([place.width, place.height]) * figure.get_figure(root=True).get_size_inches()


def _columns(labels: Sequence[str], width: float) -> int:
    """The most columns of a legend that fit into a width in inches."""
    # a word of mathematics is drawn as one letter
    letters = [len(re.sub(r"\\[a-z]+", "x", label).replace("$", "")) for label in labels]
    for count in range(len(letters), 1, -1):
        parts = np.array_split(letters, count)
        if sum(_HANDLE + _LETTER * max(part) for part in parts) <= 1.2 * width:
            return count
    return 1
