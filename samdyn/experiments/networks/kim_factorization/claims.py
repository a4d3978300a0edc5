"""What must come out of the experiment on a matrix factorisation."""

from __future__ import annotations

from math import comb

import numpy as np
import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.networks.kim_factorization.measure import (
    ends_of,
    first_step,
    learned,
    measured_rates,
    times_of,
    usam_times,
)
from samdyn.experiments.networks.kim_factorization.setting import (
    BATCHES,
    LINEAR_RHOS,
    MOMENTA,
    RHOS,
    SAMPLES,
    SEEDS,
    SINGULAR,
    USAM_RHOS,
    linear_rate,
    multiplier,
    thresholds,
)
from samdyn.experiments.networks.seeds import mean

_FREED = 0.1
"""The rho at which momentum and small batches are compared."""
_LARGE = [rho for rho in RHOS if rho >= _FREED]


def claims(runs: Runs) -> list[Claim]:
    """Un-normalised SAM's exact growth; who leaves; and what momentum and small batches do."""
    ends = ends_of(runs)
    return [
        *_growth(runs),
        *_leaving(runs),
        _in_order(runs),
        _descent(ends),
        _stuck(runs, ends),
        _small_batches(ends),
        _together(ends),
        _too_much(ends),
    ]


def _growth(runs: Runs) -> list[Claim]:
    """The saddle's linear part."""
    rates = measured_rates(runs).transpose("momentum", "direction", "rho", "seed").values
    exact = np.array([_exact(momentum) for momentum in MOMENTA])[..., None]
    off = np.abs(rates - exact).max(axis=(1, 2, 3))
    closed = np.log(np.abs([multiplier(s, np.array(LINEAR_RHOS)) for s in SINGULAR]))
    steps = np.exp(rates[0].mean(axis=-1))
    crossings = [float(np.interp(-1.0, -row, LINEAR_RHOS)) for row in steps]
    largest = float(np.abs(exact[0, ..., 0] - closed).max())
    return [
        Claim(
            "un-normalised SAM: growth a step along the singular directions s, "
            f"{closed.size} rates with each of {SEEDS} seeds",
            "log abs(1 + 2 lr s (1 - 2 rho s)) within 1e-8",
            f"at most {off[0]:.1g} off",
            bool(off[0] < 1e-8 and largest < 1e-12),
        ),
        Claim(
            "with momentum 0.9: that of the linear recursion from rest",
            "within 1e-7",
            f"at most {off[1]:.1g} off",
            bool(off[1] < 1e-7),
        ),
        Claim(
            "Theorem 1, rho = -1/lambda = 1/(2 s): there measured growth is 0 (s = 1, 2/3, 1/3)",
            ", ".join(f"{value:.6g}" for value in thresholds()),
            ", ".join(f"{value:.6f}" for value in crossings),
            bool(np.abs(np.array(crossings) / thresholds() - 1).max() < 1e-5),
        ),
    ]


def _exact(momentum: float) -> list[list[float]]:
    return [[linear_rate(s, rho, momentum) for rho in LINEAR_RHOS] for s in SINGULAR]


def _leaving(runs: Runs) -> list[Claim]:
    """When un-normalised SAM leaves by the nonlinear run."""
    times = usam_times(runs).transpose("rho", "seed")
    count = times.notnull().sum("seed").values
    last = thresholds().max()
    expected = [SEEDS if rho < last else 0 for rho in USAM_RHOS]
    free = times.isel(rho=[k for k, rho in enumerate(USAM_RHOS) if rho < last])
    fastest = np.log(np.max([multiplier(s, free.rho.values) for s in SINGULAR], axis=0))
    middle = mean(xr.apply_ufunc(np.log, free))
    value, low, high = (np.exp(one.values) for one in middle)
    scaled = value * fastest
    return [
        Claim(
            "un-normalised SAM: the saddle attracts only beyond the threshold of the smallest "
            f"singular value, 1.5; runs of {SEEDS} that leave, rho = "
            + ", ".join(f"{rho:g}" for rho in USAM_RHOS),
            ", ".join(map(str, expected)),
            ", ".join(map(str, count)),
            list(count) == expected,
        ),
        Claim(
            "until then the step of leaving is set by the direction that grows fastest: step "
            "times its rate",
            "between 1.5 and 4.5, while the steps grow 15-fold or more",
            ", ".join(f"{one:.2f}" for one in scaled)
            + "; steps "
            + ", ".join(
                f"{v:.0f} ({a:.0f}, {b:.0f})" for v, a, b in zip(value, low, high, strict=True)
            ),
            bool(scaled.min() > 1.5 and scaled.max() < 4.5 and value[-1] > 15 * value[0]),
        ),
    ]


def _in_order(runs: Runs) -> Claim:
    half = first_step(learned(runs) > 0.5)
    order = {rho: half.sel(rho=rho).transpose("direction", "seed").values for rho in (0.0, 0.6)}
    said = {
        rho: ", ".join(f"{step:.0f}" for step in np.median(steps, axis=1))
        for rho, steps in order.items()
    }
    return Claim(
        "GD learns the singular values from the largest down, un-normalised SAM with rho = 0.6, "
        "for which the largest attracts at the saddle, from the smallest up (median steps to half "
        "of s = 1, 2/3, 1/3)",
        "increasing; decreasing, for each seed",
        f"{said[0.0]}; {said[0.6]}",
        bool(np.all(np.diff(order[0.0], axis=0) > 0) and np.all(np.diff(order[0.6], axis=0) < 0)),
    )


def _count(marks: xr.DataArray) -> int:
    return int(marks.sum())


def _said(ends: xr.Dataset) -> str:
    """The typical step of those that left, of their logarithms the mean."""
    left = ends.time.where(ends.left, drop=True)
    if left.size < 2:  # too few for an interval
        return ", ".join(f"{step:.0f}" for step in left.values) or "none"
    steps = xr.apply_ufunc(np.log, left)
    value, low, high = (float(np.exp(one)) for one in mean(steps))
    return f"{value:.0f} ({low:.0f}, {high:.0f})"


def _descent(ends: xr.Dataset) -> Claim:
    full = ends.sel(batch_size=SAMPLES, rho=0.0)
    counts = [_count(full.left.sel(momentum=momentum)) for momentum in MOMENTA]
    middle = [times_of(full.sel(momentum=momentum)).median for momentum in MOMENTA]
    return Claim(
        "GD leaves, with momentum 0.9 sooner: geometric mean of the step (95 % interval)",
        f"all of {SEEDS}; below 50",
        ", ".join(_said(full.sel(momentum=momentum)) for momentum in MOMENTA),
        counts == [SEEDS, SEEDS] and middle[1] < middle[0] < 50,
    )


def _stuck(runs: Runs, ends: xr.Dataset) -> Claim:
    first = {"step": 0, "batch_size": 0, "momentum": 0, "rho": 0}
    size = runs["sam"].gradient.isel(first) / (2 * SINGULAR[0])
    full = ends.sel(batch_size=SAMPLES)
    stuck = [_count(full.stuck.sel(rho=rho)) for rho in _LARGE]
    slow = [_count(full.left.sel(rho=0.05, momentum=momentum)) for momentum in MOMENTA]
    return Claim(
        "full-batch SAM, with or without momentum 0.9, is stuck for rho above abs(g)/(2 s), where "
        "its ascent turns the steepest direction (g at the start, s = 1); rho = 0.1, 0.2, 0.5, "
        "and 0.05",
        f"{2 * SEEDS} of {2 * SEEDS} for rho >= 0.1; most leave for rho = 0.05",
        f"abs(g)/(2 s) = {mean(size).said()}, {float(size.max()):.3f} at most; stuck "
        f"{', '.join(map(str, stuck))}; of rho = 0.05 {slow[0]} + {slow[1]} leave",
        stuck == [2 * SEEDS] * len(_LARGE) and float(size.max()) < _FREED and sum(slow) > SEEDS,
    )


def _small_batches(ends: xr.Dataset) -> Claim:
    plain = ends.sel(momentum=0.0)
    large = [_count(plain.left.sel(batch_size=b).sel(rho=_LARGE)) for b in BATCHES]
    slow = [_count(plain.left.sel(batch_size=b, rho=0.05)) for b in BATCHES]
    return Claim(
        "small batches alone free none, they trap more: runs that leave without momentum, B = "
        + ", ".join(map(str, BATCHES)),
        f"rho >= 0.1: none of {SEEDS * len(_LARGE)} each; rho = 0.05: fewer with B = 2 than full",
        f"{', '.join(map(str, large))}; {', '.join(map(str, slow))} of {SEEDS}",
        large == [0] * len(BATCHES) and slow[-1] + 2 <= slow[0],
    )


def _only_one_leaves(one: xr.Dataset, other: xr.Dataset) -> float:
    """The p-value of McNemar's exact test, one-sided: more leave with the one than the other.

    Runs of a seed share their initial weights, so they are paired. Of the seeds that leave with
    one only, each would do so with either with probability 1/2.
    """
    ahead, behind = _count(one.left & ~other.left), _count(other.left & ~one.left)
    n = ahead + behind
    return sum(comb(n, k) for k in range(ahead, n + 1)) / 2**n


def _together(ends: xr.Dataset) -> Claim:
    here = ends.sel(rho=_FREED)
    both = here.sel(batch_size=8, momentum=0.9)
    alone = [
        here.sel(batch_size=8, momentum=0.0),
        here.sel(batch_size=SAMPLES, momentum=0.9),
    ]
    # both must be small, so that neither need be corrected for the other
    p_values = [_only_one_leaves(both, one) for one in alone]
    return Claim(
        f"rho = {_FREED:g}: momentum 0.9 with B = 8 frees SAM, where neither alone does",
        f"most of {SEEDS} leave, none of the others; McNemar's exact test, seeds paired, "
        "one-sided: p < 0.05 against either",
        f"{_count(both.left)}, at step {_said(both)}; "
        f"{_count(alone[0].left)} and {_count(alone[1].left)}; "
        f"p = {p_values[0]:.2g}, {p_values[1]:.2g} (two-sided twice that)",
        _count(both.left) > SEEDS / 2
        and not any(_count(one.left) for one in alone)
        and max(p_values) < 0.05,
    )


def _too_much(ends: xr.Dataset) -> Claim:
    late = ends.sel(momentum=0.9)
    tiny = [_count(late.diverged.sel(batch_size=2, rho=rho)) for rho in RHOS]
    eight = [_count(late.left.sel(batch_size=8, rho=rho)) for rho in _LARGE]
    return Claim(
        "the rescue is narrow: with momentum 0.9, B = 2 diverges, SGD too (rho = "
        + ", ".join(f"{rho:g}" for rho in RHOS)
        + "); and B = 8 frees fewer at rho = 0.2, 0.5 than at 0.1",
        f"nearly all of {SEEDS}; decreasing",
        f"{', '.join(map(str, tiny))}; {', '.join(map(str, eight))}",
        min(tiny) >= SEEDS - 1 and eight[0] > eight[1] >= eight[2] and eight[2] <= 1,
    )
