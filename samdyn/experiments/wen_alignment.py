"""Wen, Ma and Li, Theorems 4.5 and 4.8: the gradient turns to the top eigenvector, and how far."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM
from samdyn.analysis.minimizers.projection import project
from samdyn.analysis.minimizers.split import split
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.losses.manifolds import two_residuals
from samdyn.systems.map import Map

_LOSS = two_residuals()
_START = np.array([0.5, 0.3, 0.8, -0.6, 0.9])
_SLOW = 0.2
"""The slow time at which runs of every lr and rho are compared: they are at one place then."""

_LRS = np.array([0.0125, 0.025, 0.05])
_RHOS = np.array([0.0025, 0.005, 0.01, 0.02])
_PATH_LR, _PATH_STEPS = 0.1, 10_000
_REACH = np.array([1e-4, 1e-3, 1e-2, 1e-1])
_ARRIVALS = 3_000
_BOWL = Loss("a*x**2/2 + b*y**2/2 + c*z**2/2", a=1.0, b=3.0, c=0.5)
"""Along its axes: in other directions rounding takes what is left of the top eigenvector."""

_TOP = 3.0
_BOWL_LRS = np.array([0.1, 0.2, 0.3])


def compute() -> Runs:
    """A path into phase II, where runs settle, when they arrive, and the quadratic."""
    return {
        "path": _path(),
        "settled": _settled(),
        "arrival": _arrival(),
        "quadratic": _quadratic(),
    }


def measured(w: np.ndarray) -> dict[str, np.ndarray]:
    """Angle to the top eigenvector and distance from the minimisers, with its prediction."""
    g, parts = _LOSS.grad(w), split(_LOSS, w)
    along = np.abs(np.einsum("...i,...i->...", g, parts.vectors[..., 0]))
    angle = np.arccos(np.clip(along / np.linalg.norm(g, axis=-1), 0.0, 1.0))
    found = project(_LOSS, w)
    return {"angle": angle, "distance": found.distance, "top": split(_LOSS, found.point).top}


def cycle_radius(lr: Any, rho: Any, top: Any) -> Any:
    """The distance from a minimiser at which SAM oscillates: lr rho l/(2 - lr l)."""
    return lr * rho * top / (2.0 - lr * top)


def _path() -> xr.Dataset:
    """From a generic start: phase I, then phase II."""
    first = np.unique(np.round(np.geomspace(1, _PATH_STEPS, 70)).astype(int)) - 1
    times = np.unique(np.concatenate([first, first + 1]))
    system = Map(_LOSS, SAM(lr=_PATH_LR, rho=_RHOS[1:]))
    run = finished(simulate(system, _START, _PATH_STEPS, record=times, progress=False))
    found = measured(run.w.transpose("rho", "time", "coord").values)
    at = np.searchsorted(times, first)  # each with the step after: the other end of the cycle
    means = {name: (values[:, at] + values[:, at + 1]) / 2 for name, values in found.items()}
    return xr.Dataset(
        {name: (("rho", "time"), values) for name, values in means.items()},
        coords={"rho": run.rho.values, "time": first},
    )


def _settled() -> xr.Dataset:
    """Both ends of the oscillation at one slow time, for every lr and rho."""
    found = np.empty((3, len(_LRS), len(_RHOS), 2))
    for i, lr in enumerate(_LRS):
        for j, rho in enumerate(_RHOS):
            steps = round(_SLOW / (lr * rho**2))
            system = Map(_LOSS, SAM(lr=np.array([lr]), rho=np.array([rho])))
            run = simulate(system, _START, steps, record=[steps - 1, steps], progress=False)
            w = finished(run).w.values.reshape(2, -1)
            found[:, i, j] = list(measured(w).values())
    over = ("lr", "rho", "side")
    names = ("angle", "distance", "top")
    return xr.Dataset(
        {name: (over, values) for name, values in zip(names, found, strict=True)},
        coords={"lr": _LRS, "rho": _RHOS},
    )


def _arrival() -> xr.Dataset:
    """The first step at which the loss is at most 4 times that of the oscillation."""
    system = Map(_LOSS, SAM(lr=_LRS, rho=_REACH))
    run = finished(simulate(system, _START, _ARRIVALS, record=1, progress=False))
    values = run.loss.transpose("lr", "rho", "time").values
    parts = split(_LOSS, project(_LOSS, _START).point)
    radius = cycle_radius(_LRS[:, None], _REACH, parts.top)
    near = values <= 4 * (parts.top * radius**2 / 2)[..., None]
    steps = np.where(near.any(axis=-1), near.argmax(axis=-1), np.nan)
    return xr.Dataset(
        {"steps": (("lr", "rho"), steps)},
        coords={"lr": _LRS, "rho": _REACH},
        attrs={"slowest": float(parts.smallest)},
    )


def _quadratic() -> xr.Dataset:
    """Twenty random starts on a quadratic: the distance from its minimum in the end."""
    starts = np.random.default_rng(3).standard_normal((20, 3))
    run = finished(
        simulate(
            Map(_BOWL, SAM(lr=_BOWL_LRS, rho=_RHOS[2:])), starts, 20_000, record=None,
            progress=False,
        )
    )  # fmt: skip
    final = run.final.transpose("lr", "rho", "particle", "coord").values
    theory = cycle_radius(_BOWL_LRS[:, None], _RHOS[2:], np.array(_TOP))[..., None]
    size = np.linalg.norm(final, axis=-1)
    beside = np.hypot(final[..., 0], final[..., 2])
    over = ("lr", "rho", "particle")
    return xr.Dataset(
        {"error": (over, np.abs(size / theory - 1.0)), "angle": (over, beside / size)},
        coords={"lr": _BOWL_LRS, "rho": _RHOS[2:]},
    )


def claims(runs: Runs) -> list[Claim]:
    """The orders of Theorem 4.5, measured, and the amplitude of Theorem 4.8."""
    settled, found = runs["settled"], []
    angle = settled.angle.mean("side")
    slopes = [np.polyfit(np.log(_RHOS), np.log(angle.sel(lr=lr)), 1)[0] for lr in _LRS]
    found.append(
        Claim(
            "phase II: angle between gradient and top eigenvector is of order rho",
            "slope 1 ± 0.1 for every lr",
            ", ".join(f"{slope:.3f}" for slope in slopes),
            bool(np.all(np.abs(np.array(slopes) - 1.0) < 0.1)),
        )
    )
    spread = float((angle.max("lr") / angle.min("lr")).max())
    found.append(
        Claim(
            f"that angle hardly depends on lr, from {_LRS[0]:g} to {_LRS[-1]:g}",
            "ratio below 1.25",
            f"{spread:.3f}",
            spread < 1.25,
        )
    )
    path = runs["path"]
    widest = path.angle.max("time")
    found.append(
        Claim(
            "phase I: the gradient first turns to the other eigenvector, whose part outlasts",
            "largest angle above 1.5, nearly pi/2, for every rho",
            ", ".join(f"{float(angle):.3f}" for angle in widest),
            bool((widest > 1.5).all()),
        )
    )
    radius = cycle_radius(settled.lr, settled.rho, settled.top).mean("side")
    away = float(np.abs(settled.distance.mean("side") / radius - 1.0).max())
    found.append(
        Claim(
            "phase II: distance from the minimisers, mean of two steps, is lr rho l1/(2 - lr l1)",
            "within 1 %, for every lr and rho",
            f"within {100 * away:.2g} %",
            away < 0.01,
        )
    )
    found += _arrivals(runs["arrival"])
    quadratic = runs["quadratic"]
    error, beside = float(quadratic.error.max()), float(quadratic.angle.max())
    found.append(
        Claim(
            f"quadratic, 20 starts, lr l1 = {', '.join(f'{lr * _TOP:g}' for lr in _BOWL_LRS)}: "
            "|x| tends to lr rho l1/(2 - lr l1)",
            "within 1e-10, along the top eigenvector",
            f"within {error:.0e}; angle {beside:.0e}",
            error < 1e-10 and beside < 1e-10,
        )
    )
    return found


def _arrivals(arrival: xr.Dataset) -> list[Claim]:
    """That phase I lasts for O(ln(1/rho)/lr) steps."""
    time = arrival.steps * arrival.lr
    logs = np.log(1 / _REACH)
    slopes = [float(np.polyfit(logs, time.sel(lr=lr), 1)[0]) for lr in _LRS]
    slowest = 1 / arrival.attrs["slowest"]
    return [
        Claim(
            "phase I: its steps grow by 1/(lr l2) as 1/rho grows by e, l2 the smaller eigenvalue",
            f"lr times steps: {slowest:.3f}, within 25 %",
            ", ".join(f"{slope:.3f}" for slope in slopes),
            bool(np.all(np.abs(np.array(slopes) / slowest - 1.0) < 0.25)),
        )
    ]


def draw(runs: Runs) -> Figure:
    """Angle and distance in time; the angle against rho; the length of phase I."""
    figure, axes = plt.subplots(2, 2, figsize=(8.0, 6.0))
    _draw_path(runs["path"], axes[0, 0], axes[0, 1])
    _draw_angles(runs["settled"], axes[1, 0])
    _draw_arrivals(runs["arrival"], axes[1, 1])
    titles = (
        "(a) angle of the gradient to the top eigenvector",
        "(b) distance from the minimisers",
        r"(c) the angle in phase II, at $\tau$ = 0.2",
        "(d) how long phase I lasts",
    )
    for title, ax in zip(titles, axes.flat, strict=True):
        ax.set_title(title, loc="left")
    return figure


def _draw_path(path: xr.Dataset, left: Axes, right: Axes) -> None:
    for k, rho in enumerate(path.rho.values):
        one, color = path.sel(rho=rho), plot.COLORS[k]
        step = one.time.values + 1
        left.plot(step, one.angle, color=color, label=rf"$\rho$ = {rho:g}")
        right.plot(step, one.distance, color=color, label=rf"$\rho$ = {rho:g}")
        radius = cycle_radius(_PATH_LR, rho, one.top.values)
        late = step > 30
        right.plot(step[late], radius[late], "--", color="black", lw=1.0)
    right.plot(
        [], [], "--", color="black", lw=1.0, label=r"$\eta\rho\lambda_1/(2 - \eta\lambda_1)$"
    )
    for ax, said in ((left, "angle (radians)"), (right, r"$|w - \Phi(w)|$")):
        ax.set(xscale="log", yscale="log", xlabel="step + 1", ylabel=said)
        ax.legend(loc="lower left" if ax is left else "upper right")


def _draw_angles(settled: xr.Dataset, ax: Axes) -> None:
    angle = settled.angle.mean("side")
    for k, lr in enumerate(_LRS):
        ax.plot(
            _RHOS, angle.sel(lr=lr), "os^"[k], color=plot.COLORS[k], ms=10 - 3 * k, mfc="none",
            label=f"lr = {lr:g}",
        )  # fmt: skip
    constant = float((angle / settled.rho).mean())
    ax.plot(_RHOS, constant * _RHOS, color="black", lw=1.0, label=rf"{constant:.2f} $\rho$")
    ax.set(xscale="log", yscale="log", xlabel=r"$\rho$", ylabel="angle (radians)")
    ax.set_xticks(_RHOS, [f"{rho:g}" for rho in _RHOS])
    ax.set_yticks([0.0005, 0.001, 0.002, 0.005], ["0.0005", "0.001", "0.002", "0.005"])
    ax.minorticks_off()
    ax.legend(loc="upper left")


def _draw_arrivals(arrival: xr.Dataset, ax: Axes) -> None:
    for k, lr in enumerate(_LRS):
        time = arrival.steps.sel(lr=lr) * lr
        ax.plot(
            _REACH, time, "os^"[k] + "-", color=plot.COLORS[k], mfc="white", label=f"lr = {lr:g}"
        )
    slope = 1 / arrival.attrs["slowest"]
    first = float((arrival.steps * arrival.lr).isel(rho=-1).max())
    guide = first + 1.0 + slope * np.log(_REACH[-1] / _REACH)
    ax.plot(_REACH, guide, color="black", lw=1.0, label=r"slope $1/\lambda_2$")
    ax.set(xscale="log", xlabel=r"$\rho$", ylabel="lr times steps of phase I")
    ax.legend(loc="upper right")


EXPERIMENT = Experiment(
    name="wen-alignment",
    title="Full-batch SAM: the gradient aligns with the top eigenvector of the Hessian",
    source="Wen, Ma and Li, arXiv 2211.05729, Theorems 4.5 and 4.8",
    caption=(
        "Nonlinear least squares of 5 weights and 2 samples, from a generic start. (a) lr = 0.1: "
        "in phase I the gradient turns away from the top eigenvector of the Hessian, as what lies "
        "along the flatter one outlasts the rest; in phase II its angle to it is of order rho. "
        "(b) The distance from the minimisers falls to lr rho l1/(2 - lr l1) (dashed), the radius "
        "of the 2-cycle on a quadratic; means of two consecutive steps, as the two ends of the "
        "cycle differ by the order of rho/lr. (c) The angle at the slow time 0.2 has slope 1 in "
        "rho and hardly depends on lr. (d) Steps until the loss is at most four times that of the "
        "oscillation: they grow like log(1/rho)/lr."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
