"""Where the search for fixed points and cycles starts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.analysis.linear import Linear
from samdyn.ensembles.events import Diverged
from samdyn.ensembles.result import finished, whole_final
from samdyn.ensembles.run import simulate
from samdyn.losses.critical import CriticalPoint

_SIMULATED, _SNAPSHOTS = 256, (3, 30, 1000)
_LONG = 300_000


def spread(linear: Linear, box: np.ndarray, count: int) -> np.ndarray:
    """States over the box at rest, and what a few and many steps make of them."""
    from scipy.stats import qmc  # takes half a second, which only a search is worth

    power = int(np.ceil(np.log2(max(count, 16))))
    cube = qmc.Sobol(len(box), scramble=False).random_base2(power) + 0.37 / 2**power
    z = linear.states(box[:, 0] + cube * (box[:, 1] - box[:, 0]))
    seeds, numbers = [z], [float(value) for value in linear.system.numbers.values()]
    rows, done = list(z.T), 0
    for steps in _SNAPSHOTS:
        if steps == _SNAPSHOTS[-1]:
            rows = [row[:_SIMULATED] for row in rows]
        many = len(rows[0])
        with np.errstate(all="ignore"):
            for _ in range(steps - done):
                rows = list(linear.system.program(*rows, *numbers))
        rows, done = [np.broadcast_to(row, many) for row in rows], steps
        states = np.stack(rows, axis=-1)
        seeds.append(states[np.all(np.isfinite(states), axis=1)])
    every = np.concatenate(seeds)
    return every[inside(every[:, None, : len(box)], box, 0.0)]


def around(linear: Linear, centres: list[CriticalPoint], box: np.ndarray) -> np.ndarray:
    """The critical points; and states beside those where the system jumps, as far as it jumps.

    A cycle across a jump has a step as long as it is wide, so its half-width is looked for as
    a solution of r = |F(c + r u) - (c + r u)|/2 along each direction u.
    """
    d, generator = len(box), np.random.default_rng(0)
    seeds = [np.empty((0, linear.size)), *(linear.states(c.point)[None] for c in centres)]
    if linear.system.continuous:
        return np.concatenate(seeds)
    for c in centres:
        if linear.smoothness(linear.states(c.point)) != "jumps":
            continue
        vectors = np.linalg.eigh(linear.system.loss.hessian(c.point))[1].T  # type: ignore[union-attr]
        directions, factors = np.concatenate([vectors, -vectors]), np.ones(1)
        if c.isolated:
            others = generator.standard_normal((8 * d, d))
            others /= np.linalg.norm(others, axis=1, keepdims=True)
            directions, factors = np.concatenate([directions, others]), np.array([0.3, 1.0, 3.0])
        width = np.max(box[:, 1] - box[:, 0])
        r = np.full(len(directions), 1e-6 * width)
        for _ in range(40):
            z = linear.states(c.point + r[:, None] * directions)
            jump = np.linalg.norm((linear.law(z)[0] - z)[:, :d], axis=1) / 2
            r = np.clip(np.nan_to_num(jump, nan=width), 1e-15 * width, width)
        away = factors[:, None, None] * r[:, None] * directions
        seeds.append(linear.states(c.point + away.reshape(-1, d)))
    return np.concatenate(seeds)


def settled(linear: Linear, states: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Where long runs end, in the box.

    Normalised SAM drifts along valleys as slowly as its cycles are small: the cycle that it ends
    in may be far from the critical point beside it.
    """
    run = simulate(
        linear.system,
        xr.DataArray(
            states, dims=("particle", "coord"), coords={"coord": list(linear.system.rows)}
        ),
        _LONG,
        until=Diverged(1e6 * float(np.max(np.abs(box)))),
        state=True,
        progress=False,
    )
    ends = whole_final(finished(run), linear.system)
    return ends[inside(ends[:, None, : len(box)], box, 0.0)]


def inside(orbits: np.ndarray, box: np.ndarray, slack: float) -> np.ndarray:
    """Which of the orbits, shape (m, period, d), lie in the box or that part of it beside it."""
    margin = slack * (box[:, 1] - box[:, 0])
    within = (orbits >= box[:, 0] - margin) & (orbits <= box[:, 1] + margin)
    return np.all(within, axis=(1, 2))
