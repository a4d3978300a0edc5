"""The gradient oracle that an algorithm's step receives of a network: that of a minibatch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property

import torch
from torch import Tensor

from samdyn.algorithms.base import Oracle, RandomOracle
from samdyn.networks.order import Batch
from samdyn.networks.parts import NotTogether, summed
from samdyn.networks.problem import Buffers, Problem, Samples


class Running:
    """The buffers of a network in training, such as the running statistics of batch norm."""

    def __init__(self, buffers: Buffers):
        self.current = buffers

    def copy(self) -> Buffers:
        """The same in new tensors."""
        return {name: buffer.clone() for name, buffer in self.current.items()}


Change = Callable[[Problem, Tensor, Batch, Buffers], Samples]
"""Other samples in place of a batch's, from the problem, the weights, the batch and the buffers."""


class MinibatchOracle(RandomOracle):
    """The gradient on a minibatch whose samples may be changed before it is asked."""

    def changed(self, change: Change, noisy: bool = False) -> MinibatchOracle:
        """The same on other samples: those that ``change`` makes at the first weights asked about.

        Parameters
        ----------
        change : callable
        noisy : bool, default False
            Whether it needs the batch's noise.
        """
        raise NotImplementedError


class BatchOracle(MinibatchOracle):
    """The gradient of the mean loss of one minibatch, in training mode.

    The first forward pass on a batch, at weights not yet perturbed, is the only one that moves the
    buffers: in the passes after it batch norm uses the batch's statistics and leaves its running
    ones alone. What the network draws itself (dropout) is drawn once for all passes on a batch.

    Parameters
    ----------
    problem : Problem
    running : Running
        Replaced, never changed in place.
    batches : iterator of Batch
        One is taken when the oracle is first asked.
    mean : callable, optional
        The gradient on all samples, where it is at hand already.
    change : callable, optional
        What is done to a batch's samples when a gradient on it is first asked for.
    """

    def __init__(
        self,
        problem: Problem,
        running: Running,
        batches: Iterator[Batch],
        mean: Oracle | None = None,
        change: Change | None = None,
    ):
        self._problem, self._running, self._batches = problem, running, batches
        self._mean = _whole(problem, running) if mean is None else mean
        self._change = change
        self._seen: Samples | None = None
        self._asked = False

    @cached_property
    def _batch(self) -> Batch:
        return next(self._batches)

    def _samples(self, w: Tensor) -> Samples:
        """The batch's samples, changed at the weights at which they are first asked for."""
        if self._seen is None:
            self._seen = self._batch.samples
            if self._change is not None:
                self._seen = self._change(self._problem, w, self._batch, self._running.copy())
        return self._seen

    def changed(self, change: Change, noisy: bool = False) -> BatchOracle:
        """The same on other samples. All samples are not changed: their mean is refused.

        Raises
        ------
        TypeError
            If the samples are changed already.
        """
        if self._change is not None:
            raise TypeError("the samples of a minibatch cannot be attacked twice in one step")
        return BatchOracle(self._problem, self._running, self._batches, _refused, change)

    def __call__(self, w: Tensor) -> Tensor:
        """The gradient at some weights."""
        samples, seed = self._samples(w), self._batch.seed
        if seed is not None:
            torch.manual_seed(seed)
        buffers = self._running.copy()
        g = self._problem.batch_grad(w, samples, buffers, training=True)
        if not self._asked:
            self._running.current, self._asked = buffers, True
        return g

    @property
    def mean(self) -> Oracle:
        """The gradient on all training samples, chunk by chunk, in training mode."""

        def gradient(w: Tensor) -> Tensor:
            if self._batch.seed is not None:
                torch.manual_seed(self._batch.seed)
            return self._mean(w)

        return gradient

    def redrawn(self) -> BatchOracle:
        """The oracle of the next batch."""
        return BatchOracle(self._problem, self._running, self._batches, self._mean, self._change)

    def over_parts(self, m: int, transform: Callable[[Oracle], Oracle]) -> Oracle:
        """The mean over parts of m samples; each counts by its size, as the last may be short.

        The buffers become the mean of what each part by itself would have made of them.
        """

        def averaged(w: Tensor) -> Tensor:
            samples, seed = self._samples(w), self._batch.seed
            n, whole = samples.size, samples.size // m * m
            if seed is None:
                with suppress(NotTogether):
                    total = summed(self._problem, samples, m, transform, w) * (m / n)
                    if whole < n:
                        rest = self._part(Running({}), Batch(samples.take(slice(whole, n))))
                        total += (n - whole) / n * transform(rest)(w)
                    return total
            return self._one_by_one(m, transform, w)

        return averaged

    def _one_by_one(self, m: int, transform: Callable[[Oracle], Oracle], w: Tensor) -> Tensor:
        samples, seed = self._samples(w), self._batch.seed
        total = torch.zeros_like(w)
        shares, statistics = [], []
        for k, first in enumerate(range(0, samples.size, m)):
            part = samples.take(slice(first, first + m))
            share, running = part.size / samples.size, Running(self._running.current)
            oracle = self._part(running, Batch(part, None if seed is None else seed ^ k))
            total += share * transform(oracle)(w)
            shares.append(share)
            statistics.append(running.current)
        if not self._asked:
            self._running.current, self._asked = _mean(shares, statistics), True
        return total

    def _part(self, running: Running, batch: Batch) -> BatchOracle:
        return BatchOracle(self._problem, running, iter([batch]), self._mean)


def _whole(problem: Problem, running: Running) -> Oracle:
    """The gradient on all samples; the last answer is kept, as parts of a batch ask alike."""
    known: list[tuple[Tensor, Tensor]] = []

    def gradient(w: Tensor) -> Tensor:
        if not (known and known[0][0] is w):
            g = torch.zeros_like(w)
            for share, some in problem.chunks():
                g += share * problem.batch_grad(w, some, running.copy(), training=True)
            known[:] = [(w, g)]
        return known[0][1]

    return gradient


def _refused(w: Tensor) -> Tensor:
    raise TypeError(
        "an algorithm that needs the gradient on all samples, such as DNSAM, cannot be "
        "adversarial: the minibatch alone is attacked"
    )


def _mean(shares: Sequence[float], several: Sequence[Buffers]) -> Buffers:
    """Buffers averaged; counters, which every part moves alike, are those of the first."""

    def averaged(name: str, first: Tensor) -> Tensor:
        if not first.is_floating_point():
            return first
        return sum(share * one[name] for share, one in zip(shares, several, strict=True))  # type: ignore[return-value]

    return {name: averaged(name, first) for name, first in several[0].items()}
