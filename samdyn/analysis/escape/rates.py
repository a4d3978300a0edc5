"""Escape rates for small noise: Kramers' law and its many-dimensional form by Eyring."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_single, checked_number


class EscapeRate(NamedTuple):
    """How often a particle crosses a saddle, for small noise.

    Attributes
    ----------
    rate : float or ndarray
        Crossings a unit of time: the survival probability falls as exp(-rate t).
    time : float or ndarray
        1/rate: the mean time until it has crossed. It reaches the saddle itself in half of that.
    barrier : float
        How much higher the loss is at the saddle.
    prefactor : float
        The rate is prefactor * exp(-barrier/temperature).
    """

    rate: Any
    time: Any
    barrier: float
    prefactor: float


def escape_rate(loss: Loss, minimum: Any, saddle: Any, temperature: Number) -> EscapeRate:
    """The rate at which dX = -grad L dt + sqrt(2 T) dW crosses a saddle, in the limit T -> 0.

        rate = |l_1|/(2 pi) * sqrt(det H(minimum)/|det H(saddle)|) * exp(-barrier/T)

    with l_1 the one negative eigenvalue of the Hessian H at the saddle, which lies higher than the
    minimum by the barrier. The relative error falls
    like T: it is trustworthy where the barrier is several T.

    Parameters
    ----------
    loss : Loss
        Of any number of variables; in one, the saddle is a maximum. The mean of a random loss.
    minimum, saddle : array_like, shape (d,)
        Critical points of the loss, for example of ``loss.critical_points(box)``.
    temperature : float or array
        T. SGD with gradient noise of covariance s^2 I has T = lr s^2/2.

    Raises
    ------
    TypeError
        If loss is none.
    ValueError
        If a point is not critical, or not of that kind, or the saddle is not higher, or a constant
        is an array, or the temperature is not above 0.

    References
    ----------
    Kramers, Physica 7, 284 (1940); Eyring, J. Chem. Phys. 3, 107 (1935); Bovier, Eckhoff, Gayrard
    and Klein, J. Eur. Math. Soc. 6, 399 (2004).

    Examples
    --------
    >>> well = Loss("x**4/4 - x**2/2")
    >>> round(float(escape_rate(well, [-1.0], [0.0], temperature=0.05).time), 2)
    659.38
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    constants = {f"constant {name}": value for name, value in loss.constants.items()}
    check_single("escape_rate", constants, "loss.replace")
    temperature = checked_number("temperature", temperature, above=0.0)
    below, at_minimum = _critical(loss, minimum, "minimum")
    above, at_saddle = _critical(loss, saddle, "saddle")
    if not np.all(at_minimum > 0):
        raise ValueError(
            f"minimum {below.tolist()} is none: the Hessian's eigenvalues there are "
            f"{at_minimum.tolist()}"
        )
    if not (at_saddle[0] < 0 and np.all(at_saddle[1:] > 0)):
        raise ValueError(
            f"saddle must have one negative eigenvalue; at {above.tolist()} they are "
            f"{at_saddle.tolist()}"
        )
    barrier = float(loss.value(above) - loss.value(below))
    if not barrier > 0:
        raise ValueError(
            f"saddle must be higher than the minimum; its loss is higher by {barrier:.6g}"
        )
    ratio = np.exp(0.5 * (np.sum(np.log(at_minimum)) - np.sum(np.log(np.abs(at_saddle)))))
    prefactor = float(-at_saddle[0] / (2.0 * np.pi) * ratio)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        rate = prefactor * np.exp(-barrier / temperature)
        time = np.exp(barrier / temperature) / prefactor
    return EscapeRate(rate, time, barrier, prefactor)


def _critical(loss: Loss, point: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A critical point and the eigenvalues of the Hessian there, ascending."""
    point = np.atleast_1d(np.asarray(point, float))
    if point.shape != (loss.dimension,) or not np.all(np.isfinite(point)):
        raise ValueError(
            f"{name} must be a finite point of shape ({loss.dimension},), got {point.tolist()}"
        )
    gradient, eigenvalues = loss.grad(point), np.linalg.eigvalsh(loss.hessian(point))
    size = 1.0 + float(np.max(np.abs(eigenvalues))) * (1.0 + float(np.linalg.norm(point)))
    if not np.linalg.norm(gradient) <= 1e-6 * size:
        raise ValueError(
            f"{name} {point.tolist()} is no critical point: the gradient there is "
            f"{gradient.tolist()}; find one with loss.critical_points(box)"
        )
    return point, eigenvalues
