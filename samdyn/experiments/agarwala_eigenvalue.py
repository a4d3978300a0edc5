"""Agarwala and Dauphin: un-normalised SAM regularises the largest eigenvalue, and its edge."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import USAM
from samdyn.analysis.edges.stability import edge_of_stability
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_LRS = np.array([0.02, 0.05, 0.1, 0.2])
_RHOS = np.concatenate([[0.0], np.geomspace(0.01, 1.0, 9)])
_SLOPES = np.array([0.01, 0.001])
"""Of the valley's floor: the smaller, the longer the runs stay close to it."""
_START = np.array([0.0, 0.0])
_TIME = 8.0
_RECORDED = 500
_LATE = 0.7
"""The part of a run from which on it is at the edge."""

_FLOW_LR = 1e-4
_FLOW_START = np.array([2.5, 1.2])
_FLOW_RHOS = np.array([0.0, 0.0025, 0.005, 0.01, 0.02, 0.04])
_FLOW_STEPS = 100_000


def compute() -> Runs:
    """Runs down a valley that narrows, and from one start to the minima of (x y - 1)^2."""
    usam = USAM(lr=0.1, rho=_RHOS)
    rows = []
    for slope in _SLOPES:
        valley = Loss("exp(y)*x**2/2 - c*(x + y)", "x y", c=float(slope))
        ends = []
        for lr in _LRS:
            steps = round(_TIME / (slope * lr))
            record = np.unique(np.linspace(0, steps, _RECORDED).astype(int))
            system = Map(valley, usam.replace(lr=float(lr)))
            run = finished(simulate(system, _START, steps, record=record, progress=False))
            w = run.w.transpose("rho", "time", "coord")
            top = np.linalg.eigvalsh(valley.hessian(w.values))[..., -1]
            ends.append(top)
        rows.append(ends)
    dims = ("c", "lr", "rho", "moment")
    valleys = xr.Dataset(
        {"top_eigenvalue": (dims, np.array(rows))},
        coords={"c": _SLOPES, "lr": _LRS, "rho": _RHOS, "moment": np.linspace(0, 1, _RECORDED)},
    )
    valleys["edge"] = edge_of_stability(usam.replace(lr=_LRS))
    loss = losses.scalar_factorization()
    flow = Map(loss, USAM(lr=_FLOW_LR, rho=_FLOW_RHOS))
    run = finished(simulate(flow, _FLOW_START, _FLOW_STEPS, progress=False))
    final = run.final.transpose("rho", "coord")
    regular = xr.Dataset(
        {
            "top_eigenvalue": ("rho", np.linalg.eigvalsh(loss.hessian(final.values))[:, -1]),
            "final_loss": run.final_loss,
        },
        coords={"rho": _FLOW_RHOS},
    )
    return {"valley": valleys, "regular": regular}


def _late(valleys: xr.Dataset) -> xr.DataArray:
    """The sharpness over the edge, averaged over the late part of each run."""
    late = valleys.top_eigenvalue.sel(moment=slice(_LATE, None)).mean("moment")
    return (late / valleys.edge).transpose("c", "lr", "rho")


def _first_order(rho: np.ndarray) -> np.ndarray:
    """The top eigenvalue in which small-lr USAM ends on (x y - 1)^2, to first order in rho.

    It descends L + (rho/2)|grad L|^2, along which u = x^2 - y^2, which gradient flow keeps, falls
    with the residual e by d log u/de = 4 rho e/(x^2 + y^2); and at the end l1 = 2 sqrt(u^2 + 4).
    """
    x, y = _FLOW_START
    u, residual = x**2 - y**2, x * y - 1
    e = np.linspace(0.0, residual, 2001)
    lost = np.trapezoid(e / np.sqrt(u**2 + 4 * (1 + e) ** 2), e)
    return 2 * np.sqrt((u * np.exp(-4 * rho * lost)) ** 2 + 4)


def _change(regular: xr.Dataset) -> tuple[float, float]:
    """The slope of the final eigenvalue in rho at 0, measured and predicted."""
    rho = _FLOW_RHOS[1:3]
    gains = (regular.top_eigenvalue.values[1:3] - regular.top_eigenvalue.values[0]) / rho
    step = 1e-6
    said = float(np.diff(_first_order(np.array([0.0, step])))[0]) / step
    return float(2 * gains[0] - gains[1]), said  # extrapolated to rho = 0


def claims(runs: Runs) -> list[Claim]:
    """The edge against lr and rho, and a flatter end well below it."""
    valleys, regular = runs["valley"], runs["regular"]
    ratio = _late(valleys)
    miss = abs(ratio - 1).max(("lr", "rho")).values
    share = valleys.edge * valleys.lr / 2
    slope, said = _change(regular)
    top = regular.top_eigenvalue.values
    return [
        Claim(
            f"{ratio[0].size} runs down a narrowing valley: l1 is at lr l (1 + rho l) = 2 late",
            "ratio 1 within 2 %",
            f"{float(ratio.isel(c=-1).min()):.4f} to {float(ratio.isel(c=-1).max()):.4f}",
            bool(miss[-1] < 0.02),
        ),
        Claim(
            f"the gap falls with the slope of the valley's floor, {_SLOPES[0]:g} to {_SLOPES[1]:g}",
            "by a factor of 5 at least",
            f"{miss[0]:.3f} to {miss[1]:.4f}",
            bool(miss[1] < 0.2 * miss[0]),
        ),
        Claim(
            "at the edge SAM's largest eigenvalue is below GD's 2/lr",
            "for every rho > 0",
            f"down to {float(share.min()):.3f} of it",
            bool((share.sel(rho=_RHOS[1:]) < 1).all()),
        ),
        Claim(
            "far below the edge, from one start: the larger rho, the flatter the minimum reached",
            "l1 decreasing",
            ", ".join(f"{x:.4g}" for x in top),
            bool(np.all(np.diff(top) < 0) and float(regular.final_loss.max()) < 1e-20),
        ),
        Claim(
            "its slope d l1/d rho at rho = 0, of descent on L + (rho/2) abs(grad L)^2",
            f"{said:.4f} within 1 %",
            f"{slope:.4f}",
            abs(slope / said - 1) < 0.01,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Eigenvalues along runs, at the edge, and at the minima reached."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.7))
    _draw_runs(runs["valley"], left)
    _draw_edge(runs["valley"], middle)
    regular = runs["regular"]
    rho = np.linspace(0.0, _FLOW_RHOS[-1], 100)
    right.plot(rho, _first_order(rho), color=plot.COLORS[0], label=r"first order in $\rho$")
    right.plot(
        regular.rho, regular.top_eigenvalue, "o", color=plot.COLORS[1], mfc="white", label="runs"
    )
    right.set(xlabel=r"$\rho$", ylabel=r"$\lambda_1$ at the minimum reached")
    right.set_xticks(np.linspace(0.0, 0.04, 5))
    right.legend(loc="upper right")
    titles = (
        rf"a narrowing valley, $\eta$ = {_LRS[2]:g}",
        "the same, at the edge",
        "$(xy - 1)^2$, far below the edge",
    )
    for letter, title, ax in zip("abc", titles, (left, middle, right), strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_runs(valleys: xr.Dataset, ax: Axes) -> None:
    one = valleys.isel(c=-1).sel(lr=_LRS[2])
    for k, rho in enumerate(_RHOS[[0, 4, 6, 9]]):
        label = "GD" if rho == 0 else rf"$\rho$ = {rho:.2g}"
        shown = one.sel(rho=rho)
        ax.plot(one.moment * _TIME, shown.top_eigenvalue, color=plot.COLORS[k], label=label, lw=1)
        ax.axhline(float(shown.edge), color=plot.COLORS[k], ls=":", lw=1.8, zorder=0)
    ax.plot([], [], ":", color="black", lw=1.8, label="its edge")
    ax.set(xlabel=r"$c\,\eta\,t$", ylabel=r"$\lambda_1$", yscale="log", ylim=(1, 100))
    ax.legend(loc="upper left", ncols=2)


def _draw_edge(valleys: xr.Dataset, ax: Axes) -> None:
    late = (_late(valleys) * valleys.edge).isel(c=-1)
    fine = np.concatenate([[0.0], np.geomspace(0.005, 1.5, 200)])
    for k, lr in enumerate(_LRS):
        edge = edge_of_stability(USAM(lr=float(lr), rho=fine[1:]))
        ax.plot(fine[1:], edge, color=plot.COLORS[k], label=rf"$\eta$ = {lr:g}")
        measured = late.sel(lr=lr)
        ax.plot(_RHOS[1:], measured[1:], "o", color=plot.COLORS[k], mfc="white", ms=4)
        ax.axhline(2 / lr, color=plot.COLORS[k], ls=":", lw=0.9, zorder=0)
    ax.plot([], [], ":", color="black", lw=0.9, label=r"$2/\eta$")
    ax.set(xscale="log", yscale="log", xlabel=r"$\rho$", ylabel=r"$\lambda_1$", ylim=(1, 400))
    ax.legend(loc="upper right", ncols=3)


EXPERIMENT = Experiment(
    name="agarwala-eigenvalue",
    title="Un-normalised SAM regularises the largest eigenvalue, at the edge and below it",
    source="Agarwala and Dauphin, arXiv 2302.08692",
    caption=(
        "Un-normalised SAM. (a) On exp(y) x^2/2 - c (x + y), c = 0.001, from the origin, the "
        "sharpness exp(y) grows until the edge of stability, lr l (1 + rho l) = 2 (dotted), and "
        "is held there. (b) Means over the last 30 % of 40 runs (circles) and the closed form "
        "(lines): below GD's 2/lr (dotted) for any rho > 0. (c) The largest eigenvalue at the "
        "minimum of (x y - 1)^2 that is reached from (2.5, 1.2), lr = 0.0001: the larger rho the "
        "flatter, as descent on L + (rho/2) abs(grad L)^2 says to first order. The valley is "
        "chosen here; the authors' models are quadratic regressions and networks."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
