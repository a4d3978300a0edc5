"""What is trained on what: a copy of the model and the data, in one precision on one device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from samdyn.algorithms import SAM, Algorithm, Lookahead
from samdyn.networks.adversarial import Adversarial
from samdyn.networks.batch_norm import batch_norms
from samdyn.networks.data.data import Data
from samdyn.networks.fingerprints import fingerprint
from samdyn.networks.losses import CrossEntropy, PerSample, checked_loss, squared
from samdyn.networks.models import initialised
from samdyn.networks.order import Order
from samdyn.networks.problem import Buffers, Problem, Samples
from samdyn.networks.workbench import Workbench

Start = nn.Module | Tensor | np.ndarray | xr.DataArray | Callable[[int], nn.Module]
"""Initial weights: of a module, flat, or a module for each seed."""


class Job(NamedTuple):
    """What is trained on what.

    Attributes
    ----------
    bench : Workbench
        For gradients.
    problem, test : Problem, Problem or None
        For scores.
    name : str
        Of the data.
    """

    bench: Workbench
    problem: Problem
    test: Problem | None
    name: str

    @property
    def recipe(self) -> dict[str, Any]:
        """What tells it from others, as plain data."""
        tested = () if self.test is None else self.test.samples
        w = self.bench.start()
        return {
            "model": unplaced(self.problem.model),
            "loss": named(self.problem.loss),
            "data": self.name,
            "training samples": fingerprint(*self.problem.samples),
            "test samples": fingerprint(*tested),
            "dtype": str(w.dtype).removeprefix("torch."),
            "device": w.device.type,
            "chunk": self.problem.chunk,
        }

    def start(self, start: Start | None, seed: int) -> tuple[Tensor, Buffers]:
        """Initial weights and buffers.

        Raises
        ------
        ValueError
            If there are more or fewer weights than the model has, or they are not finite.
        TypeError
            If it is none of what `train` takes.
        """
        model = self.problem.model
        like = self.bench.start()
        buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
        if isinstance(start, Tensor | np.ndarray | xr.DataArray):
            given = start if isinstance(start, Tensor) else torch.as_tensor(np.array(start))
            w = given.detach().to(like).clone()
        else:
            if start is None:
                module: Any = initialised(model, seed)
            else:
                module = start if isinstance(start, nn.Module) else _made(start, seed)
            w = torch.cat([p.detach().reshape(-1) for p in module.parameters() if p.requires_grad])
            w = w.to(like).clone()
            buffers = {
                name: b.detach().to(like.device, like.dtype if b.is_floating_point() else b.dtype)
                for name, b in module.named_buffers()
            }
            buffers = {name: b.clone() for name, b in buffers.items()}
        if w.shape != like.shape:
            raise ValueError(
                f"start must have the model's {like.numel()} weights, got shape {tuple(w.shape)}"
            )
        if not bool(torch.isfinite(w).all()):
            raise ValueError("start must be finite weights, got NaN or infinity among them")
        return w, buffers

    def check_batches(self, order: Order, algorithms: Sequence[Algorithm]) -> None:
        """Refuse what batch norm or an attack cannot do, before anything runs."""
        for one in algorithms:
            for each in _nested(one):
                if isinstance(each, Adversarial):
                    each.check(order.samples)
        normalises = bool(batch_norms(self.problem.model))
        if normalises and order.batch_size > self.problem.chunk:
            raise ValueError(
                f"chunk must be at least the batch_size, {order.batch_size}, as batch norm sees a "
                f"minibatch as a whole; got {self.problem.chunk}"
            )
        sizes = {order.batch_size}
        if not order.drop_last:
            sizes.add(order.samples.size % order.batch_size or order.batch_size)
        if 1 in sizes and normalises:
            raise ValueError(
                f"batch_size={order.batch_size} leaves a minibatch of 1 of {order.samples.size} "
                "samples, which batch norm cannot normalise; take another, or drop_last=True"
            )
        sams = [each for one in algorithms for each in _nested(one) if isinstance(each, SAM)]
        for m in filter(None, (sam.m for sam in sams)):
            if m > order.batch_size:
                raise ValueError(
                    f"m must be at most the batch_size, {order.batch_size}, of which it makes "
                    f"parts; got {m}"
                )
            if normalises and any(m == 1 or size % m == 1 for size in sizes):
                raise ValueError(
                    f"m={m} leaves a part of 1 sample of a minibatch of {max(sizes)}, which batch "
                    "norm cannot normalise; take another m, or a network without batch norm"
                )


def _nested(algorithm: Algorithm) -> Iterator[Algorithm]:
    """An algorithm, what it goes around, what that goes around."""
    yield algorithm
    if isinstance(algorithm, Lookahead | Adversarial):
        yield from _nested(algorithm.algorithm)


def checked_job(
    model: nn.Module,
    data: Data | Samples,
    loss: str | PerSample,
    device: str | torch.device | None,
    dtype: torch.dtype | None,
    chunk: int,
    amp: bool,
    compile: bool,
) -> Job:
    """A job from what `train` was given.

    Raises
    ------
    TypeError, ValueError
        If the model is none or has nothing to train, or the data are none, or model, data and
        loss do not go together.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(
            f"dtype must be a floating-point dtype such as torch.float64, got {dtype!r}"
        )
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("model must have parameters that require gradients; this one has none")
    device = trained[0].device if device is None else torch.device(device)
    dtype = trained[0].dtype if dtype is None else dtype
    model = deepcopy(model).to(device, dtype)
    if isinstance(data, Samples):
        data = Data(data, None, "samples")  # type: ignore[arg-type]
    elif not isinstance(data, Data):
        raise TypeError(
            f"data must be such as nets.data.digits(), or Samples, got {type(data).__name__}"
        )

    def placed(samples: Samples) -> Samples:
        if not (isinstance(samples, Samples) and len(samples.inputs) == len(samples.targets) > 0):
            raise ValueError("data must have samples, and as many targets as inputs")
        tensors = map(torch.as_tensor, samples)
        return Samples(
            *(t.to(device, dtype if t.is_floating_point() else t.dtype) for t in tensors)
        )

    per_sample = checked_loss(loss)
    train = placed(data.train)
    problem = Problem(model, train, per_sample, chunk)
    test = None if data.test is None else problem.on(placed(data.test))
    for one in (problem, test):
        if one is not None:
            _check_fit(one)
    bench = Workbench(model, train, per_sample, chunk, amp, compile)
    return Job(bench, problem, test, data.name)


@torch.no_grad()
def _check_fit(problem: Problem) -> None:
    """Refuse a model, samples and a loss that do not go together, by a look at two samples."""
    inputs, targets = problem.samples
    some = problem.samples.take(slice(0, 2))
    try:
        outputs = problem.outputs(problem.start(), some.inputs)
        losses = problem.loss(outputs, some.targets)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"model, data and loss must go together, but inputs of shape {tuple(inputs.shape)} and "
            f"targets of shape {tuple(targets.shape)} and {targets.dtype} give: {error}"
        ) from error
    if losses.shape != (some.size,):
        raise ValueError(
            f"loss must give one number for each sample, of shape ({some.size},) for {some.size} "
            f"(in torch: reduction='none'), got shape {tuple(losses.shape)}"
        )
    classified = problem.loss is squared or isinstance(problem.loss, CrossEntropy)
    if targets.is_floating_point() or outputs.ndim != 2 or not classified:
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= outputs.shape[1]:
        raise ValueError(
            f"model must have an output for each class, but it has {outputs.shape[1]} and the "
            f"targets are whole numbers from {low} to {high}; numbers to be fitted must be "
            "floating-point"
        )


def named(function: Any) -> str | None:
    """A function as text that is the same in every process."""
    if function is None:
        return None
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", None)
    return unplaced(function) if name is None else f"{module}.{name}"


def unplaced(thing: Any) -> str:
    """What it prints, without its place in memory, which is another in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def _made(start: Any, seed: int) -> nn.Module:
    module = start(seed) if callable(start) else start
    if not isinstance(module, nn.Module):
        raise TypeError(
            "start must be a module, flat weights or a function from a seed to a module, got "
            f"{type(module).__name__}"
        )
    return module
