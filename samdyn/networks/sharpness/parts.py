"""The loss on the whole data, or on many parts of it at once, each at weights of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.func import vmap

from samdyn.networks.problem import Problem

_ENTRIES = 2**26
"""At most so many weights are in memory at once, for one of a handful of copies."""


class Landscape(Protocol):
    """Losses of p parts of the data."""

    @property
    def count(self) -> int:
        """How many parts."""

    def value(self, points: Tensor) -> Tensor:
        """Of each part at its own point (p, d), of shape (p,)."""

    def slope(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of shape (p, d), and the values."""


@dataclass(frozen=True)
class Whole:
    """One part that is seen chunk by chunk."""

    problem: Problem

    @property
    def count(self) -> int:
        """One."""
        return 1

    def value(self, points: Tensor) -> Tensor:
        """As `Landscape`."""
        return self.problem.value(points[0])[None]

    def slope(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """As `Landscape`."""
        w = points[0].detach()
        total, value = torch.zeros_like(w), torch.zeros((), dtype=w.dtype, device=w.device)
        for share, some in self.problem.chunks():
            at = w.clone().requires_grad_()
            mean = self.problem.losses(at, some).mean()
            total += share * torch.autograd.grad(mean, at)[0]
            value += share * mean.detach()
        return total[None], value[None]


@dataclass(frozen=True)
class Parts:
    """Parts of equal size, in blocks that ``problem.chunk`` and the number of weights allow.

    Attributes
    ----------
    problem : Problem
    which : Tensor, shape (p, m)
        The samples of each part.
    """

    problem: Problem
    which: Tensor

    @property
    def count(self) -> int:
        """How many parts."""
        return len(self.which)

    def value(self, points: Tensor) -> Tensor:
        """As `Landscape`."""
        with torch.no_grad():
            return torch.cat([self._means(*block) for block in self._blocks(points)])

    def slope(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """As `Landscape`."""
        slopes, values = [], []
        for some, *samples in self._blocks(points):
            at = some.detach().requires_grad_()
            means = self._means(at, *samples)
            slopes.append(torch.autograd.grad(means.sum(), at)[0])
            values.append(means.detach())
        return torch.cat(slopes), torch.cat(values)

    def _means(self, points: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Inputs (b, m, …), each row at weights of its own; the loss stays outside of vmap."""
        out = vmap(self.problem.outputs)(points, inputs)
        losses = self.problem.loss(out.flatten(0, 1), targets.flatten(0, 1))
        return losses.view(len(points), -1).mean(dim=1)

    def _blocks(self, points: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        m = self.which.shape[1]
        most = max(1, min(self.problem.chunk // m, _ENTRIES // points.shape[1]))
        for some, which in zip(points.split(most), self.which.split(most), strict=True):
            yield some, *self.problem.samples.take(which)


def parted(problem: Problem, m: int, generator: torch.Generator) -> list[tuple[float, Landscape]]:
    """The data dealt at random into parts of m samples, a smaller one last.

    Landscapes with the share of the samples that each of their parts has.
    """
    n = problem.samples.size
    order = torch.randperm(n, generator=generator).to(problem.samples.inputs.device)
    even = n // m * m
    groups = [order[:even].view(-1, m)] + ([order[even:][None]] if even < n else [])
    if m <= problem.chunk:
        return [(group.shape[1] / n, Parts(problem, group)) for group in groups]
    parts = [part for group in groups for part in group]
    return [(len(part) / n, Whole(problem.on(problem.samples.take(part)))) for part in parts]
