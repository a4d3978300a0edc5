"""Weights at which a network fits its samples to rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from samdyn.networks import Problem

_MOST = 60
_FALL = 10.0
_RISE = 4.0


def interpolating(problem: Problem, low: float = 1e-28) -> Tensor:
    """Weights with a loss below ``low``, by Levenberg and Marquardt's method from the model's own.

    Parameters
    ----------
    problem : Problem
        With the loss "mse", in double precision, of more weights than numbers to fit.
    low : float, default 1e-28

    Returns
    -------
    Tensor, shape (d,)

    Raises
    ------
    RuntimeError
        If the loss is not so low after 60 steps.
    """
    import torch
    from torch.func import jacrev, vmap

    inputs, targets = problem.samples

    def residuals(w: Tensor) -> Tensor:
        with torch.no_grad():
            return (problem.outputs(w, inputs) - targets).flatten()

    def output(w: Tensor, one: Tensor) -> Tensor:
        return problem.outputs(w, one[None]).flatten()

    w, damping = problem.start(), 1.0
    left = residuals(w)
    for _ in range(_MOST):
        jacobian = vmap(jacrev(output), (None, 0))(w, inputs).flatten(0, 1).detach()
        kernel = jacobian @ jacobian.T
        new, after = w, torch.full_like(left, torch.inf)
        while not after.norm() < left.norm() and damping < 1e12:
            damped = kernel + damping * torch.eye(len(kernel), dtype=w.dtype)
            new = w - jacobian.T @ torch.linalg.solve(damped, left)
            after = residuals(new)
            damping *= _RISE
        w, left, damping = new, after, damping / (_RISE * _FALL)
        loss = float(left.square().sum()) / len(inputs)
        if loss < low:
            return w
    raise RuntimeError(f"the network does not fit its samples: its loss is {loss:.1e}")
