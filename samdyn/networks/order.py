"""Which samples each step sees: the same for every algorithm, so that runs can be paired."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.problem import Samples

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Inputs (n, …) and a generator on the CPU, to inputs (n, …)."""

_ORDER, _AUGMENT, _MASKS, _SUBSET, _NOISE = range(5)
"""What is drawn: each has streams of its own."""


def seeded(*key: int) -> torch.Generator:
    """A generator of its own for a few whole numbers, on the CPU."""
    return torch.Generator().manual_seed(_mixed(*key))


def _mixed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


def noise(inputs: Tensor, *key: int) -> Tensor:
    """Numbers drawn evenly from -1 to 1, one for each entry of some inputs.

    They are a function of a few whole numbers, the same on every device and in every precision.
    """
    drawn = torch.rand(inputs.shape, generator=seeded(_NOISE, *key))
    return (2 * drawn - 1).to(inputs)


def _unknown() -> Tensor:
    raise ValueError("a random start needs a batch with noise, as those of an Order are")


class Batch(NamedTuple):
    """Samples of one step, and what is drawn for them.

    Attributes
    ----------
    samples : Samples
    seed : int or None
        Of what the network itself draws on them, if it does.
    noise : callable
        Gives a number from -1 to 1 for each entry of the inputs, always the same ones.
    """

    samples: Samples
    seed: int | None = None
    noise: Callable[[], Tensor] = _unknown


def subset(samples: Samples, size: int) -> Samples:
    """So many of some samples, always the same ones."""
    drawn = torch.randperm(samples.size, generator=seeded(_SUBSET))[:size]
    return samples.take(drawn.sort().values.to(samples.inputs.device))


class Order:
    """Minibatches without end: every sample once an epoch, in a new order each epoch.

    Batch number ``k`` is a function of the seed and of ``k`` alone. The last batch of an epoch is
    shorter where the numbers do not divide.

    Parameters
    ----------
    samples : Samples
    batch_size : int
    seed : int
    drop_last : bool, default False
        Leave out the shorter batch.
    augment : callable, optional
        ``augment(inputs, generator)``.
    masks : bool, default False
        Whether the network draws at random itself, as dropout does.

    Examples
    --------
    >>> x = torch.arange(5.0)
    >>> order = Order(Samples(x, x), batch_size=2, seed=0)
    >>> order.per_epoch, [order.batch(k).samples.size for k in range(4)]
    (3, [2, 2, 1, 2])
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        drop_last: bool = False,
        augment: Augment | None = None,
        masks: bool = False,
    ):
        n = samples.size
        if not 1 <= batch_size <= n:
            raise ValueError(
                f"batch_size must be from 1 to the {n} samples (the full batch), got {batch_size}"
            )
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.drop_last, self.augment, self.masks = drop_last, augment, masks
        self.per_epoch = n // batch_size if drop_last else -(-n // batch_size)
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.long)

    def permutation(self, epoch: int) -> Tensor:
        """The order of the samples in epoch 0, 1, …."""
        if epoch != self._epoch:
            drawn = torch.randperm(self.samples.size, generator=seeded(_ORDER, self.seed, epoch))
            self._epoch, self._permutation = epoch, drawn.to(self.samples.inputs.device)
        return self._permutation

    def batch(self, number: int) -> Batch:
        """Batch number 0, 1, ….

        Its samples stand in the order in which m-SAM divides them.
        """
        epoch, place = divmod(number, self.per_epoch)
        first = place * self.batch_size
        some = self.samples.take(self.permutation(epoch)[first : first + self.batch_size])
        if self.augment is not None:
            drawing = seeded(_AUGMENT, self.seed, number)
            some = Samples(self.augment(some.inputs, drawing), some.targets)
        masks = _mixed(_MASKS, self.seed, number) if self.masks else None
        return Batch(some, masks, partial(noise, some.inputs, self.seed, number))


class Stream(Iterator[Batch]):
    """The batches of an order from a number on; ``taken`` says how many have gone by."""

    def __init__(self, order: Order, taken: int = 0):
        self.order, self.taken = order, taken

    def __next__(self) -> Batch:
        batch = self.order.batch(self.taken)
        self.taken += 1
        return batch
