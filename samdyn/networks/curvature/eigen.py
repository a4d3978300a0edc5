"""Eigenpairs at an end of the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.curvature.convergence import NotConverged
from samdyn.networks.curvature.hessian import Hessian
from samdyn.networks.curvature.krylov import Krylov
from samdyn.networks.curvature.probes import Probes
from samdyn.networks.curvature.search import Search
from samdyn.networks.problem import Problem
from samdyn.numbers import checked_number, checked_whole

WHICH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "largest": lambda values: values,
    "smallest": lambda values: -values,
    "magnitude": np.abs,
}
"""The ends of the spectrum, each with what is large there."""

_FRESH = 0.03
"""The share of a random vector in a warm start: by it an eigenvalue that has overtaken is seen."""


class Eigenpairs(NamedTuple):
    """Eigenvalues and eigenvectors, the most wanted first.

    Attributes
    ----------
    values : Tensor, shape (k,)
    vectors : Tensor, shape (k, d)
        Orthonormal; of the two signs the one that points along the start.
    residuals : Tensor, shape (k,)
        |H v - value v|: within this distance of each value there is an eigenvalue.
    products : int
        How many products with the Hessian it took.
    converged : bool
        Whether the residuals are as small as they were asked to be.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int
    converged: bool


def eigenpairs(
    problem: Problem,
    w: Tensor,
    k: int = 1,
    which: str = "largest",
    tol: float = 1e-6,
    most: int | None = None,
    start: Tensor | None = None,
    seed: int = 0,
    strict: bool = True,
    basis: int | None = None,
) -> Eigenpairs:
    """Some eigenpairs of the Hessian of the mean loss over all samples.

    Lanczos' method with full reorthogonalisation and thick restarts. It stops at the product
    that makes the residuals small enough, and then measures these anew. One random start sees
    one vector of every eigenspace: for k > 1 a second one, orthogonal to the pairs found, looks
    for those that were missed, until there is none larger, by 5 % of the spectrum's width, but
    with a probability below 1 % (Kuczynski and Wozniakowski's bound).

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.
    k : int, default 1
        How many, at most d.
    which : str, default "largest"
        "largest", "smallest" (the most negative), or "magnitude" (the largest in size).
    tol : float, default 1e-6
        The largest residual allowed, as a share of the eigenvalue's size, and so of its relative
        error; of an isolated eigenvalue the error is about the square of that. Below 32 roundings
        of the largest eigenvalue in size (4e-6 of it in float32) no residual is asked to be.
    most : int, optional
        At most so many products; by default 200 + 40 k.
    start : Tensor, shape (d,) or (any, d), optional
        Vectors of an earlier result, to start from in place of a random one.
    seed : int, default 0
        Of the random vectors.
    strict : bool, default True
        Whether to raise where ``most`` products did not suffice.
    basis : int, optional
        At most so many vectors of d entries are held; by default 30 + 2 k.

    Returns
    -------
    Eigenpairs
        Its ``products`` may exceed ``most`` by k, with which the residuals are measured.

    Raises
    ------
    NotConverged
        If ``most`` products did not suffice; its ``best`` is what was found.
    TypeError, ValueError
        If an argument is none of those above, or the Hessian is not finite.

    References
    ----------
    Wu and Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602 (thick restarts). Kuczynski and
    Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094, theorem 4.2.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> top = eigenpairs(problem, problem.start())
    >>> round(top.values.item(), 12), top.converged
    (4.0, True)
    """
    hessian = Hessian(problem, w)
    d = hessian.dimension
    if checked_whole("k", k, 1) > d:
        raise ValueError(f"k must be at most the number of weights, {d}, got {k}")
    if which not in WHICH:
        raise ValueError(f"which must be one of {', '.join(WHICH)}, got {which!r}")
    tol = checked_number("tol", tol, above=0.0)
    most = 200 + 40 * k if most is None else checked_whole("most", most, 1)
    room = 30 + 2 * k if basis is None else checked_whole("basis", basis, k + 2)
    draw = Probes(hessian.w, seed)
    first = _checked_start(hessian, start, draw)
    search = Search(Krylov(hessian, first, min(room, d), draw), k, WHICH[which], tol)
    values, vectors, residuals, good = search.run(max(most, k))
    towards = torch.where(vectors @ first < 0, -1.0, 1.0).to(vectors)
    found = Eigenpairs(values, vectors * towards[:, None], residuals, hessian.products, good)
    if not found.converged and strict:
        worst = float((found.residuals / found.values.abs().clamp_min(1e-300)).max())
        raise NotConverged(
            f"{k} eigenpairs did not converge in {most} products (worst residual {worst:.1e} of "
            f"its eigenvalue, tol {tol:.1e}); raise most or tol",
            found,
        )
    return found


def _checked_start(hessian: Hessian, start: Tensor | None, draw: Probes) -> Tensor:
    """A random vector, or the sum of those given with a little at random."""
    fresh = draw.normal()
    fresh /= torch.linalg.vector_norm(fresh)
    if start is None:
        return fresh
    d = hessian.dimension
    if not isinstance(start, Tensor) or start.ndim not in (1, 2) or start.shape[-1] != d:
        shape = tuple(start.shape) if isinstance(start, Tensor) else type(start).__name__
        raise ValueError(f"start must be a tensor of shape ({d},) or (any, {d}), got {shape}")
    if not torch.isfinite(start).all() or not torch.any(start):
        raise ValueError("start must be finite and not all 0")
    known = start.detach().to(hessian.w).reshape(-1, d).sum(dim=0)
    length = torch.linalg.vector_norm(known)
    return known / length + _FRESH * fresh if length > 0 else fresh
