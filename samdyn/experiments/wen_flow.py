"""Wen, Ma and Li: SAM follows the flow of lambda_1 on the minimisers, 1-SAM that of the trace."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM
from samdyn.analysis.minimizers.limiting import limiting_flow
from samdyn.analysis.minimizers.projection import project
from samdyn.analysis.minimizers.split import split
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.losses.manifolds import crossed_sharpness, scalar_factorization, two_residuals
from samdyn.systems.map import Map

_RHO, _OFFSET = 0.01, 0.001
"""The runs begin so far beside a minimiser."""

_SHOWN, _MEASURED, _RUNS = 21, 5, 64
_NEAR = 1e-3


class _Case(NamedTuple):
    """A loss, where a run begins, for how long it lasts in slow time, and with which lr."""

    said: str
    loss: Loss
    start: tuple[float, ...]
    last: float
    lrs: tuple[float, ...]
    single: bool = False


_TOY = ((0.35, 0.8, 0.0, 0.0), 0.2, (0.016, 0.008, 0.004))
_NET = ((0.5, 0.3, 0.8, -0.6, 0.9), 1.0, (0.2, 0.1, 0.05))
_CASES = {
    "product": _Case(
        r"$(xy - 1)^2$, full batch", scalar_factorization(), (2.2, 0.45), 0.5, (0.02, 0.01, 0.005)
    ),
    "toy": _Case("toy in 4-D, full batch", crossed_sharpness(), *_TOY),
    "residuals": _Case("least squares in 5-D, full batch", two_residuals(), *_NET),
    "toy_single": _Case(
        "toy in 4-D, one sample", crossed_sharpness(samples=True), *_TOY, single=True
    ),
    "residuals_single": _Case(
        "least squares in 5-D, one sample", two_residuals(samples=True), *_NET, single=True
    ),
}


def compute() -> Runs:
    """Runs at several lr from beside the minimisers, and both flows from the same place."""
    return {name: _compared(case) for name, case in _CASES.items()}


def _compared(case: _Case) -> xr.Dataset:
    """Paths along the minimisers against the flow with the factor of the lr, and without."""
    loss = case.loss
    base = project(loss, case.start).point
    start = base + _OFFSET * split(loss, base).vectors[:, :2] @ [1.0, 0.3]
    tau = np.linspace(0.0, case.last, _SHOWN)
    measured = slice(None, None, (_SHOWN - 1) // (_MEASURED - 1))
    flows = limiting_flow(loss, start, tau, per_sample=case.single, lr=[0.0, *case.lrs])
    rows = []
    for lr in case.lrs:
        every = round(case.last / (lr * _RHO**2) / (_SHOWN - 1))
        system = Map(loss, SAM(lr=lr, rho=_RHO), batch_size=1 if case.single else None)
        starts = np.tile(start, (_RUNS, 1)) if case.single else start[None]
        steps = every * (_SHOWN - 1)
        run = finished(simulate(system, starts, steps, record=every, seed=7, progress=False))
        w = run.w.transpose("particle", "time", "coord").values
        along = project(loss, w[:, measured]).point
        mean, error = along.mean(axis=0), np.zeros(_MEASURED)
        if case.single:
            error = np.linalg.norm(along.std(axis=0, ddof=1), axis=-1) / np.sqrt(_RUNS)
        away = [
            np.linalg.norm(mean - flows.w.sel(lr=one).values[measured], axis=-1).max()
            for one in (0.0, lr)
        ]
        sharp = split(loss, project(loss, w[0]).point)
        shown = sharp.eigenvalues.sum(axis=-1) if case.single else sharp.top
        rows.append((*away, error.max(), shown))
    plain, factored, errors, shown = (np.array(column) for column in zip(*rows, strict=True))
    flow = flows.trace if case.single else flows.top_eigenvalue
    return xr.Dataset(
        {
            "plain": ("lr", plain),
            "factored": ("lr", factored),
            "error": ("lr", errors),
            "run": (("lr", "time"), shown),
            "limit": ("time", flow.sel(lr=0.0).values),
            "flow": (("lr", "time"), flow.sel(lr=list(case.lrs)).values),
        },
        coords={"lr": list(case.lrs), "time": tau},
        attrs={"drift": flows.attrs["drift"], "rho": _RHO},
    )


def claims(runs: Runs) -> list[Claim]:
    """Slope 1 in lr without the factor; below 1e-3 with it; the closed form on x*y = 1."""
    found = []
    for name, case in _CASES.items():
        said, run = case.said.replace("$", ""), runs[name]
        slope = float(np.polyfit(np.log(run.lr), np.log(run.plain), 1)[0])
        found.append(
            Claim(
                f"{said}: distance to the limiting flow is of first order in lr",
                "slope 1 ± 0.1",
                f"{slope:.3f}, from {float(run.plain.max()):.3f} to {float(run.plain.min()):.4f}",
                abs(slope - 1.0) < 0.1,
            )
        )
        worst = float(run.factored.max())
        error = f" (standard error {float(run.error.max()):.0e})" if case.single else ""
        found.append(
            Claim(
                f"{said}: distance to the flow with the factor of the lr",
                f"below {_NEAR:g}",
                f"{worst:.1e}{error}",
                worst < _NEAR,
            )
        )
    drift = max(run.attrs["drift"] for run in runs.values())
    found.append(
        Claim("the flows stay on the minimisers", "within 1e-10", f"{drift:.0e}", drift < 1e-10)
    )
    found.append(_closed(runs["product"]))
    return found


def _closed(run: xr.Dataset) -> Claim:
    """On x*y = 1, s = log x: sinh 2s falls as exp(-4 tau), and lambda_1 = 4 cosh 2s."""
    first = float(run.limit[0])
    decay = np.sqrt((first / 4) ** 2 - 1) * np.exp(-4 * run.time.values)
    away = float(np.abs(run.limit.values / (4 * np.sqrt(1 + decay**2)) - 1.0).max())
    return Claim(
        "(xy - 1)^2: limiting flow is sinh(2 log x) = exp(-4 tau) sinh(2 log x0)",
        "within 1e-9",
        f"{away:.0e}",
        away < 1e-9,
    )


def draw(runs: Runs) -> Figure:
    """The eigenvalue, or the trace, in slow time; the distances against lr."""
    figure, axes = plt.subplots(2, 3, figsize=(9.2, 5.8))
    pairs = ("product", "toy", "residuals", "toy_single", "residuals_single")
    for letter, name, ax in zip("abcde", pairs, axes.flat, strict=False):
        _draw_descent(runs[name], _CASES[name], ax)
        ax.set_title(f"({letter}) {_CASES[name].said}", loc="left")
    _draw_distances(runs, axes[1, 2])
    axes[1, 2].set_title("(f) distance between run and flow", loc="left")
    return figure


def _draw_descent(run: xr.Dataset, case: _Case, ax: Axes) -> None:
    ax.plot(run.time, run.limit, color="black", lw=1.6, label=r"limit, lr $\to$ 0")
    for k, lr in enumerate(run.lr.values):
        color = plot.COLORS[k]
        ax.plot(run.time, run.flow.sel(lr=lr), color=color, lw=1.1)
        ax.plot(
            run.time,
            run.run.sel(lr=lr),
            "o",
            color=color,
            ms=3.5,
            mfc="white",
            label=f"lr = {lr:g}",
        )
    ax.set(
        xlabel=r"slow time $\tau = \mathrm{lr}\,\rho^2 t$",
        ylabel="trace of the Hessian" if case.single else r"largest eigenvalue $\lambda_1$",
    )
    ax.legend(loc="upper right")


def _draw_distances(runs: Runs, ax: Axes) -> None:
    for k, (name, case) in enumerate(_CASES.items()):
        run, color, marker = runs[name], plot.COLORS[k], "os^DX"[k]
        scaled = run.lr.values * float(run.limit[0])
        ax.plot(scaled, run.plain, marker + "-", color=color, ms=4.5, lw=0.9)
        ax.plot(scaled, run.factored, marker + ":", color=color, ms=4.5, lw=0.9, mfc="white")
        ax.plot([], [], marker, color=color, ms=4.5, label=case.said.replace(", full batch", ""))
    guide = np.array([0.05, 0.25])
    ax.plot(guide, 0.9 * guide, color="0.4", lw=1.0)
    ax.annotate("slope 1", (0.07, 0.1), color="0.3", ha="right", fontsize=8)
    ax.axhline(_NEAR, color="0.4", ls="--", lw=0.8)
    ax.plot([], [], "o-", color="0.3", ms=4.5, label="to the limit")
    ax.plot([], [], "o:", color="0.3", ms=4.5, mfc="white", label="to the flow with the factor")
    ax.set(xscale="log", yscale="log", xlim=(0.04, 0.6), ylim=(1e-12, 1.0))
    ax.set_xticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
    ax.minorticks_off()
    ax.set_xlabel(r"lr $\lambda_1$, or lr tr $H$, at the start")
    ax.set_ylabel("largest distance")
    ax.legend(loc="lower left", fontsize=7, labelspacing=0.25)


EXPERIMENT = Experiment(
    name="wen-flow",
    title="SAM's drift along the minimisers: the limiting flows and the factor of a finite lr",
    source="Wen, Ma and Li, arXiv 2211.05729, equations 7 and 18; the factor is derived here",
    caption=(
        "From 0.001 beside a minimiser, rho = 0.01, in the slow time lr rho^2 t: (a, b, c) "
        "full-batch SAM lowers the largest eigenvalue of the Hessian, (d, e) SAM with one sample a "
        "step (one of 64 runs is shown) the trace. Black: the limiting flow of Wen et al.; "
        "coloured lines: the same with the factor (1 - lr lambda/2)^-2 of a finite lr; circles: "
        "the algorithm, projected by gradient flow. (f) Largest distance between a run (with one "
        "sample: the mean of 64) and either flow. To the limit it falls with slope 1 (filled); "
        "with the factor it is below 0.001 (dashed) throughout."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
