"""Figures 4b and 4c of Zhou et al., on the example with eight samples."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.zhou_escape.setting import (
    NORMALIZED,
    RHO,
    RUNS,
    SHOWN,
    between,
    curvature,
    ends_of,
    rates,
)

_SEEN = 31
_LATER = 11
"""So many steps later the paper's losses are drawn, to lie beside ours."""


def draw(runs: Runs) -> Figure:
    """Escape, both phases, rates beside linear theory, and the line between the ends."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.8))
    _draw_escape(runs, axes[0, 0])
    _draw_both(runs, axes[0, 1])
    _draw_rates(runs, axes[1, 0])
    _draw_line(runs, axes[1, 1])
    titles = (
        f"escape, {SHOWN} of {RUNS:,} runs",
        "the same to the end, and normalised SAM",
        "rates of un-normalised SAM, and linear theory",
        f"no barrier: {SHOWN} runs of normalised SAM",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_escape(runs: Runs, ax: Axes) -> None:
    run, mean = runs["usam"].sel(rho=RHO), runs["usam_mean"].sel(rho=RHO)
    time = run.time.values[:_SEEN]
    loss = run.loss.values[:, :_SEEN]
    ax.plot(time, loss[:SHOWN].T, color=plot.COLORS[1], lw=0.4, alpha=0.25)
    low, high = np.quantile(loss, [0.1, 0.9], axis=0)
    ax.fill_between(
        time, low, high, color=plot.COLORS[1], alpha=0.25, lw=0, label="80 % of the runs"
    )
    ax.plot(time, loss.mean(axis=0), color=plot.COLORS[1], lw=2, label="SAM, mean")
    start = float(loss[0, 0])
    u = np.array(runs["sgd"].w.values[-1, 0])
    for rate, dashes, said in zip(
        rates(u, RHO), ("--", ":"), ("of the mean", "of a typical run"), strict=True
    ):
        ax.plot(time[:18], start * np.exp(rate * time[:18]), color="black", ls=dashes, lw=1.2,
                label=f"linear theory {said}", zorder=5)  # fmt: skip
    stretch = mean.fit.values[:_SEEN]
    shown = time <= int(mean.escape_stretch[1])
    ax.plot(time[shown], stretch[shown], color=plot.COLORS[4], lw=5, alpha=0.5, label="fit")
    paper = runs["paper"]
    ax.plot(
        paper.time + _LATER, paper.loss, "D", color=plot.COLORS[0], ms=4, mfc="white",
        label=f"paper's Fig. 4b, {_LATER} steps later",
    )  # fmt: skip
    sgd = runs["usam"].sel(rho=0.0).loss.mean("particle").values[:_SEEN]
    ax.plot(time, sgd, color=plot.COLORS[7], label="SGD goes on, mean")
    ax.set(yscale="log", ylim=(1e-11, 1e3), xlim=(0, _SEEN - 1), xlabel="step after the switch",
           ylabel="training loss")  # fmt: skip
    ax.legend(loc="upper left", ncols=2, fontsize=7)


def _draw_both(runs: Runs, ax: Axes) -> None:
    for name, run, color in (
        (rf"SAM, $\rho$ = {NORMALIZED}, mean", runs["sam"], plot.COLORS[2]),
        (rf"USAM, $\rho$ = {RHO}, median", runs["usam"].sel(rho=RHO), plot.COLORS[1]),
    ):
        values = run.loss.values
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        middle = values.mean(axis=0) if "mean" in name else np.median(values, axis=0)
        ax.fill_between(run.time, np.maximum(low, 1e-30), high, color=color, alpha=0.2, lw=0)
        ax.plot(run.time, middle, color=color, label=name)
    fit = runs["sam_mean"]
    ax.plot(fit.time, fit.fit, color="black", ls="--", lw=1, label="fitted phases of the mean")
    ax.set(yscale="log", ylim=(1e-20, 1e3), xlim=(0, 100), xlabel="step after the switch",
           ylabel="training loss")  # fmt: skip
    ax.legend(loc="upper right")


def _draw_rates(runs: Runs, ax: Axes) -> None:
    fine = np.linspace(0.6, 1.6, 60)
    mean, each = runs["usam_mean"].sel(rho=RHO), runs["usam_each"]
    for values, dashes, said in zip(
        rates(fine, RHO), ("-", "--"), ("E $L$", "a typical run"), strict=True
    ):
        ax.plot(curvature(fine), values, color="black", ls=dashes, lw=1, label=f"theory, {said}")
    ends = ends_of(runs)[:SHOWN]
    ax.plot(
        curvature(ends), -each.convergence_rate, "o", color=plot.COLORS[1], ms=3, alpha=0.6,
        mew=0, label="convergence of each run",
    )  # fmt: skip
    a = float(curvature(np.array(runs["sgd"].w.values[-1, 0])))
    for rate, interval, marker, said in (
        (mean.escape_rate, mean.escape_interval, "s", "escape of the mean"),
        (mean.typical_rate, mean.typical_interval, "D", "escape of a typical run"),
    ):
        bars = np.abs(interval.values - float(rate))[:, None]
        ax.errorbar(a, float(rate), bars, fmt=marker, color=plot.COLORS[0], ms=5, capsize=3,
                    mfc="white", label=said)  # fmt: skip
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(xlabel="sharpness of the minimum", ylabel="rate of log loss a step", ylim=(-4, 1.5))
    ax.legend(loc="lower right")


def _draw_line(runs: Runs, ax: Axes) -> None:
    shares = np.linspace(-0.2, 1.2, 141)
    values = between(runs, shares)
    ax.plot(shares, values.T, color=plot.COLORS[2], lw=0.4, alpha=0.3)
    ax.plot(shares, values.mean(axis=0), color=plot.COLORS[2], lw=2, label="mean")
    for x, said in ((0, "SAM's end"), (1, "SGD's end")):
        ax.axvline(x, color="0.6", lw=0.8, ls=":")
        ax.annotate(said, (x, 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                    textcoords="offset points", va="top")  # fmt: skip
    ax.set(xlabel=r"share $\lambda$ of the way", ylabel="training loss")
    ax.legend(loc="center left")
