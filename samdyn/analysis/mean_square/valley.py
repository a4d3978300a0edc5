"""Staying in a valley: Zhou et al.'s Proposition 4.1 on losses of one variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive, checked_number

if TYPE_CHECKING:
    import xarray as xr

_POINTS = 401
_FINER, _ZOOMS = 41, 4
_ROUNDING = 1e-11
_NARROWEST = 1e-6


@dataclass(frozen=True)
class Valley:
    """A valley [-2 b, 2 b] about a minimum, and what the proposition admits there.

    Attributes
    ----------
    minimum : float
    b : DataArray
        A quarter of the valley's width.
    curvature : DataArray
        a = L'' at the minimum.
    sub_quadratic : DataArray of bool
        Whether the hypothesis holds: L'(z)/z is positive and does not grow with abs(z), z being
        the distance from the minimum.
    largest_lr : DataArray
        b/abs(L'(z)) at its smallest in the valley; lr must be below it.
    slope_ratio : DataArray
        abs(L'(2 z)/L'(z)) at its smallest over 0 < abs(z) < b.
    """

    minimum: float
    b: xr.DataArray
    curvature: xr.DataArray
    sub_quadratic: xr.DataArray
    largest_lr: xr.DataArray
    slope_ratio: xr.DataArray

    def largest_rho(self, lr: Any) -> xr.DataArray:
        """The largest rho that is admitted at a learning rate."""
        steep: xr.DataArray = as_array("lr", lr) * self.slope_ratio
        return steep.where(steep * self.curvature < 1.0, 1.0 / self.curvature)

    def admits(self, lr: Any, rho: Any) -> xr.DataArray:
        """Whether the proposition speaks of these numbers in this valley."""
        lr, rho = as_array("lr", lr), as_array("rho", rho)
        within = (lr < self.largest_lr) & (rho <= self.largest_rho(lr))
        return within & self.sub_quadratic


def valley(loss: Loss, b: Number, minimum: float = 0.0) -> Valley:
    """Check the hypothesis of Zhou et al.'s Proposition 4.1, and find what it admits.

    In a sub-quadratic valley [-2 b, 2 b] full-batch un-normalised SAM that begins in (-b, b) stays
    in the valley if lr < min b/abs(L'(z)) and rho <= min(1/a, lr min abs(L'(2 z)/L'(z))).

    The hypothesis is read as: L'(z)/z is positive and does not grow with abs(z), a = L''(0). It is
    checked by the sign of the derivative, z L'' - L' <= 0 for z > 0 and likewise on the other
    side, and by L'/z itself, at 400 values on each side: to rounding, not by interval
    arithmetic. The two extremes are found on the same values and then, four times, on 40 between
    the neighbours of the best: to rounding as well where a function has one minimum a cell.

    Parameters
    ----------
    loss : Loss
        Of one variable. Its constants may be arrays.
    b : float or array
        Positive.
    minimum : float, default 0.0
        Where the valley is lowest.

    Returns
    -------
    Valley
        Its values have the dimensions of b and of the loss's constants.

    Raises
    ------
    TypeError
        If the loss is none.
    ValueError
        If it has several variables, ``minimum`` is no minimum of it, or b is not positive, or
        below 1e-6 of ``minimum``.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Definition 4.2 and Proposition 4.1; the valleys are those of
    Ma, Kunin, Wu and Ying.

    Examples
    --------
    >>> import samdyn as sd
    >>> found = valley(sd.losses.log_cosh(), b=1.0)
    >>> bool(found.sub_quadratic), round(float(found.largest_lr), 6)  # 1/tanh(2)
    (True, 1.037315)
    >>> round(float(found.largest_rho(1.0)), 6)
    1.0
    >>> bool(valley(sd.Loss("x**2/2 + x**4"), b=1.0).sub_quadratic)
    False
    """
    import xarray as xr

    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    if loss.dimension != 1:
        raise ValueError(f"loss must have one variable here, got {', '.join(loss.variables)}")
    check_positive(b=b)
    minimum = float(minimum)
    given = [as_array("b", b), *(as_array(name, x) for name, x in loss.constants.items())]
    width, *constants = xr.broadcast(*given)

    def derivative(order: int, z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            out = loss.program(order)(minimum + z, *(x.values for x in constants))[0]
        return np.asarray(np.broadcast_to(out, np.broadcast_shapes(np.shape(z), width.shape)))

    at_rest, curvature = (derivative(order, np.zeros(width.shape)) for order in (1, 2))
    if not np.all((np.abs(at_rest) <= 1e-9 * curvature * (1.0 + abs(minimum))) & (curvature > 0)):
        raise ValueError(
            f"minimum must be a minimum of the loss with L'' > 0; at {minimum:g} L' is "
            f"{np.max(np.abs(at_rest)):.3g} and L'' {np.min(curvature):.3g}"
        )
    if np.any(width < _NARROWEST * abs(minimum)):
        raise ValueError(
            f"b must be at least {_NARROWEST:g} of abs(minimum), {abs(minimum):g}, for rounding to "
            f"leave a valley there; got {float(width.min()):g}"
        )

    def steepness(z: np.ndarray) -> np.ndarray:
        """L'(z)/z, z being what rounding leaves of it beside the minimum."""
        z = (minimum + z) - minimum
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((derivative(1, z) - at_rest) / z)

    part = _parts(_POINTS, width.ndim)
    holds = np.ones(width.shape, bool)
    for side in (-2.0, 2.0):
        z = side * width.values * part
        steep = steepness(z)
        room = curvature * (_ROUNDING + 1e-15 * abs(minimum) / np.abs(z))
        holds &= np.all(steep > 0, axis=0)
        holds &= np.all(np.diff(steep, axis=0) <= room[:-1], axis=0)
        holds &= np.all(derivative(2, z) - steep <= room, axis=0)

    def height(z: np.ndarray) -> np.ndarray:
        return -np.abs(derivative(1, z))

    def ratio(z: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.abs(2.0 * steepness(2.0 * z) / steepness(z))
        # nearer to the minimum rounding would win; 2 is the limit there
        return np.where(np.abs(z) < _NARROWEST * abs(minimum), 2.0, found)

    steepest = -_smallest(height, 2.0 * width.values)
    slope_ratio = np.minimum(2.0, _smallest(ratio, width.values))
    return Valley(
        minimum=minimum,
        b=width,
        curvature=width.copy(data=curvature),
        sub_quadratic=width.copy(data=holds),
        largest_lr=width.copy(data=width.values / steepest),
        slope_ratio=width.copy(data=slope_ratio),
    )


def _parts(count: int, ndim: int) -> np.ndarray:
    """Evenly from 0 to 1, without 0, along a first dimension."""
    return np.linspace(0.0, 1.0, count)[1:].reshape(-1, *(1,) * ndim)


def _smallest(function: Any, width: np.ndarray) -> np.ndarray:
    """The smallest value of a function over 0 < abs(z) <= width, either side."""
    best = np.full(np.shape(width), np.inf)
    for side in (-1.0, 1.0):
        low, high = np.zeros(np.shape(width)), np.ones(np.shape(width))
        for count in (_POINTS, *(_FINER,) * _ZOOMS):
            part = _parts(count, width.ndim)
            values = function(side * width * (low + (high - low) * part))
            place = np.argmin(values, axis=0)
            best = np.minimum(best, np.min(values, axis=0))
            cell = (high - low) / len(part)
            middle = low + (place + 1) * cell
            low, high = np.maximum(middle - cell, 0.0), np.minimum(middle + cell, 1.0)
    return best


def as_array(name: str, value: Any) -> xr.DataArray:
    """A number as a DataArray: an array of one dimension has that of its name."""
    import xarray as xr

    if isinstance(value, xr.DataArray):
        return value.astype(float)
    value = np.asarray(checked_number(name, value), float)
    if value.ndim > 1:
        raise ValueError(f"{name} must be a number, a 1-D array or a DataArray, got {value.shape}")
    return xr.DataArray(
        value, dims=(name,) * value.ndim, coords={name: value} if value.ndim else {}
    )
