"""The 2-cycle in which normalised SAM ends on a quadratic: its size, stability, loss and drift.

Normalised SAM does not converge to a minimum but jumps between the two sides of it along the
eigenvector of the largest eigenvalue (Bartlett, Long and Bousquet, arXiv 2210.01513). The
functions are exact on a quadratic with full batches; they take arrays (DataArrays are matched by
name, but by `cycle_multipliers`, which takes plain arrays), and give NaN where lr times the
eigenvalue is 2 or more and there is no cycle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.edges.domain import check_not_negative
from samdyn.numbers import checked_whole


def cycle_amplitude(eigenvalue: Any, lr: Any, rho: Any, momentum: Any = 0.0) -> Any:
    """Half the length of SAM's jump across the minimum, lr rho |l|/(2 (1 + momentum) - lr l).

    Each eigenvector of a quadratic has one such cycle, +-r v. Without momentum it is that of
    Bartlett, Long and Bousquet, arXiv 2210.01513, and of Wen, Ma and Li, arXiv 2211.05729,
    Theorem 4.8, for the largest eigenvalue. Any number of ascent steps gives the same.

    Parameters
    ----------
    eigenvalue : array_like
        l; also below 0.
    lr, rho : array_like
    momentum : array_like, default 0
        Heavy-ball.

    Examples
    --------
    >>> cycle_amplitude([1.0, 2.0, 4.0], lr=0.5, rho=0.1).round(6)
    array([0.033333, 0.1     ,      nan])
    """
    check_not_negative(lr=lr, rho=rho)
    return xr.apply_ufunc(_amplitude, eigenvalue, lr, rho, momentum)


def _amplitude(eigenvalue: Any, lr: Any, rho: Any, momentum: Any) -> np.ndarray:
    eigenvalue, lr, rho, momentum = (np.asarray(x, float) for x in (eigenvalue, lr, rho, momentum))
    left = 2.0 * (1.0 + momentum) - lr * eigenvalue
    return _where(left > 0, lr * rho * np.abs(eigenvalue), left)


def cycle_multipliers(eigenvalues: Any, lr: Any, ascent_steps: int = 1, along: int = -1) -> Any:
    """The multipliers, a step, of the cycle along an eigenvector of a quadratic.

    Across the cycle along v_1, with k ascent steps and a = lr l_1/(2 - lr l_1), they are
    m_i = 1 - lr l_i prod_{j<k} (1 + (l_i/l_1)/(k a + j)); for k = 1 that is
    1 - lr l_i - (2 - lr l_1)(l_i/l_1)^2. Along v_1 it is 1 - lr l_1. They do not depend on rho.
    While lr l_1 < 2 all are inside the unit circle, for every k, if l_1 is the largest and simple
    and the others are above 0 (where l_i is 0, along a manifold of minima, m_i is 1); the cycles
    along other eigenvectors are unstable. Derived here.

    Parameters
    ----------
    eigenvalues : array_like, shape (…, d)
        Of the Hessian; those across may be negative, as at a saddle.
    lr : array_like, shape (…)
    ascent_steps : int, default 1
        k.
    along : int, default -1
        Which of the eigenvalues belongs to the cycle; by default the last, the largest in
        ascending order. It must be above 0.

    Returns
    -------
    ndarray, shape (…, d)
        In the order of the eigenvalues. Those of the whole cycle, as `samdyn.multipliers` gives
        them, are their squares.

    Raises
    ------
    ValueError
        If the eigenvalue along the cycle is not above 0, the eigenvalues have no last dimension,
        or ``along`` is none of them.

    Examples
    --------
    >>> cycle_multipliers([1.0, 2.0], lr=0.5)
    array([0.25, 0.  ])
    >>> cycle_multipliers([1.0, 2.0], lr=0.5, along=0)
    array([ 0.5, -6. ])
    """
    steps = checked_whole("ascent_steps", ascent_steps, 1)
    check_not_negative(lr=lr)
    eigenvalues = np.asarray(eigenvalues, float)
    d = eigenvalues.shape[-1] if eigenvalues.ndim else 0
    if not -d <= along < d:
        raise ValueError(
            f"eigenvalues must have shape (…, d), and along be a place among the d; got shape "
            f"{eigenvalues.shape} and {along}"
        )
    own = eigenvalues[..., along, None]
    if not np.all(own > 0):
        raise ValueError(f"the eigenvalue along the cycle must be above 0, got {np.min(own):g}")
    step = np.asarray(lr, float)[..., None]
    ratio = eigenvalues / own
    start = _where(step * own < 2, steps * step * own, 2.0 - step * own)
    gain = np.prod([1.0 + ratio / (start + j) for j in range(steps)], axis=0)
    found = 1.0 - step * eigenvalues * gain
    found[..., along] = np.where(np.isnan(start), np.nan, 1.0 - step * own)[..., 0]
    return found


def cycle_loss(eigenvalue: Any, lr: Any, rho: Any) -> Any:
    """The loss above the minimum on the cycle, lr^2 rho^2 l^3/(2 (2 - lr l)^2).

    What constant-rho SAM cannot get below: with lr ~ log T/T it is the floor of order 1/T^2 of
    Si and Yun, arXiv 2306.09850 (the closed form is derived here).

    Examples
    --------
    >>> float(cycle_loss(2.0, lr=0.5, rho=0.1).round(6))
    0.01
    """

    def half_square(eigenvalue: Any, amplitude: Any) -> np.ndarray:
        return 0.5 * np.asarray(eigenvalue, float) * amplitude**2

    return xr.apply_ufunc(half_square, eigenvalue, cycle_amplitude(eigenvalue, lr, rho))


def drift_factor(eigenvalue: Any, lr: Any) -> Any:
    """By how much a finite lr speeds up SAM's drift toward wide minima, (1 - lr l/2)^-2.

    On its cycle SAM evaluates the gradient 2 rho/(2 - lr l) from the minimum, and so drifts along
    a manifold of minima by -(lr rho^2/2) (1 - lr l/2)^-2 P grad l a step, l being the largest
    eigenvalue and P the projector on the manifold's tangents: gradient descent on it (Bartlett,
    Long and Bousquet, arXiv 2210.01513). The limit lr -> 0 is the flow of Wen, Ma and Li,
    arXiv 2211.05729, eq. (7). To leading order in rho; the number of ascent steps does not enter.
    NaN where lr l is 2 or more: then there is no cycle.

    Examples
    --------
    >>> drift_factor(4.0, lr=[0.0, 0.1, 0.25])
    array([1.    , 1.5625, 4.    ])
    """

    def factor(eigenvalue: Any, lr: Any) -> np.ndarray:
        strength = np.asarray(eigenvalue, float) * np.asarray(lr, float)
        return _where(strength < 2, 1.0, 1.0 - 0.5 * strength) ** 2

    check_not_negative(lr=lr)
    return xr.apply_ufunc(factor, eigenvalue, lr)


def saddle_window(eigenvalue: Any, lr: Any) -> tuple[Any, Any]:
    """For which negative eigenvalue -m a saddle holds normalised SAM in a stable 2-cycle.

    The cycle along the positive eigenvalue l is stable for lr l^2/(2 - lr l) < m < 2 l/(2 - lr l):
    the saddle of eigenvalues l and -m then attracts SAM for any rho > 0. Derived here, from
    `cycle_multipliers`. NaN where there is no cycle, or l is not above 0.

    Returns
    -------
    low, high : ndarray
        Bounds of m.

    Examples
    --------
    >>> low, high = saddle_window(2.0, lr=0.5)
    >>> float(low), float(high)
    (2.0, 4.0)
    """
    check_not_negative(lr=lr)
    return xr.apply_ufunc(_window, eigenvalue, lr, output_core_dims=[[], []])


def _window(eigenvalue: Any, lr: Any) -> tuple[np.ndarray, np.ndarray]:
    eigenvalue, lr = np.asarray(eigenvalue, float), np.asarray(lr, float)
    left = 2.0 - lr * eigenvalue
    exists = (left > 0) & (eigenvalue > 0)
    return _where(exists, lr * eigenvalue**2, left), _where(exists, 2.0 * eigenvalue, left)


def _where(exists: Any, above: Any, below: Any) -> Any:
    """A fraction, NaN where the cycle does not exist."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exists, above / below, np.nan)
