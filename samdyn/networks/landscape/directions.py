"""Directions in which to look at a landscape."""

from __future__ import annotations

import torch
from torch import Tensor

from samdyn.networks.problem import Problem, checked_weights
from samdyn.networks.seeds import generator


def random_direction(problem: Problem, w: Tensor, seed: int) -> Tensor:
    """A random direction of the size of the weights, filter by filter, of shape (d,).

    Normal numbers, normalised by `filter_normalised`.
    """
    noise = torch.randn(problem.dimension, generator=generator(seed), dtype=w.dtype)
    return filter_normalised(problem, w, noise.to(w.device))


def filter_normalised(problem: Problem, w: Tensor, direction: Tensor) -> Tensor:
    """A direction with each filter scaled to the norm of the same filter of the weights.

    A filter is what makes one output channel: ``weight[i]`` of a convolution or a linear layer.
    Biases and the weights of normalisation layers, which have one dimension, get 0. So a network
    whose filters are scaled up and down without a change of what it computes shows one landscape.

    Parameters
    ----------
    problem : Problem
    w, direction : Tensor, shape (d,)

    Returns
    -------
    Tensor, shape (d,)
        0 in a filter whose direction is 0.

    References
    ----------
    Li, Xu, Taylor, Studer and Goldstein, arXiv 1712.09913, Section 4.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> net = torch.nn.Linear(2, 1).double()
    >>> x = torch.zeros((1, 2), dtype=torch.float64)
    >>> w = torch.tensor([3.0, 4.0, 9.0], dtype=torch.float64)
    >>> up = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
    >>> filter_normalised(Problem(net, Samples(x, x[:, :1]), "mse"), w, up).tolist()
    [0.0, 5.0, 0.0]
    """
    w = checked_weights(problem, w)
    direction = checked_weights(problem, direction, "direction")
    pieces = []
    sizes = problem.parts(w)
    for name, part in problem.parts(direction).items():
        if part.dim() < 2:
            pieces.append(torch.zeros_like(part).reshape(-1))
            continue
        rows, sized = part.reshape(len(part), -1), sizes[name].reshape(len(part), -1)
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        unit = torch.where(length > 0, rows / length, 0.0)
        pieces.append((unit * torch.linalg.vector_norm(sized, dim=1, keepdim=True)).reshape(-1))
    return torch.cat(pieces)
