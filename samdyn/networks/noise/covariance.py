"""The covariance of one sample's gradient, without a matrix of all weights by all weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samdyn.networks.noise.gradients import (
    sample_gradients,
    sample_slopes,
    separate,
    weighted_gradient,
)
from samdyn.networks.problem import Problem
from samdyn.networks.seeds import generator
from samdyn.numbers import checked_whole

SAMPLINGS = ("replacement", "subset")
"""How a minibatch is drawn: independently, or without repetition."""


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """The covariance Sigma = mean of c_i c_i^T, with c_i = grad l_i - grad L, of n samples.

    Attributes
    ----------
    eigenvalues : Tensor, shape (n,)
        All that are not 0 for want of samples, the largest first.
    vectors : Tensor, shape (k, d)
        The unit eigenvectors of the first k.
    """

    eigenvalues: Tensor
    vectors: Tensor

    @property
    def trace(self) -> float:
        """The mean of |c_i|^2."""
        return float(self.eigenvalues.sum())

    @property
    def frobenius(self) -> float:
        """The Frobenius norm of Sigma."""
        return float(torch.linalg.vector_norm(self.eigenvalues))

    def rank(self, share: float = 0.9) -> int:
        """How many eigenvalues make up a share of the trace, from 0 to 1."""
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, got {share}")
        reached = torch.cumsum(self.eigenvalues, 0)
        return int(torch.sum(reached < share * reached[-1])) + (share > 0 and self.trace > 0)

    def batch_trace(self, batch_size: int, sampling: str = "replacement") -> float:
        """The trace of the covariance of a minibatch's gradient; see `batch_factor`."""
        return self.trace * batch_factor(len(self.eigenvalues), batch_size, sampling)


def noise_covariance(
    problem: Problem, w: Tensor, k: int = 1, *, rows: int | None = None
) -> NoiseCovariance:
    """The spectrum of the covariance of one sample's gradient, exactly.

    It is that of the n x n matrix of inner products c_i·c_j/n. Memory: that matrix and two blocks
    of gradients. Time: if the gradients take b > 1 blocks, each is computed up to b times. For
    many samples take a Problem on some of them, or `noise_trace`, or `covariance_product` with a
    Lanczos method.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    k : int, default 1
        How many eigenvectors are wanted; 0 for none. One backward pass each.
    rows : int, optional
        As in `sample_gradients`.

    Returns
    -------
    NoiseCovariance
        The eigenvalues are float64; what rounding makes negative is 0.

    Raises
    ------
    ValueError
        As `sample_gradients`; or if ``k`` is above the number of samples or of weights, or above
        the rank.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 0 * x), "mse")
    >>> found = noise_covariance(problem, torch.tensor([0.5], dtype=torch.float64))
    >>> found.trace, found.batch_trace(2), found.batch_trace(2, "subset")  # gradients 1 and 9
    (16.0, 8.0, 0.0)
    """
    n, most = problem.samples.size, min(problem.samples.size, problem.dimension)
    if checked_whole("k", k, 0) > most:
        raise ValueError(f"k must be at most {most}, the samples or the weights; got {k}")
    gram = _gram(problem, w, rows).double() / n
    values, columns = torch.linalg.eigh(gram) if k else (torch.linalg.eigvalsh(gram), None)
    values = values.flip(0).clamp(min=0.0)
    vectors = w.new_zeros((k, problem.dimension))
    for j in range(k):
        if values[j] <= n * torch.finfo(w.dtype).eps * values[0]:
            raise ValueError(f"k must be at most the covariance's rank, {j}; got {k}")
        u = columns[:, -1 - j]  # type: ignore[index]
        v = weighted_gradient(problem, w, (u - u.mean()).to(w.dtype))
        vectors[j] = v / torch.linalg.vector_norm(v)
    return NoiseCovariance(values, vectors)


def _gram(problem: Problem, w: Tensor, rows: int | None) -> Tensor:
    """Inner products of the centred gradients; the lower triangle of blocks is mirrored."""
    w = separate(problem, w)
    mean = problem.grad(w)
    gram = w.new_zeros((problem.samples.size, problem.samples.size))
    top = 0
    for block in sample_gradients(problem, w, rows):
        block = block - mean
        bottom = top + len(block)
        gram[top:bottom, top:bottom] = block @ block.T
        left = bottom
        for other in sample_gradients(problem, w, rows, first=bottom):
            right = left + len(other)
            gram[top:bottom, left:right] = block @ (other - mean).T
            gram[left:right, top:bottom] = gram[top:bottom, left:right].T
            left = right
        top = bottom
    return gram


def noise_trace(problem: Problem, w: Tensor, *, rows: int | None = None) -> float:
    """The trace of the covariance of one sample's gradient, in one pass over the samples.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    rows : int, optional
        As in `sample_gradients`.
    """
    w = separate(problem, w)
    mean = problem.grad(w)
    squares = [(block - mean).square().sum() for block in sample_gradients(problem, w, rows)]
    return float(torch.stack(squares).double().sum()) / problem.samples.size


def covariance_product(problem: Problem, w: Tensor, v: Tensor) -> Tensor:
    """Sigma v, of shape (d,): a forward derivative and a backward pass, for any n and d."""
    slopes = sample_slopes(problem, w, v)
    return weighted_gradient(problem, w, (slopes - slopes.mean()) / len(slopes))


def gaussian_noise(
    problem: Problem,
    w: Tensor,
    draws: int = 1,
    *,
    seed: int | torch.Generator,
    batch_size: int = 1,
    sampling: str = "replacement",
) -> Tensor:
    """Normal noise with the covariance of a minibatch's gradient, exactly.

    It is C^T z/sqrt(n), C being the centred gradients of the samples and z standard normal. One
    draw takes one backward pass; several, the gradients of the samples once.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    draws : int, default 1
    seed : int or torch.Generator
        A generator of the CPU goes on from where it is: so the noise of an SDE is drawn.
    batch_size : int, default 1
    sampling : {"replacement", "subset"}
        As in `batch_factor`.

    Returns
    -------
    Tensor, shape (draws, d)
    """
    n = problem.samples.size
    share = batch_factor(n, batch_size, sampling) / n
    z = torch.randn(checked_whole("draws", draws, 1), n, generator=generator(seed), dtype=w.dtype)
    z = (z - z.mean(dim=1, keepdim=True)).to(w.device) * share**0.5
    if draws == 1:
        return weighted_gradient(problem, w, z[0])[None]
    total, first = w.new_zeros((draws, problem.dimension)), 0
    for block in sample_gradients(problem, w):
        total += z[:, first : first + len(block)] @ block
        first += len(block)
    return total


def batch_factor(n: int, batch_size: int, sampling: str = "replacement") -> float:
    """The covariance of a minibatch's gradient as a multiple of one sample's.

    1/B for B samples drawn independently, (n - B)/(B (n - 1)) without repetition.

    Parameters
    ----------
    n, batch_size : int
    sampling : {"replacement", "subset"}
        As in `samdyn.Map`.

    Raises
    ------
    ValueError
        If a subset is to have more than n samples, or the sampling is unknown.
    """
    checked_whole("batch_size", batch_size, 1)
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be 'replacement' or 'subset', got {sampling!r}")
    if sampling == "replacement":
        return 1.0 / batch_size
    if batch_size > n:
        raise ValueError(f"batch_size must be at most the {n} samples, got {batch_size}")
    return (n - batch_size) / (batch_size * (n - 1)) if n > 1 else 0.0
