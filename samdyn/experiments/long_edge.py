"""Long and Bartlett: SAM's edge of stability, along runs on a small network."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM
from samdyn.analysis.edges.stability import edge_of_stability
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_INPUTS = np.linspace(-1.0, 1.0, 8)
_NETWORK = Loss(
    "(v1*tanh(u1*x + b1) + v2*tanh(u2*x + b2) - y)**2/2",
    "u1 u2 b1 b2 v1 v2",
    data={"x": _INPUTS, "y": 2 * np.sin(3 * _INPUTS)},
)
_START = np.array([0.088, -0.092, 0.448, 0.073, -0.375, 0.253])
_LRS = np.array([0.05, 0.1, 0.2])
_RHOS = np.array([0.0, 0.01, 0.03, 0.1])
_SHOWN = 0.1
_STEPS, _EVERY = 30_000, 100
_TIME = 1_200.0
"""lr times step: from here on all runs are at the edge."""


def compute() -> Runs:
    """The largest eigenvalue, the gradient and their alignment, along runs of GD and SAM."""
    sam = SAM(lr=_LRS, rho=_RHOS)
    run = finished(simulate(Map(_NETWORK, sam), _START, _STEPS, record=_EVERY, progress=False))
    w = run.w.transpose("lr", "rho", "time", "coord")
    g = _NETWORK.grad(w.values)
    norm = np.linalg.norm(g, axis=-1)
    eigenvalues, vectors = np.linalg.eigh(_NETWORK.hessian(w.values))
    dims = w.dims[:-1]
    found = xr.Dataset(
        {
            "top_eigenvalue": (dims, eigenvalues[..., -1]),
            "grad_norm": (dims, norm),
            "alignment": (dims, np.abs(np.sum(g * vectors[..., -1], axis=-1)) / norm),
            "loss": run.loss,
        },
        coords={name: w[name] for name in dims},
    )
    found["edge"] = edge_of_stability(sam, found.grad_norm)
    return {"network": found.transpose(*dims)}


def _late(found: xr.Dataset) -> xr.Dataset:
    """The part of every run that is at the edge."""
    return found.where(found.time * found.lr >= _TIME)


def claims(runs: Runs) -> list[Claim]:
    """That runs ride their edge, and that it is far below GD's."""
    found = runs["network"]
    late = _late(found)
    ratio = late.top_eigenvalue / late.edge
    gd, sam = ratio.sel(rho=0.0), ratio.sel(rho=_RHOS[1:])
    share = (late.top_eigenvalue * late.lr / 2).mean("time")
    falling = np.diff(share.transpose("lr", "rho").values, axis=1)
    lowest = float(late.alignment.min())
    before = found.top_eigenvalue.isel(time=0)
    return [
        Claim(
            "gradient descent: l1 rises to 2/lr and stays",
            "l1 lr/2 = 1 within 1 %",
            f"{float(gd.min()):.3f} to {float(gd.max()):.3f}",
            bool(np.abs(gd - 1).max() < 0.01),
        ),
        *(
            Claim(
                f"SAM, rho = {rho:g}: l1 over the SAM edge, for lr = "
                f"{', '.join(f'{lr:g}' for lr in _LRS)}",
                "1 within 3 %",
                ", ".join(f"{x:.3f}" for x in sam.sel(rho=rho).mean("time").values),
                bool(np.abs(sam.sel(rho=rho) - 1).max() < 0.03),
            )
            for rho in _RHOS[1:]
        ),
        Claim(
            "the SAM edge is below 2/lr, the more so the larger rho: l1 lr/2 at lr = 0.1",
            "decreasing from 1",
            ", ".join(f"{x:.3f}" for x in share.sel(lr=_SHOWN).values),
            bool(np.all(falling < 0)),
        ),
        Claim(
            "there the gradient is along the top eigenvector",
            "cosine > 0.94",
            f"at least {lowest:.3f}",
            lowest > 0.94,
        ),
        Claim(
            "the sharpness had risen to it: l1 at the start",
            "below every edge reached",
            f"{float(before.max()):.2f}",
            bool((before < late.top_eigenvalue.mean("time")).all()),
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Sharpness and edge along runs, their ratio, and both at the end."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.7))
    found = runs["network"]
    one = found.sel(lr=_SHOWN)
    moments = one.time * _SHOWN
    for k, rho in enumerate(_RHOS):
        color, shown = plot.COLORS[k], one.sel(rho=rho)
        label = "GD" if rho == 0 else rf"SAM, $\rho$ = {rho:g}"
        left.plot(moments, shown.top_eigenvalue, color=color, label=label)
        left.plot(moments, shown.edge, ":", color=color, lw=1.8)
        middle.plot(moments, shown.top_eigenvalue / shown.edge, color=color, label=label)
    left.plot([], [], ":", color="black", lw=1.8, label="its edge")
    left.set(xlabel=r"$\eta\,t$", ylabel=r"$\lambda_1$", xlim=(0, 1_500), ylim=(0, 34))
    left.legend(loc="upper right", ncols=2)
    middle.axhline(1.0, color="0.8", lw=0.8, zorder=0)
    middle.set(xlabel=r"$\eta\,t$", ylabel=r"$\lambda_1$ / edge", xlim=(0, 1_500), ylim=(0, 1.6))
    middle.legend(loc="lower right")
    _draw_ends(found, right)
    titles = (
        rf"sharpness and edge, $\eta$ = {_SHOWN:g}",
        "their ratio",
        "at the edge, all runs",
    )
    for letter, title, ax in zip("abc", titles, (left, middle, right), strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_ends(found: xr.Dataset, ax: Axes) -> None:
    late = _late(found).mean("time")
    for k, rho in enumerate(_RHOS):
        one = late.sel(rho=rho)
        label = "GD" if rho == 0 else rf"SAM, $\rho$ = {rho:g}"
        ax.plot(
            one.edge, one.top_eigenvalue, "os^D"[k], color=plot.COLORS[k], mfc="white", label=label
        )
    line = np.array([2.0, 60.0])
    ax.plot(line, line, color="0.7", lw=0.9, zorder=0, label="equal")
    ax.set(xscale="log", yscale="log", xlabel="edge", ylabel=r"$\lambda_1$", xlim=line, ylim=line)
    ticks = [2, 5, 10, 20, 50]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [str(x) for x in ticks])
    ax.minorticks_off()
    ax.legend(loc="upper left")


EXPERIMENT = Experiment(
    name="long-edge",
    title="The SAM edge of stability holds along a run",
    source="Long and Bartlett, arXiv 2309.12488",
    caption=(
        "Full-batch GD and normalised SAM on a network of two tanh units, fitted to 2 sin(3x) at "
        "8 points from one small start: gradient flow sharpens without bound. (a) The largest "
        "eigenvalue of the Hessian (solid) rises to the edge of stability and rides it: 2/lr for "
        "GD, (|g|/(2 rho)) (sqrt(1 + 8 rho/(lr |g|)) - 1) for SAM (dotted), |g| being the "
        "gradient's length at that step. (b) Their ratio becomes 1; where it exceeds 1 before, "
        "the gradient is not yet along the top eigenvector. (c) Means over lr t > 1,200 of all "
        "runs, lr = 0.05, 0.1 and 0.2. Long and Bartlett show the like for networks on MNIST, "
        "CIFAR-10 and tiny_shakespeare."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
