"""How well a network does on samples: the mean loss and the share of wrong classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from samdyn.networks.problem import Buffers, Problem


class Score(NamedTuple):
    """The mean loss, and the share of samples in the wrong class (None if there are no classes)."""

    loss: float
    error: float | None


@torch.no_grad()
def score(problem: Problem, w: Tensor, buffers: Buffers | None = None) -> Score:
    """Loss and error over all samples, in evaluation mode, chunk by chunk.

    Parameters
    ----------
    problem : Problem
        Whose targets are classes if they are whole numbers.
    w : Tensor, shape (d,)
    buffers : dict, optional
        Such as `samdyn.networks.landscape.reestimated` gives. Default: the problem's own.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 2, bias=False)
    >>> problem = Problem(line, Samples(torch.ones(4, 1), torch.tensor([0, 1, 1, 1])))
    >>> score(problem, torch.tensor([0.0, 0.5])).error
    0.25
    """
    classes = not problem.samples.targets.is_floating_point()
    loss = torch.zeros((), dtype=w.dtype, device=w.device)
    wrong = torch.zeros((), dtype=torch.long, device=w.device)
    for share, some in problem.chunks():
        outputs = problem.outputs(w, some.inputs, buffers)
        loss += share * problem.loss(outputs, some.targets).mean()
        if classes:
            wrong += (outputs.argmax(dim=-1) != some.targets).sum()
    return Score(loss.item(), wrong.item() / problem.samples.size if classes else None)
