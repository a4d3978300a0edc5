"""Figures 4b and 4c of Zhou et al., on digits."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.seeds import mean
from samdyn.experiments.networks.zhou_network_escape.setting import (
    EPOCHS,
    NEAR_LR,
    NEAR_NORMALIZED,
    NEAR_RHOS,
    NEAR_RUNS,
    RHO,
    SEEDS,
    SHARES,
    multiplier,
)
from samdyn.experiments.zhou_escape.setting import PAPER

_SGD, _SAM = plot.COLORS[0], plot.COLORS[1]
_SEEN = 40
_LATER = 3
"""So many steps later the paper's losses are drawn, to lie beside ours."""


def draw(runs: Runs) -> Figure:
    """The exact rate, many runs from one checkpoint, usual training, and lines between ends."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.0))
    _draw_exact(runs, axes[0, 0])
    _draw_near(runs, axes[0, 1])
    _draw_usual(runs["late"], axes[1, 0])
    _draw_lines(runs, axes[1, 1])
    push = NEAR_LR * runs["near_usam"].attrs["top"]
    titles = (
        "100 digits fitted to rounding, full-batch USAM",
        rf"SGD's end on 100 digits, lr $\lambda_1$ = {push:.2f}, {NEAR_RUNS} runs",
        f"all digits, switch after {EPOCHS} epochs, {SEEDS} seeds",
        f"on lines between ends, {SEEDS} pairs each",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_exact(runs: Runs, ax: Axes) -> None:
    early, late = runs["oracle"], runs["oracle_late"]
    ends = dict(zip(late.rho.values, late.top_eigenvalue.isel(step=-1).values, strict=True))
    for k, (share, rho) in enumerate(zip(SHARES, early.rho.values, strict=True)):
        loss = early.loss.sel(rho=rho)
        said = rf"; $\lambda_1$ ends at {ends[rho]:.1f}" if rho in ends else "; stays"
        ax.plot(early.step, loss, color=plot.COLORS[k], lw=2, label=rf"{share:g} $\rho^*${said}")
        m = multiplier(early.attrs["top"], early.attrs["lr"], rho)
        theory = float(loss[0]) * m ** (2 * early.step.values)
        shown = theory < 3
        ax.plot(early.step[shown], theory[shown], color="black", ls=":", lw=1.1,
                label="theory" if k == len(SHARES) - 1 else None)  # fmt: skip
    ax.set(yscale="log", ylim=(1e-24, 1e3), xlim=(0, early.step[-1]), xlabel="step",
           ylabel="training loss")  # fmt: skip
    ax.set_yticks(10.0 ** np.arange(-20, 1, 5))
    ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.36), alignment="left",
              title=rf"$\lambda_1$ = {early.attrs['top']:.1f} at the start")  # fmt: skip


def _draw_near(runs: Runs, ax: Axes) -> None:
    usam = runs["near_usam"]
    for rho, color, name in zip(
        NEAR_RHOS,
        (_SGD, _SAM, plot.COLORS[4]),
        ("SGD goes on", *(rf"USAM, $\rho$ = {rho:g}" for rho in NEAR_RHOS[1:])),
        strict=True,
    ):
        loss = usam.loss.sel(rho=rho)
        _band(ax, loss, color, name)
        if rho > 0:
            m = float(multiplier(usam.attrs["top"], NEAR_LR, rho))
            theory = float(loss[0, 0]) * m ** (2 * loss.step.values)
            shown = theory < 0.7
            ax.plot(loss.step[shown], theory[shown], color="black", ls=":", lw=1.1,
                    label="theory, full batch" if rho == NEAR_RHOS[-1] else None)  # fmt: skip
    _band(ax, runs["near_sam"].loss, plot.COLORS[2], rf"SAM, $\rho$ = {NEAR_NORMALIZED:g}")
    ax.plot(np.arange(len(PAPER)) + _LATER, PAPER, "D", color="black", ms=4, mfc="white",
            label=f"paper's Fig. 4b, {_LATER} steps later")  # fmt: skip
    ax.set(yscale="log", ylim=(3e-6, 60), xlim=(0, _SEEN), xlabel="step after the switch",
           ylabel="training loss, mean")  # fmt: skip
    ax.legend(loc="upper right", ncols=2)


def _draw_usual(late: xr.Dataset, ax: Axes) -> None:
    before = float(mean(late.before).value)
    for rho, color, name in ((0.0, _SGD, "SGD goes on"), (RHO, _SAM, rf"SAM, $\rho$ = {RHO:g}")):
        top = float(mean(late.top_eigenvalue.sel(rho=rho)).value)
        _band(ax, late.loss.sel(rho=rho), color, rf"{name}; $\lambda_1$ ends at {top:.1f}")
    ax.set(yscale="log", ylim=(0.02, 0.4), xlim=(0, late.step[-1]), ylabel="training loss, mean",
           xlabel="step after the switch (40 an epoch)")  # fmt: skip
    ax.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
    ax.minorticks_off()
    ax.legend(loc="upper right", title=rf"$\lambda_1$ = {before:.1f} at the switch",
              alignment="left")  # fmt: skip


def _draw_lines(runs: Runs, ax: Axes) -> None:
    lines = runs["lines"]
    for name, some, color in (
        ("(c), SGD to SGD, other seed", lines.sel(pair="other"), plot.COLORS[3]),
        ("(c), SGD to SAM after it", lines.sel(pair="same"), _SAM),
        (rf"(b), SGD to USAM, $\rho$ = {NEAR_RHOS[-1]:g}", runs["near_lines"], plot.COLORS[4]),
    ):
        _band(ax, some.train_loss, color, name, "t")
        _band(ax, some.test_loss, color, None, "t", "--")
    ax.plot([], [], color="0.4", label="training loss")
    ax.plot([], [], color="0.4", ls="--", label="test loss")
    for end in (0, 1):
        ax.axvline(end, ymax=0.8, color="0.6", lw=0.8, ls=":")
    ax.set(yscale="log", ylim=(3e-6, 60), xlim=(-0.2, 1.2), ylabel="loss, mean",
           xlabel=r"$\alpha$: SGD's end at 0, the other end at 1")  # fmt: skip
    ax.legend(loc="upper center", ncols=2)


def _band(
    ax: Axes,
    loss: xr.DataArray,
    color: str,
    name: str | None,
    along: str = "step",
    dashes: str = "-",
) -> None:
    """The mean over seeds with its 95 % interval."""
    one = mean(loss)
    x = loss[along].values
    ax.fill_between(x, np.maximum(one.low, 1e-9), one.high, color=color, alpha=0.25, lw=0)
    ax.plot(x, one.value, color=color, ls=dashes, label=name)
