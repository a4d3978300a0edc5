"""Kim et al.'s picture of SAM stuck at a saddle: the Beale function and x^2 - y^2."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import SAM
from samdyn.analysis.alignment import alignment
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_LR = 1e-3 / 80
_STEPS = 87_683
_RHOS = (0.0, 0.1, 0.5, 1.0)
_START = (1.0, 2.0)
_MINIMUM, _SADDLE = (3.0, 0.5), (0.0, 1.0)
_EARLY = 5_000


def compute() -> Runs:
    """Run both toy problems with the settings of the authors' released code."""
    beale, saddle = losses.beale(), Loss("x**2 - y**2")
    recorded = np.unique(
        np.concatenate([np.arange(0, _EARLY, 10), np.arange(_EARLY, _STEPS, 250), [_STEPS]])
    )
    system = Map(beale, SAM(lr=_LR, rho=np.array(_RHOS)))
    run = finished(simulate(system, _START, _STEPS, record=recorded))
    cosine = [
        alignment(Map(beale, SAM(lr=_LR, rho=float(rho))), run.w.sel(rho=rho).values)
        for rho in run.rho
    ]
    about = {"long_name": "cosine between gradient and SAM gradient", "units": "1"}
    run["alignment"] = (("rho", "time"), np.array(cosine), about)
    quadratic = simulate(
        Map(saddle, SAM(lr=0.01, rho=np.array([0.0, 0.5]))), (-3.0, -0.01), 500, record=1
    )
    return {"beale": run, "saddle": quadratic}


def claims(runs: Runs) -> list[Claim]:
    """What the paper's figures show, with the numbers that came out."""
    beale, saddle = runs["beale"], runs["saddle"]
    found = []
    for rho in _RHOS:
        end = beale.final.sel(rho=rho).values
        trapped = rho >= 0.5
        goal = _SADDLE if trapped else _MINIMUM
        away = float(np.linalg.norm(end - np.array(goal)))
        found.append(
            Claim(
                f"Beale, rho = {rho:g}: ends near the {'saddle' if trapped else 'minimum'}",
                f"({goal[0]:g}, {goal[1]:g})",
                f"({end[0]:.4f}, {end[1]:.4f})",
                # the run is cut where gradient descent's stop rule of the released code cuts it
                away < (0.02 if trapped else 0.6),
            )
        )
    cosine = beale.alignment.sel(rho=0.5, time=[0, 500, 1000, 1500, 2000]).values
    expected = np.array([1.0, 0.844, 0.143, -0.571, -0.806])
    found.append(
        Claim(
            "Beale, rho = 0.5: cosine at steps 0, 500, 1000, 1500, 2000",
            ", ".join(f"{x:.3f}" for x in expected),
            ", ".join(f"{x:.3f}" for x in cosine),
            bool(np.all(np.abs(cosine - expected) < 1e-3)),
        )
    )
    height = np.abs(saddle.w.sel(rho=0.0, coord="y").values)
    left = int(saddle.time[int(np.argmax(height > 4.5))])
    found.append(
        Claim(
            "x^2 - y^2, gradient descent: |y| > 4.5 from step log(450) / log(1.02)",
            "309",
            f"{left}",
            left == 309,
        )
    )
    end = saddle.final.sel(rho=0.5).values
    found.append(
        Claim(
            "x^2 - y^2, rho = 0.5: ends at the saddle",
            "(±0.005, 0)",
            f"({end[0]:.4f}, {end[1]:.1e})",
            bool(abs(abs(end[0]) - 0.005) < 1e-3 and abs(end[1]) < 1e-9),
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """Trajectories over contours, and the cosine along them."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.5))
    _draw_beale(runs, left)
    _draw_cosine(runs, middle)
    _draw_saddle(runs, right)
    titles = ("(a) Beale function", "(b) descent against SAM gradient", "(c) $x^2 - y^2$")
    for title, ax in zip(titles, (left, middle, right), strict=True):
        ax.set_title(title, loc="left")
    return figure


def _draw_beale(runs: Runs, ax: Axes) -> None:
    beale = losses.beale()
    plot.contours(beale, [(-1.0, 4.0), (-0.5, 2.6)], ax=ax, log=True)
    plot.trajectory(runs["beale"], ax=ax, legend=False)
    ax.plot(*_MINIMUM, "*", color="white", mec="black", ms=12, zorder=5)
    ax.plot(*_SADDLE, "X", color="white", mec="black", ms=9, zorder=5)
    ax.annotate("minimum", _MINIMUM, xytext=(0, 8), textcoords="offset points", ha="center")
    ax.annotate(
        "saddle", _SADDLE, xytext=(-8, 0), textcoords="offset points", ha="right", va="center"
    )
    ax.legend(loc="upper right", framealpha=0.9, frameon=True, edgecolor="none")


def _draw_cosine(runs: Runs, ax: Axes) -> None:
    early = runs["beale"].sel(time=slice(0, _EARLY - 1))
    plot.series(early, "alignment", ax=ax, legend=False)
    ax.set(
        xlim=(0, _EARLY),
        ylim=(-1.08, 1.08),
        ylabel=r"$\cos(\nabla L(w_t), \nabla L(w_t^p))$",
    )
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)


def _draw_saddle(runs: Runs, ax: Axes) -> None:
    plot.contours(Loss("x**2 - y**2"), [(-3.3, 1.0), (-4.6, 1.0)], ax=ax)
    plot.trajectory(runs["saddle"], ax=ax, colors=(plot.COLORS[0], plot.COLORS[2]), legend=False)
    ax.plot(0, 0, "X", color="white", mec="black", ms=9, zorder=5)
    ax.annotate("saddle", (0, 0), xytext=(0, 8), textcoords="offset points", ha="center")
    ax.legend(loc="lower left", framealpha=0.9, frameon=True, edgecolor="none")


EXPERIMENT = Experiment(
    name="kim-beale",
    title="SAM stuck at a saddle: the Beale function and x^2 - y^2",
    source="Kim et al., arXiv 2301.06308, toy experiments",
    caption=(
        "Normalised SAM from (1, 2) on the Beale function, learning rate 1.25e-5, 87,683 steps: "
        "(a) gradient descent (rho = 0) and rho = 0.1 go toward the minimum (3, 0.5), rho = 0.5 "
        "and 1 end at the saddle (0, 1); (b) on the way there the gradient at the perturbed point "
        "turns against the gradient, then flips about (colours as in a); (c) on x^2 - y^2 from "
        "(-3, -0.01), learning rate 0.01, gradient descent leaves the saddle and SAM with "
        "rho = 0.5 stays."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
