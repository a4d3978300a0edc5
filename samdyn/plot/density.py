"""The density of the Hessian's eigenvalues of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes

from samdyn.numbers import checked_number, checked_whole
from samdyn.plot.style import COLORS, DASHES, axes_or_new

_PER_WIDTH = 4
_FEWEST, _MOST = 1_000, 40_000
"""Points of a curve."""

_BELOW = 0.3
"""The axis begins at this part of what a single eigenvalue gives."""


class Spectrum(Protocol):
    """What `samdyn.networks.curvature.density` returns."""

    nodes: np.ndarray
    weights: np.ndarray

    def curve(self, eigenvalues: np.ndarray | None = None, width: float | None = None) -> Any:
        """The density smoothed by a normal distribution."""


def density(
    found: Spectrum | Mapping[str, Spectrum],
    *,
    ax: Axes | None = None,
    width: float | None = None,
    dimension: int | None = None,
    log: bool = True,
    level: float = 0.95,
    legend: bool = True,
) -> Axes:
    """Draw the density of eigenvalues, smoothed, with the interval of its mean over probes.

    Parameters
    ----------
    found : Density, or mapping from label to Density
        Of `samdyn.networks.curvature.density`.
    ax : Axes, optional
        Default: new ones.
    width : float, optional
        The standard deviation that smooths. Default: 1 % of the widest range of eigenvalues.
    dimension : int, optional
        The number of weights d. A logarithmic axis ends a little below what a single eigenvalue,
        1/d of all, gives. Default: what the outermost node stands for, the mean over probes, which
        is about that if the eigenvalue is by itself.
    log : bool, default True
        A logarithmic vertical axis: outliers are a small part of all eigenvalues.
    level : float, default 0.95
        Of the interval, by Student's distribution.
    legend : bool, default True
        Draw a legend, if there are labels.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, or a number is out of range.

    Notes
    -----
    Of a problem and weights: ``density(nets.curvature.density(problem, w), dimension=len(w))``.
    The width is that of the smoothing, not of the spectrum: a bump as narrow as it is one
    eigenvalue, or several. An interval that holds 0 reaches the lower end of the axis.

    References
    ----------
    Ghorbani, Krishnan and Xiao, arXiv 1901.10159.
    """
    from scipy.special import stdtrit

    several = dict(found) if isinstance(found, Mapping) else {"": found}
    if not several:
        raise ValueError("found must have a density, got an empty mapping")
    ranges = [_range(one) for one in several.values()]
    if np.ndim(level) or not 0 < checked_number("level", level) < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if dimension is not None:
        checked_whole("dimension", dimension, 1)
    if width is None:
        width = 0.01 * (max(high - low for low, high in ranges) or abs(ranges[0][1]) or 1.0)
    checked_number("width", width, above=0.0)
    low, high = (f(end) for f, end in zip((min, max), zip(*ranges, strict=True), strict=True))
    low, high = low - 4 * width, high + 4 * width
    points = int(np.clip(_PER_WIDTH * (high - low) / width, _FEWEST, _MOST))
    at = np.linspace(low, high, points)
    ax = axes_or_new(ax)
    top, single = 0.0, np.inf
    for k, (label, one) in enumerate(several.items()):
        curve = one.curve(at, width)
        reach = stdtrit(len(one.nodes) - 1, (1 + level) / 2) * curve.standard_error
        look: dict[str, Any] = {"color": COLORS[k % len(COLORS)]}
        band = curve.density - reach, curve.density + reach
        ax.plot(at, curve.density, label=label or "_", ls=DASHES[k // len(COLORS) % 4], **look)
        ax.fill_between(at, np.maximum(band[0], 0.0), band[1], alpha=0.2, lw=0, **look)
        top, single = max(top, float(curve.density.max())), min(single, _outermost(one))
    ax.set(xlabel=r"eigenvalue $\lambda$ of the Hessian", ylabel="density", xlim=(low, high))
    if log:
        share = single if dimension is None else 1.0 / dimension
        least = _BELOW * share / (width * np.sqrt(2 * np.pi))
        ax.set_yscale("log")
        ax.set_ylim(min(least, 0.1 * top), 2.0 * top)
    else:
        ax.set_ylim(bottom=0.0)
    if legend and any(several):
        ax.legend()
    return ax


def _range(one: Any) -> tuple[float, float]:
    """The least and the largest node."""
    try:
        nodes, weights, _ = np.asarray(one.nodes), np.asarray(one.weights), one.curve
    except AttributeError:
        raise TypeError(
            "found must be a result of samdyn.networks.curvature.density, or a mapping from label "
            f"to one, got a {type(one).__name__}"
        ) from None
    here = nodes[weights > 0]
    return float(here.min()), float(here.max())


def _outermost(one: Spectrum) -> float:
    """The share of all eigenvalues that the outermost nodes stand for, the mean over probes."""
    firsts = [weights[weights > 0][0] for weights in one.weights]
    lasts = [weights[weights > 0][-1] for weights in one.weights]
    return float(min(np.mean(firsts), np.mean(lasts)))
