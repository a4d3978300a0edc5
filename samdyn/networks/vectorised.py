"""The same step for many networks at once, by ``torch.vmap`` over the pure step of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samdyn.algorithms import Algorithm
from samdyn.networks.order import Batch, Order, noise
from samdyn.networks.problem import Buffers, Problem, Samples
from samdyn.networks.stepping import State, noisy, step
from samdyn.networks.traced import Traced


class Functional(Problem):
    """The same function as `Problem`, with gradients that ``torch.vmap`` can take many of."""

    def batch_grad(
        self, w: Tensor, samples: Samples, buffers: Buffers | None = None, training: bool = False
    ) -> Tensor:
        """The gradient of the mean loss of some samples; buffers given are replaced in place."""
        known = {} if buffers is None else buffers

        def mean(w: Tensor, known: Buffers) -> tuple[Tensor, Buffers]:
            moved = {name: b.clone() for name, b in known.items()}
            given = None if buffers is None else moved
            return self.losses(w, samples, given, training).mean(), moved

        g, moved = torch.func.grad(mean, has_aux=True)(w, known)
        known.update(moved)
        return g


def stacked(states: Sequence[State]) -> State:
    """States of several networks along a new first dimension."""
    vectors = tuple(torch.stack(same) for same in zip(*(s.z for s in states), strict=True))
    names = states[0].buffers
    return State(vectors, {name: torch.stack([s.buffers[name] for s in states]) for name in names})


def parted(several: State) -> list[State]:
    """The states of single networks, each in memory of its own."""
    return [
        State(
            tuple(vector[k].clone() for vector in several.z),
            {name: b[k].clone() for name, b in several.buffers.items()},
        )
        for k in range(len(several.w))
    ]


class Numbers:
    """The hyperparameters of several networks as tensors: (M,) where they differ, else ().

    Parameters
    ----------
    several : sequence of dict
        The same names for each network.
    like : Tensor
        Whose precision and device they take.
    """

    def __init__(self, several: Sequence[Mapping[str, float]], like: Tensor):
        columns = {name: [float(one[name]) for one in several] for name in several[0]}
        tensors = {
            name: torch.tensor(column, dtype=like.dtype, device=like.device)
            for name, column in columns.items()
        }
        differ = {name for name, column in columns.items() if len(set(column)) > 1}
        self.common = {name: one[0] for name, one in tensors.items() if name not in differ}
        self.own = {name: one for name, one in tensors.items() if name in differ}

    def scaled(self, name: str, factor: float) -> Numbers:
        """The same with one of them multiplied."""
        other = object.__new__(Numbers)
        other.common, other.own = dict(self.common), dict(self.own)
        where: dict[str, Any] = other.common if name in self.common else other.own
        where[name] = where[name] * factor
        return other


class Minibatches(NamedTuple):
    """Minibatches of several networks, along a new first dimension.

    Attributes
    ----------
    samples : Samples
        Inputs (M, b, …) and targets (M, b, …).
    seeds : tuple of int
        Of each network.
    number : int
        Of the batch.
    """

    samples: Samples
    seeds: tuple[int, ...]
    number: int

    def noise(self) -> Tensor:
        """That of each network's batch; networks that share a seed share it."""
        own = {seed: noise(self.samples.inputs[0], seed, self.number) for seed in set(self.seeds)}
        return torch.stack([own[seed] for seed in self.seeds])


class Batches:
    """Minibatch number k of several networks."""

    def __init__(self, orders: Sequence[Order]):
        self._first, self._seeds = orders[0], tuple(order.seed for order in orders)
        self._by_seed = {order.seed: order for order in orders}  # which is all that they differ in
        self._epoch, self._permutations = -1, torch.empty(0, dtype=torch.long)

    def batch(self, number: int) -> Minibatches:
        """That of number 0, 1, …."""
        return Minibatches(self._samples(number), self._seeds, number)

    def _samples(self, number: int) -> Samples:
        first = self._first
        if first.augment is not None:
            drawn = {seed: one.batch(number).samples for seed, one in self._by_seed.items()}
            each = [drawn[seed] for seed in self._seeds]
            return Samples(*(torch.stack(same) for same in zip(*each, strict=True)))
        epoch, place = divmod(number, first.per_epoch)
        if epoch != self._epoch:
            own = {seed: one.permutation(epoch) for seed, one in self._by_seed.items()}
            several = torch.stack([own[seed] for seed in self._seeds])
            self._epoch, self._permutations = epoch, several
        begin = place * first.batch_size
        return first.samples.take(self._permutations[:, begin : begin + first.batch_size])


class Vectorised:
    """A step of several networks, as a function of their numbers, states and minibatches.

    Parameters
    ----------
    problem : Functional
    algorithm : Algorithm
        Whose structure (momentum or none, normalised or not, m) all networks share.
    """

    def __init__(self, problem: Functional, algorithm: Algorithm):
        self._problem, self._algorithm = problem, algorithm
        self._noisy = noisy(algorithm)
        several = torch.vmap(lambda *given: self._one(*given), in_dims=(None, 0, 0, 0, 0))
        self._several = Traced(several, problem.model)

    def __call__(self, numbers: Numbers, state: State, batches: Sequence[Minibatches]) -> State:
        """The states after the step."""
        return State(*self._several(*self._tensors(numbers, state, batches)))

    def write(self, numbers: Numbers, state: State, batches: Sequence[Minibatches]) -> None:
        """Write the step down, for all that is of the same shape."""
        self._several.write(*self._tensors(numbers, state, batches))

    def _tensors(
        self, numbers: Numbers, state: State, batches: Sequence[Minibatches]
    ) -> tuple[Any, ...]:
        given = [(*some.samples, *([some.noise()] if self._noisy else [])) for some in batches]
        return numbers.common, numbers.own, state.z, state.buffers, given

    def _one(
        self,
        common: dict[str, Tensor],
        own: dict[str, Tensor],
        z: tuple[Tensor, ...],
        buffers: Buffers,
        given: list[tuple[Tensor, ...]],
    ) -> tuple[tuple[Tensor, ...], Buffers]:
        batches = (_single(*tensors) for tensors in given)
        moved = step(self._problem, self._algorithm, common | own, State(z, buffers), batches)
        return moved.z, moved.buffers


def _single(inputs: Tensor, targets: Tensor, *noise: Tensor) -> Batch:
    """The batch of one network, of tensors that vmap has taken apart."""
    batch = Batch(Samples(inputs, targets))
    return batch._replace(noise=lambda: noise[0]) if noise else batch
