"""Wen, Ma and Li, Figure 1: three kinds of SAM lower three kinds of sharpness."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM
from samdyn.analysis.minimizers.limiting import limiting_flow
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.manifolds import crossed_sharpness
from samdyn.systems.map import Map

_FULL = crossed_sharpness()
_SINGLE = crossed_sharpness(samples=True)

_LR, _RHO = 0.005, 0.05
_START = np.array([0.35, 0.8, 0.02, 0.02])
_LAST = 6.0
_RUNS = 64
_SHOWN = 30
_ASCENT_RHO = 0.1
_PATIENCE = 0.01 * 1.6 ** np.arange(15)
"""Slow times of the implicit steps on the ascent-direction loss."""

_NAMES = ("SAM", "L^Asc", "1-SAM")
_GOALS = {"SAM": (0.0, 0.0), "L^Asc": (1.0, 1.0), "1-SAM": (0.8, 1.0 / 7.0)}
_COLORS = dict(zip(_NAMES, plot.COLORS[:3], strict=True))


def compute() -> Runs:
    """The three algorithms, and the three flows on the plane of minimisers."""
    sam, steps = SAM(lr=_LR, rho=_RHO), round(_LAST / (_LR * _RHO**2))
    shown = np.append(0, np.round(np.geomspace(0.002, 1.0, _SHOWN) * steps)).astype(int)
    full = simulate(Map(_FULL, sam), _START, steps, record=shown, progress=False)
    single = simulate(
        Map(_SINGLE, sam, batch_size=1),
        np.tile(_START, (_RUNS, 1)),
        steps,
        record=shown,
        seed=1,
        progress=False,
    )
    tau = _LR * _RHO**2 * shown
    return {
        "sam": finished(full),
        "single": finished(single),
        "ascent": _ascent(),
        "flow_sam": limiting_flow(_FULL, _START, tau),
        "flow_ascent": limiting_flow(_FULL, _START, tau, kind="ascent"),
        "flow_single": limiting_flow(_SINGLE, _START, tau, per_sample=True, lr=[0.0, _LR]),
    }


def ascent_loss(w: np.ndarray, rho: float) -> float:
    """L(w + rho g/|g|), which the ascent direction sees; not defined where g is 0."""
    g = _FULL.grad(w)
    return float(_FULL.value(w + rho * g / np.linalg.norm(g)))


def _ascent() -> xr.Dataset:
    """Gradient descent on the ascent-direction loss, by implicit steps.

    The loss has a kink at the minimisers, at which explicit steps jump to and fro: they stay as
    far from the end as the step is long.
    """
    from scipy.optimize import minimize

    w, path = _START * [1, 1, 0, 0.5], []
    simplex = np.diag([0.02, 0.02, 0.001, 0.001])
    for patience in _PATIENCE:
        path.append(w)

        def implicit(v: np.ndarray, w: np.ndarray = w, h: float = patience) -> float:
            near = float(np.sum((v - w) ** 2)) / (2 * h)
            return ascent_loss(v, _ASCENT_RHO) / _ASCENT_RHO**2 + near

        options: dict[str, Any] = {
            "initial_simplex": np.vstack([w, w + simplex]),
            "xatol": 1e-8,
            "fatol": 1e-10,
            "maxfev": 3_000,
        }
        w = minimize(implicit, w, method="Nelder-Mead", options=options).x
    path.append(w)
    time = np.concatenate([[0.0], np.cumsum(_PATIENCE)])
    values = [ascent_loss(v, _ASCENT_RHO) / _ASCENT_RHO**2 for v in path]
    return xr.Dataset(
        {"w": (("time", "coord"), np.array(path)), "relative": ("time", values)},
        coords={"time": time, "coord": list(_FULL.variables)},
    )


def claims(runs: Runs) -> list[Claim]:
    """Where each of them ends, and that on the way they follow their flows."""
    found = []
    sam = runs["sam"].w.values
    found.append(_end("full-batch SAM: ends where F1 is least", sam[-1, :2], _GOALS["SAM"], 1e-4))
    ascent = runs["ascent"]
    found.append(
        _end("descent on L^Asc: ends where F2 is least", ascent.w.values[-1, :2], (1.0, 1.0), 1e-3)
    )
    least = float(ascent.relative[-1])
    found.append(
        Claim(
            "least value of L^Asc / rho^2 = least F2", "1, within 1e-4", f"{least:.6f}",
            abs(least - 1.0) < 1e-4,
        )
    )  # fmt: skip
    ends = runs["single"].final.values[:, :2]
    mean, error = ends.mean(axis=0), ends.std(axis=0, ddof=1) / np.sqrt(_RUNS)
    plain, corrected = runs["flow_single"].w.values[:, -1, :2]
    found.append(
        _end("flow of the trace: ends where F1 + F2 is least", plain, _GOALS["1-SAM"], 1e-8)
    )
    found.append(
        Claim(
            f"1-SAM, lr = {_LR:g}: ends there, moved by the factor of a finite lr",
            f"({corrected[0]:.4f}, {corrected[1]:.4f}), within 4 standard errors",
            f"({mean[0]:.4f}, {mean[1]:.4f}) ± ({error[0]:.4f}, {error[1]:.4f})",
            bool(np.all(np.abs(mean - corrected) < 4 * error)),
        )
    )
    tau = runs["flow_sam"].time.values
    base = runs["flow_sam"].w.values[0, :2]
    exact = base * np.exp(-np.outer(tau, [2.0, 12.0]))
    away = float(np.abs(runs["flow_sam"].w.values[:, :2] - exact).max())
    found.append(
        Claim("flow of lambda_1 = 2 F1: x1' = -2 x1, x2' = -12 x2", "within 1e-10", f"{away:.1e}",
              away < 1e-10)
    )  # fmt: skip
    goal = np.array(_GOALS["1-SAM"])
    exact = goal + (base - goal) * np.exp(-np.outer(tau, [5.0, 7.0]))
    away = float(np.abs(runs["flow_single"].w.values[0, :, :2] - exact).max())
    found.append(
        Claim("flow of the trace: x1' = -(5 x1 - 4), x2' = -(7 x2 - 1)", "within 1e-10",
              f"{away:.1e}", away < 1e-10)
    )  # fmt: skip
    return found


def _end(statement: str, end: np.ndarray, goal: tuple[float, float], near: float) -> Claim:
    away = float(np.linalg.norm(end - np.array(goal)))
    return Claim(
        statement,
        f"({goal[0]:.4g}, {goal[1]:.4g}), within {near:g}",
        f"({end[0]:.5f}, {end[1]:.5f})".replace("-0.00000", "0.00000"),
        away < near,
    )


def draw(runs: Runs) -> Figure:
    """Above, the valley at the start and at the end; below, the paths on the plane."""
    figure = plt.figure(figsize=(8.6, 5.4))
    titles = ("(a) full-batch SAM", r"(b) descent on $L^\mathrm{Asc}$", "(c) 1-SAM")
    paths = {
        "SAM": runs["sam"].w.values,
        "L^Asc": runs["ascent"].w.values,
        "1-SAM": runs["single"].w.values[0],
    }
    flows = {
        "SAM": runs["flow_sam"].w.values,
        "L^Asc": runs["flow_ascent"].w.values,
        "1-SAM": runs["flow_single"].w.values[1],
    }
    for k, (name, title) in enumerate(zip(_NAMES, titles, strict=True)):
        space = figure.add_subplot(2, 3, k + 1, projection="3d")
        _draw_valley(paths[name], _COLORS[name], space)
        space.set_title(title, loc="left")
        plane = figure.add_subplot(2, 3, k + 4)
        _draw_plane(name, paths[name], flows[name], plane)
    return figure


def _draw_valley(path: np.ndarray, color: str, ax: Any) -> None:
    side = np.linspace(-1.0, 1.0, 41)
    x3, x4 = np.meshgrid(side, side)
    for place, shade, said in ((0, "0.45", "start"), (-1, color, "end")):
        x1, x2 = path[place, :2]
        w = np.stack([np.full_like(x3, x1), np.full_like(x3, x2), x3, x4], axis=-1)
        height = _FULL.value(w)
        ax.plot_wireframe(x3, x4, height, rcount=11, ccount=11, color=shade, lw=0.7, label=said)
    ax.set(xlabel="$x_3$", ylabel="$x_4$", zlabel="$L$", zlim=(0, 17))
    ax.set_xticks([-1, 0, 1])
    ax.set_yticks([-1, 0, 1])
    ax.tick_params(pad=-2)
    ax.xaxis.labelpad = ax.yaxis.labelpad = ax.zaxis.labelpad = -6
    ax.set_box_aspect((1, 1, 0.9), zoom=0.85)
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 1.0))
    ax.view_init(22, -58)


def _draw_plane(name: str, path: np.ndarray, flow: np.ndarray, ax: Axes) -> None:
    x1, x2 = np.meshgrid(np.linspace(-0.15, 1.15, 141), np.linspace(-0.15, 1.15, 141))
    first = x1**2 + 6 * x2**2 + 8
    second = 4 * (1 - x1) ** 2 + (1 - x2) ** 2 + 1
    height = {"SAM": first, "L^Asc": second, "1-SAM": first + second}[name]
    said = {"SAM": "$F_1$", "L^Asc": "$F_2$", "1-SAM": "$F_1 + F_2$"}[name]
    lines = ax.contour(x1, x2, height, 9, colors="0.75", linewidths=0.7)
    ax.clabel(lines, fontsize=6, fmt="%g")
    ax.plot(flow[:, 0], flow[:, 1], color="black", lw=1.2, label="limiting flow")
    ax.plot(path[:, 0], path[:, 1], "o", color=_COLORS[name], ms=3.5, alpha=0.8, label="run")
    ax.plot(*_GOALS[name], "*", color="white", mec="black", ms=12, zorder=5, label=f"least {said}")
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-0.15, 1.15), ylim=(-0.15, 1.15), aspect="equal")
    place: Any = {"SAM": "lower right", "L^Asc": "lower left", "1-SAM": "upper right"}[name]
    style: dict[str, Any] = {"fontsize": 7, "frameon": True, "framealpha": 0.9}
    ax.legend(**style, loc=place, edgecolor="none")


EXPERIMENT = Experiment(
    name="wen-toy",
    title="Full-batch SAM, the ascent-direction loss and 1-SAM each lower their own sharpness",
    source="Wen, Ma and Li, arXiv 2211.05729, Figure 1; constants of F1 and F2 recalled",
    caption=(
        "L = F1(x1, x2) x3^2 + F2(x1, x2) x4^2 with F1 = x1^2 + 6 x2^2 + 8 and "
        "F2 = 4 (1 - x1)^2 + (1 - x2)^2 + 1, from (0.35, 0.8). Above, L as a function of x3 and "
        "x4 at the start (grey) and at the end: (a) full-batch SAM (lr = 0.005, rho = 0.05) "
        "flattens the steeper direction, (b) descent on L(w + rho g/|g|) (rho = 0.1, implicit "
        "steps) the flatter one, (c) SAM with one of the two terms at a time the sum. Below, the "
        "paths (dots) on the plane of minimisers over the contours of F1, F2 and F1 + F2, with the "
        "limiting flows (lines; in c with the factor of the finite lr)."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
