"""Kim et al.'s Theorem 1: the saddle that un-normalised SAM turns into an attractor."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import USAM
from samdyn.analysis.curves.continuation import continuation
from samdyn.analysis.fixed.cycles import fixed_points
from samdyn.analysis.fixed.stability import stability
from samdyn.analysis.fixed.threshold import stability_threshold, stability_thresholds
from samdyn.ensembles.events import Escape
from samdyn.ensembles.points import ball
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.base import System
from samdyn.systems.flow import Flow
from samdyn.systems.map import Map

_LR = 0.1
_MOMENTA = (0.0, 0.9)
_EIGENVALUE = -2.0
_LENGTH = 40.0
_THEORY = np.linspace(0.0, 1.2, 97)
_MEASURED = np.linspace(0.05, 1.15, 12)
_WIDE = np.geomspace(0.1, 200.0, 200)
_BEALE_LR = 1e-4
_BEALE_RHO, _BEALE_BETWEEN = 0.0345, (0.0325, 0.0395)
_BEALE_RHOS = np.linspace(0.033, 0.039, 49)
_BEALE_SADDLE = (0.0, 1.0)
_BEALE_STEPS = 400_000
_PARTICLES = 64


def compute() -> Runs:
    """Growth at the saddle of x^2 - y^2 by theory and by runs; fixed points by Beale's saddle."""
    loss = Loss("x**2 - y**2")
    runs: Runs = {}
    for view in ("map", "flow"):
        rows = []
        for momentum in _MOMENTA:
            system = _system(loss, view, momentum)
            theory = [_rate(system.replace(rho=float(rho))) for rho in _THEORY]
            wide = [_rate(system.replace(rho=float(rho))) for rho in _WIDE]
            crossing = stability_threshold(system, [0, 0], "rho", (0.1, 1.0))
            upper = [t.value for t in stability_thresholds(system, [0, 0], "rho", (1.0, 1e3))]
            rows.append(
                xr.Dataset(
                    {
                        "theory": ("rho", theory),
                        "wide": ("rho_wide", wide),
                        "measured": ("rho_measured", _growth(system)),
                        "threshold": crossing.value,
                        "upper": min(upper, default=np.inf),
                        "formula": str(crossing.formula),
                    },
                    coords={"rho": _THEORY, "rho_wide": _WIDE, "rho_measured": _MEASURED},
                )
            )
        runs[view] = xr.concat(rows, xr.DataArray(list(_MOMENTA), dims="momentum", name="momentum"))
    beale = Map(losses.beale(), USAM(lr=_BEALE_LR, rho=_BEALE_RHO))
    (other,) = [
        point
        for point in fixed_points(beale, [(-0.2, 0.2), (0.8, 1.2)], starts=256)
        if point.kind == "attractor"
    ]
    runs["saddle"] = continuation(beale, "rho", _BEALE_SADDLE, _BEALE_BETWEEN)
    runs["other"] = continuation(beale, "rho", other.point, _BEALE_BETWEEN)
    start = ball(_PARTICLES, seed=0, center=_BEALE_SADDLE, radius=0.01)
    leave = Escape(center=_BEALE_SADDLE, radius=0.2)
    swept = beale.replace(rho=_BEALE_RHOS)
    runs["beale"] = finished(simulate(swept, start, _BEALE_STEPS, until=leave))
    return runs


def _system(loss: Loss, view: str, momentum: float) -> System:
    algorithm = USAM(lr=_LR, rho=0.1, momentum=momentum)
    return Map(loss, algorithm) if view == "map" else Flow(loss, algorithm, dt=0.01)


def _per_time(system: System) -> float:
    """Time that a step of the algorithm stands for: a map's steps are lr long."""
    return 1.0 if system.continuous else _LR


def _rate(system: System) -> float:
    """The largest growth rate at the saddle, a unit of time."""
    return float(stability(system, [0, 0]).rates.max()) / _per_time(system)


def _growth(system: System) -> list[float]:
    """The rate at which the distance from the saddle was seen to grow, a unit of time.

    A line through the logarithm over the second half of a run: with momentum it may oscillate.
    """
    swept = system.replace(rho=_MEASURED)
    steps = round(_LENGTH / float(swept.duration) / _per_time(system))
    times = np.unique(np.linspace(steps // 2, steps, 200).astype(int))
    run = finished(simulate(swept, [1e-30, 1e-30], steps, record=times, state=True))
    vectors = [run.w, *(run[name] for name in swept.vectors)]
    size = np.sqrt(sum((vector**2).sum("coord") for vector in vectors)).transpose("rho", "time")
    logs = np.log(size.values)
    moments = times * float(swept.duration) * _per_time(system)
    return list(np.polyfit(moments, logs.T, 1)[0])


def claims(runs: Runs) -> list[Claim]:
    """Theorem 1, for the map and for the flow, with and without momentum."""
    found = []
    expected = -1.0 / _EIGENVALUE
    for view in ("map", "flow"):
        for momentum in _MOMENTA:
            one = runs[view].sel(momentum=momentum)
            value = float(one.threshold)
            inside = np.abs(_MEASURED - expected) > 0.02
            gap = np.abs(one.measured.values - np.interp(_MEASURED, _THEORY, one.theory.values))
            agrees = np.sign(one.measured.values) == np.sign(expected - _MEASURED)
            found.append(
                Claim(
                    f"{view}, momentum {momentum:g}: the saddle is an attractor from rho = -1/l1",
                    f"{expected:.12g}",
                    f"{value:.12g} ({one.formula.item()})",
                    abs(value - expected) < 1e-10,
                )
            )
            found.append(
                Claim(
                    f"{view}, momentum {momentum:g}: measured growth has the sign and size of it",
                    "within 0.05",
                    f"{gap.max():.2g}",
                    bool(np.all(agrees[inside]) and gap.max() < 0.05),
                )
            )
    meeting = [
        float(runs[name].special_value[runs[name].special_kind == "branch point"][0])
        for name in ("saddle", "other")
    ]
    found.append(
        Claim(
            "Beale: two fixed points of the map exchange stability at rho = -1/l1 = 4/111",
            f"{4 / 111:.10g}",
            ", ".join(f"{value:.10g}" for value in meeting),
            all(abs(value - 4 / 111) < 1e-9 for value in meeting),
        )
    )
    stayed = _stayed(runs)
    y = np.interp(stayed.rho.values, *_other_branch(runs))
    below = (stayed.rho < 0.0352).values
    gap = float(np.abs(stayed.final.sel(coord="y") - xr.DataArray(y, dims="rho"))[below].max())
    found.append(
        Claim(
            "Beale, rho < 4/111: what stays ends at the fixed point that is not critical for L",
            "within 1e-4",
            f"{gap:.1g}",
            gap < 1e-4,
        )
    )
    upper = {m: float(runs["map"].upper.sel(momentum=m)) for m in _MOMENTA}
    theory = {m: (2 * (1 + m) / (_LR * 2.0) - 1) / 2.0 for m in _MOMENTA}
    found.append(
        Claim(
            "map: momentum raises only the upper limit (2(1 + m)/(lr l2) - 1)/l2",
            ", ".join(f"{theory[m]:g}" for m in _MOMENTA),
            ", ".join(f"{upper[m]:.10g}" for m in _MOMENTA),
            all(abs(upper[m] - theory[m]) < 1e-9 for m in _MOMENTA),
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """Growth rates against rho; the whole stable range; what happens at Beale's saddle."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.5))
    _draw_rates(runs, left)
    _draw_range(runs, middle)
    _draw_beale(runs, right)
    titles = (
        "(a) growth at the saddle of $x^2 - y^2$",
        "(b) the same, over the whole range",
        "(c) exchange of stability at Beale's saddle",
    )
    for title, ax in zip(titles, (left, middle, right), strict=True):
        ax.set_title(title, loc="left")
    return figure


def _styles() -> list[tuple[str, float, str, str, str]]:
    return [
        ("map", 0.0, plot.COLORS[0], "-", "o"),
        ("map", 0.9, plot.COLORS[1], "-", "s"),
        ("flow", 0.0, plot.COLORS[2], "--", "^"),
        ("flow", 0.9, plot.COLORS[3], "--", "v"),
    ]


def _draw_rates(runs: Runs, ax: Axes) -> None:
    for view, momentum, color, dashes, marker in _styles():
        one = runs[view].sel(momentum=momentum)
        label = rf"{view}, $\beta$ = {momentum:g}"
        ax.plot(one.rho, one.theory, dashes, color=color, label=label)
        ax.plot(one.rho_measured, one.measured, marker, color=color, ms=4, mfc="white")
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    ax.axvline(0.5, color="black", lw=0.9, ls=":", label=r"theory: $\rho = -1/\lambda_1$")
    ax.set(xlabel=r"$\rho$", ylabel="growth rate per unit of time", xlim=(0, 1.2), ylim=(-4, 8))
    ax.legend(loc="upper right")


def _draw_range(runs: Runs, ax: Axes) -> None:
    for view, momentum, color, dashes, _ in _styles()[:2]:
        one = runs[view].sel(momentum=momentum)
        label = rf"map, $\beta$ = {momentum:g}"
        ax.plot(one.rho_wide, np.exp(one.wide * _LR), dashes, color=color, label=label)
        ax.axvline(float(one.upper), color=color, lw=0.9, ls=":")
    ax.axhline(1.0, color="0.7", lw=0.8, zorder=0)
    ax.axvline(0.5, color="black", lw=0.9, ls=":")
    ax.set(
        xscale="log",
        xlabel=r"$\rho$",
        ylabel="size of the largest multiplier",
        xlim=(0.1, 100),
        ylim=(0.8, 1.6),
    )
    ax.annotate("attractor", (1.0, 0.83), ha="left")
    ax.legend(loc="upper left")


def _stayed(runs: Runs) -> xr.Dataset:
    """The ends of particles that did not leave, at values of rho where there are any."""
    run = runs["beale"]
    kept = run[["final"]].where(run.reason == 0)
    return kept.dropna("rho", how="all")


def _other_branch(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Rho and y along the branch of fixed points that are no critical points of the loss."""
    branch = runs["other"]
    order = np.argsort(branch.rho.values)
    return branch.rho.values[order], branch.z.sel(row="y").values[order]


def _draw_beale(runs: Runs, ax: Axes) -> None:
    stayed = _stayed(runs)
    for rho in stayed.rho.values[::2]:
        y = stayed.final.sel(rho=rho, coord="y").dropna("particle")
        ax.plot(np.full(len(y), rho), y, "o", color="0.75", ms=3, mew=0, zorder=1)
    ax.plot([], [], "o", color="0.75", ms=3, mew=0, label="ends of runs that stay")
    for name, color, said in (
        ("saddle", plot.COLORS[0], "the saddle of L"),
        ("other", plot.COLORS[1], "no critical point of L"),
    ):
        branch = runs[name]
        y = branch.z.sel(row="y").values
        for stable, dashes in ((True, "-"), (False, "--")):
            shown = np.where(branch.stable.values == stable, y, np.nan)
            label = said if stable else None
            ax.plot(branch.rho, shown, dashes, color=color, label=label)
    ax.axvline(4 / 111, color="black", lw=0.9, ls=":", label=r"theory: $-1/\lambda_1 = 4/111$")
    ax.set(xlabel=r"$\rho$", ylabel="$y$ of fixed points", xlim=(0.033, 0.039), ylim=(0.94, 1.12))
    ax.legend(loc="upper right")


EXPERIMENT = Experiment(
    name="kim-transition",
    title="Theorem 1: un-normalised SAM turns a saddle into an attractor at rho = -1/lambda_1",
    source="Kim et al., arXiv 2301.06308, Theorem 1",
    caption=(
        "Un-normalised SAM at saddles: (a) rate at which the distance from the saddle of x^2 - y^2 "
        "(eigenvalues 2 and -2) grows, lr = 0.1, per unit of time (lr a step); lines are the "
        "exact linear part, markers measured in runs. Map and flow, with momentum and without, "
        "all cross zero at rho = -1/lambda_1 = 1/2; momentum speeds up the escape below it. "
        "(b) The saddle stops being an attractor again where the other direction overshoots; "
        "momentum raises that limit (dotted). (c) At Beale's saddle (0, 1), lr = 1e-4, the "
        "theorem is a transcritical bifurcation: the saddle takes over stability (solid) from a "
        "fixed point of SAM beside it that is no critical point of the loss, where those of 64 "
        "particles end that stay near by."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
