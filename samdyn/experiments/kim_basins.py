"""Basins of Beale's minimum and saddle under SAM, as rho grows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from samdyn import losses, plot
from samdyn.algorithms import SAM
from samdyn.analysis.attraction.basins import basins
from samdyn.ensembles.points import grid
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.systems.map import Map

_LR = 1e-4
_RHOS = (0.0, 0.1, 0.5, 1.0)
_BOX = {"x": (-1.0, 4.0, 121), "y": (-0.5, 2.5, 121)}
_STEPS = 400_000
_SADDLE, _MINIMUM = np.array([0.0, 1.0]), np.array([3.0, 0.5])
_NEAR = 0.25
_START = (1.0, 2.0)
_FATE_LRS = (1e-3 / 80, 1e-4)
_FATE_RHOS = np.linspace(0.0, 1.0, 401)
_FATE_TIME = 2.5
_REGIONS = {
    "by the minimum": "#8fc1e0",
    "by the saddle": "#eeb78f",
    "in the far valley": "#8fd3be",
    "nowhere in 400,000 steps": "#b8b8b8",
}
"""Where runs end, and tints of the palette that markers show on."""


def compute() -> Runs:
    """Basins for four values of rho, and what becomes of the paper's start over many."""
    beale = losses.beale()
    runs: Runs = {}
    for rho in _RHOS:
        system = Map(beale, SAM(lr=_LR, rho=rho))
        found = basins(system, grid(**_BOX), steps=_STEPS)
        runs[f"rho_{rho:g}"] = found.assign_attrs(rho=rho)
    for k, lr in enumerate(_FATE_LRS):
        system = Map(beale, SAM(lr=lr, rho=_FATE_RHOS))
        runs[f"fate_{k}"] = finished(simulate(system, _START, round(_FATE_TIME / lr)))
    return runs


def _regions(found: xr.Dataset) -> np.ndarray:
    """Where runs end: 0 by the minimum, 1 by the saddle, 2 elsewhere, -1 not yet."""
    places = found.point.values[:, :2]
    saddle = np.linalg.norm(places - _SADDLE, axis=1) < _NEAR
    minimum = np.linalg.norm(places - _MINIMUM, axis=1) < _NEAR
    region = np.append(np.where(minimum, 0, np.where(saddle, 1, 2)), -1)
    return region[np.maximum(found.label.values, -1)]


def _share(runs: Runs, rho: float) -> float:
    """The share of points that end near the saddle."""
    return float(np.mean(_regions(runs[f"rho_{rho:g}"]) == 1))


def _critical(runs: Runs, k: int) -> tuple[float, float]:
    """Neighbouring values of rho between which the paper's start changes its fate."""
    end = runs[f"fate_{k}"].final.values
    trapped = np.linalg.norm(end - _SADDLE, axis=1) < 0.1
    first = int(np.argmax(trapped))
    return float(_FATE_RHOS[first - 1]), float(_FATE_RHOS[first])


def claims(runs: Runs) -> list[Claim]:
    """That the saddle's basin grows with rho, and where the paper's start falls into it."""
    shares = [_share(runs, rho) for rho in _RHOS]
    kinds = [[str(kind) for kind in runs[f"rho_{rho:g}"].attractor_kind.values] for rho in _RHOS]
    found = [
        Claim(
            "gradient descent: the saddle attracts nothing, the minimum is a fixed point",
            "0, fixed point",
            f"{shares[0]:.3g}, {kinds[0][0]}",
            shares[0] == 0.0 and kinds[0][0] == "fixed point",
        ),
        Claim(
            f"the saddle's basin grows with rho = {', '.join(f'{rho:g}' for rho in _RHOS)}",
            "increasing",
            ", ".join(f"{share:.3f}" for share in shares),
            bool(np.all(np.diff(shares) > 0)),
        ),
        Claim(
            "for every rho > 0 the minimum itself is no attractor, but cycles around it are",
            "no fixed point",
            "; ".join(f"{', '.join(kind)}" for kind in kinds[1:]),
            not any("fixed point" in kind for kind in kinds[1:]),
        ),
    ]
    for k, lr in enumerate(_FATE_LRS):
        low, high = _critical(runs, k)
        found.append(
            Claim(
                f"from (1, 2), lr = {lr:g}: trapped at the saddle beyond a rho of its own",
                "between 0.1 and 0.5",
                f"{low:.4g} to {high:.4g}",
                low > 0.1 and high < 0.5,
            )
        )
    return found


def draw(runs: Runs) -> Figure:
    """Four basins, and the fate of the paper's start."""
    figure, axes = plt.subplots(1, 5, figsize=(14.0, 3.8), width_ratios=(1, 1, 1, 1, 1.1))
    for letter, rho, ax in zip("abcd", _RHOS, axes, strict=False):
        _draw_regions(runs[f"rho_{rho:g}"], ax)
        share = _share(runs, rho)
        called = "gradient descent" if rho == 0 else rf"$\rho$ = {rho:g}"
        ax.set_title(f"({letter}) {called}: saddle {share:.1%}", loc="left")
        if ax is axes[0]:
            ax.set_ylabel("$y$")
        else:
            ax.tick_params(labelleft=False)
    handles = [Patch(color=color, label=name) for name, color in _REGIONS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), title="ends")
    _draw_fate(runs, axes[-1])
    axes[-1].set_title("(e) end of the run from (1, 2)", loc="left")
    return figure


def _draw_regions(found: xr.Dataset, ax: Axes) -> None:
    colors = ListedColormap(list(_REGIONS.values()))
    image = _regions(found) % len(_REGIONS)  # -1, open, is the last
    ax.pcolormesh(
        found.x, found.y, image.T, cmap=colors, vmin=-0.5, vmax=len(_REGIONS) - 0.5, rasterized=True
    )
    ax.set_xlabel("$x$")
    ax.plot(*_MINIMUM, "*", color="white", mec="black", ms=11, zorder=6)
    ax.plot(*_SADDLE, "X", color="white", mec="black", ms=8, zorder=6)
    ax.plot(*_START, "P", color="white", mec="black", ms=7, zorder=6)


def _draw_fate(runs: Runs, ax: Axes) -> None:
    for k, (lr, marker) in enumerate(zip(_FATE_LRS, ("o", "s"), strict=True)):
        end = runs[f"fate_{k}"].final
        label = rf"$\eta$ = {lr:.3g}"
        x = end.sel(coord="x")
        ax.plot(x.rho[::4], x[::4], marker, color=plot.COLORS[k], ms=3, mfc="none", label=label)
    low, high = _critical(runs, 0)
    ax.axvline(0.5 * (low + high), color="black", lw=0.9, ls=":")
    ax.annotate(rf"$\rho$ = {high:.3g}", (high + 0.03, 1.2))
    ax.axhline(_MINIMUM[0], color="0.7", lw=0.8, zorder=0)
    ax.axhline(_SADDLE[0], color="0.7", lw=0.8, zorder=0)
    ax.set(xlabel=r"$\rho$", ylabel="$x$ at the end")
    ax.annotate(
        "minimum", (1.0, _MINIMUM[0]), xytext=(0, 3), textcoords="offset points", ha="right"
    )
    ax.annotate("saddle", (0.02, _SADDLE[0]), xytext=(0, 3), textcoords="offset points")
    ax.legend(loc="center right")


EXPERIMENT = Experiment(
    name="kim-basins",
    title="Basins of the Beale function's minimum and saddle under SAM, as rho grows",
    source="Kim et al., arXiv 2301.06308, toy experiments and Section on the Lambda Lemma",
    caption=(
        "Normalised SAM on the Beale function, lr = 1e-4: (a-d) where runs from each initial "
        "point end, on attractors that are certified; star: minimum, cross: saddle, plus: the "
        "paper's start. Gradient descent goes down the far valley without end (grey); SAM has an "
        "attractor there. The saddle's basin grows with rho until the paper's start lies in it. "
        "(e) Where the run from (1, 2) is after a time lr * steps = 2.5."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
