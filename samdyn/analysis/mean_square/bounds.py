"""Necessary conditions for linear stability of SGD and SAM, in closed form.

Notation: ``frobenius`` is |H|_F at the minimiser, ``gamma`` the alignment constant of
`samdyn.noise_alignment`, ``batch_size`` B, drawn with replacement. With s = |H|_F^2 the condition
of un-normalised SAM is lr^2 gamma s (1 + rho^2 gamma s/B)/B <= 1 (Zhou et al., arXiv 2410.10373,
Theorem 4.1); at rho = 0 it is that of SGD (Wu, Wang and Su, arXiv 2207.02628). All arguments
broadcast. A gamma of 0 excludes nothing: the bounds are then infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.numbers import check_positive, checked_number


def largest_lr(frobenius: Any, rho: Any, gamma: Any, batch_size: Any) -> Any:
    """The learning rate above which the minimiser is not linearly stable.

    Examples
    --------
    >>> float(largest_lr(2.0, 0.0, 0.25, 1.0))
    1.0
    """
    frobenius, rho, gamma, batch_size = _checked(
        frobenius=frobenius, rho=rho, gamma=gamma, batch_size=batch_size
    )
    with np.errstate(divide="ignore"):
        return np.sqrt(batch_size / (gamma * _steepened(frobenius, rho, gamma, batch_size)))


def largest_frobenius(lr: Any, rho: Any, gamma: Any, batch_size: Any) -> Any:
    """The |H|_F above which a minimiser is not linearly stable: SAM's is smaller than SGD's.

    Examples
    --------
    >>> float(largest_frobenius(1.0, 0.0, 0.25, 1.0))
    2.0
    """
    check_positive(lr=lr)
    lr, rho, gamma, batch_size = _checked(lr=lr, rho=rho, gamma=gamma, batch_size=batch_size)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = batch_size / (lr**2 * gamma)
        square = 2.0 * plain / (1.0 + np.hypot(1.0, 2.0 * rho / lr))
    return np.sqrt(square)


def largest_rho(lr: Any, frobenius: Any, gamma: Any, batch_size: Any) -> Any:
    """The rho above which the minimiser is not linearly stable for SAM.

    NaN where it is unstable at every rho.

    Examples
    --------
    >>> float(largest_rho(0.5, 2.0, 0.25, 1.0)), float(largest_rho(2.0, 2.0, 0.25, 1.0))
    (1.7320508075688772, nan)
    """
    check_positive(lr=lr)
    lr, frobenius, gamma, batch_size = _checked(
        lr=lr, frobenius=frobenius, gamma=gamma, batch_size=batch_size
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = gamma * frobenius**2 / batch_size
        return np.where(share == 0.0, np.inf, np.sqrt((1.0 / (lr**2 * share) - 1.0) / share))


def escape_factor(lr: Any, rho: Any, frobenius: Any, gamma: Any, batch_size: Any) -> Any:
    """A lower bound C on the factor by which the mean loss grows a step, E L_t >= C^t E L_0.

    It says something where it is above 1: escape is exponentially fast then (Zhou et al., Theorem
    4.2). The constant lr^2 gamma |H|_F^2 (1 + rho^2 gamma |H|_F^2/B)/B is derived here: the two
    half steps multiply the mean loss by no less than 1 + rho^2 gamma |H|_F^2/B and
    lr^2 gamma |H|_F^2/B if their batches are independent (``fresh_noise=True``).

    Examples
    --------
    >>> float(escape_factor(2.0, 1.0, 2.0, 0.25, 1.0))
    8.0
    """
    lr, rho, frobenius, gamma, batch_size = _checked(
        lr=lr, rho=rho, frobenius=frobenius, gamma=gamma, batch_size=batch_size
    )
    return lr**2 * gamma * _steepened(frobenius, rho, gamma, batch_size) / batch_size


def _steepened(frobenius: Any, rho: Any, gamma: Any, batch_size: Any) -> Any:
    square = frobenius**2
    return square * (1.0 + rho**2 * gamma * square / batch_size)


def _checked(**numbers: Any) -> tuple[np.ndarray, ...]:
    """Arrays, none of whose values is negative, nor the batch size 0."""
    check_positive(batch_size=numbers["batch_size"])
    return tuple(
        np.asarray(checked_number(name, value, minimum=0.0), float)
        for name, value in numbers.items()
    )
