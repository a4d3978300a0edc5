"""Minibatches: which samples of a finite sum a step takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.random import BATCH, below, threefry

ORDERS = ("replacement", "subset", "epochs")
"""Samples drawn independently; different ones in each batch; each once an epoch."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The samples that a step takes, for each particle its own: how NumPy reads a batch.

    Attributes
    ----------
    table : ndarray, shape (n, fields)
        All samples.
    rows : ndarray of int, shape (most, …)
        The samples taken, for each particle.
    size : ndarray, shape (…)
        How many of them, from the front, count.
    """

    table: np.ndarray
    rows: np.ndarray
    size: np.ndarray

    def mean(self, function: Callable[..., Sequence[Any]]) -> list[Any]:
        """The means of a function of one sample's fields, summed in the order drawn."""
        total: list[Any] = []
        for k, row in enumerate(self.rows):
            values = function(*np.moveaxis(self.table[row], -1, 0))
            total = _added(total, values, 1.0, k < self.size)
        return [entry / self.size for entry in total]

    def over_parts(self, size: int, function: Callable[[Batch], Sequence[Any]]) -> list[Any]:
        """The means of a function of a part, over parts of so many samples."""
        total: list[Any] = []
        for first in range(0, len(self.rows), size):
            counted = np.clip(self.size - first, 0.0, float(size))
            part = Batch(self.table, self.rows[first : first + size], counted)
            with np.errstate(all="ignore"):
                total = _added(total, function(part), counted, counted > 0.0)
        return [entry / self.size for entry in total]


def _added(total: list[Any], values: Sequence[Any], weight: Any, inside: Any) -> list[Any]:
    before = total or [0.0] * len(values)
    pairs = zip(before, values, strict=True)
    return [np.where(inside, a + weight * b, a) for a, b in pairs]


@dataclass(frozen=True, eq=False)
class Sampling:
    """How the minibatches of a step are drawn.

    Attributes
    ----------
    table : ndarray, shape (n, fields)
        All samples.
    order : str
        One of `ORDERS`.
    draws : int
        Batches a step takes.
    """

    table: np.ndarray
    order: str
    draws: int

    @property
    def names(self) -> tuple[str, ...]:
        """What a step calls its batches."""
        return tuple(f"batch {k}" for k in range(self.draws))

    def batches(self, key: np.ndarray, step: int, size: Any) -> list[Batch]:
        """The batches of a step, by NumPy: the reference for the kernels.

        Parameters
        ----------
        key : ndarray of uint64, shape (2, …)
            The streams' keys.
        step : int
        size : array_like
            The batch size, which broadcasts against the streams.
        """
        sizes = np.broadcast_to(np.asarray(size, float), key.shape[1:])
        return [self._batch(key, step, sizes, BATCH * (k + 1)) for k in range(self.draws)]

    def _batch(self, key: np.ndarray, step: int, size: np.ndarray, draw: int) -> Batch:
        n, most = len(self.table), int(size.max())
        if self.order == "replacement":
            rows = np.array([_below(n, key, step, draw, b) for b in range(most)])
            return Batch(self.table, rows, size)
        if self.order == "subset":
            return Batch(self.table, _dealt(n, most, key, step, draw), size)
        length = np.ceil(n / size)
        epoch, place = step // length, step % length
        deck = _dealt(n, n, key, epoch, draw)
        places = np.minimum(place * size + np.arange(most).reshape(-1, *[1] * size.ndim), n - 1)
        rows = np.take_along_axis(deck, places.astype(int), axis=0)
        return Batch(self.table, rows, np.minimum(size, n - place * size))


def _dealt(n: int, count: int, key: np.ndarray, counter: Any, draw: int) -> np.ndarray:
    """The first so many cards of a shuffled deck of n (Fisher and Yates)."""
    deck = np.broadcast_to(np.arange(n).reshape(-1, *[1] * (key.ndim - 1)), (n, *key.shape[1:]))
    deck = deck.copy()
    for b in range(count):
        other = b + _below(n - b, key, counter, draw, b)[None]
        chosen = np.take_along_axis(deck, other, axis=0)
        np.put_along_axis(deck, other, deck[b][None], axis=0)
        deck[b] = chosen[0]
    return deck[:count]


def _below(n: int, key: np.ndarray, counter: Any, draw: int, b: int) -> np.ndarray:
    """The b-th whole number of a batch: four of them come from one call of the cipher."""
    counters = np.zeros_like(key)
    counters[0], counters[1] = counter, draw + b // 4
    word = threefry(*counters, *key)[b // 2 % 2]
    half = word >> np.uint64(32) if b % 2 else word
    return below(half, np.uint64(n)).astype(int)
