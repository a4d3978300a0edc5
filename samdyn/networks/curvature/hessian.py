"""The Hessian of a network's loss, by its products with vectors or, if it is small, whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from samdyn.networks.curvature.convergence import NotFinite
from samdyn.networks.problem import Problem, Samples, checked_weights

LARGEST = 5_000
"""The most weights of which the Hessian is laid out whole: 200 MB in float64."""


class Hessian:
    """The Hessian of the mean loss over all samples, at one point, as a linear map.

    What `Problem.hvp` is, for many vectors: where the samples are one chunk, their gradient is
    kept between products, which saves about half the work and takes no more memory than a
    product does.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.

    Attributes
    ----------
    products : int
        How many vectors it was multiplied by so far.

    Raises
    ------
    TypeError
        If the problem is no `Problem` or ``w`` no floating-point tensor.
    ValueError
        If ``w`` has another shape or is not finite, or later if a product is not finite.
    """

    def __init__(self, problem: Problem, w: Tensor):
        self.problem, self.w = problem, checked_weights(problem, w)
        self.products = 0
        self._kept: Tensor | None = None

    @property
    def dimension(self) -> int:
        """The number of weights."""
        return len(self.w)

    def __call__(self, v: Tensor) -> Tensor:
        """The Hessian times a vector of shape (d,)."""
        self.products += 1
        total = torch.zeros_like(self.w)
        for share, at, slope in self._slopes():
            if slope.requires_grad:  # else the loss is linear in the weights
                total += share * torch.autograd.grad(slope, at, v, retain_graph=True)[0]
        if not torch.isfinite(total).all():
            raise NotFinite
        return total

    def dense(self) -> Tensor:
        """All of it, of shape (d, d), as it comes: symmetric up to rounding."""
        total = self.w.new_zeros(self.dimension, self.dimension)
        for share, at, slope in self._slopes():
            if slope.requires_grad:
                for i in range(self.dimension):
                    total[i] += share * torch.autograd.grad(slope[i], at, retain_graph=True)[0]
        if not torch.isfinite(total).all():
            raise NotFinite
        return total

    def _slopes(self) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Each chunk's share, the weights, and its gradient there as a function of them."""
        if self.problem.samples.size > self.problem.chunk:
            for share, some in self.problem.chunks():
                at = self.w.detach().requires_grad_()
                yield share, at, self._slope(at, some)
            return
        if self._kept is None:
            self._at = self.w.detach().requires_grad_()
            self._kept = self._slope(self._at, self.problem.samples)
        yield 1.0, self._at, self._kept

    def _slope(self, at: Tensor, samples: Samples) -> Tensor:
        mean = self.problem.losses(at, samples).mean()
        return torch.autograd.grad(mean, at, create_graph=True)[0]


def dense(problem: Problem, w: Tensor) -> Tensor:
    """The exact Hessian of the mean loss of a small network.

    Parameters
    ----------
    problem : Problem
        Of at most 5,000 weights.
    w : Tensor, shape (d,)
        Finite weights.

    Returns
    -------
    Tensor, shape (d, d)
        Symmetric.

    Raises
    ------
    TypeError
        If the problem is no `Problem` or ``w`` no floating-point tensor.
    ValueError
        If there are more weights, or ``w`` has another shape or is not finite.

    Examples
    --------
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> dense(problem, problem.start()).tolist()  # the mean of 2 x x^T
    [[2.0, 2.0], [2.0, 4.0]]
    """
    hessian = Hessian(problem, w)
    if hessian.dimension > LARGEST:
        raise ValueError(
            f"dense needs a problem of at most {LARGEST:,} weights, got {hessian.dimension:,}; "
            "take eigenpairs, trace or density instead"
        )
    whole = hessian.dense()
    return (whole + whole.T) / 2


def linear_operator(problem: Problem, w: Tensor) -> Any:
    """The Hessian for SciPy and for what else takes its linear operators.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights, on any device; the products come as NumPy arrays of their dtype.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (d, d)
        Symmetric; every product takes all samples once.

    Examples
    --------
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, torch.zeros(2, 1, dtype=torch.float64)), "mse")
    >>> [float(x) for x in linear_operator(problem, problem.start()) @ [1.0, 1.0]]
    [4.0, 6.0]
    """
    import numpy as np
    from scipy.sparse.linalg import LinearOperator

    hessian = Hessian(problem, w)
    start = hessian.w

    def product(v: np.ndarray) -> np.ndarray:
        vector = torch.tensor(np.ravel(v), dtype=start.dtype, device=start.device)
        return hessian(vector).cpu().numpy()

    dtype = start.new_zeros(0, device="cpu").numpy().dtype
    shape = (hessian.dimension, hessian.dimension)
    return LinearOperator(shape, matvec=product, rmatvec=product, dtype=dtype)
