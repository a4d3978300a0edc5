"""One training step of a network as a pure function, and what it carries along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samdyn.algorithms import Algorithm
from samdyn.algorithms.base import Oracle
from samdyn.networks.oracle import BatchOracle, Change, MinibatchOracle, Running
from samdyn.networks.order import Batch
from samdyn.networks.problem import Buffers, Problem
from samdyn.readings import torch as reading


class State(NamedTuple):
    """Where training stands.

    Attributes
    ----------
    z : tuple of Tensor, each of shape (d,)
        The weights, then the algorithm's own vectors.
    buffers : dict
        The network's buffers, such as the running statistics of batch norm.
    """

    z: tuple[Tensor, ...]
    buffers: Buffers

    @property
    def w(self) -> Tensor:
        """The weights."""
        return self.z[0]


def started(algorithm: Algorithm, w: Tensor, buffers: Buffers) -> State:
    """The state before the first step: the algorithm's vectors are 0."""
    return State(reading.start(algorithm, w), buffers)


def carried(state: State, old: Algorithm, new: Algorithm, reset: bool) -> State:
    """The state with which another algorithm takes over.

    A vector that both have goes on unless ``reset``; one that the old algorithm lacks begins at 0.
    """
    known = {} if reset else dict(zip(old.state, state.z[1:], strict=True))
    vectors = (known.get(name, torch.zeros_like(state.w)) for name in new.state)
    return State((state.w, *vectors), state.buffers)


def step(
    problem: Problem,
    algorithm: Algorithm,
    numbers: Mapping[str, Any],
    state: State,
    batches: Iterator[Batch],
) -> State:
    """One step of an algorithm on a network. Nothing that is given changes.

    Parameters
    ----------
    problem : Problem
        Of all training samples.
    algorithm : Algorithm
        The definition that is read.
    numbers : mapping
        Its hyperparameters by name: floats.
    state : State
    batches : iterator of Batch
        As many are taken as the step draws: one; k by `samdyn.Lookahead`.

    Examples
    --------
    >>> from samdyn import GD
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.ones(2, 1)
    >>> problem, gd = Problem(line, Samples(x, 2 * x), "mse"), GD(lr=0.25)
    >>> state = started(gd, torch.tensor([0.0]), {})
    >>> step(problem, gd, gd.numbers, state, iter([Batch(problem.samples)])).w
    tensor([1.])
    """
    running = Running(state.buffers)
    oracle = BatchOracle(problem, running, batches)
    moved = algorithm.step(oracle, state.z, SimpleNamespace(**numbers))
    return State(tuple(moved), running.current)


def draws(algorithm: Algorithm) -> int:
    """How many batches a step takes.

    Examples
    --------
    >>> from samdyn import GD, Lookahead
    >>> draws(GD(lr=0.1)), draws(Lookahead(GD(lr=0.1), k=5))
    (1, 5)
    """
    return len(_tried(algorithm))


def noisy(algorithm: Algorithm) -> bool:
    """Whether a step needs the noise of its batches.

    Examples
    --------
    >>> from samdyn import SAM
    >>> from samdyn.networks.adversarial import Adversarial
    >>> sam = SAM(lr=0.1, rho=0.1)
    >>> noisy(sam), noisy(Adversarial(sam, epsilon=0.1))
    (False, True)
    """
    return any(_tried(algorithm))


def _tried(algorithm: Algorithm) -> list[bool]:
    """For each batch that a step takes, whether it needs noise."""
    taken: list[bool] = []
    w = torch.full((2,), 0.5)
    vectors = tuple(w for _ in (None, *algorithm.state))
    algorithm.step(
        _Counting(taken), vectors, SimpleNamespace(**dict.fromkeys(algorithm.numbers, 0.5))
    )
    return taken


class _Counting(MinibatchOracle):
    """An oracle that notes when a batch is first asked for."""

    def __init__(self, taken: list[bool], noisy: bool = False):
        self._taken, self._noisy, self._asked = taken, noisy, False

    def __call__(self, w: Tensor) -> Tensor:
        if not self._asked:
            self._taken.append(self._noisy)
            self._asked = True
        return w

    def changed(self, change: Change, noisy: bool = False) -> _Counting:
        return _Counting(self._taken, noisy)

    @property
    def mean(self) -> Oracle:
        return lambda w: w

    def redrawn(self) -> _Counting:
        return _Counting(self._taken, self._noisy)

    def over_parts(self, m: int, transform: Any) -> Oracle:
        return transform(self)
