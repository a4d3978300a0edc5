"""Losses, steps to leave over rho and over batch sizes, and the linearised map."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.kim_network.setting import BATCHES, LEFT, LR, RHOS, TRACED

_SHOWN = {
    "plain": (0, "o", rf"$\eta$ = {LR:g}"),
    "momentum": (1, "s", rf"$\eta$ = {LR:g}, $\beta$ = 0.9"),
    "step 0.1": (2, "^", r"$\eta$ = 0.1"),
    "step 0.2": (3, "D", r"$\eta$ = 0.2"),
}
_TOP = 3_000
"""Where those are drawn that blew up."""


def draw(runs: Runs) -> Figure:
    """Losses; steps to leave by rho and by batch size; growth in each direction."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.2))
    _draw_losses(runs["traces"], axes[0, 0])
    _draw_rhos(runs["full"], axes[0, 1])
    _draw_batches(runs["batches"], axes[1, 0])
    _draw_growth(runs["linear"], axes[1, 1])
    titles = (
        rf"loss, full batch, $\eta$ = {LR:g}",
        "steps to leave, full batch",
        rf"steps to leave, minibatches, $\eta$ = {LR:g}, $\beta$ = 0.9",
        "un-normalised SAM at the saddle",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_losses(traces: xr.Dataset, ax: Axes) -> None:
    shown = [("plain", rho, "-", k) for k, rho in enumerate((0.0, 0.05, 0.1, 0.2))]
    for kind, rho, style, color in [*shown, ("momentum", 0.0, "--", 0), ("momentum", 0.2, "--", 3)]:
        several = traces.share.sel(kind=kind, rho=rho).transpose("seed", "step")
        name = "GD" if rho == 0 else rf"$\rho$ = {rho:g}"
        said = name + (r", $\beta$ = 0.9" if kind == "momentum" else "")
        for i, one in enumerate(several):
            one = one.dropna("step")  # of longer runs fewer steps are recorded
            ax.plot(
                one.step, one, style, color=plot.COLORS[color], lw=0.9,
                label=None if i else said,
            )  # fmt: skip
    ax.axhline(LEFT, color="0.6", lw=0.8, ls=":")
    ax.text(TRACED - 1, LEFT + 0.01, "left", ha="right", color="0.4")
    ax.set(xlabel="step", ylabel="loss / initial loss", xlim=(0, TRACED), ylim=(0, 1.55))
    ax.legend(loc="upper right", ncols=2)


def _points(
    x: float, run: xr.Dataset, color: str, marker: str, ax: Axes, width: float = 0.14
) -> None:
    """Each seed: when it left, or until when it was watched, or that it blew up."""
    run = run.dropna("seed", subset=["watched"])
    each = x + np.linspace(-0.5, 0.5, run.sizes["seed"]) * width
    left, blown = run.left.values, run.blown.values > 0
    stays = np.isnan(left) & ~blown
    ax.plot(each, left, marker, color=color, ms=3.5)
    ax.plot(each[stays], run.watched.values[stays], marker, color=color, ms=4, mfc="white")
    ax.plot(each[blown], np.full(blown.sum(), _TOP), "x", color=color, ms=4, mew=1.2)


def _finish(ax: Axes, ticks: list[str]) -> None:
    ax.set(yscale="log", ylim=(15, 4_000), ylabel="steps until the loss stays below 80 %")
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_yticks([20, 50, 100, 200, 500, 1_000], ["20", "50", "100", "200", "500", "1000"])
    ax.minorticks_off()


def _draw_rhos(full: xr.Dataset, ax: Axes) -> None:
    for k, (kind, (color, marker, said)) in enumerate(_SHOWN.items()):
        for i, rho in enumerate(RHOS):
            one = full.sel(kind=kind, rho=rho)
            _points(i + 0.2 * (k - 1.5), one, plot.COLORS[color], marker, ax)
        ax.plot([], [], marker, color=plot.COLORS[color], ms=4, label=said)
    ax.plot([], [], "o", color="black", mfc="white", ms=4, label="not left until then")
    ax.plot([], [], "x", color="black", ms=4, label="blew up")
    _finish(ax, ["GD", *(f"{rho:g}" for rho in RHOS[1:])])
    ax.set(xlabel=r"$\rho$", ylim=(15, 30_000))
    ax.legend(loc="upper left", ncols=2)


def _draw_batches(batches: xr.Dataset, ax: Axes) -> None:
    for k, rho in enumerate(batches.rho.values):
        color, marker = plot.COLORS[(0, 3)[k]], "os"[k]
        for i, batch in enumerate(BATCHES):
            one = batches.sel(rho=rho, batch=batch)
            _points(i + 0.4 * (k - 0.5), one, color, marker, ax, width=0.3)
        said = "SGD" if rho == 0 else rf"SAM, $\rho$ = {rho:g}"
        ax.plot([], [], marker, color=color, ms=4, label=said)
    ax.plot([], [], "s", color="black", mfc="white", ms=4, label="not left until then")
    ax.plot([], [], "x", color="black", ms=4, label="blew up")
    _finish(ax, [f"{BATCHES[0]} (all)", *map(str, BATCHES[1:])])
    ax.set(xlabel="batch size", ylim=(15, 15_000))
    ax.legend(loc="upper left", ncols=2)


def _draw_growth(linear: xr.Dataset, ax: Axes) -> None:
    l = 2 * linear.singular.values
    rho = np.geomspace(0.05, 10, 400)
    for i, value in enumerate(l):
        color = plot.COLORS[1] if i == 0 else "0.6"
        ax.plot(rho, 100 * LR * value * (1 - rho * value), color=color, lw=1)
        ax.plot(
            linear.rho[1:], 100 * (linear.usam[1:, i] - 1), "o", color=color, ms=3.5, mfc="white"
        )
    ax.axhline(0, color="black", lw=0.8)
    for place, said in ((1 / l[0], r"$-1/\lambda_1$"), (1 / l[-1], r"$-1/\lambda_{10}$")):
        ax.axvline(place, color="0.4", lw=0.8, ls=":")
        ax.text(place * 0.95, 11.4, said, ha="right", va="top")
    ax.plot([], [], "o-", color=plot.COLORS[1], mfc="white", ms=3.5, lw=1, label=r"along $v_1$")
    ax.plot([], [], "o-", color="0.6", mfc="white", ms=3.5, lw=1, label=r"along $v_2 \dots v_{10}$")
    ax.set(xscale="log", ylim=(-5, 11.5), xlim=(0.08, 10), xlabel=r"$\rho$")
    ax.set_ylabel("growth in a step (%)")
    ax.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    ax.minorticks_off()
    ax.legend(loc="upper right", bbox_to_anchor=(0.9, 0.9))
