"""Weights at which a network fits its samples to rounding: the minima that SAM moves along."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from samdyn.networks.curvature import NotConverged
from samdyn.networks.losses import differences, squared
from samdyn.networks.problem import Problem, checked_weights
from samdyn.numbers import checked_number, checked_whole

_FALL = 10.0
_RISE = 4.0
_STUCK = 1e12
"""The damping at which no step that is taken is seen any more."""


def interpolating(
    problem: Problem, w: Tensor | None = None, *, tol: float = 1e-28, steps: int = 60
) -> Tensor:
    """Weights with a loss of at most ``tol``, by Levenberg and Marquardt's method.

    From such weights on theorems about SAM near minima can be held against a network: GD stays
    there, and un-normalised SAM leaves along the top eigenvector at the rate
    log(lr l (1 + rho l) - 1) a step, l being the largest eigenvalue.

    Parameters
    ----------
    problem : Problem
        With the loss "mse", in double precision for so small a ``tol``, of more weights than
        numbers to fit. The Jacobian (numbers to fit times weights) is held in memory.
    w : Tensor, shape (d,), optional
        Where to begin. Default: the model's own weights.
    tol : float, default 1e-28
    steps : int, default 60
        At most so many.

    Returns
    -------
    Tensor, shape (d,)

    Raises
    ------
    NotConverged
        If the loss is not so low after so many steps; its ``best`` are the weights arrived at.
    ValueError
        If the loss is another, or an argument is out of range.

    References
    ----------
    Marquardt, J. Soc. Ind. Appl. Math. 11 (1963) 431. Its use here: Wen, Ma and Li,
    arXiv 2211.05729, on minima that interpolate.

    Examples
    --------
    >>> from samdyn.networks.models import mlp
    >>> from samdyn.networks.problem import Samples
    >>> x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    >>> problem = Problem(mlp(1, 8, 1, activation="tanh").double(), Samples(x, x**2), "mse")
    >>> float(problem.value(interpolating(problem))) < 1e-28
    True
    """
    if problem.loss is not squared:
        raise ValueError("problem must have the loss 'mse', whose residuals are fitted")
    tol = checked_number("tol", tol, above=0.0)
    w = problem.start() if w is None else checked_weights(problem, w)
    inputs, targets = problem.samples

    def residuals(w: Tensor) -> Tensor:
        with torch.no_grad():
            return differences(problem.outputs(w, inputs), targets).flatten()

    def output(w: Tensor, one: Tensor) -> Tensor:
        return problem.outputs(w, one[None]).flatten()

    left, damping = residuals(w), 1.0
    for _ in range(checked_whole("steps", steps, 1)):
        if float(left.square().sum()) / len(inputs) <= tol:
            return w
        jacobian = vmap(jacrev(output), (None, 0))(w, inputs).flatten(0, 1).detach()
        kernel = jacobian @ jacobian.T
        new, after = w, torch.full_like(left, torch.inf)
        while not after.norm() < left.norm() and damping < _STUCK:
            damped = kernel + damping * torch.eye(len(kernel), dtype=w.dtype, device=w.device)
            new = w - jacobian.T @ torch.linalg.solve(damped, left)
            after = residuals(new)
            damping *= _RISE
        w, left, damping = new, after, damping / (_RISE * _FALL)
    loss = float(left.square().sum()) / len(inputs)
    if loss <= tol:
        return w
    raise NotConverged(
        f"the network does not fit its samples in {steps} steps: its loss is {loss:.1e}, above "
        f"tol, {tol:g}; raise steps or tol, or give it more weights than there are numbers to fit",
        w,
    )
