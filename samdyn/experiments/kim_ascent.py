"""Kim et al.: several ascent steps in SAM; what changes with their number, and what does not."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.edges.ascent import ascent_contraction
from samdyn.analysis.edges.cycle import cycle_amplitude, cycle_multipliers
from samdyn.analysis.edges.stability import usam_edge
from samdyn.analysis.fixed.stability import jacobian, multipliers
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_COUNTS = np.array([1, 2, 4, 8])
_TOP, _FLAT = 2.0, 0.8
_BOWL = Loss("l1*x**2/2 + l2*y**2/2", "x y", l1=_TOP, l2=_FLAT)
_LR, _RHO = 0.3, 0.4
_EDGE_RHOS = np.linspace(0.1, 2.0, 8)
_REACHES = np.geomspace(0.03, 100.0, 21)
"""rho l1/|g|."""
_ANGLE = 1e-6
_DRIFT_COUNTS = _COUNTS[:3]
_DRIFT_RHOS = np.array([0.02, 0.04, 0.08])
_DRIFT_LR, _DRIFT_TIME = 0.04, 0.1
_START = np.array([1.6, 0.63])


def compute() -> Runs:
    """Thresholds, cycles and angles on a bowl; runs along the minima of (x y - 1)^2."""
    edges, size, along, inside = [], [], [], []
    for count in map(int, _COUNTS):
        usam = Map(_BOWL, USAM(lr=_LR, rho=_RHO, ascent_steps=count))
        edges.append([_largest_lr(usam.replace(rho=float(rho))) for rho in _EDGE_RHOS])
        sam = Map(_BOWL, SAM(lr=_LR, rho=_RHO, ascent_steps=count))
        radius = float(cycle_amplitude(_TOP, _LR, _RHO))
        end = sam.apply([1.0, 0.7], steps=500)
        size.append(np.abs(end) - [radius, 0.0])
        along.append(np.sort(np.abs(multipliers(sam, [[radius, 0.0], [-radius, 0.0]]))))
        inside.append([_tangent(sam.replace(rho=float(a) / _TOP)) for a in _REACHES])
    bowl = xr.Dataset(
        {
            "largest_lr": (("k", "rho"), edges),
            "off_cycle": (("k", "coord"), size),
            "multiplier": (("k", "number"), along),
            "contraction": (("k", "reach"), inside),
        },
        coords={"k": _COUNTS, "rho": _EDGE_RHOS, "reach": _REACHES},
    )
    return {"bowl": bowl, "drift": xr.concat([_drift(int(k)) for k in _DRIFT_COUNTS], "k")}


def _largest_lr(usam: Map) -> float:
    """The lr at which the minimum of the bowl stops being stable, by the exact Jacobian."""
    changed = 1.0 - np.diag(jacobian(usam, [0.0, 0.0]))
    return float(2.0 * _LR / changed.max())  # the step is proportional to lr


def _tangent(sam: Map) -> float:
    """The angle to the top eigenvector of the gradient SAM descends along, over the loss's own."""
    w = np.array([1.0 / _TOP, _ANGLE / _FLAT])  # the gradient is (1, angle)
    x, y = sam.descent_gradient(w)
    return float(y / x / _ANGLE)


def _drift(count: int) -> xr.Dataset:
    """The logarithm of what is left of x^2 - y^2 after equal slow times."""
    system = Map(losses.scalar_factorization(), SAM(lr=_DRIFT_LR, rho=0.1, ascent_steps=count))
    left = []
    for rho in _DRIFT_RHOS:
        steps = 2 * round(_DRIFT_TIME / (2 * _DRIFT_LR * rho**2))
        settled = 200  # by then it is on its cycle
        run = finished(
            simulate(
                system.replace(rho=float(rho)),
                _START,
                steps + settled,
                record=[settled, steps + settled],
                progress=False,
            )
        )
        w = run.w.transpose("time", "coord").values
        u = w[:, 0] ** 2 - w[:, 1] ** 2
        left.append(np.log(u[1] / u[0]) / (_DRIFT_LR * rho**2 * steps))
    return xr.Dataset({"speed": ("rho", left)}, coords={"rho": _DRIFT_RHOS, "k": count})


def claims(runs: Runs) -> list[Claim]:
    """Edges, cycles and angles for every number of steps; and the drift that hardly changes."""
    bowl, drift = runs["bowl"], runs["drift"]
    ratio = _FLAT / _TOP
    edge, turned, across = [], [], []
    for count in map(int, _COUNTS):
        one = bowl.sel(k=count)
        edge.append(usam_edge(one.largest_lr.values, _EDGE_RHOS, count) / _TOP - 1)
        turned.append(one.contraction.values / ascent_contraction(ratio, _REACHES, count) - 1)
        said = np.sort(cycle_multipliers([_FLAT, _TOP], _LR, count) ** 2)
        across.append(one.multiplier.values - said)
    missed = [float(np.max(np.abs(part))) for part in (edge, turned, across)]
    off = float(np.abs(bowl.off_cycle).max())
    lowest = bowl.largest_lr.isel(rho=-1).values
    apart = np.abs(drift.speed / drift.speed.sel(k=1) - 1).max("k").values
    order = np.polyfit(np.log(_DRIFT_RHOS), np.log(apart), 1)[0]
    far = bowl.contraction.isel(reach=-1).values
    counts = ", ".join(map(str, _COUNTS))
    return [
        Claim(
            f"USAM with k = {counts} ascent steps is stable to lr l (1 + rho l/k)^k = 2",
            "relative error < 1e-10",
            f"{missed[0]:.1g}",
            missed[0] < 1e-10,
        ),
        Claim(
            f"more steps lower the edge: largest lr at l = {_TOP:g}, rho = {_EDGE_RHOS[-1]:g}",
            "decreasing in k",
            ", ".join(f"{x:.4f}" for x in lowest),
            bool(np.all(np.diff(lowest) < 0)),
        ),
        Claim(
            "normalised SAM has the same 2-cycle for every k, lr rho l/(2 - lr l)",
            "within 1e-10",
            f"{off:.1g}",
            off < 1e-10,
        ),
        Claim(
            "its multipliers 1 - lr l_i prod_j (1 + (l_i/l_1)/(k a + j)), squared",
            "within 1e-10",
            f"{missed[2]:.1g}",
            missed[2] < 1e-10,
        ),
        Claim(
            "ascent turns the gradient to the top eigenvector as a power iteration does (closed "
            f"form, {len(_REACHES)} radii)",
            "relative error < 1e-9",
            f"{missed[1]:.1g}",
            missed[1] < 1e-9,
        ),
        Claim(
            f"rho l1/|g| = {_REACHES[-1]:g}: what k = {counts} leave of the angle (l2/l1 = "
            f"{ratio:g})",
            "decreasing in k",
            ", ".join(f"{x:.4f}" for x in far),
            bool(np.all(np.diff(far) < 0)),
        ),
        Claim(
            "(xy - 1)^2: the drift toward the flattest minimum is the same for k = 1, 2, 4",
            "within 0.3 %, apart by rho^2",
            f"{', '.join(f'{x:.1e}' for x in apart)} at rho = "
            f"{', '.join(f'{rho:g}' for rho in _DRIFT_RHOS)}; slope {order:.2f}",
            bool(apart.max() < 0.003 and abs(order - 2) < 0.2),
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Edge, multiplier, angle and drift against the number of ascent steps."""
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 6.6))
    bowl, drift = runs["bowl"], runs["drift"]
    _draw_edges(bowl, axes[0, 0])
    _draw_multipliers(bowl, axes[0, 1])
    _draw_angles(bowl, axes[1, 0])
    ax = axes[1, 1]
    for k, count in enumerate(_DRIFT_COUNTS):
        ax.plot(
            drift.rho,
            -drift.speed.sel(k=count),
            "os^"[k] + "-",
            color=plot.COLORS[k],
            mfc="none",
            ms=5 + 2 * k,
            lw=1,
            label=f"$k$ = {count}",
        )
    ax.set(xlabel=r"$\rho$", ylabel=r"$-\,d\,\log(x^2 - y^2)/d\tau$", ylim=(4, 5.5), xlim=(0, 0.09))
    ax.legend(loc="upper right")
    titles = (
        r"un-normalised: largest stable $\eta$",
        "normalised: stability of the 2-cycle",
        "normalised: what is left of the angle",
        "$(xy - 1)^2$: speed of the drift",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_edges(bowl: xr.Dataset, ax: Axes) -> None:
    rho = np.linspace(0.0, 2.1, 100)
    for k, count in enumerate(_COUNTS):
        ax.plot(
            rho,
            2 / (_TOP * (1 + rho * _TOP / count) ** count),
            color=plot.COLORS[k],
            label=f"$k$ = {count}",
        )
        ax.plot(
            bowl.rho, bowl.largest_lr.sel(k=count), "o", color=plot.COLORS[k], mfc="white", ms=4
        )
    ax.plot(rho, 2 / _TOP * np.exp(-rho * _TOP), ":", color="black", label=r"$k \to \infty$")
    ax.set(xlabel=r"$\rho$", ylabel=r"$\eta$", yscale="log")
    ax.legend(loc="lower left", ncols=2)


def _draw_multipliers(bowl: xr.Dataset, ax: Axes) -> None:
    strength = np.linspace(0.02, 1.98, 200)
    for k, count in enumerate(_COUNTS):
        across = cycle_multipliers([_FLAT, _TOP], strength / _TOP, int(count))[:, 0] ** 2
        ax.plot(strength, across, color=plot.COLORS[k], label=f"$k$ = {count}")
        ax.plot(
            _LR * _TOP,
            bowl.multiplier.sel(k=count)[1],
            "o",
            color=plot.COLORS[k],
            mfc="white",
            ms=4,
        )
    ax.set(xlabel=r"$\eta\lambda_1$", ylabel="multiplier across the cycle", ylim=(0, 1))
    ax.legend(loc="upper right")


def _draw_angles(bowl: xr.Dataset, ax: Axes) -> None:
    for k, count in enumerate(_COUNTS):
        said = ascent_contraction(_FLAT / _TOP, _REACHES, int(count))
        ax.plot(_REACHES, said, color=plot.COLORS[k], label=f"$k$ = {count}")
        ax.plot(
            bowl.reach, bowl.contraction.sel(k=count), "o", color=plot.COLORS[k], mfc="white", ms=4
        )
    limit = ascent_contraction(_FLAT / _TOP, _REACHES, None)
    ax.plot(_REACHES, limit, ":", color="black", label=r"$k \to \infty$")
    ax.axhline(_FLAT / _TOP, color="0.7", lw=0.9, zorder=0)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\rho\lambda_1/|g|$",
        ylabel="angle after / before the ascent",
    )
    ax.set_yticks([0.05, 0.1, 0.2, 0.4, 1.0], ["0.05", "0.1", "0.2", "0.4", "1"])
    ax.minorticks_off()
    ax.legend(loc="lower left")


EXPERIMENT = Experiment(
    name="kim-ascent",
    title="Several ascent steps: a lower edge and a sharper eye, but the same cycle and drift",
    source="Kim et al., arXiv 2302.10181",
    caption=(
        "SAM with k ascent steps of 1/k of the way each; lines are closed forms derived here, "
        "marks the algorithm itself. On (2 x^2 + 0.8 y^2)/2: (a) un-normalised, the largest "
        "stable lr falls with k, lr l (1 + rho l/k)^k = 2; (b) normalised, the 2-cycle along x is "
        "the same for all k and attracts the more slowly the more steps, above all at small lr "
        "(marks: lr l1 = 0.6); (c) the ascent turns the gradient to the top eigenvector like a "
        "power iteration: one step leaves at least l2/l1 = 0.4 of the angle (grey), more steps "
        "less. (d) Along the minima of (x y - 1)^2, lr = 0.04, the drift toward the flattest is "
        "the same for k = 1, 2, 4, up to terms of order rho^2."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
