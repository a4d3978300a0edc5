"""Trace and Frobenius norm by random probes, each with its standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.curvature.convergence import NotConverged
from samdyn.networks.curvature.hessian import Hessian
from samdyn.networks.curvature.probes import Probes
from samdyn.networks.problem import Problem
from samdyn.numbers import checked_number, checked_whole

_FEWEST = 20
"""Probes before a standard error is trusted to stop."""


class Estimate(NamedTuple):
    """A number found by random probes.

    Attributes
    ----------
    value : float
    standard_error : float
        The standard deviation of the value over seeds, as far as these probes tell.
    probes : int
    products : int
        How many products with the Hessian it took.
    """

    value: float
    standard_error: float
    probes: int
    products: int


def trace(
    problem: Problem,
    w: Tensor,
    probes: int = 100,
    sketch: int = 0,
    tol: float | None = None,
    seed: int = 0,
) -> Estimate:
    """The trace of the Hessian of the mean loss over all samples.

    Hutchinson's estimator: the mean of v.H v over vectors v of random signs. With a ``sketch``
    of s vectors, it is Hutch++: the trace is taken exactly on the range of H times the sketch,
    and by probes on what is orthogonal to it. Where few eigenvalues hold most of the Hessian,
    as in a trained network, a sketch somewhat larger than their number takes most of the
    standard error away.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.
    probes : int, default 100
        How many; with ``tol`` the most.
    sketch : int, default 0
        Vectors of the sketch, all held in memory; each costs two products, a probe one.
    tol : float, optional
        Stop when the standard error is at most this share of the value, after no fewer than
        20 probes.
    seed : int, default 0
        Of the probes.

    Returns
    -------
    Estimate
        Without bias, and with a standard error that is that of the probes, given the sketch.

    Raises
    ------
    NotConverged
        If ``tol`` was not reached with the most probes; its ``best`` is what was found.
    TypeError, ValueError
        If an argument is none of those above, or the Hessian is not finite.

    References
    ----------
    Hutchinson, Commun. Stat. Simul. Comput. 19 (1990) 433. Meyer, Musco, Musco and Woodruff,
    Hutch++, arXiv 2010.09649.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> trace(problem, problem.start(), probes=2)  # of a diagonal matrix each probe is exact
    Estimate(value=5.0, standard_error=0.0, probes=2, products=2)
    """
    hessian = Hessian(problem, w)
    draw = Probes(hessian.w, seed)
    if checked_whole("sketch", sketch, 0) > hessian.dimension:
        raise ValueError(
            f"sketch must be at most the number of weights, {hessian.dimension}, got {sketch}"
        )
    known, basis = _sketched(hessian, draw, sketch)

    def outside() -> float:
        v = draw.signs()
        v -= (basis @ v) @ basis
        return float(v @ hessian(v))

    def mean(samples: np.ndarray) -> tuple[float, float]:
        return known + float(samples.mean()), _error_of_mean(samples)

    return _sampled("trace", hessian, outside, mean, probes, tol)


def frobenius(
    problem: Problem, w: Tensor, probes: int = 100, tol: float | None = None, seed: int = 0
) -> Estimate:
    """The Frobenius norm of the Hessian of the mean loss over all samples.

    The root of the mean of abs(H v)^2 over vectors v of random signs: of the sum of the squares
    of all eigenvalues.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.
    probes : int, default 100
        How many; with ``tol`` the most.
    tol : float, optional
        Stop when the standard error is at most this share of the value, after no fewer than
        20 probes.
    seed : int, default 0
        Of the probes.

    Returns
    -------
    Estimate
        The root makes it too low by about standard_error^2 / (2 value), which is much less than
        the standard error.

    Raises
    ------
    NotConverged
        If ``tol`` was not reached with the most probes; its ``best`` is what was found.
    TypeError, ValueError
        If an argument is none of those above, or the Hessian is not finite.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64).sqrt()
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> round(frobenius(problem, problem.start(), probes=2).value, 12)
    5.0
    """
    hessian = Hessian(problem, w)
    draw = Probes(hessian.w, seed)

    def square() -> float:
        return float(torch.linalg.vector_norm(hessian(draw.signs()))) ** 2

    def root(samples: np.ndarray) -> tuple[float, float]:
        value = float(np.sqrt(samples.mean()))
        return value, _error_of_mean(samples) / (2 * value) if value else 0.0

    return _sampled("frobenius", hessian, square, root, probes, tol)


def _sketched(hessian: Hessian, draw: Probes, size: int) -> tuple[float, Tensor]:
    """The trace on the range of H times a sketch, and an orthonormal basis of that, (size, d)."""
    rows = hessian.w.new_empty(size, hessian.dimension)
    for row in rows:
        row.copy_(hessian(draw.signs()))
    basis = torch.linalg.qr(rows.T).Q.T.contiguous()
    return sum((float(q @ hessian(q)) for q in basis), 0.0), basis


def _sampled(
    name: str,
    hessian: Hessian,
    sample: Callable[[], float],
    settled: Callable[[np.ndarray], tuple[float, float]],
    probes: int,
    tol: float | None,
) -> Estimate:
    """Samples until there are enough, settled into a value and its standard error."""
    checked_whole("probes", probes, 2)
    tol = None if tol is None else checked_number("tol", tol, above=0.0)
    samples: list[float] = []
    while len(samples) < probes:
        samples.append(sample())
        if tol is not None and len(samples) >= _FEWEST:
            value, error = settled(np.array(samples))
            if error <= tol * abs(value):
                return Estimate(value, error, len(samples), hessian.products)
    best = Estimate(*settled(np.array(samples)), probes, hessian.products)
    if tol is None or best.standard_error <= tol * abs(best.value):
        return best
    raise NotConverged(
        f"{name} did not converge with {probes} probes: {best.value:.4g} has a standard error of "
        f"{best.standard_error:.2g}, more than tol, {tol:g}, of it; raise probes or tol",
        best,
    )


def _error_of_mean(samples: np.ndarray) -> float:
    return float(samples.std(ddof=1) / np.sqrt(len(samples)))
