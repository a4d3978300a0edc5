"""The three notions of sharpness at finite rho, of a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.problem import Problem, checked_weights
from samdyn.networks.seeds import generator
from samdyn.networks.sharpness.parts import Landscape, Whole, parted
from samdyn.networks.sharpness.worst import ascent_rise, worst_rise
from samdyn.numbers import checked_number, checked_whole

KINDS = ("worst", "ascent", "average")
"""The notions of Wen, Ma and Li."""

_ERRORS = 4.0


@dataclass(frozen=True, eq=False)
class Sharpness:
    """A sharpness R_rho(w) at finite rho. ``float`` takes it for its value.

    Attributes
    ----------
    value : float
        L_rho(w) - L(w).
    low, high : float
        What it lies between; see `sharpness` for what stands behind them.
    direction : Tensor, shape (d,), or None
        The v of L(w + rho v): the worst one found, or that of the gradient (NaN where that is 0).
        None for the average, which has none, and with ``m``, where each part has its own.
    parts : Tensor, shape (p,)
        With ``m``, the sharpness of each part, the last being perhaps of fewer samples; else the
        value alone. Of the average, one for each pair of opposite directions drawn.
    """

    value: float
    low: float
    high: float
    direction: Tensor | None
    parts: Tensor

    @property
    def standard_error(self) -> float:
        """Of the average; 0 for the others, where no mean is sampled."""
        return (self.high - self.low) / (2 * _ERRORS) if np.isfinite(self.high) else 0.0

    def __float__(self) -> float:
        return self.value


def sharpness(
    problem: Problem,
    w: Tensor,
    kind: str = "worst",
    *,
    rho: float,
    m: int | None = None,
    restarts: int = 4,
    steps: int = 200,
    tol: float = 1e-4,
    draws: int = 100,
    seed: int | torch.Generator = 0,
) -> Sharpness:
    """How much the loss rises within a distance ``rho``: R_rho(w) = L_rho(w) - L(w).

    ========== ============================================= ==========================
    kind       L_rho(w)                                      limit of R_rho/rho**2
    ========== ============================================= ==========================
    "worst"    max of L(w + rho v) over abs(v) <= 1          lambda_1/2
    "ascent"   L(w + rho g/abs(g)), g the gradient at w      smallest non-zero lambda/2
    "average"  mean of L(w + rho v) over abs(v) = 1          trace/(2 d)
    ========== ============================================= ==========================

    The limits hold on minimisers. In float32 a rise below some 1e-6 of the loss is rounding.

    Parameters
    ----------
    problem : Problem
        In evaluation mode.
    w : Tensor, shape (d,)
    kind : {"worst", "ascent", "average"}
    rho : float
        Positive.
    m : int, optional
        m-sharpness: the samples are dealt at random into parts of m, a smaller one last, and the
        mean over the parts, each with the share of its samples, of the part's own sharpness is
        taken, which m-SAM lowers. With 1 it is that of single samples, ``per_sample`` of
        `samdyn.sharpness`. Default: the sharpness of the mean loss.
    restarts : int, default 4
        Of "worst": random starts beside the gradient's direction and the best end's opposite.
    steps : int, default 200
        Of "worst": the most steps of a start, each a gradient on all samples.
    tol : float, default 1e-4
        Of "worst": an ascent ends when v moves by no more than this.
    draws : int, default 100
        Of "average": pairs of opposite directions, at least 2.
    seed : int or torch.Generator, default 0
        Of the parts, the random starts and the directions; a generator must be the CPU's.

    Returns
    -------
    Sharpness
        ``low`` and ``high`` are

        - worst: a lower bound, reached by ``direction``, and infinity: whether the ascent found
          the highest point is not known. More restarts can only raise it.
        - ascent: the value, which is exact but for rounding. Infinite where the gradient is 0, of
          one part with ``m``.
        - average: 4 standard errors about the sampled mean. It is the same for every m.

        With ``m`` between 1 and n the value is that of the parts drawn.

    Raises
    ------
    ValueError
        If a number is not positive, w does not fit, m is above the number of samples, or the kind
        is unknown.

    Notes
    -----
    Source: Wen, Ma and Li, arXiv 2211.05729, equations (1), (2) and (4) and Section 5; m-sharpness
    is that of Foret et al., arXiv 2010.01412. A certificate for formulas of few variables is in
    `samdyn.sharpness`; there is none in thousands of dimensions.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, 0 * x[:, :1]), "mse")  # (4 w1^2 + w2^2)/2
    >>> w = torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> for kind in KINDS:
    ...     print(kind, round(float(sharpness(problem, w, kind, rho=0.5)), 1))
    worst 0.7
    ascent 0.6
    average 0.3
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be 'worst', 'ascent' or 'average', got {kind!r}")
    w = checked_weights(problem, w)
    rho = checked_number("rho", rho, above=0.0)
    if not isinstance(rho, float):
        raise ValueError(f"rho must be one number for a network, got an array of {np.size(rho)}")
    if m is not None and checked_whole("m", m, 1) > problem.samples.size:
        raise ValueError(f"m must be at most the {problem.samples.size} samples, got {m}")
    seed = generator(seed)
    if kind == "average":  # linear in the loss: no matter how it is parted
        return _average(problem, w, rho, checked_whole("draws", draws, 2), seed)
    rise = ascent_rise
    if kind == "worst":
        checked_number("tol", tol, above=0.0)
        rise = partial(
            worst_rise,
            restarts=checked_whole("restarts", restarts, 0),
            steps=checked_whole("steps", steps, 1),
            tol=tol,
            generator=seed,
        )
    lands: list[tuple[float, Landscape]] = [(1.0, Whole(problem))]
    if m is not None and m < problem.samples.size:
        lands = parted(problem, m, seed)
    value, parts, v = 0.0, [], None
    for share, land in lands:
        found, v = rise(land, w, rho)
        parts.append(found.double())
        value += share * float(parts[-1].sum())
    whole = len(lands) == 1 and lands[0][1].count == 1
    high = np.inf if kind == "worst" else value
    return Sharpness(value, value, high, v[0] if whole else None, torch.cat(parts))  # type: ignore[index]


def _average(
    problem: Problem, w: Tensor, rho: float, draws: int, generator: torch.Generator
) -> Sharpness:
    """Opposite directions in pairs: what is odd in rho cancels."""
    here, rises = problem.value(w).double(), []
    for _ in range(draws):
        v = torch.randn(w.shape, generator=generator, dtype=w.dtype).to(w.device)
        v = rho * v / torch.linalg.vector_norm(v)
        rises.append((problem.value(w + v).double() + problem.value(w - v).double()) / 2 - here)
    parts = torch.stack(rises)
    value, error = float(parts.mean()), _ERRORS * float(parts.std()) / draws**0.5
    return Sharpness(value, value - error, value + error, None, parts)
