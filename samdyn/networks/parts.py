"""The parts of a minibatch all at once: what m-SAM asks of each of them, by ``torch.vmap``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from samdyn.algorithms.base import Oracle, RandomOracle
from samdyn.networks.problem import Problem, Samples

_FEWEST = 4
"""Parts below which one after the other is as fast."""


class Together(RandomOracle):
    """The gradient on one part of a minibatch, of which many are computed at once."""

    def __init__(self, problem: Problem, part: Samples):
        self._problem, self._part = problem, part

    def __call__(self, w: Tensor) -> Tensor:
        """The gradient at some weights."""

        def mean(w: Tensor) -> Tensor:
            return self._problem.losses(w, self._part, {}, training=True).mean()

        return torch.func.grad(mean)(w)

    @property
    def mean(self) -> Oracle:
        """Not here: all samples for each part would not fit in memory."""
        raise NotTogether


class NotTogether(RuntimeError):
    """The parts have to be taken one after the other."""


def summed(
    problem: Problem, samples: Samples, m: int, transform: Callable[[Oracle], Oracle], w: Tensor
) -> Tensor:
    """The sum over whole parts of m samples of a transformed oracle at ``w``.

    Raises
    ------
    NotTogether
        If there are too few parts, or what is asked of them cannot be vectorised: the network
        branches on values, or the ascent needs the gradient on all samples.
    """
    parts = samples.size // m
    chunk = min(parts, problem.room // w.numel())
    if chunk < _FEWEST or problem.buffers:
        raise NotTogether

    def one(inputs: Tensor, targets: Tensor) -> Tensor:
        return transform(Together(problem, Samples(inputs, targets)))(w)

    divided = (t[: parts * m].unflatten(0, (parts, m)) for t in samples)
    try:
        total = torch.zeros_like(w)
        for inputs, targets in zip(*(t.split(chunk) for t in divided), strict=True):
            total += torch.vmap(one)(inputs, targets).sum(dim=0)
    except RuntimeError as error:  # functorch says in many ways that it cannot
        raise NotTogether from error
    return total
