"""How basins are shaped: entropy, and the dimension of their boundary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from samdyn.numbers import checked_whole


class BasinEntropy(NamedTuple):
    """The entropy of basins, in nats.

    Attributes
    ----------
    whole : float
        S_b: the mean over all boxes of the entropy of the labels in a box.
    boundary : float
        S_bb: the mean over those with more than one label; above log 2 the boundary is fractal.
    boxes, mixed : int
        How many boxes there are, and how many have more than one label.
    """

    whole: float
    boundary: float
    boxes: int
    mixed: int


class UncertaintyExponent(NamedTuple):
    """How the share of uncertain points falls with the error of the initial condition.

    Attributes
    ----------
    exponent : float
        alpha of f(epsilon) ~ epsilon^alpha: 1 for a smooth boundary, less for a fractal one.
    standard_error : float
        Of the slope fitted.
    dimension : float
        Of the boundary: that of the plane less alpha.
    epsilon, fraction : ndarray
        The distances, in cells, and the shares of uncertain points there.
    """

    exponent: float
    standard_error: float
    dimension: float
    epsilon: np.ndarray
    fraction: np.ndarray


def basin_entropy(result: xr.Dataset, box: int = 5) -> BasinEntropy:
    """The entropy of basins on a grid, box by box.

    Parameters
    ----------
    result : Dataset
        Of `samdyn.basins` on a grid of two dimensions. Every label counts, -1 to -3 too.
    box : int, default 5
        Points along a box's side. A boundary that runs exactly between boxes, as in the example,
        is in none of them: shift the grid or take another size.

    Returns
    -------
    BasinEntropy

    References
    ----------
    Daza et al., "Basin entropy: a new tool to analyze uncertainty in dynamical systems",
    Scientific Reports 6, 31416 (2016).

    Examples
    --------
    >>> import samdyn as sd
    >>> wells = sd.Map(sd.Loss("(x**2 - 1)**2/4 + y**2/2"), sd.GD(lr=0.1))
    >>> found = basin_entropy(sd.basins(wells, sd.grid(x=(-2, 2, 50), y=(-1, 1, 50))))
    >>> found.boxes, found.mixed
    (100, 0)
    """
    labels = _plane(result)
    checked_whole("box", box, 2)
    if box > min(labels.shape):
        raise ValueError(f"box must be at most {min(labels.shape)} points, got {box}")
    rows, columns = labels.shape[0] // box, labels.shape[1] // box
    cut = labels[: rows * box, : columns * box].reshape(rows, box, columns, box)
    boxes = np.moveaxis(cut, 2, 1).reshape(rows * columns, box * box)
    shares = np.stack([np.mean(boxes == label, axis=1) for label in np.unique(labels)], axis=1)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -np.sum(shares * logs, axis=1)
    mixed = entropy > 0
    boundary = float(np.mean(entropy[mixed])) if np.any(mixed) else 0.0
    return BasinEntropy(float(np.mean(entropy)), boundary, len(boxes), int(np.sum(mixed)))


def uncertainty_exponent(result: xr.Dataset) -> UncertaintyExponent:
    """The uncertainty exponent of basins on a grid.

    A point is uncertain at a distance epsilon if a point that far along either dimension has
    another label. Distances are 1, 2, 4, … cells up to an eighth of the grid; the points are those
    that far from its edge.

    Parameters
    ----------
    result : Dataset
        Of `samdyn.basins` on a grid of two dimensions, fine beside its basins.

    Returns
    -------
    UncertaintyExponent

    Raises
    ------
    ValueError
        If there is no boundary, or the grid is too coarse to fit a slope.

    References
    ----------
    Grebogi, McDonald, Ott and Yorke, Physics Letters A 99 (1983).

    Examples
    --------
    >>> import samdyn as sd
    >>> wells = sd.Map(sd.Loss("(x**2 - 1)**2/4 + y**2/2"), sd.GD(lr=0.1))
    >>> found = uncertainty_exponent(sd.basins(wells, sd.grid(x=(-2, 2, 200), y=(-1, 1, 200))))
    >>> round(found.exponent, 6)
    1.0
    """
    labels = _plane(result)
    most = min(labels.shape) // 8
    epsilon = 2 ** np.arange(0, max(int(np.log2(max(most, 1))) + 1, 1))
    # one window for all distances, else a boundary would fill more of the smaller ones
    fraction = np.array([_uncertain(labels, int(one), int(epsilon[-1])) for one in epsilon])
    used = fraction > 0
    if np.sum(used) < 3:
        raise ValueError(
            "the grid shows too little of a boundary to fit a slope; it needs two labels and at "
            "least 32 points a side"
        )
    x, y = np.log(epsilon[used]), np.log(fraction[used])
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    spread = np.sum((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2) / max(len(x) - 2, 1)
    error = float(np.sqrt(covariance[0, 0] * spread))
    return UncertaintyExponent(float(slope), error, 2.0 - float(slope), epsilon, fraction)


def _uncertain(labels: np.ndarray, distance: int, margin: int) -> float:
    """The share of points inside a margin that one of their four neighbours disagrees with."""
    rows, columns = (np.arange(margin, size - margin) for size in labels.shape)
    inner = labels[np.ix_(rows, columns)]
    differs: np.ndarray = np.zeros(inner.shape, bool)
    for step in (-distance, distance):
        differs |= labels[np.ix_(rows + step, columns)] != inner
        differs |= labels[np.ix_(rows, columns + step)] != inner
    return float(np.mean(differs))


def _plane(result: xr.Dataset) -> np.ndarray:
    if not isinstance(result, xr.Dataset) or "label" not in result or result.label.ndim != 2:
        raise ValueError(
            "result must be what samdyn.basins returns for a grid of two dimensions, got a "
            f"{type(result).__name__}"
        )
    return result.label.values
