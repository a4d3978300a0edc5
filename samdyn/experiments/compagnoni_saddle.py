"""Monzio Compagnoni et al.: which algorithms a saddle attracts, with noise and without."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import DNSAM, GD, SAM, USAM, Algorithm
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.analysis.escape.times import escape_times
from samdyn.analysis.spread.saddles import trapping_rho
from samdyn.ensembles.events import Escape
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_LOSS = Loss("x**2/2 - y**2/2 + s*(xi1*x + xi2*y)", noise="xi1 xi2", s=0.1)
_QUIET = _LOSS.replace(s=0.0)
_NEVER = Escape(center=(0.0, 0.0), radius=1e9)
"""For the same kernel as where particles do leave: each takes seconds to compile."""

_NOISES = (0.25, 0.5)
_RHOS = np.linspace(0.0, 1.2, 13)
_RATE_LR, _RATE_STEPS, _MANY, _OFFSET = 0.002, 500, 10_000, 0.1
_SHARES = np.array([0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75])
_EXIT_LR, _EXIT_STEPS, _EXITS, _RADIUS = 0.01, 30_000, 400, 1.0
_NORM_STEPS, _NORMS, _START, _GONE = 20_000, 1_000, (0.05, 0.05), 1.0
_RUN_LR = 0.01
_ALGORITHMS: dict[str, Algorithm] = {
    "GD": GD(lr=_RUN_LR),
    "SGD": GD(lr=_RUN_LR),
    "DNSAM": DNSAM(lr=_RUN_LR, rho=0.3),
    "SAM": SAM(lr=_RUN_LR, rho=0.3),
    "USAM": USAM(lr=_RUN_LR, rho=1.5),
}
_RATIOS = np.array([0.2, 0.5, 0.8, 0.95, 1.05, 1.2, 1.5, 2.0, 3.0, 4.0])
_TURNS, _FULL_LR, _FULL_RHOS = 400, 0.002, np.array([0.1, 0.5])


def compute() -> Runs:
    """Drift rates, exit steps and norms under noise, and absorption without it."""
    return {
        "rates": _rates(),
        "exits": _exits(),
        "norms": _norms(),
        "full": _full(),
    }


def _rates() -> xr.Dataset:
    """The rate at which the mean of y leaves a saddle, from close by, a unit of time."""
    rows = []
    for kind, s in (("USAM", 0.25), *(("SAM", s) for s in _NOISES)):
        algorithm = (USAM if kind == "USAM" else SAM)(lr=_RATE_LR, rho=_RHOS)
        start = np.tile([0.0, _OFFSET * s], (_MANY, 1))
        system = Map(_LOSS.replace(s=s), algorithm)
        run = simulate(system, start, _RATE_STEPS, until=_NEVER, progress=False)
        y = finished(run).final.sel(coord="y")
        mean, error = y.mean("particle"), y.std("particle") / np.sqrt(_MANY)
        time = _RATE_LR * _RATE_STEPS
        rate = np.log(mean / (_OFFSET * s)) / time
        rows.append(xr.Dataset({"rate": rate, "error": error / mean / time}))
    names = xr.DataArray(["USAM", *(f"SAM, s = {s:g}" for s in _NOISES)], dims="kind", name="kind")
    return xr.concat(rows, names)


def _exits() -> xr.Dataset:
    """Median exit steps of SAM from the saddle itself, rho in units of the trapping threshold."""
    s = _LOSS.constants["s"]
    rho = _SHARES * trapping_rho(-1.0, s, 2)
    leave = Escape(center=(0.0, 0.0), radius=_RADIUS * s)
    system = Map(_LOSS, SAM(lr=_EXIT_LR, rho=rho))
    run = simulate(system, np.zeros((_EXITS, 2)), _EXIT_STEPS, until=leave, progress=False)
    times = escape_times(finished(run))
    assert isinstance(times, EscapeSweep)
    low, high = zip(*(one.quantile(0.5)[1:] for _, one in times.items()), strict=True)
    medians = {"median": [one.median for _, one in times.items()], "low": low, "high": high}
    return run.assign({k: ("rho", np.asarray(v, float)) for k, v in medians.items()})


def _norms() -> xr.Dataset:
    """Quartiles of the distance from the saddle in time, of each algorithm; the share gone."""
    times = np.unique(np.round(np.geomspace(1, _NORM_STEPS, 60)).astype(int))
    rows = []
    for name, algorithm in _ALGORITHMS.items():
        loss, many = (_QUIET, 1) if name == "GD" else (_LOSS, _NORMS)
        run = simulate(
            Map(loss, algorithm),
            np.tile(_START, (many, 1)),
            _NORM_STEPS,
            record=times,
            until=Escape(center=(0.0, 0.0), radius=_GONE),
            progress=False,
        )
        size = np.sqrt((finished(run).w ** 2).sum("coord"))
        quartiles = np.minimum(size, _GONE).quantile([0.25, 0.5, 0.75], "particle")
        rows.append(xr.Dataset({"norm": quartiles, "gone": (run.reason == 1).mean("particle")}))
    return xr.concat(rows, xr.DataArray(list(_ALGORITHMS), dims="name", name="name"))


def _full() -> xr.Dataset:
    """The share of starts on |Hx| = ratio rho that full-batch SAM takes to the saddle."""
    turns = 2 * np.pi * (np.arange(_TURNS) + 0.5) / _TURNS
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    shares = []
    for rho in _FULL_RHOS:
        start = (rho * _RATIOS[:, None, None] * circle).reshape(-1, 2)
        run = simulate(
            Map(_QUIET, SAM(lr=_FULL_LR, rho=float(rho))),
            start,
            round(20 / _FULL_LR),
            until=Escape(center=(0.0, 0.0), radius=20.0 * rho),
            progress=False,
        )
        inside = np.linalg.norm(finished(run).final.values, axis=-1) < 0.1 * rho
        shares.append(inside.reshape(len(_RATIOS), -1).mean(axis=1))
    return xr.Dataset(
        {"absorbed": (("rho", "ratio"), shares)}, {"rho": _FULL_RHOS, "ratio": _RATIOS}
    )


def _theory(kind: str, rho: np.ndarray) -> np.ndarray:
    """The rate |l| (1 - rho/threshold) with l = -1."""
    return 1.0 - np.asarray(rho) / _threshold(kind)


def _threshold(kind: str) -> float:
    return 1.0 if kind == "USAM" else float(trapping_rho(-1.0, float(kind.split("=")[1]), 2))


def claims(runs: Runs) -> list[Claim]:
    """The thresholds from both sides, and who stays."""
    found = []
    for kind in map(str, runs["rates"].kind.values):
        one = runs["rates"].sel(kind=kind)
        near = np.abs(one.rate.values) < 1.0
        slope, height = np.polyfit(_RHOS[near], one.rate.values[near], 1)
        crossing, value = -height / slope, _threshold(kind)
        found.append(
            Claim(
                f"{kind}: the mean is attracted from rho = "
                + ("1/|l|" if kind == "USAM" else "s/(c_2 |l|)"),
                f"{value:.4f}, within 3 %",
                f"{crossing:.4f}",
                bool(abs(crossing / value - 1.0) < 0.03),
            )
        )
    below, above = (
        runs["exits"].isel(rho=int(np.argmin(abs(_SHARES - at)))) for at in (0.85, 1.15)
    )
    factor = float(above.low) / float(below.high)
    shortest = _EXIT_STEPS / float(below.high)
    found.append(
        Claim(
            "SAM: median exit step at 1.15 times the threshold against 0.85 times",
            "more than 3 times as long",
            f"over {min(factor, shortest):.3g} times (95 % intervals)",
            min(factor, shortest) > 3.0,
        )
    )
    norms = runs["norms"]
    gone = norms.gone
    found.append(
        Claim(
            "GD and SGD leave",
            "all",
            ", ".join(f"{100 * float(gone.sel(name=k)):g} %" for k in ("GD", "SGD")),
            bool((gone.sel(name=["GD", "SGD"]) == 1).all()),
        )
    )
    found.append(
        Claim(
            "SAM above its threshold and USAM above 1/|l| stay",
            "none gone",
            ", ".join(f"{100 * float(gone.sel(name=k)):g} %" for k in ("SAM", "USAM")),
            bool((gone.sel(name=["SAM", "USAM"]) == 0).all()),
        )
    )
    start = float(np.hypot(*_START))
    nearest = float(norms.norm.sel(name="DNSAM", quantile=0.5).min()) / start
    left = float(gone.sel(name="DNSAM"))
    found.append(
        Claim(
            "DNSAM is pulled in, then ejected",
            "median distance falls below that at the start; over 80 % gone at the end",
            f"to {nearest:.2f} of it; {100 * left:.0f} % gone",
            nearest < 1.0 and left > 0.8,
        )
    )
    full = runs["full"].absorbed
    within, beyond = full.sel(ratio=full.ratio < 1), full.sel(ratio=full.ratio > 2.5)
    found.append(
        Claim(
            "full-batch SAM: absorbed from all of |H x| < rho |l|, not from all beyond",
            "all; fewer",
            f"{100 * float(within.min()):g} %; {100 * float(beyond.max()):g} % at most from 3 on",
            bool((within == 1).all() and (beyond < 0.6).all()),
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """Rates and exit steps about the thresholds; norms in time; absorption without noise."""
    figure, axes = plt.subplots(2, 2, figsize=(8.0, 6.2))
    _draw_rates(runs["rates"], axes[0, 0])
    _draw_exits(runs["exits"], axes[0, 1])
    _draw_norms(runs["norms"], axes[1, 0])
    _draw_full(runs["full"], axes[1, 1])
    titles = (
        r"(a) escape rate of the mean, $\lambda$ = −1",
        "(b) SAM: steps until it leaves",
        "(c) distance from the saddle in time",
        "(d) without noise: SAM's reach",
    )
    for title, ax in zip(titles, axes.flat, strict=True):
        ax.set_title(title, loc="left")
    return figure


def _draw_rates(rates: xr.Dataset, ax: Axes) -> None:
    fine = np.array([0.0, 1.2])
    colors = (plot.COLORS[2], plot.COLORS[1], plot.COLORS[0])
    for kind, color, marker in zip(map(str, rates.kind.values), colors, "so^", strict=True):
        one = rates.sel(kind=kind)
        ax.plot(fine, _theory(kind, fine), color=color, lw=1.1)
        bars: dict[str, Any] = {"yerr": 2 * one.error, "ms": 5, "mfc": "white", "ls": ""}
        ax.errorbar(_RHOS, one.rate, marker=marker, color=color, label=kind, **bars)
    ax.plot([], [], color="0.4", lw=1.1, label=r"theory")
    ax.axhline(0.0, color="0.3", ls=":", lw=1.2)
    ax.annotate("leaves", (0.0, 0.06))
    ax.annotate("attracted", (0.0, -0.22))
    ax.set(xlabel=r"$\rho$", ylabel="rate per unit of time", xlim=(-0.02, 1.22), ylim=(-2.2, 1.2))
    ax.legend(loc="lower left")


def _draw_exits(exits: xr.Dataset, ax: Axes) -> None:
    seen = np.isfinite(exits["median"].values)
    median = exits["median"].values[seen]
    high = np.where(np.isfinite(exits.high.values), exits.high.values, _EXIT_STEPS)[seen]
    bars = np.stack([median - exits.low.values[seen], high - median])
    said = "median, 95 % interval"
    style: dict[str, Any] = {"marker": "^", "color": plot.COLORS[1], "mfc": "white", "lw": 1.0}
    ax.errorbar(_SHARES[seen], median, yerr=bars, label=said, **style)
    over = _SHARES[~seen]
    said = f"most still there after {_EXIT_STEPS:,} steps"
    ax.plot(over, np.full(len(over), _EXIT_STEPS), "^", color=plot.COLORS[1], label=said)
    ax.axvline(1.0, ymax=0.78, color="black", ls=":", lw=1.2, label="theory")
    ax.set(
        yscale="log",
        xlabel=r"$\rho$ over the threshold $s / (c_2\,|\lambda|)$",
        ylabel="steps",
        xlim=(-0.05, 1.85),
        ylim=(200, 6 * _EXIT_STEPS),
    )
    ax.legend(loc="upper left", fontsize=7.5)


def _draw_norms(norms: xr.Dataset, ax: Axes) -> None:
    colors = (plot.COLORS[4], "black", plot.COLORS[0], plot.COLORS[1], plot.COLORS[2])
    for name, color in zip(_ALGORITHMS, colors, strict=True):
        one = norms.norm.sel(name=name)
        algorithm = _ALGORITHMS[name]
        label = name + (rf", $\rho$ = {algorithm.rho:g}" if isinstance(algorithm, SAM) else "")
        style: dict[str, Any] = (
            {"ls": "--", "lw": 2.2, "zorder": 4} if name == "GD" else {"ls": "-"}
        )
        label += " (no noise)" if name == "GD" else ""
        ax.plot(one.time, one.sel(quantile=0.5), color=color, label=label, **style)
        if name != "GD":
            low, high = one.sel(quantile=0.25), one.sel(quantile=0.75)
            ax.fill_between(one.time, low, high, color=color, alpha=0.15, lw=0)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="step",
        ylabel=r"$|x|$, median and quartiles",
        xlim=(1, _NORM_STEPS),
        ylim=(0.004, 1.3),
    )
    ax.legend(loc="upper left", fontsize=7.5)


def _draw_full(full: xr.Dataset, ax: Axes) -> None:
    for rho, color, marker in zip(_FULL_RHOS, plot.COLORS[:2], "os", strict=True):
        style: dict[str, Any] = {"color": color, "mfc": "none", "ms": 8 if marker == "o" else 4}
        ax.plot(
            _RATIOS, full.absorbed.sel(rho=rho), marker + "-", label=rf"$\rho$ = {rho:g}", **style
        )
    ax.axvline(1.0, color="black", ls=":", lw=1.2, label=r"theory: $|Hx| = \rho\,|\lambda|$")
    ax.set(
        xlabel=r"$|Hx| / (\rho\,|\lambda|)$ at the start",
        ylabel="share taken to the saddle",
        ylim=(0, 1.05),
        xlim=(0, 4.1),
    )
    ax.legend(loc="upper right")


EXPERIMENT = Experiment(
    name="compagnoni-saddle",
    title="Attraction to a saddle: USAM, DNSAM and SAM beside GD and SGD",
    source="Monzio Compagnoni et al., arXiv 2301.08203, behaviour near saddles of quadratics",
    caption=(
        "Around the saddle of x^2/2 - y^2/2 with gradient noise s N(0, I): (a) rate at which the "
        "mean of y leaves from 0.1 s, lr = 0.002; it turns round at rho = 1/|l| for USAM, whatever "
        "the noise, and at s/(c_2 |l|) for SAM, c_2 = 0.627. (b) Median number of steps in which "
        "SAM gets from the saddle to the distance s = 0.1, lr = 0.01: soon above the threshold it "
        "is not seen to leave. (c) Distances from the saddle, s = 0.1, lr = 0.01, runs ended at 1: "
        "GD and SGD leave together, SAM and USAM above their thresholds settle, DNSAM is pulled in "
        "and then ejected. (d) Without noise, lr = 0.002: whatever rho is, the saddle absorbs SAM "
        "from everywhere within |H x| < rho |l|, and from fewer directions farther out."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
