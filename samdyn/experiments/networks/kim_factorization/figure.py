"""The figure of the experiment on a matrix factorisation."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.kim_factorization.measure import (
    ends_of,
    learned,
    measured_rates,
    times_of,
)
from samdyn.experiments.networks.kim_factorization.setting import (
    AT_SADDLE,
    BATCHES,
    LINEAR_RHOS,
    MOMENTA,
    RANK,
    RHOS,
    SAMPLES,
    SINGULAR,
    STEPS,
    multiplier,
    thresholds,
)

_OUTCOMES = {"left": plot.COLORS[5], "stuck": plot.COLORS[4], "diverged": "0.75"}
_SAID = ("$s$ = 1", "$s$ = 2/3", "$s$ = 1/3")


def draw(runs: Runs) -> Figure:
    """Who leaves, and when; the loss; growth at the saddle; in which order it learns."""
    figure, axes = plt.subplots(2, 2, figsize=(10.4, 7.6))
    _draw_outcomes(runs, axes[0, 0])
    _draw_losses(runs, axes[0, 1])
    _draw_growth(runs, axes[1, 0])
    _draw_order(runs, axes[1, 1])
    titles = (
        "SAM: who leaves the saddle, and when (median step)",
        r"SAM, $\rho$ = 0.1: loss",
        "un-normalised SAM: growth at the saddle",
        "what is learned, and when",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _batch(size: int) -> str:
    return "full batch" if size == SAMPLES else f"$B$ = {size}"


def _draw_outcomes(runs: Runs, ax: Axes) -> None:
    ends = ends_of(runs)
    rows = [(momentum, size) for momentum in MOMENTA for size in BATCHES]
    for row, (momentum, batch) in enumerate(rows):
        for column, rho in enumerate(RHOS):
            one = ends.sel(batch_size=batch, momentum=momentum, rho=rho)
            x = column - 0.46
            for name, color in _OUTCOMES.items():
                width = 0.92 * float(one[name].mean())
                ax.add_patch(Rectangle((x, row - 0.43), width, 0.86, color=color, lw=0))
                x += width
            said = _cell(one)
            size = 6.5 if said.count("\n") > 1 else 8
            ax.text(column, row, said, ha="center", va="center", fontsize=size, linespacing=1.0)
    ax.axhline(len(BATCHES) - 0.5, color="black", lw=0.8)
    ax.set(xlim=(-0.5, len(RHOS) - 0.5), ylim=(len(rows) - 0.5, -0.5), xlabel=r"$\rho$")
    ax.set_xticks(range(len(RHOS)), [f"{rho:g}" for rho in RHOS])
    ax.set_yticks(range(len(rows)), [rf"{_batch(b)}, $\beta$ = {m:g}" for m, b in rows])
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in _OUTCOMES.values()]
    ax.legend(handles, _OUTCOMES, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)


def _cell(one: xr.Dataset) -> str:
    left = int(one.left.sum())
    others = [f"{int(one[name].sum())} {name}" for name in ("stuck", "diverged") if one[name].any()]
    if not left:
        return "\n".join(others)
    median = times_of(one).median
    when = f"{median:.0f}" if np.isfinite(median) else f"{left} left"
    return "\n".join([when, *others])


def _draw_losses(runs: Runs, ax: Axes) -> None:
    run = runs["sam"].train_loss / AT_SADDLE
    shown = [
        ("GD", run.sel(rho=0.0, batch_size=SAMPLES, momentum=0.0)),
        *(
            (rf"{_batch(b)}, $\beta$ = {m:g}", run.sel(rho=0.1, batch_size=b, momentum=m))
            for b in (SAMPLES, 8)
            for m in MOMENTA
        ),
    ]
    for k, (said, losses) in enumerate(shown):
        color, dashes = plot.COLORS[(6, 0, 1, 2, 3)[k]], ("-", "-", "--", ":", "-")[k]
        ax.plot(run.step, losses.transpose("step", "seed"), dashes, color=color, lw=1.0)
        ax.plot([], [], dashes, color=color, label=said)
    ax.text(5.5, 1.02, "stuck: full batch, and $B$ = 8 without momentum", fontsize=8, va="bottom")
    ax.set(xscale="log", xlim=(5, STEPS), ylim=(-0.02, 1.1), xlabel="step")
    ax.set_ylabel("loss over that at the saddle")
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.4))


def _draw_growth(runs: Runs, ax: Axes) -> None:
    rates = measured_rates(runs).sel(momentum=0.0)
    fine = np.linspace(0, LINEAR_RHOS[-1], 200)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    for j in range(RANK):
        color = plot.COLORS[j]
        ax.plot(fine, np.log(np.abs(multiplier(SINGULAR[j], fine))), color=color, label=_SAID[j])
        values = rates.isel(direction=j).mean("seed")
        ax.plot(LINEAR_RHOS, values, "o", color=color, ms=4.5, mfc="white")
        ax.axvline(thresholds()[j], ymax=0.72, color=color, lw=0.9, ls=":")
    ax.plot([], [], "o", color="black", ms=4.5, mfc="white", label="measured")
    ax.plot([], [], ":", color="black", lw=0.9, label=r"Theorem 1, $\rho = 1/(2s)$")
    ax.set(xlabel=r"$\rho$", ylabel="growth rate a step", xlim=(0, 2.03), ylim=(-0.37, 0.27))
    ax.legend(loc="upper right", ncols=2)


def _draw_order(runs: Runs, ax: Axes) -> None:
    share = learned(runs)
    for j in range(RANK):
        for rho, dashes in ((0.0, "--"), (0.6, "-")):
            lines = share.isel(direction=j).sel(rho=rho).transpose("step", "seed")
            ax.plot(share.step, lines, dashes, color=plot.COLORS[j], lw=1.0)
        ax.plot([], [], color=plot.COLORS[j], label=_SAID[j])
    ax.plot([], [], "-", color="black", label=r"un-normalised SAM, $\rho$ = 0.6")
    ax.plot([], [], "--", color="black", label="GD")
    ax.set(xscale="log", xlim=(5, STEPS), ylim=(-0.1, 1.6), xlabel="step")
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.spines["left"].set_bounds(0, 1)
    ax.set_ylabel("share of the singular value learned", y=0.36)
    ax.legend(loc="upper left", ncols=2)
