"""A problem in the words of torch's own modules, for libraries of curvature such as curvlinops."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from samdyn.networks.losses import CrossEntropy, squared
from samdyn.networks.problem import Problem, checked_weights


class Parts(NamedTuple):
    """A problem's mean loss as ``scale`` times a sum over samples.

    Attributes
    ----------
    model : torch.nn.Module
        A copy, with the weights, in evaluation mode.
    loss : torch.nn.MSELoss or torch.nn.CrossEntropyLoss
        With ``reduction="sum"``.
    parameters : list of torch.nn.Parameter
        The copy's, in the order of the flat weights.
    data : list of (inputs, targets)
        The chunks.
    scale : float
        One over the number of samples.
    """

    model: nn.Module
    loss: nn.Module
    parameters: list[nn.Parameter]
    data: list[tuple[Tensor, Tensor]]
    scale: float


def module_parts(problem: Problem, w: Tensor) -> Parts:
    """A problem at some weights, for curvlinops: generalised Gauss-Newton, Fisher and K-FAC.

    With ``model, loss, parameters, data, scale = module_parts(problem, w)`` the generalised
    Gauss-Newton matrix is ``scale * curvlinops.GGNLinearOperator(model, loss, parameters, data)``;
    curvlinops (``pip install curvlinops-for-pytorch``) is not needed otherwise.

    Parameters
    ----------
    problem : Problem
        With one of the losses that have a name.
    w : Tensor, shape (d,)
        Finite weights.

    Returns
    -------
    Parts

    Raises
    ------
    TypeError
        If the problem is no `Problem`, its loss has no module, or ``w`` is no floating-point
        tensor.
    ValueError
        If ``w`` has another shape or is not finite.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 2 * x), "mse")
    >>> w = torch.tensor([3.0], dtype=torch.float64)
    >>> model, loss, parameters, data, scale = module_parts(problem, w)
    >>> scale * sum(loss(model(inputs), targets) for inputs, targets in data).item()
    2.5
    """
    w = checked_weights(problem, w)
    loss: nn.Module
    if problem.loss is squared:
        loss = nn.MSELoss(reduction="sum")
    elif isinstance(problem.loss, CrossEntropy):
        loss = nn.CrossEntropyLoss(reduction="sum", label_smoothing=problem.loss.label_smoothing)
    else:
        raise TypeError(
            f"module_parts needs the loss 'mse' or a CrossEntropy, got {problem.loss!r}"
        )
    model = deepcopy(problem.model).eval()
    parts, buffers = problem.parts(w), dict(model.named_buffers())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in parts:
                parameter.copy_(parts[name])
        for name, buffer in problem.buffers.items():
            buffers[name].copy_(buffer)
        data = []
        for _, some in problem.chunks():
            targets = some.targets
            if problem.loss is squared:
                outputs = model(some.inputs)
                if not targets.is_floating_point():
                    targets = functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
                targets = targets.reshape(outputs.shape)
            data.append((some.inputs, targets))
    trained = dict(model.named_parameters())
    return Parts(model, loss, [trained[n] for n in problem.names], data, 1 / problem.samples.size)
