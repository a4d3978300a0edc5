"""Gradients of single samples, and products with all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import grad, vmap

from samdyn.networks.batch_norm import batch_norms
from samdyn.networks.problem import Problem, checked_weights
from samdyn.numbers import checked_whole

_ENTRIES = 2**26
"""At most so many numbers are in one block of gradients."""


def sample_gradients(
    problem: Problem, w: Tensor, rows: int | None = None, first: int = 0
) -> Iterator[Tensor]:
    """The gradient of each sample's loss, a block of samples at a time.

    Parameters
    ----------
    problem : Problem
        In evaluation mode, as always.
    w : Tensor, shape (d,)
    rows : int, optional
        At most so many samples in a block. Default: as many as make 2**26 numbers, and no more
        than ``problem.chunk``.
    first : int, default 0
        Samples before this one are left out.

    Yields
    ------
    Tensor, shape (b, d)
        In the order of the samples.

    Raises
    ------
    ValueError
        If ``w`` is no flat tensor of the network's weights, or a batch norm uses the batch's own
        statistics: a sample then has no gradient of its own.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 0 * x), "mse")
    >>> w = torch.tensor([0.5], dtype=torch.float64)
    >>> [block.tolist() for block in sample_gradients(problem, w, rows=2)]
    [[[1.0], [4.0]], [[9.0]]]
    """
    w = separate(problem, w)
    if rows is None:
        rows = max(1, min(problem.chunk, _ENTRIES // problem.dimension))
    return _blocks(problem, w, checked_whole("rows", rows, 1), checked_whole("first", first, 0))


def _blocks(problem: Problem, w: Tensor, rows: int, first: int) -> Iterator[Tensor]:
    def along(w: Tensor, x: Tensor, u: Tensor) -> Tensor:
        return (problem.outputs(w, x[None])[0] * u).sum()

    each = vmap(grad(along), in_dims=(None, 0, 0))
    for start in range(first, problem.samples.size, rows):
        some = problem.samples.take(slice(start, start + rows))
        with torch.no_grad():
            out = problem.outputs(w, some.inputs)
        out.requires_grad_()  # the loss stays outside of vmap, which not every one bears
        u = torch.autograd.grad(problem.loss(out, some.targets).sum(), out)[0]
        yield each(w, some.inputs, u).detach()


def sample_slopes(problem: Problem, w: Tensor, v: Tensor) -> Tensor:
    """The derivative of each sample's loss along a direction v, of shape (n,).

    No sample's gradient is formed.
    """
    w, v = separate(problem, w), checked_weights(problem, v, "v")
    slopes = []
    for _, some in problem.chunks():
        at = w.clone().requires_grad_()
        slopes.append(pushed(problem.losses(at, some), at, v))
    return torch.cat(slopes)


def pushed(out: Tensor, at: Tensor, v: Tensor) -> Tensor:
    """The derivative of outputs along v, of their shape.

    By two backward passes, the second through the first, which is linear in what it pulls back:
    every layer that has a Hessian has this, and not every one a forward derivative.
    """
    u = torch.zeros_like(out, requires_grad=True)
    pulled = torch.autograd.grad(out, at, u, create_graph=True)[0]
    return torch.autograd.grad(pulled, u, v, retain_graph=True)[0]


def weighted_gradient(problem: Problem, w: Tensor, weights: Tensor) -> Tensor:
    """The sum of the samples' gradients, each times a weight, of shape (d,): one backward pass.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    weights : Tensor, shape (n,)
    """
    w = separate(problem, w)
    total = torch.zeros_like(w)
    pieces = weights.split(problem.chunk)
    for (_, some), piece in zip(problem.chunks(), pieces, strict=True):
        at = w.clone().requires_grad_()
        total += torch.autograd.grad(problem.losses(at, some) @ piece, at)[0]
    return total


def separate(problem: Problem, w: Tensor) -> Tensor:
    """Checked weights of a network whose samples do not see each other."""
    w = checked_weights(problem, w)
    for name, norm in batch_norms(problem.model).items():
        if norm.running_mean is None:
            raise ValueError(
                f"the batch norm {name or 'of the model'} uses the statistics of the batch, so "
                "single samples have no gradients; give it track_running_stats=True, whose "
                "running statistics are used here"
            )
    return w
