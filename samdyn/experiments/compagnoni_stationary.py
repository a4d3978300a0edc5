"""Monzio Compagnoni et al.: where USAM and SAM settle under noise on a quadratic."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.spread.moments import stationary_covariance
from samdyn.analysis.spread.saddles import usam_variance
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_LOSS = Loss("l*x**2/2 + s*xi*x", noise="xi", l=1.0, s=1.0)
_PLANE = Loss(
    "(a*x**2 + 2*b*x*y + c*y**2)/2 + xi1*x + xi2*y", noise="xi1 xi2", a=1.0, b=0.8, c=-0.5
)
_HESSIAN = np.array([[1.0, 0.8], [0.8, -0.5]])
_PLANE_LR, _PLANE_RHO = 0.01, 2.5
_RHOS, _RHO_LR = np.linspace(0.0, 2.0, 9), 0.02
_LRS = np.linspace(0.02, 0.4, 8)
_EIGENVALUES = np.array([-3.0, -2.5, -2.0, -1.5, -1.2, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
_EIGENVALUE_LR = 0.05
_CHAINS, _STEPS, _SETTLED = 4_000, 3_000, 600
_LAWS = {"SGD, l = 1": (1.0, 0.0), "USAM, l = 1, rho = 1": (1.0, 1.0)}
_LAWS |= {"USAM, l = -1, rho = 4": (-1.0, 4.0)}
_LAW_LR, _MANY, _LAW_STEPS = 0.1, 100_000, 300
_BINS = np.linspace(-1.6, 1.6, 65)
_SQUARE = {"square": "x**2"}


def compute() -> Runs:
    """Stationary variances over rho, lr and the eigenvalue; three whole laws; one covariance."""
    runs: Runs = {
        "rho": _usam("rho", _RHOS, 1.0, _RHO_LR, _RHOS),
        "lr": _usam("lr", _LRS, 1.0, _LRS, 1.0),
        "eigenvalue": _usam("eigenvalue", _EIGENVALUES, _EIGENVALUES, _EIGENVALUE_LR, 1.0),
        "sam": _variance(SAM(lr=_RHO_LR, rho=_RHOS), _LOSS),
    }
    runs["laws"] = _laws()
    plane = Map(_PLANE, USAM(lr=_PLANE_LR, rho=_PLANE_RHO))
    run = finished(simulate(plane, np.zeros((_MANY, 2)), _SETTLED, progress=False))
    names = {"row": list("xy"), "other": list("xy")}
    runs["plane"] = xr.Dataset(
        {
            "measured": (("row", "other"), np.cov(run.final.values.T)),
            "exact": (("row", "other"), stationary_covariance(plane, (0.0, 0.0))),
        },
        names,
    )
    return runs


def _laws() -> xr.Dataset:
    """Histograms of many chains, and their distance from the exact Gaussian as a p-value."""
    from scipy.stats import kstest

    l, rho = (
        xr.DataArray(list(numbers), dims="law") for numbers in zip(*_LAWS.values(), strict=True)
    )
    system = Map(_LOSS.replace(l=l), USAM(lr=_LAW_LR, rho=rho))
    start = np.zeros((_MANY, 1))
    run = simulate(system, start, _LAW_STEPS, statistics=_SQUARE, progress=False)
    ends = finished(run).final.isel(coord=0).transpose("law", "particle").values
    widths = np.sqrt(usam_variance(l.values, _LAW_LR, rho.values, 1.0))
    counts = [np.histogram(x, _BINS)[0] for x in ends]
    p = [kstest(x / width, "norm").pvalue for x, width in zip(ends, widths, strict=True)]
    middle = 0.5 * (_BINS[1:] + _BINS[:-1])
    return xr.Dataset(
        {"count": (("law", "x"), counts), "p": ("law", p)}, {"law": list(_LAWS), "x": middle}
    )


def _usam(dim: str, values: np.ndarray, l: Any, lr: Any, rho: Any) -> xr.Dataset:
    """Variances of USAM while one of its numbers takes these values."""
    l, lr, rho = (xr.DataArray(np.broadcast_to(a, values.shape), dims=dim) for a in (l, lr, rho))
    found = _variance(USAM(lr=lr, rho=rho), _LOSS.replace(l=l))
    theory = {
        "exact": (dim, usam_variance(l.values, lr.values, rho.values, 1.0)),
        "sde": (dim, usam_sde(l.values, lr.values, rho.values)),
    }
    return found.assign(theory).assign_coords({dim: values})


def _variance(algorithm: SAM, loss: Loss) -> xr.Dataset:
    """Means of x^2 in the long run, over time and chains, with the standard error by chains."""
    start = np.zeros((_CHAINS, 1))
    options: dict[str, Any] = {"statistics": _SQUARE, "after": _SETTLED, "progress": False}
    run = finished(simulate(Map(loss, algorithm), start, _STEPS, **options))
    square = run.square_mean
    error = square.std("particle", ddof=1) / np.sqrt(_CHAINS)
    return xr.Dataset({"measured": square.mean("particle"), "error": error}).drop_vars(
        "stream", errors="ignore"
    )


def usam_sde(l: np.ndarray, lr: Any, rho: Any) -> np.ndarray:
    """The variance of USAM's SDE, (lr s^2/2)(1/l + rho) with s = 1; NaN where there is none."""
    variance = 0.5 * lr * (1.0 / l + rho)
    return np.where(variance > 0, variance, np.nan)


def sam_linear(lr: float, rho: np.ndarray, order: int | None = None) -> np.ndarray:
    """The variance of SAM with l = s = 1, its mean ascent taken as linear; of one dimension.

    With k = rho l sqrt(2/pi)/s the drift is -l (1 + k) x and the noise has the variance
    s^2 (1 + 2 k) + rho^2 l^2, of which ``order=1`` leaves the last term out.
    """
    k = rho * np.sqrt(2.0 / np.pi)
    noise = 1.0 + 2.0 * k + (0.0 if order == 1 else rho**2)
    return lr * noise / ((1.0 + k) * (2.0 - lr * (1.0 + k)))


def claims(runs: Runs) -> list[Claim]:
    """The variances against the closed forms, in standard errors; the laws against Gaussians."""
    found = []
    for name, said in (
        ("rho", "rho"),
        ("lr", "lr"),
        ("eigenvalue", "l, below 0 too (rho > 1/|l|)"),
    ):
        one = runs[name]
        away = float((np.abs(one.measured - one.exact) / one.error).max())
        found.append(
            Claim(
                f"USAM over {said}: variance lr s^2 (1 + rho l)/(l (2 - lr l (1 + rho l)))",
                "within 4 standard errors",
                f"{away:.1f} at most, of {one.measured.size}",
                away < 4.0,
            )
        )
    one = runs["lr"]
    ratio = one.measured / one.sde
    expected = 1.0 / (1.0 - _LRS)  # lr l (1 + rho l)/2 = lr here
    away = float((np.abs(ratio - expected) * one.sde / one.error).max())
    found.append(
        Claim(
            "USAM: its SDE's (lr s^2/2) H^-1 (I + rho H) is the limit of small lr, with ratio "
            "1/(1 - lr l (1 + rho l)/2)",
            f"{expected[0]:.3f} … {expected[-1]:.3f}",
            f"{float(ratio[0]):.3f} … {float(ratio[-1]):.3f}",
            away < 4.0,
        )
    )
    sam = runs["sam"]
    gap = float((np.abs(sam.measured / sam_linear(_RHO_LR, _RHOS) - 1.0)).max())
    cut = sam_linear(_RHO_LR, _RHOS, order=1)
    first = float((cut / sam.measured)[-1])
    expected_first = float((cut / sam_linear(_RHO_LR, _RHOS))[-1])
    found.append(
        Claim(
            "SAM: variance of the linearised law",
            "within 2 %",
            f"{100 * gap:.1f} % at most",
            gap < 0.02,
        )
    )
    found.append(
        Claim(
            "SAM, rho = 2: to first order in rho the variance comes out too small",
            f"{expected_first:.2f} of it",
            f"{first:.2f} of it",
            abs(first - expected_first) < 0.02,
        )
    )
    plane = runs["plane"]
    exact = plane.exact.values
    spread = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / _MANY)
    away = float(np.max(np.abs(plane.measured.values - exact) / spread))
    found.append(
        Claim(
            "USAM at the saddle H = ((1, .8), (.8, -.5)), rho = 2.5: covariance matrix",
            "within 4 standard errors",
            f"{away:.1f} at most",
            away < 4.0,
        )
    )
    formula = 0.5 * _PLANE_LR * (np.linalg.inv(_HESSIAN) + _PLANE_RHO * np.eye(2))
    limit = float(np.max(np.abs(formula - plane.measured.values)) / np.max(exact))
    found.append(
        Claim(
            "the same, by the SDE at lr = 0.01: (lr s^2/2) H^-1 (I + rho H)",
            "under 5 %",
            f"{100 * limit:.1f} %",
            limit < 0.05,
        )
    )
    worst = float(runs["laws"].p.min())
    found.append(
        Claim(
            "SGD and USAM, at a minimum and at a saddle: the law is Gaussian",
            "p > 1e-4 (Kolmogorov-Smirnov)",
            f"p = {worst:.2g} at least",
            worst > 1e-4,
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """Variance over rho, lr and the eigenvalue; the laws."""
    figure, axes = plt.subplots(2, 2, figsize=(8.0, 6.2))
    _draw_rho(runs, axes[0, 0])
    _draw_lr(runs["lr"], axes[0, 1])
    _draw_eigenvalue(runs["eigenvalue"], axes[1, 0])
    _draw_laws(runs["laws"], axes[1, 1])
    titles = (
        rf"(a) over $\rho$: $\lambda$ = 1, $\eta$ = {_RHO_LR:g}",
        r"(b) over $\eta$: USAM, $\lambda$ = 1, $\rho$ = 1",
        rf"(c) over $\lambda$: $\rho$ = 1, $\eta$ = {_EIGENVALUE_LR:g}",
        rf"(d) whole laws, $\eta$ = {_LAW_LR:g}",
    )
    for title, ax in zip(titles, axes.flat, strict=True):
        ax.set_title(title, loc="left")
    return figure


def _measured(ax: Axes, x: np.ndarray, one: xr.Dataset, color: str, marker: str, said: str) -> None:
    bars: dict[str, Any] = {"yerr": 2 * one.error, "ms": 5, "mfc": "white", "ls": "", "zorder": 4}
    ax.errorbar(x, one.measured, marker=marker, color=color, label=said, **bars)


def _draw_rho(runs: Runs, ax: Axes) -> None:
    fine = np.linspace(0, 2, 101)
    _measured(ax, _RHOS, runs["rho"], plot.COLORS[0], "o", "USAM, measured")
    _measured(ax, _RHOS, runs["sam"], plot.COLORS[1], "^", "SAM, measured")
    ax.plot(fine, usam_sde(np.ones(101), _RHO_LR, fine), color=plot.COLORS[0], label="USAM, SDE")
    said = "SAM, linearised"
    ax.plot(fine, sam_linear(_RHO_LR, fine), color=plot.COLORS[1], label=said)
    said = r"SAM, to first order in $\rho$"
    ax.plot(fine, sam_linear(_RHO_LR, fine, 1), "--", color=plot.COLORS[1], label=said)
    ax.axhline(_RHO_LR / (2 - _RHO_LR), color="0.3", ls=":", lw=1.2, label="SGD")
    ax.set(xlabel=r"$\rho$", ylabel=r"variance of $x$", xlim=(-0.05, 2.05), ylim=(0, 0.048))
    ax.legend(loc="upper left", fontsize=7.5)


def _draw_lr(one: xr.Dataset, ax: Axes) -> None:
    fine = np.linspace(0, 0.42, 101)
    _measured(ax, _LRS, one, plot.COLORS[0], "o", "measured")
    ax.plot(fine, usam_variance(1.0, fine, 1.0, 1.0), color=plot.COLORS[2], label="exact, of steps")
    ax.plot(fine, fine, "--", color=plot.COLORS[0], label="SDE")
    ax.set(
        xlabel=r"learning rate $\eta$", ylabel=r"variance of $x$", xlim=(0, 0.42), ylim=(0, 0.75)
    )
    ax.legend(loc="upper left")


def _draw_eigenvalue(one: xr.Dataset, ax: Axes) -> None:
    _measured(ax, _EIGENVALUES, one, plot.COLORS[0], "o", "USAM, measured")
    for low, high, label in ((-3.2, -1.0001, "_"), (0.1, 3.2, "USAM, exact")):
        fine = np.linspace(low, high, 200)
        exact = usam_variance(fine, _EIGENVALUE_LR, 1.0, 1.0)
        ax.plot(fine, exact, color=plot.COLORS[2], label=label)
        sde = usam_sde(fine, _EIGENVALUE_LR, 1.0)
        ax.plot(fine, sde, "--", color=plot.COLORS[0], label=label.replace("exact", "SDE"))
    fine = np.linspace(0.1, 3.2, 200)
    sgd = usam_variance(fine, _EIGENVALUE_LR, 0.0, 1.0)
    ax.plot(fine, sgd, ":", color="0.3", lw=1.2, label="SGD")
    ax.axvspan(-1, 0, color="0.9", zorder=0)
    ax.annotate("leaves", (-0.5, 0.065), ha="center")
    ax.annotate("saddle,\nattracting", (-2.2, 0.045), ha="center")
    ax.set(
        xlabel=r"eigenvalue $\lambda$ of the Hessian",
        ylabel=r"variance of $x$",
        xlim=(-3.2, 3.2),
        ylim=(0, 0.14),
    )
    ax.legend(loc="upper right")


def _draw_laws(laws: xr.Dataset, ax: Axes) -> None:
    fine = np.linspace(_BINS[0], _BINS[-1], 300)
    colors = ("0.3", plot.COLORS[0], plot.COLORS[1])
    said = (
        "SGD, $\\lambda$ = 1",
        r"USAM, $\lambda$ = 1, $\rho$ = 1",
        r"USAM, $\lambda$ = −1, $\rho$ = 4",
    )
    for (name, (l, rho)), color, label in zip(_LAWS.items(), colors, said, strict=True):
        density = laws["count"].sel(law=name) / (_MANY * np.diff(_BINS))
        ax.stairs(density, _BINS, color=color, fill=True, alpha=0.3, label=label)
        variance = float(usam_variance(l, _LAW_LR, rho, 1.0))
        gauss = np.exp(-(fine**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        ax.plot(fine, gauss, color=color)
    ax.plot([], [], color="0.3", label="Gaussian, exact")
    ax.set(xlabel="$x$", ylabel="density", xlim=(-1.6, 1.6), ylim=(0, 2.6))
    ax.legend(loc="upper left", fontsize=7.5)


EXPERIMENT = Experiment(
    name="compagnoni-stationary",
    title="Stationary laws of USAM and SAM on a quadratic, at minima and at saddles that attract",
    source="Monzio Compagnoni et al., arXiv 2301.08203, stationary distributions on quadratics",
    caption=(
        "f = l x^2/2 with gradient noise N(0, 1): variance in the long run, measured (markers, "
        "bars of two standard errors) and by theory. (a) USAM spreads by the factor 1 + rho l "
        "beside SGD; SAM as its linearised law says, which cut at first order in rho is too "
        "narrow. (b) The SDE's variance is the limit of small lr of the exact one. (c) A saddle's "
        "direction with l < -1/rho holds USAM, with variance (lr/2)(rho - 1/|l|) by the SDE; "
        "between it and 0 (grey) USAM leaves, as SGD does for all l < 0. (d) Histograms of "
        "100,000 chains beside the exact Gaussians, at a minimum and at a saddle."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
