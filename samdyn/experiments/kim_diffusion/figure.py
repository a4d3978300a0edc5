"""The figure of the experiment on diffusion from a saddle."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from samdyn import plot
from samdyn.analysis.spread.saddles import unperturbed_displacement
from samdyn.experiments.base import Runs
from samdyn.experiments.kim_diffusion.setting import (
    BATCH,
    BATCH_RHOS,
    BATCHES,
    FINE,
    LR,
    MARKS,
    SAID,
    SHORT,
    SHOWN,
    STEPS,
    TURNED,
    at,
    printed,
    printed_gap,
)


def draw(runs: Runs) -> Figure:
    """Displacement against time, rho, batch size and momentum; what is printed beside it."""
    figure = plt.figure(figsize=(11.0, 8.2))
    axes = figure.subplots(3, 3, height_ratios=(3, 1, 3))
    for above, below in zip(axes[0], axes[1], strict=True):
        above.sharex(below)
        above.tick_params(labelbottom=False)
        below.axhline(1.0, color="0.6", lw=0.8)
        below.set_ylim(0.88, 1.12)
    axes[1, 0].set_ylabel("measured/exact")
    _draw_time(runs, *axes[:2, 0])
    _draw_rho(runs, *axes[:2, 1])
    _draw_batches(runs, *axes[:2, 2])
    for drawing, ax in zip((_draw_gap, _draw_momentum, _draw_matched), axes[2], strict=True):
        drawing(runs, ax)
    titles = (
        "over time",
        f"at $t$ = {STEPS * LR:g}: which noise?",
        f"batch size, at $t$ = {STEPS * LR:g}",
        "Corollary 1: gap to SGD",
        f"momentum, at $t$ = {SHORT * LR:g}",
        "momentum that makes up for SAM",
    )
    for letter, title, ax in zip("abcdef", titles, [*axes[0], *axes[2]], strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


_MSD = "mean squared displacement"


def _said(rho: float) -> str:
    return "SGD" if rho == 0 else rf"SAM, $\rho$ = {rho:g}"


def _dots(ax: Axes, x: xr.DataArray, one: xr.Dataset, k: int, marker: str = "o") -> None:
    """Measurements with bars of two standard errors."""
    bars = 2 * one.measured_error
    style: dict[str, Any] = {"ms": 4, "mfc": "white", "elinewidth": 1.0, "capsize": 2, "ls": "none"}
    ax.errorbar(x, one.measured, bars, fmt=marker, color=plot.COLORS[k], **style)


def _ratios(
    ax: Axes, x: xr.DataArray, one: xr.Dataset, k: int, marker: str = "o", shift: float = 0.0
) -> None:
    """Measurements over what is exact; shifted a little (points) so that the bars are seen."""
    moving = (one.exact > 1e-25).values
    over = (one[["measured", "measured_error"]] / one.exact)[{one.exact.dims[0]: moving}]
    style: dict[str, Any] = {"ms": 3, "mfc": "white", "elinewidth": 1.0, "ls": "none"}
    aside = ScaledTranslation(shift / 72, 0, ax.figure.dpi_scale_trans)
    ax.errorbar(
        x[moving],
        over.measured,
        2 * over.measured_error,
        fmt=marker,
        color=plot.COLORS[k],
        transform=ax.transData + aside,
        **style,
    )


def _draw_time(runs: Runs, ax: Axes, below: Axes) -> None:
    one = runs["same"].sel(momentum=0.0)
    fine = np.linspace(0.005, STEPS * LR, 200)
    for k, rho in enumerate(SHOWN):
        color, here = plot.COLORS[k], one.sel(rho=rho)
        exact = runs["time_fine"].exact.sel(rho=rho)
        ax.plot(exact.time, exact, color=color)
        if rho:
            ax.plot(fine, printed(rho, fine), ":", color=color)
        _dots(ax, here.time, here, k)
        _ratios(below, here.time, here, k, shift=2.0 * k - 3.0)
        ax.plot([], [], "o-", color=color, mfc="white", ms=4, label=_said(rho))
    ax.plot([], [], ":", color="black", label="Theorem 2, printed")
    ax.set(yscale="log", ylabel=_MSD, ylim=(3e-6, 2e-1))
    ax.legend(loc="upper left", ncols=2)
    below.set(xlabel=r"time $t$ = $\eta$ $\times$ steps", xlim=(-0.05, 2.05))


def _draw_rho(runs: Runs, ax: Axes, below: Axes) -> None:
    end = STEPS * LR
    curves = {
        "same": runs["same_fine"].exact,
        "full": unperturbed_displacement(-1.0, LR, FINE, BATCH**-0.5, end),
        "fresh": runs["fresh_fine"].exact,
    }
    for k, (name, said) in enumerate(SAID.items()):
        marker, one = MARKS[name], at(runs, name, end)
        ax.plot(FINE, np.maximum(curves[name], 1e-12), color=plot.COLORS[k])
        _dots(ax, one.rho, one, k, marker)
        _ratios(below, one.rho, one, k, marker, shift=2.0 * k - 2.0)
        ax.plot([], [], f"{marker}-", color=plot.COLORS[k], mfc="white", ms=4, label=said)
    ax.plot(FINE, printed(FINE, end), ":", color="black", label="Theorem 2, printed")
    ax.vlines(1.0, 1e-5, 6e-2, color="0.7", lw=0.8, zorder=0)
    ax.annotate(r"$\rho = 1/|\lambda|$", (1.03, 3e-2), color="0.4")
    ax.set(yscale="log", ylabel=_MSD, ylim=(1e-5, 2.0))
    ax.legend(loc="upper right")
    below.set(xlabel=r"$\rho$", xlim=(-0.05, 2.05))


def _draw_batches(runs: Runs, ax: Axes, below: Axes) -> None:
    one = runs["batches"].sel(time=STEPS * LR)
    fine = np.geomspace(3.0, 43.0, 50)
    for k, rho in enumerate(BATCH_RHOS):
        here = one.sel(rho=rho)
        scale = float((here.exact * here.batch_size).mean())
        ax.plot(fine, scale / fine, color=plot.COLORS[k])
        _dots(ax, here.batch_size, here, k)
        _ratios(below, here.batch_size, here, k, shift=3.0 * k - 3.0)
        ax.plot([], [], "o-", color=plot.COLORS[k], mfc="white", ms=4, label=_said(rho))
    ax.set(xscale="log", yscale="log", ylabel=_MSD, ylim=(1e-4, 3e-1))
    ax.legend(loc="upper right")
    below.set(xscale="log", xlabel="batch size $B$", xlim=(3, 43))
    below.set_xticks(BATCHES, [str(b) for b in BATCHES])
    below.minorticks_off()


def _draw_gap(runs: Runs, ax: Axes) -> None:
    rho, fine = 0.25, np.geomspace(0.015, 1.3, 60)
    for k, name in enumerate(("same", "full")):
        one = (runs[name].sel(momentum=0.0) if name == "same" else runs[name]).sel(
            time=slice(None, 1.25)
        )
        exact = one.exact.sel(rho=0.0) - one.exact.sel(rho=rho)
        here = one.sel(rho=rho)
        ax.plot(one.time, exact, color=plot.COLORS[k])
        shown = xr.Dataset({"measured": here.gap, "measured_error": here.gap_error})
        _dots(ax, one.time, shown, k, MARKS[name])
        style: dict[str, Any] = {"color": plot.COLORS[k], "mfc": "white", "ms": 4}
        ax.plot([], [], f"{MARKS[name]}-", label=SAID[name], **style)
    ax.plot(fine, printed_gap(rho, fine), ":", color="black", label="Corollary 1, printed")
    ax.plot(fine, 0.5 * printed_gap(rho, fine), "-.", color="0.45", lw=1.0, label="half of it")
    ax.set(xscale="log", yscale="log", xlabel=r"time $t$ = $\eta$ $\times$ steps")
    ax.set_ylabel(rf"SGD less SAM, $\rho$ = {rho:g}")
    ax.legend(loc="upper left")


def _draw_momentum(runs: Runs, ax: Axes) -> None:
    one, fine = runs["same"].sel(time=SHORT * LR), runs["momentum_fine"].exact
    for k, rho in enumerate(TURNED):
        here = one.sel(rho=rho)
        ax.plot(fine.momentum, fine.sel(rho=rho), color=plot.COLORS[k])
        _dots(ax, here.momentum, here, k)
        ax.plot([], [], "o-", color=plot.COLORS[k], mfc="white", ms=4, label=_said(rho))
    level = float(one.exact.sel(rho=0.0, momentum=0.0))
    ax.axhline(level, color="0.45", lw=1.0, ls="-.", zorder=0, label="SGD without momentum")
    ax.set(yscale="log", xlabel=r"momentum $\beta$", ylabel=_MSD)
    ax.legend(loc="upper left")


def _draw_matched(runs: Runs, ax: Axes) -> None:
    matched = runs["matched"]
    for k, time in enumerate(matched.time.values):
        needed = matched.momentum.sel(time=time)
        ax.plot(needed.rho, needed, "o-", color=plot.COLORS[k], ms=4, label=f"$t$ = {time:g}")
    ax.plot([0, 1], [0, 1], "-.", color="0.45", lw=1.0, label=r"$\beta = \rho\,|\lambda|$")
    ax.set(xlabel=r"$\rho$", ylabel=r"momentum $\beta$ needed", xlim=(0, 0.88), ylim=(0, 0.9))
    ax.legend(loc="lower right")
