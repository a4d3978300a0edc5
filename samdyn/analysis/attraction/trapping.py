"""Trapped at a saddle: whether by an attractor, by a chaotic set, or only for a long time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.attraction.attractors import Attractor
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.attraction.search import Search
from samdyn.analysis.linear import Linear, described
from samdyn.ensembles.events import Diverged, Escape
from samdyn.ensembles.points import ball
from samdyn.ensembles.result import finished, whole_final
from samdyn.ensembles.run import simulate
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System
from samdyn.systems.stepped import Stepped

_SAMPLE = 32
_FAR = 1e12


@dataclass(frozen=True, eq=False)
class Trapping:
    """What becomes of an ensemble that begins close to a point.

    Attributes
    ----------
    kind : str
        What those that have stayed are on, by a sample of 32. "attractor": certified attractors
        within the ball, none of them chaotic. "transient": not so, and particles kept leaving
        after the first tenth of the run. "chaotic": certified attractors within the ball, some
        chaotic, and none kept leaving. "repelling": all have left. "undecided": what has stayed is
        none of these yet.
    share : float
        Of the particles, those that stayed for the whole run.
    attractors : tuple of Attractor
        Within the ball, found among those that stayed.
    escape_rate : float
        Escapes per step (a flow: per unit of time) and particle present after the first tenth of
        the run, by maximum likelihood for an exponential law; NaN if nobody was present. Of kind
        "attractor" those on it do not count.
    escape_interval : (float, float)
        Its exact 95 % interval (Garwood's, for a Poisson count). With no escape the upper end is
        what can be said.
    exponent : float
        The largest Lyapunov exponent of those that stayed without a period. If there are none and
        the point itself is fixed and repels, the rate at which a small distance from it grows, log
        of its largest multiplier. Per step (a flow: per unit of time); else NaN.
    steps : ndarray of int, shape (particles,)
        When each left, or the length of the run.
    escaped : ndarray of bool, shape (particles,)
    """

    kind: str
    share: float
    attractors: tuple[Attractor, ...]
    escape_rate: float
    escape_interval: tuple[float, float]
    exponent: float
    steps: np.ndarray
    escaped: np.ndarray

    def __repr__(self) -> str:
        low, high = self.escape_interval
        kinds = ", ".join(
            f"{one.kind}{f' of period {one.period}' if one.period > 1 else ''}"
            for one in self.attractors
        )
        rate = f"escape rate {self.escape_rate:.3g} [{low:.3g}, {high:.3g}]"
        return (
            f"Trapping({self.kind}; {self.share:.1%} stayed; {kinds or 'no attractor'}; "
            f"{'all left early' if np.isnan(self.escape_rate) else rate})"
        )


def trapping(
    system: System,
    point: Any,
    *,
    radius: float,
    spread: float | None = None,
    particles: int = 1024,
    steps: int = 100_000,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = True,
) -> Trapping:
    """Say in which sense a system is trapped at a point, such as a saddle of the loss.

    An ensemble begins evenly spread in a ball around the point. Those that leave the ball of
    ``radius`` have escaped; what the others do is certified: fixed points and cycles by their
    multipliers, chaos by its exponent, and a long transient by its escape rate.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Each of its numbers being one value.
    point : array_like, shape (d,) or (rows,)
    radius : float
        Beyond this distance (of the weights) a particle has escaped.
    spread : float, optional
        Radius of the ball in which the particles begin. Default: a tenth of ``radius``. It matters:
        normalised SAM traps what begins where |grad L| < rho |lambda_1|.
    particles : int, default 1024
    steps : int, default 100_000
    seed : int, default 0
        Of the initial points.
    threads, progress
        As in `samdyn.simulate`.

    Returns
    -------
    Trapping

    Examples
    --------
    Normalised SAM at the saddle of x^2 - y^2/2 is on a stable 2-cycle along x:

    >>> import samdyn as sd
    >>> saddle = sd.Loss("x**2 - y**2/2")
    >>> found = trapping(sd.Map(saddle, sd.SAM(lr=0.1, rho=0.3)), [0, 0], radius=1.0, steps=5000)
    >>> found.kind, found.attractors[0].period
    ('attractor', 2)
    >>> trapping(sd.Map(saddle, sd.GD(lr=0.1)), [0, 0], radius=1.0, steps=5000).kind
    'repelling'
    """
    continuous = isinstance(system, System) and system.continuous
    linear = Linear(Stepped(system) if continuous else system)
    system = linear.system
    center = linear.states(point)
    if center.ndim != 1:
        raise ValueError(f"point must be one point, got shape {center.shape}")
    radius = checked_number("radius", radius, above=0.0)
    spread = 0.1 * radius if spread is None else checked_number("spread", spread, above=0.0)
    if not spread < radius:
        raise ValueError(f"spread must be below radius ({radius:g}), got {spread:g}")
    checked_whole("particles", particles, 1)
    checked_whole("steps", steps, 10)
    d = len(system.coordinates)
    start = ball(particles, seed=seed, center=center[:d], radius=spread, names=system.coordinates)
    states = np.broadcast_to(center, (particles, linear.size)).copy()
    states[:, :d] = start.values
    options: dict[str, Any] = {"threads": threads, "progress": progress}
    run = simulate(
        system,
        xr.DataArray(states, dims=("particle", "coord"), coords={"coord": list(system.rows)}),
        steps,
        until=[Escape(center=tuple(center[:d]), radius=radius), Diverged(_FAR * radius)],
        state=True,
        **options,
    )
    finished(run)
    stayed, taken = run.reason.values == 0, run.steps.values
    early = steps // 10
    late = int(np.sum(~stayed & (taken > early)))
    ends = whole_final(run, system)[stayed][:_SAMPLE]
    search = Search(Running(linear, center + radius * np.eye(linear.size), **options), steps)
    labels, _ = search.label(ends)
    within = [_within(one, center[:d], radius) for one in search.attractors]
    reached = [search.attractors[k] for k in np.unique(labels[labels >= 0]) if within[k]]
    held = [k >= 0 and within[k] for k in labels]
    kind = _kind(held, reached, bool(np.any(stayed)), late)
    # those on an attractor never leave: they say nothing of how fast the others do
    counted = ~stayed if kind == "attractor" and late else np.full(particles, True)
    exposure = float(np.sum(np.maximum(taken[counted] - early, 0))) * system.duration
    chaos = [one.rate / system.duration for one in reached if one.kind == "chaotic"]
    return Trapping(
        kind=kind,
        share=float(np.mean(stayed)),
        attractors=tuple(reached),
        escape_rate=late / exposure if exposure else np.nan,
        escape_interval=_interval(late, exposure),
        exponent=max(chaos, default=_repulsion(linear, center) / system.duration),
        steps=taken,
        escaped=~stayed,
    )


def _repulsion(linear: Linear, center: np.ndarray) -> float:
    """The log of the largest multiplier of a fixed point that repels; else NaN."""
    moved, _ = linear.residual(center)
    if linear.smoothness(center) == "jumps" or np.linalg.norm(moved) > 1e-9:
        return np.nan
    size = float(np.max(np.abs(described(linear, center).eigenvalues)))
    return float(np.log(size)) if size > 1 else np.nan


def _within(attractor: Attractor, center: np.ndarray, radius: float) -> bool:
    away = np.linalg.norm(attractor.points[:, : len(center)] - center, axis=-1)
    return bool(np.all(away <= radius))


def _kind(held: list[bool], reached: list[Attractor], some: bool, late: int) -> str:
    if not some:
        return "repelling"
    chaotic = any(one.kind == "chaotic" for one in reached)
    if all(held) and not chaotic:
        return "attractor"
    if late:
        return "transient"
    return "chaotic" if all(held) else "undecided"


def _interval(count: int, exposure: float) -> tuple[float, float]:
    """Garwood's exact 95 % interval of a rate."""
    from scipy.stats import chi2

    if not exposure:
        return np.nan, np.nan
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / exposure), float(chi2.ppf(0.975, 2 * count + 2) / 2 / exposure)
