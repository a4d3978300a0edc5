"""How the noise of minibatch gradients is aligned with a network's curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from samdyn.networks.noise.covariance import covariance_product, noise_trace
from samdyn.networks.noise.gradients import pushed
from samdyn.networks.problem import Problem, checked_weights
from samdyn.networks.seeds import generator
from samdyn.numbers import checked_whole

Product = Callable[[Tensor], Tensor]


class GradientNoise(NamedTuple):
    """Noise beside curvature, with Sigma the covariance of one sample's gradient.

    Attributes
    ----------
    loss, trace : float
        L and Tr(Sigma), both exact.
    frobenius, curvature : float
        |Sigma|_F and |H|_F.
    common : float
        Tr(Sigma H).
    alignment : float
        Tr(Sigma H)/(2 L |H|_F^2), which is ``cosine`` times ``size``.
    cosine : float
        Tr(Sigma H)/(|Sigma|_F |H|_F).
    size : float
        |Sigma|_F/(2 L |H|_F).
    errors : dict
        The standard errors of frobenius, curvature, common, alignment, cosine and size; 0 where
        nothing was drawn at random.
    """

    loss: float
    trace: float
    frobenius: float
    curvature: float
    common: float
    alignment: float
    cosine: float
    size: float
    errors: dict[str, float]


def gradient_noise(
    problem: Problem,
    w: Tensor,
    *,
    probes: int | None = 30,
    gauss_newton: bool = True,
    seed: int = 0,
) -> GradientNoise:
    """The covariance of one sample's gradient, and how it follows loss and curvature.

    ``alignment`` is at least gamma where Zhou et al.'s Assumption 4.1 holds,
    Tr(Sigma H) >= 2 gamma L |H|_F^2. Their theorems are of squared losses; the ratio does not
    depend on the unit of the loss, but it does on the loss's least value, which is taken to be 0.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    probes : int or None, default 30
        The three traces are exact on a subspace of so many dimensions, where H and Sigma are
        large, and estimated by as many random signs on the rest (Hutch++). None: exact, by d
        products with each of H and Sigma; so is any number from d up.
    gauss_newton : bool, default True
        Whether H is the Gauss-Newton matrix, the mean of J_i^T (loss's Hessian) J_i, which is the
        H of the assumption and the Hessian where all samples fit. False: the Hessian.
    seed : int, default 0
        Of the random signs.

    Returns
    -------
    GradientNoise
        The ratios are NaN where the loss, the noise or the curvature is 0.

    Raises
    ------
    ValueError
        As `samdyn.networks.noise.gradients.sample_gradients`.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Assumption 4.1; after Wu, Wang and Su, arXiv 2207.02628.
    Hutch++: Meyer, Musco, Musco and Woodruff, arXiv 2010.09649.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 0 * x), "mse")
    >>> seen = gradient_noise(problem, torch.tensor([0.5], dtype=torch.float64))
    >>> seen.trace, round(seen.alignment, 12)  # Var(x^2)/(E x^2)^2 = 16/25
    (16.0, 0.64)
    """
    if probes is not None:
        checked_whole("probes", probes, 2)
    trace, loss = noise_trace(problem, w), float(problem.value(w))
    w = w.detach()

    def curved(v: Tensor) -> Tensor:
        return gauss_newton_product(problem, w, v) if gauss_newton else problem.hvp(w, v)

    def noisy(v: Tensor) -> Tensor:
        return covariance_product(problem, w, v)

    if probes is None or probes >= problem.dimension:
        basis, rest = torch.eye(problem.dimension, dtype=w.dtype, device=w.device), []
    else:
        signs = torch.randint(0, 2, (2 * probes, len(w)), generator=generator(seed))
        signs = (2 * signs - 1).to(w)
        seen = [(curved if j % 2 else noisy)(v) for j, v in enumerate(signs[:probes])]
        basis = torch.linalg.qr(torch.stack(seen).T)[0].T
        rest = [v - basis.T @ (basis @ v) for v in signs[probes:]]
    known = _squares(basis, noisy, curved).sum(dim=0)
    drawn = _squares(rest, noisy, curved)
    total = known + (drawn.mean(dim=0) if rest else 0.0)
    # each statistic's logarithm is a sum of these three: noise^2, common, curvature^2
    powers = {
        "frobenius": (0.5, 0.0, 0.0),
        "curvature": (0.0, 0.0, 0.5),
        "common": (0.0, 1.0, 0.0),
        "alignment": (0.0, 1.0, -1.0),
        "cosine": (-0.5, 1.0, -0.5),
        "size": (0.5, 0.0, -0.5),
    }
    units = {"alignment": 2.0 * loss, "size": 2.0 * loss}
    values, errors = {}, {}
    for name, power in powers.items():
        shares = torch.tensor(power, dtype=torch.float64)
        unit = units.get(name, 1.0)
        values[name] = float(_product(total, shares)) / unit if unit else float("nan")
        spread = (drawn * torch.where(shares == 0, 0.0, shares / total)).sum(dim=1)
        error = float(spread.std() / len(rest) ** 0.5) if rest else 0.0
        errors[name] = abs(values[name]) * error if values[name] else 0.0
    return GradientNoise(loss, trace, **values, errors=errors)


def _product(total: Tensor, powers: Tensor) -> Tensor:
    """The product of powers, a common factor that changes sign keeping it; 0/0 is NaN."""
    used = powers != 0
    return torch.prod(torch.where(powers == 1, total, total.abs() ** powers)[used])


def _squares(vectors: Tensor | list[Tensor], noisy: Product, curved: Product) -> Tensor:
    """|Sigma v|^2, Sigma v·H v and |H v|^2 for each vector, of shape (m, 3)."""
    rows = []
    for v in vectors:
        s, h = noisy(v).double(), curved(v).double()
        rows.append(torch.stack([s @ s, s @ h, h @ h]))
    return torch.stack(rows).cpu() if rows else torch.zeros((0, 3), dtype=torch.float64)


def gauss_newton_product(problem: Problem, w: Tensor, v: Tensor) -> Tensor:
    """The Gauss-Newton matrix of the mean loss times a vector, of shape (d,).

    The mean of J_i^T B_i J_i v, J_i being the Jacobian of the outputs and B_i the Hessian of the
    loss in them.
    """
    w, v = checked_weights(problem, w), checked_weights(problem, v, "v")
    total = torch.zeros_like(w)
    for share, some in problem.chunks():
        at = w.detach().requires_grad_()
        out = problem.outputs(at, some.inputs)
        along = pushed(out, at, v)
        said = out.detach().requires_grad_()
        slope = torch.autograd.grad(
            problem.loss(said, some.targets).mean(), said, create_graph=True
        )[0]
        if slope.requires_grad:  # else the loss is linear in the outputs
            curved = torch.autograd.grad(slope, said, along)[0]
            total += share * torch.autograd.grad(out, at, curved)[0]
    return total
