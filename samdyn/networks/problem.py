"""A network with a loss on samples, as a function of one flat tensor of weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call

from samdyn.networks.losses import PerSample, checked_loss
from samdyn.numbers import checked_whole

Buffers = dict[str, Tensor]
"""What a module keeps besides its weights, such as a batch norm's running statistics."""

_WRONG_SHAPE = (
    "{} must be a tensor of shape ({},), one entry for each weight of the network as in "
    "problem.start(); got shape {}"
)


class Samples(NamedTuple):
    """Inputs (n, …) and targets (n, …)."""

    inputs: Tensor
    targets: Tensor

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.inputs)

    def take(self, which: Tensor | slice) -> Samples:
        """Some of them."""
        return Samples(self.inputs[which], self.targets[which])


class Problem:
    """The mean loss of a network on samples: what `samdyn.Loss` is to a formula.

    It is in evaluation mode, with the buffers of the model that it is given: of a trained network
    give ``nets.trained(model, run)``, or batch norm normalises by statistics that are none.

    Weights are one flat tensor: the trainable parameters one after the other, in the order of
    ``model.named_parameters()``. A layer that the loss does not reach has a gradient of 0.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed; its own weights are where `start` begins.
    samples : Samples
        On the model's device.
    loss : str or callable
        "mse", the sum over outputs of (f - y)^2 (no half, no mean over outputs), y being one-hot
        for classes; "cross_entropy"; or a function of outputs (n, …) and targets that gives a loss
        for each sample, of shape (n,).
    chunk : int, default 4096
        At most so many samples are in memory at once; the result does not depend on it but for
        rounding.

    Raises
    ------
    TypeError
        If the model is no module or the samples are none.
    ValueError
        If nothing of the model is trained, there are no samples, or not as many targets as inputs.

    Examples
    --------
    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 2 * x), "mse")
    >>> w = torch.tensor([3.0], dtype=torch.float64)
    >>> problem.value(w).item(), problem.grad(w).tolist(), problem.hvp(w, w).tolist()
    (2.5, [5.0], [15.0])
    """

    room = 2**24
    """At most so many weights are in memory where parts of a minibatch have each their own."""

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        loss: str | PerSample = "cross_entropy",
        chunk: int = 4096,
    ):
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        if not isinstance(samples, Samples):
            raise TypeError(f"samples must be Samples, got {type(samples).__name__}")
        if not len(samples.inputs) == len(samples.targets) > 0:
            raise ValueError(
                "samples must be one or more, with as many targets as inputs; got "
                f"{len(samples.inputs)} inputs and {len(samples.targets)} targets"
            )
        self.model, self.samples = model, Samples(*map(torch.as_tensor, samples))
        self.chunk = checked_whole("chunk", chunk, 1)
        self.loss = checked_loss(loss)
        known = dict(model.named_parameters())
        self._trained = {name: p for name, p in known.items() if p.requires_grad}
        if not self._trained:
            raise ValueError("model must have parameters that require gradients, and has none")
        self._fixed = {name: p.detach() for name, p in known.items() if not p.requires_grad}
        self.names = tuple(self._trained)
        self.shapes = tuple(p.shape for p in self._trained.values())
        self._sizes = [p.numel() for p in self._trained.values()]
        self.buffers: Buffers = {name: b.detach().clone() for name, b in model.named_buffers()}

    def on(self, samples: Samples) -> Problem:
        """The same network, with the same buffers, on other samples."""
        other = Problem(self.model, samples, self.loss, self.chunk)
        other.buffers = self.buffers
        return other

    @property
    def dimension(self) -> int:
        """The number of weights."""
        return sum(self._sizes)

    def start(self) -> Tensor:
        """The model's own weights."""
        return torch.cat([p.detach().reshape(-1) for p in self._trained.values()])

    def parts(self, w: Tensor) -> dict[str, Tensor]:
        """Views of a flat tensor of weights, by parameter."""
        if w.shape != (self.dimension,):
            raise ValueError(_WRONG_SHAPE.format("w", self.dimension, tuple(w.shape)))
        pieces = zip(self.names, self.shapes, w.split(self._sizes), strict=True)
        return {name: piece.view(shape) for name, shape, piece in pieces}

    def outputs(
        self, w: Tensor, inputs: Tensor, buffers: Buffers | None = None, training: bool = False
    ) -> Tensor:
        """What the network says; in training mode the buffers given are updated in place."""
        known = self.buffers if buffers is None else buffers
        tensors = {**self._fixed, **self.parts(w), **known}
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.train(training)
        try:
            outputs = functional_call(self.model, tensors, (inputs,))
            if training and buffers is not None:  # a pass may replace a buffer, or change it
                buffers.update({name: tensors[name] for name in buffers})
            return outputs
        finally:  # the model is the user's
            for module, mode in modes:
                module.training = mode

    def losses(
        self,
        w: Tensor,
        samples: Samples,
        buffers: Buffers | None = None,
        training: bool = False,
    ) -> Tensor:
        """The loss of each of some samples, of shape (n,)."""
        return self.loss(self.outputs(w, samples.inputs, buffers, training), samples.targets)

    def batch_grad(
        self, w: Tensor, samples: Samples, buffers: Buffers | None = None, training: bool = False
    ) -> Tensor:
        """The gradient of the mean loss of some samples, held in memory at once."""
        w = w.detach().requires_grad_()
        mean = self.losses(w, samples, buffers, training).mean()
        return torch.autograd.grad(mean, w)[0]

    # --- over all samples, chunk by chunk ---------------------------------------------------

    def chunks(self) -> Iterator[tuple[float, Samples]]:
        """The samples a chunk at a time, each with its share of them all."""
        n = self.samples.size
        for first in range(0, n, self.chunk):
            some = self.samples.take(slice(first, first + self.chunk))
            yield some.size / n, some

    @torch.no_grad()
    def value(self, w: Tensor) -> Tensor:
        """The mean loss, without a graph: ``losses(w, samples).mean()`` can be differentiated."""
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        for share, some in self.chunks():
            total += share * self.losses(w, some).mean()
        return total

    def grad(self, w: Tensor) -> Tensor:
        """The gradient of the mean loss, of shape (d,)."""
        total = torch.zeros_like(w)
        for share, some in self.chunks():
            total += share * self.batch_grad(w, some)
        return total

    def hvp(self, w: Tensor, v: Tensor) -> Tensor:
        """The Hessian of the mean loss times a vector, of shape (d,)."""
        total = torch.zeros_like(w)
        for share, some in self.chunks():
            at = w.detach().requires_grad_()
            mean = self.losses(at, some).mean()
            slope = torch.autograd.grad(mean, at, create_graph=True)[0]
            if slope.requires_grad:  # else the loss is linear in the weights
                total += share * torch.autograd.grad(slope, at, v)[0]
        return total


def checked_weights(problem: Problem, w: Tensor, name: str = "w") -> Tensor:
    """Finite weights of a problem without their history; arrays become tensors.

    Raises
    ------
    TypeError
        If ``problem`` is none, or the weights are no tensor of floating-point numbers, or of
        others than the samples.
    ValueError
        If they are not all of the network's in one flat tensor, or one is not finite.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a samdyn.networks Problem, got {type(problem).__name__}")
    if isinstance(w, np.ndarray | xr.DataArray):
        w = torch.as_tensor(np.array(w)).to(problem.start().device)
    if not isinstance(w, Tensor) or not w.is_floating_point():
        kind = w.dtype if isinstance(w, Tensor) else type(w).__name__
        raise TypeError(f"{name} must be a tensor of floating-point numbers, got {kind}")
    if w.shape != (problem.dimension,):
        raise ValueError(_WRONG_SHAPE.format(name, problem.dimension, tuple(w.shape)))
    inputs = problem.samples.inputs
    if inputs.is_floating_point() and inputs.dtype != w.dtype:
        raise TypeError(f"{name} must be {inputs.dtype}, as the samples are, got {w.dtype}")
    wrong = int((~torch.isfinite(w)).sum())
    if wrong:
        raise ValueError(f"{name} must be finite, got {wrong} of {len(w)} weights that are not")
    return w.detach()
