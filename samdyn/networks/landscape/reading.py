"""Loss and error rate at many points of weight space."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.landscape.statistics import reestimated, running
from samdyn.networks.problem import Buffers, Problem


@torch.no_grad()
def loss_and_error(
    problem: Problem, w: Tensor, buffers: Buffers | None = None
) -> tuple[float, ...]:
    """The mean loss and, of classes, the share of samples that are taken for another.

    The error rate is NaN where the targets are no classes.
    """
    loss, error = 0.0, 0.0
    for share, some in problem.chunks():
        out = problem.outputs(w, some.inputs, buffers)
        loss += share * float(problem.loss(out, some.targets).mean())
        if some.targets.is_floating_point():
            error = float("nan")
        else:
            error += share * float((out.argmax(dim=-1) != some.targets).double().mean())
    return loss, error


def read(
    problem: Problem,
    points: Iterable[Tensor],
    test: Problem | None,
    reestimate: bool,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Losses and error rates at points, by name, each of shape (number of points,).

    Without classes there are no error rates.
    """
    if test is not None and test.dimension != problem.dimension:
        raise ValueError(
            f"test must be of the same network, with {problem.dimension} weights; it has "
            f"{test.dimension}"
        )
    anew = reestimate and bool(running(problem.model))
    rows = []
    for w in points:
        buffers = reestimated(problem, w, batch_size=batch_size) if anew else None
        row = loss_and_error(problem, w, buffers)
        rows.append(row if test is None else (*row, *loss_and_error(test, w, buffers)))
    names = ("train_loss", "train_error", "test_loss", "test_error")
    columns = dict(zip(names, np.array(rows).T, strict=False))
    kept = {"train_error": problem, "test_error": test}
    for name, of in kept.items():
        if of is not None and of.samples.targets.is_floating_point():
            del columns[name]
    return columns
