"""Dai, Ahn and Sra: what the normalisation in SAM is for: stability, and drift along minima."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.edges.cycle import cycle_amplitude
from samdyn.analysis.edges.stability import edge_of_stability
from samdyn.ensembles.events import Diverged
from samdyn.ensembles.result import REASONS
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_BETA = 2.0
_STRENGTHS = np.linspace(0.06, 2.46, 49)
"""lr beta."""
_REACHES = np.linspace(0.0, 3.0, 61)
"""rho beta."""
_FAR, _STEPS = 1e6, 3_000
_UNDECIDED = 0.01

_START = np.array([0.05, 2.0])
_LR, _RHO, _DRIFT_STEPS, _EVERY = 0.02, 0.02, 200_000, 500
_LATE_START = np.array([0.05, 3.0])
_LRS = np.linspace(0.25, 0.5, 11)
_RHOS = np.array([0.0, 0.05, 0.1, 0.3])
_LATE_STEPS = 20_000


def compute() -> Runs:
    """Who diverges on a quadratic, and where each algorithm ends on a neuron's line of minima."""
    bowl = Loss("beta*x**2/2", "x", beta=_BETA)
    lr, rho = _STRENGTHS / _BETA, _REACHES / _BETA
    far = Diverged(_FAR)
    bowls = {}
    for name, algorithm in (("usam", USAM(lr=lr, rho=rho)), ("sam", SAM(lr=lr, rho=rho))):
        run = finished(simulate(Map(bowl, algorithm), [1.0], _STEPS, until=far, progress=False))
        diverged = run.reason == REASONS.index("diverged")
        bowls[f"{name}_diverged"] = diverged.transpose("lr", "rho")
        bowls[f"{name}_end"] = np.abs(run.final).isel(coord=0, drop=True).transpose("lr", "rho")
    neuron = losses.single_neuron()
    usam, sam = Map(neuron, USAM(lr=_LR, rho=_RHO)), Map(neuron, SAM(lr=_LR, rho=_RHO))
    drift = xr.Dataset()
    for name, system in (("gd", usam.replace(rho=0.0)), ("usam", usam), ("sam", sam)):
        run = finished(simulate(system, _START, _DRIFT_STEPS, record=_EVERY, progress=False))
        drift[name] = run.w.sel(coord="y", drop=True)
    late = usam.replace(lr=_LRS, rho=_RHOS)
    stopped = finished(simulate(late, _LATE_START, _LATE_STEPS, progress=False))
    stops = xr.Dataset(
        {
            "sharpness": (stopped.final.sel(coord="y", drop=True) ** 2).transpose("lr", "rho"),
            "loss": stopped.final_loss,
            "edge": edge_of_stability(late.single),
        }
    )
    return {"bowl": xr.Dataset(bowls), "drift": drift, "stops": stops}


def _slow_time(y: np.ndarray, lr: float) -> np.ndarray:
    """The slow time lr rho^2 t in which SAM drifts down the line of minima from y[0] to y.

    There l1 = y^2, and dy/dtau = -y (1 - lr y^2/2)^-2 integrates to this; y_0 exp(-tau) at lr = 0.
    """
    whole = np.log(y) - lr * y**2 / 2 + lr**2 * y**4 / 16
    return whole[0] - whole


def claims(runs: Runs) -> list[Claim]:
    """Stability on a quadratic, and freezing against drift on the line of minima."""
    bowl, drift, stops = runs["bowl"], runs["drift"], runs["stops"]
    effective = bowl.lr * _BETA * (1 + bowl.rho * _BETA)
    clear = np.abs(effective / 2 - 1) > _UNDECIDED
    wrong = int(((bowl.usam_diverged != (effective > 2)) & clear).sum())
    stable = bowl.lr * _BETA < 2
    amplitude = cycle_amplitude(_BETA, bowl.lr, bowl.rho)
    held = bowl.sam_end.where(stable, drop=True)
    gap = float(np.abs(held - amplitude).max())
    lost = int((bowl.sam_diverged & stable).sum())
    kept = float(np.sqrt(_START[1] ** 2 - _START[0] ** 2))
    ends = {name: float(drift[name][-1]) for name in ("gd", "usam", "sam")}
    late = drift.sam.values[4:]
    said = _slow_time(late, _LR)
    taken = _LR * _RHO**2 * (drift.time.values[4:] - drift.time.values[4])
    rate = float(said[-1] / taken[-1])
    ratio = stops.sharpness / stops.edge
    one = stops.sel(lr=0.4, method="nearest")
    return [
        Claim(
            f"quadratic: USAM diverges if and only if lr b (1 + rho b) > 2 ({int(clear.sum())} "
            "pairs of lr, rho)",
            "0 exceptions",
            f"{wrong}",
            wrong == 0,
        ),
        Claim(
            "quadratic: SAM stays bounded for lr b < 2, whatever rho is, and ends in its 2-cycle",
            "none diverges, amplitude within 1e-10",
            f"{lost} diverge, off by {gap:.1g}",
            lost == 0 and gap < 1e-10,
        ),
        Claim(
            "neuron, 200,000 steps from (0.05, 2): GD and USAM freeze where they arrive, near y = "
            "sqrt(2^2 - 0.05^2)",
            f"{kept:.4f} within 2e-4",
            f"GD {ends['gd']:.4f}, USAM {ends['usam']:.4f}",
            max(abs(ends["gd"] - kept), abs(ends["usam"] - kept)) < 2e-4,
        ),
        Claim(
            "SAM drifts on, toward y = 0: its speed over (lr rho^2/2) (1 - lr y^2/2)^-2 P grad l1",
            "1 within 0.3 %",
            f"{rate:.4f}, to y = {ends['sam']:.3f}",
            abs(rate - 1) < 0.003,
        ),
        Claim(
            "large lr, from (0.05, 3), beyond the edge: GD and USAM stop at sharpness y^2 below "
            "the edge lr l (1 + rho l) = 2",
            "all below",
            f"ratio {float(ratio.min()):.3f} to {float(ratio.max()):.3f}",
            bool(((ratio < 1) & (stops.edge < _LATE_START[1] ** 2)).all()),
        ),
        Claim(
            f"the same at lr = 0.4, rho = {', '.join(f'{rho:g}' for rho in _RHOS)}",
            ", ".join(f"< {x:.2f}" for x in one.edge.values),
            ", ".join(f"{x:.2f}" for x in one.sharpness.values),
            bool((one.sharpness < one.edge).all()),
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Who diverges; who drifts; where who stops."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.8))
    _draw_bowl(runs["bowl"], left)
    _draw_drift(runs["drift"], middle)
    _draw_stops(runs["stops"], right)
    titles = (
        r"quadratic: who diverges",
        rf"neuron: drift, $\eta$ = {_LR:g}, $\rho$ = {_RHO:g}",
        "neuron: where GD and USAM stop",
    )
    for letter, title, ax in zip("abc", titles, (left, middle, right), strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_bowl(bowl: xr.Dataset, ax: Axes) -> None:
    codes = bowl.usam_diverged.astype(int) + bowl.sam_diverged.astype(int)
    colors = ListedColormap(["white", plot.COLORS[5], plot.COLORS[4]])
    ax.pcolormesh(bowl.lr * _BETA, bowl.rho * _BETA, codes.T, cmap=colors, vmin=0, vmax=2)
    reach = np.linspace(0, _REACHES[-1], 200)
    edge = 2 / (1 + reach)
    ax.plot(edge, reach, color="black", label=r"$\eta\beta\,(1 + \rho\beta) = 2$")
    ax.axvline(2.0, color="black", ls="--", label=r"$\eta\beta = 2$")
    ax.text(0.45, 0.7, "neither", ha="center")
    ax.text(1.5, 1.9, "USAM only", ha="center")
    ax.text(2.24, 0.7, "both", ha="center")
    ax.set(xlabel=r"$\eta\beta$", ylabel=r"$\rho\beta$", xlim=(0.06, 2.46), ylim=(0, 3))
    ax.legend(loc="upper right", frameon=True, framealpha=0.9)


def _draw_drift(drift: xr.Dataset, ax: Axes) -> None:
    for name, said, color, dashes in (
        ("gd", "GD", plot.COLORS[0], "-"),
        ("usam", "USAM", plot.COLORS[2], "--"),
        ("sam", "SAM", plot.COLORS[1], "-"),
    ):
        ax.plot(drift.time, drift[name], dashes, color=color, label=said)
    y = np.linspace(_START[1], float(drift.sam[-1]), 200)
    steps = _slow_time(y, _LR) / (_LR * _RHO**2)
    ax.plot(steps, y, ":", color="black", lw=2, label="closed form")
    ax.set(xlabel="step", ylabel="$y$", ylim=(0, 2.4))
    ax.set_xticks([0, 100_000, 200_000], ["0", "100,000", "200,000"])
    ax.legend(loc="lower left")


def _draw_stops(stops: xr.Dataset, ax: Axes) -> None:
    for k, rho in enumerate(_RHOS):
        one = stops.sel(rho=rho)
        ax.plot(one.lr, one.edge, color=plot.COLORS[k])
        label = "GD" if rho == 0 else rf"USAM, $\rho$ = {rho:g}"
        ax.plot(one.lr, one.sharpness, "os^D"[k], color=plot.COLORS[k], mfc="white", label=label)
    ax.plot([], [], color="black", label="edge")
    ax.set(xlabel=r"$\eta$", ylabel="sharpness $y^2$ at the end", ylim=(0, 9.5))
    ax.legend(loc="upper right", ncols=2)


EXPERIMENT = Experiment(
    name="dai-normalization",
    title="Normalisation keeps SAM stable, and lets it drift along minima",
    source="Dai, Ahn and Sra, arXiv 2305.15287",
    caption=(
        "SAM with and without (USAM) normalisation. (a) On b x^2/2 USAM diverges beyond lr b (1 + "
        "rho b) = 2, SAM only beyond lr b = 2, as gradient descent does (colour: simulated). (b) "
        "On a neuron, sqrt(1 + x^2 y^2) - 1, whose minima are a line of sharpness y^2: GD and "
        "USAM freeze where they arrive, SAM drifts on toward the flat end, as the closed form "
        "with its finite-lr factor says (dotted). (c) With lr so large that the start (0.05, 3) "
        "is beyond the edge of stability, GD and USAM come down (marks) and stop below the edge "
        "lr l (1 + rho l) = 2 (lines). The neuron is recalled as the authors' own, not read in "
        "the paper."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
