"""Closed forms of the spread about a critical point of a quadratic, an eigen-direction each.

Notation: ``eigenvalue`` is l, one of the Hessian's (negative along which a saddle is left), ``s``
the standard deviation of the gradient's noise in that direction, after the division by sqrt(B)
for a minibatch of B samples. Time is lr times the number of steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def diffused(drift: Any, diffusion: Any, time: Any) -> Any:
    """The mean squared displacement of dx = -a x dt + sqrt(2 D) dW from 0, D (1 - exp(-2 a t))/a.

    Parameters
    ----------
    drift : array_like
        a; negative where a saddle is left. At 0 this is 2 D t.
    diffusion : array_like
        D.
    time : array_like

    Examples
    --------
    >>> float(diffused(0.0, 0.5, 3.0))
    3.0
    """
    drift, diffusion, time = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (drift, diffusion, time))
    )
    flat = np.where(drift == 0.0, 1.0, drift)
    with np.errstate(over="ignore"):
        grown = -np.expm1(-2.0 * flat * time) / flat
    return diffusion * np.where(drift == 0.0, 2.0 * time, grown)


def usam_displacement(eigenvalue: Any, lr: Any, rho: Any, s: Any, time: Any) -> Any:
    """The mean squared displacement of the SDE of USAM from a critical point.

    Drift l (1 + rho l) and, one minibatch serving both gradients, noise (1 + rho l) s. With
    rho = 0 it is SGD's. (Kim et al., arXiv 2301.06308, Theorem 2 has another drift: see
    `printed_displacement`.)

    Examples
    --------
    >>> round(float(usam_displacement(-1.0, 0.005, 0.5, 0.25, 2.0)), 7)
    0.0004991
    """
    eigenvalue = np.asarray(eigenvalue, float)
    gain = 1.0 + rho * eigenvalue
    return diffused(eigenvalue * gain, 0.5 * lr * (s * gain) ** 2, time)


def separate_displacement(eigenvalue: Any, lr: Any, rho: Any, s: Any, time: Any) -> Any:
    """As `usam_displacement`, with a minibatch of its own for each of the two gradients.

    The noise is then s sqrt(1 + rho^2 l^2): such a SAM leaves a saddle faster than SGD at first.

    Examples
    --------
    >>> round(float(separate_displacement(-1.0, 0.005, 0.5, 0.25, 2.0)), 6)
    0.002496
    """
    eigenvalue = np.asarray(eigenvalue, float)
    noise = s**2 * (1.0 + (rho * eigenvalue) ** 2)
    return diffused(eigenvalue * (1.0 + rho * eigenvalue), 0.5 * lr * noise, time)


def unperturbed_displacement(eigenvalue: Any, lr: Any, rho: Any, s: Any, time: Any) -> Any:
    """As `usam_displacement`, with the ascent along the full gradient: the noise is s.

    That is Kim et al.'s SDE as it is written, dw = -grad L(w^p) dt + sqrt(lr C) dW.

    Examples
    --------
    >>> round(float(unperturbed_displacement(-1.0, 0.005, 0.5, 0.25, 2.0)), 6)
    0.001997
    """
    eigenvalue = np.asarray(eigenvalue, float)
    return diffused(eigenvalue * (1.0 + rho * eigenvalue), 0.5 * lr * s**2, time)


def printed_displacement(eigenvalue: Any, lr: Any, rho: Any, s: Any, time: Any) -> Any:
    """Theorem 2 of Kim et al. (arXiv 2301.06308) as it stands: drift l (1 + rho l)^2, noise s.

    With s^2 = abs(l)/B it is their formula. No SAM has this drift: it is the Hessian of
    L(w + rho grad L(w)) as a function of w, while SAM descends along grad L at the perturbed point.
    It is kept for comparison.

    Examples
    --------
    >>> round(float(printed_displacement(-1.0, 0.005, 0.5, 0.25, 2.0)), 6)
    0.001074
    """
    eigenvalue = np.asarray(eigenvalue, float)
    return diffused(eigenvalue * (1.0 + rho * eigenvalue) ** 2, 0.5 * lr * s**2, time)


def usam_variance(eigenvalue: Any, lr: Any, rho: Any, s: Any) -> Any:
    """The stationary variance of the algorithm USAM on a quadratic, and of SGD at rho = 0.

    lr s^2 (1 + rho l)/(l (2 - lr l (1 + rho l))); it exists where 0 < lr l (1 + rho l) < 2, also
    at a saddle that USAM does not leave, and is NaN elsewhere. Its SDE has lr s^2 (1 + rho l)/(2 l)
    (Monzio Compagnoni et al., arXiv 2301.08203).

    Examples
    --------
    >>> round(float(usam_variance(-2.0, 0.01, 1.0, 1.0)), 6)
    0.002525
    """
    eigenvalue = np.asarray(eigenvalue, float)
    gain = 1.0 + rho * eigenvalue
    strength = lr * eigenvalue * gain
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = lr * s**2 * gain / (eigenvalue * (2.0 - strength))
    return np.where((strength > 0) & (strength < 2), variance, np.nan)


def trapping_rho(eigenvalue: Any, s: Any, dimension: int) -> Any:
    """The rho above which a saddle traps SAM under isotropic Gaussian gradient noise.

    Normalised SAM's mean ascent near the saddle is rho c_d/s times the gradient, with
    c_d = (1 - 1/d) E[1/|xi|] = E|xi|/d for xi ~ N(0, I) in d dimensions, so that the drift along
    a negative eigenvalue l turns round at rho = s/(c_d |l|). It holds for small noise and lr.

    Parameters
    ----------
    eigenvalue : array_like
        l < 0.
    s : array_like
        Standard deviation of each component of the gradient's noise.
    dimension : int
        d.

    Examples
    --------
    >>> round(float(trapping_rho(-1.0, 0.1, 2)), 4)  # c_2 = 0.62666
    0.1596
    """
    from scipy.special import gammaln

    if np.any(np.asarray(eigenvalue) >= 0):
        raise ValueError(f"eigenvalue must be below 0, got {eigenvalue}")
    mean_length = np.sqrt(2.0) * np.exp(gammaln((dimension + 1) / 2) - gammaln(dimension / 2))
    return s * dimension / (mean_length * np.abs(eigenvalue))
