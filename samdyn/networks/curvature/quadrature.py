"""The density of eigenvalues by stochastic Lanczos quadrature."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from samdyn.networks.curvature.hessian import Hessian
from samdyn.networks.curvature.krylov import Krylov
from samdyn.networks.curvature.probes import Probes
from samdyn.networks.problem import Problem
from samdyn.numbers import checked_number, checked_whole


class Mean(NamedTuple):
    """A mean over probes with its standard error."""

    value: float
    standard_error: float


class Curve(NamedTuple):
    """A smoothed density of eigenvalues.

    Attributes
    ----------
    eigenvalue, density, standard_error : ndarray, shape (points,)
        The density has the integral 1; the error is over probes.
    """

    eigenvalue: np.ndarray
    density: np.ndarray
    standard_error: np.ndarray


class Density(NamedTuple):
    """The distribution of eigenvalues as each probe sees it.

    Attributes
    ----------
    nodes : ndarray, shape (probes, steps)
        Eigenvalues, in ascending order.
    weights : ndarray, shape (probes, steps)
        The share of all eigenvalues that each node stands for; the sum of a row is 1.
    products : int
        How many products with the Hessian it took.
    """

    nodes: np.ndarray
    weights: np.ndarray
    products: int

    def moment(self, power: int) -> Mean:
        """The mean of a power of the eigenvalues; times d, power 1 is the trace.

        The rules are exact for powers below twice the number of steps, so that the standard error
        is all there is to it.
        """
        checked_whole("power", power, 0)
        return _mean(np.sum(self.weights * self.nodes**power, axis=1))

    def share(self, low: float = -np.inf, high: float = np.inf) -> Mean:
        """The share of eigenvalues from ``low`` to ``high``, up to the nodes' distance there.

        The probes do not tell how far the rules themselves are off.
        """
        inside = (self.nodes >= low) & (self.nodes <= high)
        return _mean(np.sum(self.weights * inside, axis=1))

    def curve(self, eigenvalues: np.ndarray | None = None, width: float | None = None) -> Curve:
        """The density smoothed by a normal distribution.

        Parameters
        ----------
        eigenvalues : array_like, shape (points,), optional
            Where; by default at 1,000 points that cover it all.
        width : float, optional
            The standard deviation that smooths; by default 1 % of the range of the nodes.
        """
        low, high = float(self.nodes.min()), float(self.nodes.max())
        if width is None:
            width = 0.01 * ((high - low) or abs(high) or 1.0)
        width = checked_number("width", width, above=0.0)
        if eigenvalues is None:
            x = np.linspace(low - 4 * width, high + 4 * width, 1000)
        else:
            x = np.atleast_1d(np.asarray(eigenvalues, float))
        each = np.stack(
            [
                np.exp(-0.5 * ((x[:, None] - nodes) / width) ** 2) @ weights
                for nodes, weights in zip(self.nodes, self.weights, strict=True)
            ]
        ) / (width * np.sqrt(2 * np.pi))
        error = each.std(axis=0, ddof=1) / np.sqrt(len(each))
        return Curve(x, each.mean(axis=0), error)


def density(
    problem: Problem, w: Tensor, probes: int = 10, steps: int = 64, seed: int = 0
) -> Density:
    """The density of all eigenvalues of the Hessian of the mean loss over all samples.

    Stochastic Lanczos quadrature: from each probe, a vector of random signs, Lanczos' method with
    full reorthogonalisation makes a Gauss rule for the distribution of eigenvalues.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.
    probes : int, default 10
        At least 2, from which the standard errors come.
    steps : int, default 64
        Nodes of each rule, at most d: so many vectors of d entries are held at once, and each
        probe takes so many products.
    seed : int, default 0
        Of the probes.

    Returns
    -------
    Density

    Raises
    ------
    TypeError, ValueError
        If an argument is none of those above, or the Hessian is not finite.

    References
    ----------
    Ghorbani, Krishnan and Xiao, arXiv 1901.10159. Ubaru, Chen and Saad, SIAM J. Matrix Anal.
    Appl. 38 (2017) 1075.

    Examples
    --------
    >>> import torch
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> found = density(problem, problem.start(), probes=2)
    >>> found.nodes[0].round(12).tolist(), found.weights[0].round(12).tolist()
    ([1.0, 4.0], [0.5, 0.5])
    """
    hessian = Hessian(problem, w)
    checked_whole("probes", probes, 2)
    steps = min(checked_whole("steps", steps, 1), hessian.dimension)
    draw = Probes(hessian.w, seed)
    rules = [_rule(hessian, draw, steps) for _ in range(probes)]
    nodes, weights = (np.stack(parts) for parts in zip(*rules, strict=True))
    return Density(nodes, weights, hessian.products)


def _rule(hessian: Hessian, draw: Probes, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of one probe, filled up with the last node at weight 0."""
    krylov = Krylov(hessian, draw.signs(), steps, draw)
    while not krylov.full and krylov.left:
        krylov.extend()
    nodes, vectors = np.linalg.eigh(krylov.matrix)
    missing = (0, steps - len(nodes))
    weights = vectors[0] ** 2
    return np.pad(nodes, missing, mode="edge"), np.pad(weights / weights.sum(), missing)


def _mean(samples: np.ndarray) -> Mean:
    return Mean(float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples))))
