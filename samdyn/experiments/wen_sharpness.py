"""The three notions of sharpness at finite rho, their limits, and what minimising each selects."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.analysis.sharpness.finite import KINDS, sharpness
from samdyn.analysis.sharpness.limits import limiting_sharpness
from samdyn.experiments.base import Claim, Experiment, Runs
from samdyn.losses.loss import Loss
from samdyn.losses.manifolds import crossed_sharpness

_RHOS = 0.16 * 0.5 ** np.arange(6)
_RHO = 0.5
_MINIMISED = np.array([0.4, 0.2, 0.1])
_NEAR = 1e-6
"""So far from the minimisers, in units of rho, the ascent direction is taken."""

_ROWS = (*KINDS, "one_sample")
_NAMES = ("worst", "ascent", "average", "worst, per sample")
_ENDS = {"worst": (0, 0), "ascent": (1, 1), "average": (4 / 5, 1 / 7), "one_sample": (4 / 5, 1 / 7)}
_MARKERS = "osD^"


def _residuals() -> tuple[Loss, np.ndarray]:
    """`samdyn.losses.two_residuals` as a finite sum, and a minimiser of it."""
    loss = Loss(
        "(a*(w1 + w2**2/2 + w3*w4 - 0.2) + b*(w2 + w4*w5 - w1*w3 - 0.1))**2/2",
        variables="w1 w2 w3 w4 w5",
        data={"a": [1.0, 0.0], "b": [0.0, 1.0]},
    )
    w2, w3, w4 = 0.3, 0.5, 0.8
    w1 = 0.2 - w2**2 / 2 - w3 * w4
    return loss, np.array([w1, w2, w3, w4, (0.1 - w2 + w1 * w3) / w4])


def _crossed() -> Loss:
    """`samdyn.losses.crossed_sharpness`, twice the mean of its summands, as a finite sum."""
    return Loss(
        "2*a*(x1**2 + 6*x2**2 + 8)*x3**2 + 2*b*(4*(1 - x1)**2 + (1 - x2)**2 + 1)*x4**2",
        variables="x1 x2 x3 x4",
        data={"a": [1.0, 0.0], "b": [0.0, 1.0]},
    )


def compute() -> Runs:
    """Sharpness against rho at a point, along a path of minimisers, and minimised over them."""
    return {"small": _small(), "path": _path(), "least": _least()}


def _small() -> xr.Dataset:
    loss, p = _residuals()
    eigenvalues, vectors = np.linalg.eigh(loss.hessian(p))
    flattest = vectors[:, eigenvalues > 1e-8 * eigenvalues[-1]][:, 0]
    away = _NEAR * _RHOS[:, None, None] * np.stack([flattest, -flattest])
    worst = sharpness(loss, p, rho=_RHOS)
    # the limit is of the least over the neighbourhood (Definition 4.3): on one of the two sides,
    # and as the neighbourhood shrinks
    near, further = (
        sharpness(loss, p + k * away, "ascent", rho=_RHOS[:, None]).value for k in (1, 2)
    )
    ascent = (2 * near - further).min(axis=1)
    average = sharpness(loss, p, "average", rho=_RHOS).value
    alone = sharpness(loss, p, rho=_RHOS, per_sample=True, boxes=0)
    limits = [limiting_sharpness(loss, p, kind) for kind in KINDS]
    limits.append(limiting_sharpness(loss, p, per_sample=True))
    values = np.stack([worst.value, ascent, average, alone.value]) / _RHOS**2
    return xr.Dataset(
        {
            "value": (("kind", "rho"), values),
            "gap": ("rho", worst.gap / _RHOS**2),
            "limit": ("kind", np.array(limits)),
            "trace": np.trace(loss.hessian(p)),
        },
        coords={"kind": list(_ROWS), "rho": _RHOS},
    )


def _path() -> xr.Dataset:
    """From the minimum of F1 by that of F1 + F2 to that of F2."""
    corners = np.array([_ENDS["worst"], _ENDS["average"], _ENDS["ascent"]])
    along = np.linspace(0.0, 2.0, 13)
    x = np.stack([np.interp(along, [0, 1, 2], corners[:, k]) for k in range(2)], axis=1)
    fine = np.linspace(0.0, 2.0, 201)
    z = np.stack([np.interp(fine, [0, 1, 2], corners[:, k]) for k in range(2)], axis=1)
    limits = [limiting_sharpness(crossed_sharpness(), _on_plane(z), kind) for kind in KINDS]
    limits.append(limiting_sharpness(_crossed(), _on_plane(z), per_sample=True))
    values = np.stack([_on_manifold(kind, x, _RHO)[0] for kind in _ROWS]) / _RHO**2
    return xr.Dataset(
        {"value": (("kind", "along"), values), "limit": (("kind", "fine"), np.stack(limits))},
        coords={"kind": list(_ROWS), "along": along, "fine": fine},
    )


def _on_plane(x: np.ndarray, height: float = 0.0) -> np.ndarray:
    rest = np.broadcast_to([0.0, height], x.shape)
    return np.concatenate([x, rest], axis=-1)


def _on_manifold(kind: str, x: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """The toy's sharpness at minimisers (x1, x2, 0, 0), and its slope in (x1, x2).

    By Danskin the slope of a maximum is that of the loss where the maximum is reached.
    """
    if kind == "one_sample":
        loss = _crossed()
        found = sharpness(loss, _on_plane(x), rho=rho, per_sample=True, boxes=0)
        there = _on_plane(x)[..., None, :] + rho * found.direction
        return found.value, _sample_slopes(there)
    loss = crossed_sharpness()
    # along x4 the curvature is the smaller one throughout
    p = _on_plane(x, _NEAR * rho if kind == "ascent" else 0.0)
    found = sharpness(loss, p, kind, rho=rho, boxes=0)
    if kind == "average":
        return found.value, np.full(x.shape, np.nan)
    return found.value, (loss.grad(p + rho * found.direction) - loss.grad(p))[..., :2]


def _sample_slopes(there: np.ndarray) -> np.ndarray:
    """The mean slope in (x1, x2) of the two summands, each at its own point, shape (…, 2, 4)."""
    off = np.array([[1, 1, 1, 0], [1, 1, 0, 1]])  # each summand is what is left at x4 = 0, x3 = 0
    return crossed_sharpness().grad(there * off)[..., :2].sum(axis=-2)


def _least() -> xr.Dataset:
    from scipy.optimize import minimize

    found = np.full((len(_ROWS), len(_MINIMISED), 2), np.nan)
    for i, kind in enumerate(_ROWS):
        for j, rho in enumerate(_MINIMISED):

            def objective(x: np.ndarray, kind: str = kind, rho: float = rho) -> tuple:
                value, slope = _on_manifold(kind, x, rho)
                return float(value) / rho**2, slope / rho**2

            start = np.array([0.5, 0.5])
            if kind == "average":
                found[i, j] = minimize(
                    lambda x, f=objective: f(x)[0],
                    start,
                    method="Nelder-Mead",
                    options={"xatol": 1e-9, "fatol": 1e-14},
                ).x
            else:
                found[i, j] = minimize(objective, start, jac=True, options={"gtol": 1e-9}).x
    return xr.Dataset(
        {"point": (("kind", "rho", "coord"), found)},
        coords={"kind": list(_ROWS), "rho": _MINIMISED, "coord": ["x1", "x2"]},
    )


def claims(runs: Runs) -> list[Claim]:
    """That each notion tends to its limit at its own order, and selects what the theory says."""
    small = runs["small"]
    found = []
    for kind, name, order in zip(_ROWS, _NAMES, (1, 1, 2, 1), strict=True):
        values, limit = small["value"].sel(kind=kind).values, float(small["limit"].sel(kind=kind))
        tends = _extrapolated(values, order, 2 if kind == "average" else 1)
        found.append(
            Claim(
                f"{name}: R/rho^2 tends to its limit (5 weights, 2 residuals; extrapolated)",
                f"{limit:.10f}, relative error < 1e-8",
                f"{tends:.10f}, {abs(tends / limit - 1):.1g}",
                abs(tends - limit) < 1e-8 * limit,
            )
        )
    trace = float(small["trace"])
    for kind, said, expected in (
        ("average", "average: the limit is trace/(2 D)", trace / 10),
        ("one_sample", "per sample: the limit of the worst is trace/2 (Theorem 5.3)", trace / 2),
    ):
        limit = float(small["limit"].sel(kind=kind))
        holds = bool(np.isclose(limit, expected, rtol=1e-12))
        found.append(Claim(said, f"{expected:.9f}", f"{limit:.9f}", holds))
    gap = float(small["gap"].max() / small["limit"].sel(kind="worst"))
    found.append(
        Claim(
            "the worst directions are certified by interval branch and bound (relative gap)",
            "< 1e-8",
            f"{gap:.1g}",
            gap < 1e-8,
        )
    )
    return found + _selected(runs)


def _extrapolated(values: np.ndarray, order: int, step: int) -> float:
    """By Richardson's table, the limit of values at rho, rho/2, rho/4 and so on."""
    while len(values) > 1:
        values = (2**order * values[1:] - values[:-1]) / (2**order - 1)
        order += step
    return float(values[0])


def _selected(runs: Runs) -> list[Claim]:
    found = []
    for kind, name in zip(_ROWS, _NAMES, strict=True):
        points = runs["least"]["point"].sel(kind=kind).values
        end = np.array(_ENDS[kind])
        off = np.linalg.norm(points - end, axis=1)
        x = points[-1]
        if kind == "one_sample":
            slope = float(np.log2(off[-2] / off[-1]))
            expected, measured = "slope 2 in rho", f"slope {slope:.3f}, {off[-1]:.2g} off at last"
            holds = abs(slope - 2) < 0.1 and off[-1] < 0.01
        else:
            expected = f"({end[0]:.4f}, {end[1]:.4f}), to 1e-5 at every rho"
            measured = f"({x[0]:.6f}, {x[1]:.6f}), at most {off.max():.1g} off"
            holds = bool(off.max() < 1e-5)
        found.append(
            Claim(f"4-D toy: where the {name} sharpness is least", expected, measured, bool(holds))
        )
    return found


def draw(runs: Runs) -> Figure:
    """Convergence at a point; along a path of minimisers; the selected minimisers."""
    figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.9))
    _draw_small(runs["small"], axes[0])
    _draw_path(runs["path"], axes[1])
    _draw_least(runs["least"], axes[2])
    titles = (
        r"$R_\rho/\rho^2$ tends to its limit $S$",
        rf"along minimisers of the toy, $\rho$ = {_RHO:g}",
        "where each is least on the plane of minimisers",
    )
    for letter, title, ax in zip("abc", titles, axes, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_small(small: xr.Dataset, ax: Axes) -> None:
    for k, (kind, name) in enumerate(zip(_ROWS, _NAMES, strict=True)):
        one = small.sel(kind=kind)
        off = np.abs(one["value"] / one["limit"] - 1)
        ax.loglog(
            one["rho"],
            off,
            _MARKERS[k],
            ls="-",
            ms=4,
            mfc="white",
            color=plot.COLORS[k],
            label=name,
        )
    rho = np.array([0.01, 0.05])
    for height, order in ((1.5, 1), (0.02, 2)):
        ax.loglog(rho, height * rho**order, ":", color="0.4")
        ax.annotate(
            rf"$\propto\rho{'^2' if order == 2 else ''}$",
            (rho[1], height * rho[1] ** order),
            xytext=(4, -2),
            textcoords="offset points",
            color="0.3",
        )
    ax.set(xlabel=r"$\rho$", ylabel=r"$|R_\rho/(\rho^2 S) - 1|$", ylim=(3e-7, None))
    ax.legend(loc="lower right")


def _draw_path(path: xr.Dataset, ax: Axes) -> None:
    # per sample the mean of the loss's two halves; the average is of D = 4 directions
    factors = (1, 1, 4, 1)
    labels = (r"$S$ worst: $\lambda_1/2$", r"ascent: $\lambda_2/2$", r"$4\,\times$ average: tr/2")
    for k, kind in enumerate(_ROWS):
        one = path.sel(kind=kind)
        if k < 3:
            ax.plot(one["fine"], factors[k] * one["limit"], color=plot.COLORS[k], label=labels[k])
        ax.plot(
            one["along"],
            factors[k] * one["value"],
            _MARKERS[k],
            ms=4 if k < 3 else 7,
            mfc="white" if k < 3 else "none",
            color=plot.COLORS[k],
            label=r"worst, per sample: tr/2" if k == 3 else None,
        )
    ax.set_xticks(
        [0, 1, 2], ["min $F_1$\n(0, 0)", "min $F_1+F_2$\n(4/5, 1/7)", "min $F_2$\n(1, 1)"]
    )
    ax.set(ylabel=r"$R_\rho/\rho^2$ (markers), $S$ (lines)", ylim=(0, 23))
    ax.legend(loc="upper left", ncols=2)


def _draw_least(least: xr.Dataset, ax: Axes) -> None:
    x1, x2 = np.meshgrid(np.linspace(-0.35, 1.35, 121), np.linspace(-0.35, 1.35, 121))
    f1, f2 = x1**2 + 6 * x2**2 + 8, 4 * (1 - x1) ** 2 + (1 - x2) ** 2 + 1
    for k, f in enumerate((f1, f2, f1 + f2)):
        levels = f.min() + np.array([0.05, 0.3, 1.0])
        ax.contour(x1, x2, f, levels=levels, colors=plot.COLORS[k], linewidths=0.7)
    for k, (kind, name) in enumerate(zip(_ROWS, _NAMES, strict=True)):
        points = least["point"].sel(kind=kind)
        ax.plot(
            points.sel(coord="x1"),
            points.sel(coord="x2"),
            _MARKERS[k],
            ls="-",
            lw=0.8,
            ms=5 if k < 3 else 8,
            mfc="white" if k < 3 else "none",
            color=plot.COLORS[k],
            label=name,
        )
    ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal", xlim=(-0.35, 1.35), ylim=(-0.35, 1.35))
    ax.legend(loc="upper left")


EXPERIMENT = Experiment(
    name="wen-sharpness",
    title="Three notions of sharpness, their limits, and the minimisers that each selects",
    source="Wen, Ma and Li, arXiv 2211.05729, Table 1, Theorems 4.2 and 5.3",
    caption=(
        "Sharpness at finite rho: the rise of the loss in the worst direction (certified by "
        "branch and bound), along the gradient beside the minimisers, averaged over directions, "
        "and in the worst direction of one sample at a time. (a) At a minimiser of a non-linear "
        "least-squares loss of 5 weights and 2 residuals: relative distance from the limits "
        "lambda_1/2, lambda_M/2 (smallest non-zero), trace/(2 D) and, per sample, trace/2. "
        "(b) On the 4-D toy F1(x1, x2) x3^2 + F2(x1, x2) x4^2, along the broken line through the "
        "three minima: the notions rank its minimisers differently. (c) Minimised over the plane "
        "x3 = x4 = 0 at rho = 0.4, 0.2 and 0.1, with level lines of F1 (blue), F2 (orange) "
        "and F1 + F2 (green): the worst selects the minimum of F1, the ascent that of F2, the "
        "average that of the trace; so does the worst per sample as rho goes to 0. Not a figure "
        "of the paper; the toy is that of its Figure 1."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
