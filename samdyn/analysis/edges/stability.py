"""The edge of stability: the largest curvature at which an algorithm still converges."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.algorithms import DNSAM, GD, SAM, Algorithm
from samdyn.analysis.edges.domain import check_not_negative
from samdyn.numbers import checked_whole

_NEWTON_STEPS = 100


def edge_of_stability(algorithm: Algorithm, grad_norm: Any = None) -> Any:
    """The largest Hessian eigenvalue at which full-batch GD or SAM is stable.

    GD has 2/lr, or 2(1 + momentum)/lr with heavy ball and 2(1 + momentum)/(lr(1 + 2 momentum))
    with Nesterov's momentum, written c/lr below. Un-normalised SAM multiplies every curvature l
    by (1 + rho l/k)^k in k ascent steps; so its edge solves lr l (1 + rho l/k)^k = c (Agarwala and
    Dauphin, arXiv 2302.08692, with k = 1 and c = 2). Both are exact on a quadratic. Normalised
    SAM does not lose stability there but ends in a 2-cycle, and the edge depends on the gradient:
    lr l (1 + rho l/|g|) = c, or (|g|/(2 rho)) (sqrt(1 + 8 rho/(lr |g|)) - 1) with c = 2 (Long and
    Bartlett, arXiv 2309.12488). It is exact on that cycle and otherwise where the gradient lies
    along the top eigenvector; k makes no difference there. Weight decay takes its part of the
    edge.

    Parameters
    ----------
    algorithm : GD or SAM
        Its numbers may be arrays, as in a sweep.
    grad_norm : float or array, optional
        |g|, the length of the gradient that the ascent follows, at least 0; NaN, of a run that
        diverged, gives NaN. Of normalised SAM only, and needed there.

    Returns
    -------
    float, ndarray or DataArray
        With an array among the numbers a DataArray over its name, as `samdyn.simulate` has it;
        grad_norm is then one value or a DataArray. Otherwise of the shape of grad_norm. NaN where
        weight decay alone is beyond the edge.

    Raises
    ------
    TypeError
        If there is no such closed form: `ASAM`, m-SAM, `Lookahead`, `Switch`.
    ValueError
        If grad_norm is missing, superfluous or negative, or the momentum is 1 or more.

    Examples
    --------
    >>> from samdyn import GD, SAM, USAM
    >>> edge_of_stability(GD(lr=0.1))
    20.0
    >>> round(edge_of_stability(USAM(lr=0.1, rho=0.5)), 6)
    5.403124
    >>> edge_of_stability(SAM(lr=0.1, rho=[0.0, 0.5]), grad_norm=1.0).values.round(6)
    array([20.      ,  5.403124])
    """
    if not isinstance(algorithm, GD) or type(algorithm) not in (GD, SAM, DNSAM):
        raise TypeError(
            f"algorithm must be GD, SAM or USAM, for which the edge has a closed form; got "
            f"{algorithm!r}"
        )
    if isinstance(algorithm, SAM) and algorithm.m is not None:
        raise TypeError("m must be None: the edge is that of the full batch, not of m-SAM")
    normalized = isinstance(algorithm, SAM) and algorithm.normalize
    if normalized and grad_norm is None:
        raise ValueError("grad_norm must be given: the edge of normalised SAM depends on it")
    if not normalized and grad_norm is not None:
        raise ValueError(f"grad_norm must be None: the edge of {algorithm!r} does not depend on it")
    numbers = {name: _named(name, value) for name, value in algorithm.numbers.items()}
    if grad_norm is not None:
        check_not_negative(grad_norm=grad_norm)
        if isinstance(grad_norm, list | tuple):
            grad_norm = np.asarray(grad_norm, float)
        labelled = isinstance(grad_norm, xr.DataArray)
        if np.ndim(grad_norm) and not labelled and any(np.ndim(x) for x in numbers.values()):
            raise ValueError(
                "grad_norm must be one value or a DataArray when the algorithm has arrays: an "
                f"array of shape {np.shape(grad_norm)} does not say how it goes with them"
            )
    lr, decay = numbers["lr"], numbers.get("weight_decay", 0.0)
    level = _level(numbers.get("momentum", 0.0), algorithm.nesterov)
    if not isinstance(algorithm, SAM):
        with np.errstate(divide="ignore"):
            return _plain(_above(np.divide(level, lr) - decay))
    # what is decayed in the ascent too is a larger curvature; else it only uses up the step
    within = decay if algorithm.decay_in_ascent else 0.0
    level = level - lr * (decay - within)
    if normalized:
        edge = sam_edge(lr, numbers["rho"], grad_norm, level=level)
    else:
        edge = usam_edge(lr, numbers["rho"], algorithm.ascent_steps, level=level)
    return _plain(_above(edge - within))


def usam_edge(lr: Any, rho: Any, ascent_steps: int = 1, *, level: Any = 2.0) -> Any:
    """The curvature l at which un-normalised SAM loses stability, lr l (1 + rho l/k)^k = level.

    For one ascent step l = (sqrt(1 + 8 rho/lr) - 1)/(2 rho) (Agarwala and Dauphin, arXiv
    2302.08692). Exact on a quadratic, for any rho; the limit rho -> 0 is GD's level/lr.

    Parameters
    ----------
    lr, rho : array_like
    ascent_steps : int, default 1
        k, each step 1/k of the way (Kim et al., arXiv 2302.10181).
    level : array_like, default 2
        2 (1 + momentum) with heavy ball. NaN comes out where it is not above 0.

    Examples
    --------
    >>> usam_edge(0.1, [0.0, 0.5]).round(6)
    array([20.      ,  5.403124])
    >>> float(usam_edge(0.1, 0.5, ascent_steps=2).round(6))
    4.465373
    """
    steps = checked_whole("ascent_steps", ascent_steps, 1)
    check_not_negative(lr=lr, rho=rho)
    return xr.apply_ufunc(_usam_edge, lr, rho, level, steps)


def _usam_edge(lr: Any, rho: Any, level: Any, steps: int) -> np.ndarray:
    lr, rho, level = (np.asarray(x, float) for x in (lr, rho, level))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        largest = np.where(level > 0, level / lr, np.nan)
        if steps == 1:
            return 2.0 * largest / (1.0 + np.sqrt(1.0 + 4.0 * rho * largest))
        # Newton in log l: convex and increasing, so that it comes down from the right
        aim = log = np.log(largest)
        for _ in range(_NEWTON_STEPS):
            part = rho * np.exp(log) / steps
            value = log + steps * np.log1p(part) - aim
            moved = value / (1.0 + steps * part / (1.0 + part))
            log = log - moved
            if not np.any(np.abs(moved) > 1e-15 * (1.0 + np.abs(log))):
                break
        return np.exp(log)


def sam_edge(lr: Any, rho: Any, grad_norm: Any, *, level: Any = 2.0) -> Any:
    """The edge of normalised SAM, (|g|/(2 rho)) (sqrt(1 + 8 rho/(lr |g|)) - 1).

    The root l of lr l (1 + rho l/|g|) = 2 (Long and Bartlett, arXiv 2309.12488), in a form that
    loses no digits as rho -> 0. It lies below 2/lr, and at 0 where g = 0 (unless rho = 0).

    Parameters
    ----------
    lr, rho, grad_norm : array_like
    level : array_like, default 2
        As in `usam_edge`.

    Examples
    --------
    >>> sam_edge(0.1, 0.5, [0.0, 1.0, 1e3]).round(6)
    array([ 0.      ,  5.403124, 19.803903])
    """
    check_not_negative(lr=lr, rho=rho, grad_norm=grad_norm)
    return xr.apply_ufunc(_sam_edge, lr, rho, grad_norm, level)


def _sam_edge(lr: Any, rho: Any, grad_norm: Any, level: Any) -> np.ndarray:
    lr, rho, grad_norm, level = (np.asarray(x, float) for x in (lr, rho, grad_norm, level))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        largest = np.where(level > 0, level / lr, np.nan)
        gain = np.where(rho == 0, 0.0, 4.0 * rho * largest / grad_norm)
        return 2.0 * largest / (1.0 + np.sqrt(1.0 + gain))


def _level(momentum: Any, nesterov: bool) -> Any:
    """Lr times the curvature at which the update leaves the unit circle, at -1."""
    if np.any(np.asarray(momentum) >= 1):
        raise ValueError(f"momentum must be below 1, got {momentum}: at no curvature is it stable")
    heavy = 2.0 * (1.0 + momentum)
    return heavy / (1.0 + 2.0 * momentum) if nesterov else heavy


def _named(name: str, value: Any) -> Any:
    """An array as a dimension of its own name, as in a simulation."""
    if isinstance(value, xr.DataArray) or np.ndim(value) == 0:
        return value
    return xr.DataArray(value, dims=name, coords={name: value})


def _above(edge: Any) -> Any:
    """NaN where there is no positive edge, 0 staying that of a vanishing gradient."""
    return xr.where(edge >= 0, edge, np.nan) if np.ndim(edge) else (edge if edge >= 0 else np.nan)


def _plain(value: Any) -> Any:
    if isinstance(value, xr.DataArray):
        return value.rename("edge_of_stability")
    return float(value) if np.ndim(value) == 0 else value
