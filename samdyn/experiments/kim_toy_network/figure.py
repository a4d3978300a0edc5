"""The figure of the experiment on a network of one neuron."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.kim_toy_network.measure import (
    ends_of,
    measured_growth,
    network_of,
    share,
)
from samdyn.experiments.kim_toy_network.setting import (
    BATCHES,
    DRAWN_BATCHES,
    DRAWN_RUNS,
    DRAWS,
    FREED,
    HEIGHT,
    MOMENTA,
    RHOS,
    RUNS,
    SAMPLES,
    SHOWN,
    SLOPES,
    STEPS,
    Network,
    drift,
    exponent,
)


def draw(runs: Runs) -> Figure:
    """Paths and drift; growth at a saddle; what is lost, and the loss; other samples."""
    figure, axes = plt.subplots(2, 3, figsize=(13.0, 7.8))
    net, final = network_of(runs), ends_of(runs)
    _draw_plane(runs, net, axes[0, 0])
    _draw_drift(runs, net, axes[0, 1])
    _draw_growth(runs, net, axes[0, 2])
    _draw_shares(final, axes[1, 0])
    _draw_loss(net, final, axes[1, 1])
    _draw_draws(runs, axes[1, 2])
    for form, said in (("-o", "stuck by the line, in (d)"), (":x", "diverged, in (d)")):
        axes[1, 0].plot([], [], form, color="0.4", ms=4, lw=1.2, label=said)
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    titles = (
        "full batch, from beside the line of saddles",
        "full-batch SAM drifts along the line",
        "un-normalised SAM: growth at the saddle (0, 0.5)",
        "SAM: where runs end",
        "SAM: mean loss at the end",
        rf"SAM, $\rho$ = {FREED:g}, on {DRAWS} other draws of samples (thin)",
    )
    for letter, title, ax in zip("abcdef", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_plane(runs: Runs, net: Network, ax: Axes) -> None:
    box = [(-0.25, 1.55), (0.2, 4.0)]
    plot.contours(net.loss.mean, box, ax=ax, log=True)
    ax.axvline(0, color="black", lw=1.2)
    ax.text(-0.02, 2.3, "saddles", rotation=90, ha="right", va="center", fontsize=8)
    w1 = np.linspace(0.4, box[0][1], 200)
    ax.plot(w1, net.c / net.m4 / w1**2, "--", color="black", lw=1.2)
    ax.text(0.72, 2.55, "global minima", fontsize=8)
    for k, rho in enumerate(runs["paths"].rho.values):
        path = runs["paths"].w.sel(rho=rho)
        said = "GD" if rho == 0 else rf"SAM, $\rho$ = {rho:g}"
        w1, w2 = path.sel(coord="w1"), path.sel(coord="w2")
        above = 3 - 0.1 * k  # all of SAM's are on one line; the longest are drawn first
        ax.plot(w1, w2, color=plot.COLORS[k], lw=1.3, zorder=above)
        ax.plot(w1[-1], w2[-1], "o", color=plot.COLORS[k], ms=5, zorder=4)
        ax.annotate(
            said, (w1[-1], w2[-1]), (7, 0), textcoords="offset points", va="center", fontsize=8,
            color=plot.COLORS[k], fontweight="bold",
        )  # fmt: skip
    ax.plot(0.08, HEIGHT, "*", color="black", ms=9)
    ax.set(xlim=box[0], ylim=box[1], xlabel="$w_1$", ylabel="$w_2$")


def _draw_drift(runs: Runs, net: Network, ax: Axes) -> None:
    run = runs["paths"]
    for k, rho in enumerate(run.rho.values[1:], start=1):
        color = plot.COLORS[k]
        w2 = run.w.sel(rho=rho, coord="w2")
        ax.plot(run.time, w2, color=color, lw=3, alpha=0.4, label=rf"$\rho$ = {rho:g}")
        theory = drift(net, np.array(HEIGHT), float(rho), run.time.values)
        ax.plot(run.time, theory, "--", color=color, lw=1.2)
    ax.plot([], [], "--", color="black", lw=1.2, label="theory: the gradient at ($\\rho$, $w_2$)")
    ax.set(xlabel="step", ylabel="$w_2$", xlim=(0, STEPS), ylim=(0, None))
    ax.legend(loc="upper left")


def _draw_growth(runs: Runs, net: Network, ax: Axes) -> None:
    rhos = np.linspace(0, SLOPES[-1], 26)
    rates, errors = measured_growth(runs)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    for k, size in enumerate(BATCHES):
        exact = [1e3 * exponent(net, int(size), rho) for rho in rhos]
        said = "full batch" if size == SAMPLES else f"$B$ = {size}"
        ax.plot(rhos, exact, color=plot.COLORS[k], label=f"exact, {said}")
        ax.errorbar(
            SLOPES, 1e3 * rates.sel(batch_size=size), 1.96e3 * errors.sel(batch_size=size),
            fmt="o", color=plot.COLORS[k], ms=4, mfc="white", capsize=2,
        )  # fmt: skip
    ax.errorbar(
        [],
        [],
        [],
        fmt="o",
        color="0.4",
        ms=4,
        mfc="white",
        capsize=2,
        label=f"measured, {RUNS} runs",
    )
    threshold = -1 / (-4 * net.c * HEIGHT)
    ax.axvline(threshold, color="black", lw=0.9, ls=":", label=r"Theorem 1, $-1/\lambda_1$")
    ax.set(xlabel=r"$\rho$", ylabel=r"growth of abs($w_1$), $10^{-3}$ a step", xlim=(0, 0.253))
    ax.legend(loc="lower left")


def _said(size: int, momentum: float) -> str:
    batch = "full batch" if size == SAMPLES else f"$B$ = {size}"
    return rf"{batch}, $\beta$ = {momentum:g}"


_BROAD = ((7.0, 0.4), (3.5, 0.9))
"""Width and opacity of the first lines that are drawn; the third lies on both."""


def _draw_line(ax: Axes, k: int, y: np.ndarray, bars: np.ndarray, form: str, label: str) -> None:
    """Means or shares by rho, of what is drawn as number k."""
    width, opacity = _BROAD[k] if k < len(_BROAD) else (1.2, 1.0)
    ax.errorbar(
        RHOS + 0.002 * max(k - 2, 0), y, bars, fmt=form, color=plot.COLORS[k], label=label,
        lw=width, alpha=opacity, ms=4, capsize=2, elinewidth=0.8,
    )  # fmt: skip


def _draw_shares(final: xr.Dataset, ax: Axes) -> None:
    for k, (size, momentum) in enumerate(SHOWN):
        here = final.sel(batch_size=size, momentum=momentum)
        for marks, form in ((here.stuck, "-o"), (here.away, ":x")):
            shares = np.array([share(marks.sel(rho=rho)) for rho in RHOS])
            if form == ":x" and not shares[:, 0].any():
                continue
            bars = np.abs(shares[:, 1:].T - shares[:, 0])
            label = _said(size, momentum) if form == "-o" else ""
            _draw_line(ax, k, shares[:, 0], bars, form, label)
    _point_out(ax, (0.25, 0.98), (0.33, 1.13))
    ax.set(xlabel=r"$\rho$", ylabel="share of runs", ylim=(-0.03, 1.2))
    ax.set_yticks(np.linspace(0, 1, 6))


def _point_out(ax: Axes, place: tuple[float, float], text: tuple[float, float]) -> None:
    """Say that the first three of what is drawn are one line."""
    ax.annotate(
        "three lines that coincide", place, text, va="center", fontsize=8,
        arrowprops={"arrowstyle": "-", "color": "0.4", "lw": 0.8},
    )  # fmt: skip


def _draw_loss(net: Network, final: xr.Dataset, ax: Axes) -> None:
    for level, said in ((net.on_line, "on the line of saddles"), (net.least, "least")):
        ax.axhline(level, color="0.6", lw=0.8, ls="--", zorder=0)
        ax.text(0.5, level + 0.1, said, ha="right", va="bottom", fontsize=8, color="0.3")
    for k, (size, momentum) in enumerate(SHOWN):
        losses = final.loss.sel(batch_size=size, momentum=momentum)
        mean = losses.mean("particle")
        bars = 1.96 * losses.std("particle", ddof=1) / np.sqrt(RUNS)
        _draw_line(ax, k, mean.values, bars.values, "-o", "")
    _point_out(ax, (0.125, 3.1), (0.0, 4.0))
    ax.set(xlabel=r"$\rho$", ylim=(0, 4.2), yticks=np.arange(0, 4.1))
    ax.set_ylabel("mean loss (diverged: as on the line)")


def _draw_draws(runs: Runs, ax: Axes) -> None:
    shares = runs["draws"].lost / DRAWN_RUNS
    places = ((2.1, 0.85), (5.0, 0.57), (4.3, 0.41))
    for momentum, color, place in zip(MOMENTA, (0, 3, 5), places, strict=True):
        here = shares.sel(momentum=momentum)
        ax.plot(DRAWN_BATCHES, here.T, color=plot.COLORS[color], lw=0.7, alpha=0.6)
        ax.plot(DRAWN_BATCHES, here.mean("draw"), "o-", color=plot.COLORS[color], lw=2.2, ms=4)
        ax.text(
            *place, rf"$\beta$ = {momentum:g}", color=plot.COLORS[color], fontweight="bold",
            va="center",
        )  # fmt: skip
    ax.set(xscale="log", xlabel="batch size $B$", ylim=(-0.03, 1.03))
    ax.set_xticks(DRAWN_BATCHES, [str(size) for size in DRAWN_BATCHES])
    ax.minorticks_off()
    ax.set_ylabel("share of runs stuck or diverged")
