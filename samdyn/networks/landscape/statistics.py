"""Batch-norm statistics that belong to given weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from samdyn.networks.batch_norm import BatchNorm, batch_norms
from samdyn.networks.problem import Buffers, Problem, checked_weights
from samdyn.networks.seeds import generator
from samdyn.numbers import checked_whole


def reestimated(problem: Problem, w: Tensor, *, batch_size: int = 256, seed: int = 0) -> Buffers:
    """The buffers with each batch norm's running statistics averaged anew at weights w.

    The samples pass once, in batches whose sizes differ by at most one; a running mean is the
    mean over all samples, a running variance that of the batches' unbiased variances (what
    ``momentum=None`` gives, with each batch's share). Dropout is off. The problem, its
    ``buffers`` and the model stay as they are: give the result as ``buffers=`` to
    ``problem.losses`` and ``problem.outputs``.

    Parameters
    ----------
    problem : Problem
        On the training samples.
    w : Tensor, shape (d,)
    batch_size : int, default 256
        At least 2; what deeper layers see depends on it as it does in training.
    seed : int, default 0
        Of the order of the samples, the same in every call.

    Returns
    -------
    dict of str to Tensor
        All buffers, by name; copies.

    Raises
    ------
    ValueError
        If there is but one sample.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1)).double()
    >>> from samdyn.networks.problem import Samples
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> problem = Problem(net, Samples(x, x), "mse")
    >>> there = reestimated(problem, torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
    >>> there["1.running_mean"].tolist(), there["1.running_var"].tolist()
    ([4.0], [8.0])
    """
    w = checked_weights(problem, w)
    buffers = {name: b.clone() for name, b in problem.buffers.items()}
    norms = running(problem.model)
    if not norms:
        return buffers
    n = problem.samples.size
    if n < 2:
        raise ValueError("problem must have at least 2 samples for the statistics of a batch norm")
    batches = -(-n // checked_whole("batch_size", batch_size, 2))
    order = torch.randperm(n, generator=generator(seed))
    for name in norms:  # whatever stood there, perhaps not finite
        for kept, fresh in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
            buffers[f"{name}.{kept}".lstrip(".")].fill_(fresh)
    seen = 0
    with torch.no_grad(), _estimating(problem.model, list(norms.values())):
        for which in order.to(w.device).tensor_split(min(batches, n // 2)):
            seen += len(which)
            for norm in norms.values():
                norm.momentum = len(which) / seen
            some = problem.samples.inputs[which]
            functional_call(problem.model, {**problem.parts(w), **buffers}, (some,))
    return buffers


def running(model: nn.Module) -> dict[str, BatchNorm]:
    """The batch norms of a model that keep running statistics, by name."""
    return {name: one for name, one in batch_norms(model).items() if one.running_mean is not None}


@contextmanager
def _estimating(model: nn.Module, norms: list[BatchNorm]) -> Iterator[None]:
    """Batch norms in training mode, all else in evaluation mode; afterwards as it was."""
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
