"""The manifold of a network's interpolating weights, and the limiting flows of SAM on it.

For the loss "mse" on numbers, one of each sample, fitted exactly: there the Hessian of the mean
loss is 2/n J^T J, J being the Jacobian (n, d) of the outputs. All by ``torch.vmap``, for many
networks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import grad, jacrev

from samdyn.networks import Problem
from samdyn.networks.losses import differences

_NEWTON = 30
_FITTED = 1e-10
_HALVES = 2
"""Steps of the integrator between two times."""

Residuals = Callable[[Tensor], Tensor]


def residuals(problem: Problem) -> Residuals:
    """The function from weights (d,) to what outputs differ from targets by, (n,)."""
    inputs, targets = problem.samples

    def left(w: Tensor) -> Tensor:
        return differences(problem.outputs(w, inputs), targets).flatten()

    return left


def projected(problem: Problem, w: Tensor) -> Tensor:
    """Interpolating weights beside some weights, by Newton's steps of least length.

    Parameters
    ----------
    problem : Problem
        Of fewer samples than weights.
    w : Tensor, shape (…, d)

    Raises
    ------
    RuntimeError
        If an output still differs from its target by more than 1e-10.
    """
    f = residuals(problem)
    rows = w.reshape(-1, w.shape[-1])

    def closer(w: Tensor) -> Tensor:
        return w - _least(jacrev(f)(w), f(w))

    for _ in range(_NEWTON):
        rows = torch.vmap(closer)(rows)
        away = float(torch.vmap(f)(rows).abs().max())
        if away < _FITTED:
            return rows.reshape(w.shape)
    raise RuntimeError(f"Newton's method does not reach interpolating weights: {away:.1e} away")


def spectrum(problem: Problem, w: Tensor) -> tuple[Tensor, Tensor]:
    """The Hessian's eigenvalues that are not 0, and its top eigenvector, at interpolating weights.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (…, d)

    Returns
    -------
    Tensor, shape (…, n)
        Ascending.
    Tensor, shape (…, d)
        Of length 1.
    """
    f = residuals(problem)

    def one(w: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = jacrev(f)(w)
        values, vectors = torch.linalg.eigh(_kernel(jacobian))
        top = vectors[:, -1] @ jacobian
        return values, top / top.norm()

    values, tops = torch.vmap(one)(w.reshape(-1, w.shape[-1]))
    return values.reshape(*w.shape[:-1], -1), tops.reshape(w.shape)


def gradients(problem: Problem, w: Tensor) -> Tensor:
    """The gradient of the mean loss at each of some weights (…, d)."""
    f = residuals(problem)
    rows = w.reshape(-1, w.shape[-1])
    return torch.vmap(grad(lambda w: f(w).square().mean()))(rows).reshape(w.shape)


def limiting_flows(
    problem: Problem,
    start: Tensor,
    times: Sequence[float],
    single: Sequence[bool],
    lrs: Sequence[float],
) -> Tensor:
    """Where the flows that SAM follows in slow time lr rho^2 t lead from interpolating weights.

    Full-batch SAM follows minus half the gradient of the largest eigenvalue along the manifold,
    SAM with one sample a step that of the trace. Where the largest eigenvalue meets the second the
    former is no longer smooth, and the path found keeps both together, as far as the integrator's
    steps let it.

    Parameters
    ----------
    problem : Problem
    start : Tensor, shape (s, d)
        Interpolating weights.
    times : sequence of float
        Slow times from 0 on, ascending; the integrator (Runge and Kutta's of fourth order) takes
        two steps from one to the next.
    single : sequence of bool
        For each of k flows, whether it is that of the trace.
    lrs : sequence of float
        For each flow, the learning rate in the factor (1 - lr lambda_1/2)^-2 of a finite one; 0
        for the limit. The trace's has no such factor in closed form: 0.

    Returns
    -------
    Tensor, shape (k, s, times, d)

    Notes
    -----
    Wen, Ma and Li, arXiv 2211.05729, equations 7 and 18; the factor is derived in the experiment
    wen-flow.
    """
    f, n = residuals(problem), problem.samples.size
    each = torch.eye(n, dtype=start.dtype, device=start.device)

    def speed(w: Tensor, trace: Tensor, lr: Tensor) -> Tensor:
        jacobian = jacrev(f)(w)
        values, vectors = torch.linalg.eigh(_kernel(jacobian))
        top = torch.outer(vectors[:, -1], vectors[:, -1])
        weight = torch.where(trace, each, top).detach()

        def sharpness(w: Tensor) -> Tensor:
            # with the eigenvector held fixed: the gradient is the eigenvalue's (Hellmann, Feynman)
            return (weight * _kernel(jacrev(f)(w))).sum()

        downhill = -0.5 * grad(sharpness)(w) / (1 - lr * values[-1] / 2) ** 2
        return downhill - _least(jacobian, jacobian @ downhill)

    def repeated(values: Sequence[float], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype).repeat_interleave(len(start)).to(start.device)

    traces, factors = repeated(single, torch.bool), repeated(lrs, start.dtype)
    speeds = torch.vmap(speed)
    w = start.repeat(len(lrs), 1)
    path = [w]
    for earlier, later in pairwise(times):
        h = (later - earlier) / _HALVES
        for _ in range(_HALVES):
            a = speeds(w, traces, factors)
            b = speeds(w + h / 2 * a, traces, factors)
            c = speeds(w + h / 2 * b, traces, factors)
            d = speeds(w + h * c, traces, factors)
            w = w + h / 6 * (a + 2 * b + 2 * c + d)
        w = projected(problem, w)
        path.append(w)
    return torch.stack(path, dim=1).unflatten(0, (len(lrs), len(start)))


def _kernel(jacobian: Tensor) -> Tensor:
    """What has the Hessian's eigenvalues that are not 0."""
    return 2 / len(jacobian) * jacobian @ jacobian.T


def _least(jacobian: Tensor, values: Tensor) -> Tensor:
    """The shortest vector that the Jacobian takes to these values."""
    return jacobian.T @ torch.linalg.solve(jacobian @ jacobian.T, values)
