"""The largest eigenvalue and the trace in slow time, the flows, and the gradient's alignment."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.seeds import mean
from samdyn.experiments.networks.wen_one_sam.claims import farthest
from samdyn.experiments.networks.wen_one_sam.setting import KINDS, LR, SETTLED

_COLORS = dict(zip(KINDS, plot.COLORS[:3], strict=True))
_MARKERS = dict(zip(KINDS, "os^", strict=True))


def draw(runs: Runs) -> Figure:
    """Four panels."""
    figure, axes = plt.subplots(2, 2, figsize=(9.2, 6.8))
    _draw_descent(runs, "top", axes[0, 0])
    _draw_descent(runs, "trace", axes[0, 1])
    _draw_distances(runs, axes[1, 0])
    _draw_angles(runs, axes[1, 1])
    titles = (
        r"largest eigenvalue $\lambda_1$ of the Hessian",
        "trace of the Hessian",
        "distance of the weights from the flow's",
        "angle of the gradient to the top eigenvector",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_descent(runs: Runs, of: str, ax: Axes) -> None:
    ax.axhline(float(runs["gd"][of].isel(time=-1).mean("seed")), color="0.5", label="GD")
    for name, kind in KINDS.items():
        found = mean(runs[name][of].sel(lr=LR))
        ax.plot(found.value.time, found.value, color=_COLORS[name], label=kind.said)
        ax.fill_between(
            found.value.time, found.low, found.high, color=_COLORS[name], alpha=0.18, lw=0
        )
    for name, said, dash in (("top", r"of $\lambda_1$", "--"), ("trace", "of the trace", ":")):
        flow = mean(runs[f"flow_{name}"][of]).value
        ax.plot(
            flow.time, flow, dash, color="black", lw=1.3, label=f"limiting flow {said}", zorder=4
        )
    factored = mean(runs["flow_factored"][of]).value[1::3]
    ax.plot(
        factored.time, factored, "o", color=_COLORS["full"], ms=3.5, mfc="white", mew=0.8, zorder=5,
        label=r"flow of $\lambda_1$ with the factor of lr",
    )  # fmt: skip
    ticks = (2, 2.5, 3, 4, 5, 6, 8) if of == "top" else (3, 4, 5, 6, 8, 10)
    ax.set(
        yscale="log", xlim=(0, flow.time[-1]), xlabel=r"slow time $\tau = \mathrm{lr}\,\rho^2 t$"
    )
    ax.set_ylabel(r"$\lambda_1$" if of == "top" else r"$\mathrm{Tr}\,H$")
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    if of == "top":
        ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.82))


def _draw_distances(runs: Runs, ax: Axes) -> None:
    for shift, (name, kind) in enumerate(KINDS.items(), -1):
        _bars(farthest(runs[name], "limit"), "lr", name, ax, kind.said, shift)
    left = farthest(runs["full"], "factored")
    _bars(
        left, "lr", "full", ax, "SAM, full batch, to the flow\nwith the factor of lr", -2, "white"
    )
    lrs = runs["full"].lr.values
    ax.plot(lrs, 6.5 * lrs, color="0.5", lw=0.9)
    ax.text(lrs[1], 7.2 * lrs[1], "slope 1", color="0.3", fontsize=8, ha="right", va="bottom")
    ax.set(xscale="log", yscale="log", xlabel="lr", ylabel="largest distance", ylim=(0.012, 2.4))
    ax.set_xticks(lrs, [f"{lr:g}" for lr in lrs])
    ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.4], ["0.02", "0.05", "0.1", "0.2", "0.4"])
    ax.minorticks_off()
    ax.legend(loc="upper left", ncols=2)


def _draw_angles(runs: Runs, ax: Axes) -> None:
    for name in reversed(SETTLED):
        _bars(runs[f"{name}_settled"].angle, "rho", name, ax, KINDS[name].said)
    angle = runs["full_settled"].angle
    rhos = angle.rho.values
    first = float(angle.mean("seed")[0] / rhos[0])
    ax.plot(rhos, first * rhos, color="0.5", lw=0.9, zorder=1)
    ax.text(1.1 * rhos[1], 0.9 * first * rhos[1], "slope 1", color="0.3", fontsize=8, va="top")
    ax.set(xscale="log", yscale="log", xlabel=r"$\rho$", ylabel="angle (radians)", ylim=(5e-3, 4))
    ax.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    ax.minorticks_off()
    ax.legend(loc="upper left")


def _bars(
    values: xr.DataArray,
    dim: str,
    name: str,
    ax: Axes,
    label: str,
    shift: int = 0,
    mfc: str | None = None,
) -> None:
    """Means over seeds with their intervals."""
    found = mean(values)
    bars = np.abs(np.stack([found.value - found.low, found.high - found.value]))
    color = _COLORS[name]
    ax.errorbar(
        1.04**shift * values[dim].values, found.value, bars, fmt=_MARKERS[name], color=color, ms=5,
        mfc=mfc or color, capsize=2, label=label,
    )  # fmt: skip
