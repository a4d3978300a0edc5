"""The highest rise of the loss in a ball that projected gradient ascent finds."""

from __future__ import annotations

import torch
from torch import Tensor

from samdyn.networks.sharpness.parts import Landscape


def ascent_rise(land: Landscape, w: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    """L(w + rho g/|g|) - L(w) of each part, of shape (p,), and the directions (p, d).

    Infinite, without a direction, where the gradient g is 0.
    """
    g, here = land.slope(w.expand(land.count, -1))
    v = g / _length(g)
    rise = land.value(w + rho * torch.nan_to_num(v)) - here
    return torch.where(_length(g)[:, 0] > 0, rise, torch.inf), v


def worst_rise(
    land: Landscape,
    w: Tensor,
    rho: float,
    restarts: int,
    steps: int,
    tol: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The largest L(w + rho v) - L(w) found over |v| <= 1, of each part.

    Starts: the gradient's direction, so many random ones, and the opposite of the best end. Far
    uphill a step of this ascent is one of the power method, so close to a minimiser it finds the
    top eigenvector.

    Parameters
    ----------
    land : Landscape
        Of p parts.
    w : Tensor, shape (d,)
    rho, tol : float
    restarts, steps : int
        As in `samdyn.networks.sharpness.finite.sharpness`.
    generator : torch.Generator

    Returns
    -------
    rise : Tensor, shape (p,)
        At least 0: at v = 0 the loss does not rise.
    v : Tensor, shape (p, d)
    """
    g, here = land.slope(w.expand(land.count, -1))
    best, rise = torch.zeros_like(g), torch.zeros_like(here)
    starts = restarts + 2
    for j in range(starts):
        if j == 0:
            v = torch.nan_to_num(g / _length(g))
        elif j < starts - 1:
            v = torch.randn(g.shape, generator=generator, dtype=w.dtype).to(w.device)
            v = v / _length(v)
        else:
            v = -best
        found, v = _climbed(land, w, rho, v, steps, tol)
        better = found - here > rise
        rise = torch.where(better, found - here, rise)
        best = torch.where(better[:, None], v, best)
    return rise, best


def _climbed(
    land: Landscape, w: Tensor, rho: float, v: Tensor, steps: int, tol: float
) -> tuple[Tensor, Tensor]:
    """Projected gradient ascent; each part has a step of its own that fits itself."""
    slope, value = land.slope(w + rho * v)
    size = _length(slope)
    step = torch.where(size > 0, 1.0 / size, 1.0)
    for _ in range(steps):
        trial = _inside(v + step * slope)
        new, there = land.slope(w + rho * trial)
        moved = _length(trial - v)
        better = (there > value)[:, None]
        v, slope = torch.where(better, trial, v), torch.where(better, new, slope)
        value = torch.where(better[:, 0], there, value)
        step = torch.where(better, 2.0 * step, 0.3 * step)
        if not torch.any(moved > tol):
            break
    return value, v


def _inside(v: Tensor) -> Tensor:
    """The nearest points of the unit ball."""
    return v / _length(v).clamp(min=1.0)


def _length(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v, dim=1, keepdim=True)
