"""A problem laid out for many gradients of minibatches, one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samdyn.networks.losses import PerSample
from samdyn.networks.problem import Buffers, Problem, Samples

_LARGE = 2**18
"""Weights from which putting every parameter in its place takes less time than a copy."""

_FREED = 28 * 2**20
"""Bytes; somewhat less than what the C library's allocator takes for exceptionally large."""


class Workbench(Problem):
    """The same function as `Problem`, with a copy of the model whose weights share one tensor.

    The gradient of a minibatch larger than ``chunk`` is accumulated piece by piece.

    Handing weights to a small network is then one copy, which takes half the time that putting
    every parameter in its place does; those of a large one are not copied.

    Parameters
    ----------
    model, samples, loss, chunk
        As in `Problem`.
    amp : bool, default False
        Whether the forward pass of a gradient runs in bfloat16 where torch's autocast says so.
        Weights, gradients and the loss stay in the precision of the weights.
    compile : bool, default False
        Whether ``torch.compile`` compiles the forward and backward pass of a gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        loss: str | PerSample = "cross_entropy",
        chunk: int = 4096,
        amp: bool = False,
        compile: bool = False,
    ):
        super().__init__(deepcopy(model), samples, loss, chunk)
        # Once so much has been freed at once, glibc keeps what is freed later, and a step of a
        # large network does not ask the system for the same pages again and again.
        torch.empty(_FREED, dtype=torch.uint8)
        self._amp, self._compile = amp, compile
        self.model.train()  # all of it, as in each of Problem's passes
        self._trained_list = list(self._trained.values())
        self._flat = torch.cat([p.detach().reshape(-1) for p in self._trained_list])
        self._lay_out(self._flat)
        self._own_buffers = dict(self.model.named_buffers())
        paths = {name: name.rpartition(".") for name in self._own_buffers}
        self._homes = {
            name: (self.model.get_submodule(path)._buffers, entry)
            for name, (path, _, entry) in paths.items()
        }
        self._forward: Any = torch.compile(self.model) if compile else self.model

    def batch_grad(
        self, w: Tensor, samples: Samples, buffers: Buffers | None = None, training: bool = False
    ) -> Tensor:
        """The gradient of the mean loss of some samples; buffers given are updated in place."""
        if self.model.training != training:
            self.model.train(training)
        known = self.buffers if buffers is None else buffers
        with torch.no_grad():
            if self.dimension < _LARGE:
                self._flat.copy_(w)
            else:
                self._lay_out(w)
            for name, buffer in self._own_buffers.items():
                buffer.copy_(known[name])
        n, some = samples.size, self.chunk
        if n <= some:
            g = self._slope(samples)
        else:
            pieces = [samples.take(slice(first, first + some)) for first in range(0, n, some)]
            g = sum((one.size / n) * self._slope(one) for one in pieces)  # type: ignore[assignment]
        if self._own_buffers:
            self._hand_back(buffers if training else None)
        return g

    def _hand_back(self, buffers: Buffers | None) -> None:
        """Copy what has become of the buffers, whether a pass changed or replaced them."""
        for name, mine in self._own_buffers.items():
            home, entry = self._homes[name]
            if buffers is not None:
                buffers[name].copy_(home[entry].detach())  # type: ignore[union-attr]
            home[entry] = mine

    def _lay_out(self, w: Tensor) -> None:
        """Make the model's weights views of a flat tensor."""
        for p, view in zip(self._trained_list, self.parts(w).values(), strict=True):
            p.data = view

    def _slope(self, samples: Samples) -> Tensor:
        """The gradient at the model's own weights, of samples in memory at once."""
        with torch.enable_grad():
            mean = self.loss(self._full(self._forward, samples.inputs), samples.targets).mean()
            slopes = torch.autograd.grad(mean, self._trained_list, materialize_grads=True)
        return torch.cat([slope.reshape(-1) for slope in slopes])

    def outputs(
        self, w: Tensor, inputs: Tensor, buffers: Buffers | None = None, training: bool = False
    ) -> Tensor:
        """What the network says; see `Problem.outputs`."""
        return self._full(super().outputs, w, inputs, buffers, training)

    def _full(self, forward: Callable[..., Tensor], *given: Any) -> Tensor:
        """What a forward pass says, in the precision of the weights."""
        if not self._amp:
            return forward(*given)
        with torch.autocast(self._flat.device.type, torch.bfloat16):
            return forward(*given).to(self._flat.dtype)


def draws_at_random(problem: Workbench) -> bool:
    """Whether the forward pass in training mode draws random numbers, as dropout does."""
    some = problem.samples.take(slice(0, 2))
    device = some.inputs.device
    cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if cuda else []), torch.no_grad():
        before = torch.cuda.get_rng_state(device) if cuda else torch.get_rng_state()
        foreign = _foreign()
        buffers = {name: b.clone() for name, b in problem.buffers.items()}
        problem.outputs(problem.start(), some.inputs, buffers, training=True)
        after = torch.cuda.get_rng_state(device) if cuda else torch.get_rng_state()
    if _foreign() != foreign:
        raise ValueError(
            "model must draw its random numbers from torch, which is seeded for each network and "
            "minibatch; it draws from Python's random or from numpy.random"
        )
    return not torch.equal(before, after)


def _foreign() -> tuple[object, ...]:
    """Where Python's and NumPy's own random numbers stand."""
    return random.getstate(), repr(np.random.get_state(legacy=False))  # noqa: NPY002


@contextmanager
def own_randomness(masks: bool, problem: Workbench) -> Iterator[None]:
    """Torch's own random state is put back if the network draws from it."""
    if not masks:
        yield
        return
    device = problem.start().device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
