"""Zhou et al., Proposition 4.1 and Theorem 4.3: staying in the valley, and the rate within it."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.mean_square.convergence import convergence_bound
from samdyn.analysis.mean_square.staying import stays_in_valley
from samdyn.analysis.mean_square.threshold import mean_square_threshold
from samdyn.analysis.mean_square.valley import valley
from samdyn.analysis.spread.moments import mean_square_growth, moments
from samdyn.experiments.base import Claim, Experiment, Runs
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_SLOPES = {
    "tanh z": "log(cosh(x))",
    "atan z": "x*atan(x) - log(1 + x**2)/2",
    "z/sqrt(1+z^2)": "sqrt(1 + x**2) - 1",
    "tanh z sech^2 z": "tanh(x)**2/2",
}
_EACH, _STEPS = 800, 500
_FACTORS = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0])
_FEW = 100
_REGRESSIONS = ((6, 3, 1), (6, 3, 3), (10, 4, 2))
_RATE_STEPS = 400


def compute() -> Runs:
    """Random settings that the proposition admits, and beyond; the rate on three regressions."""
    rng = np.random.default_rng(5)
    loss, b, start = _settings(rng, _EACH)
    bounds = valley(loss, b)
    lr = bounds.largest_lr * rng.uniform(0.0, 0.999, b.size)
    rho = bounds.largest_rho(lr) * rng.uniform(0.0, 1.0, b.size)
    runs = {}
    for name, normalize in (("plain", False), ("normalized", True)):
        algorithm = SAM(lr=lr, rho=rho, normalize=normalize)
        seen = stays_in_valley(Map(loss, algorithm), b, start, _STEPS, progress=False)
        runs[name] = seen.assign(share=lr / bounds.largest_lr)
    runs["beyond"] = _beyond(rng)
    runs["rate"] = xr.concat([_rate(rng, *sizes) for sizes in _REGRESSIONS], "regression")
    return runs


def _settings(rng: np.random.Generator, each: int) -> tuple[Loss, xr.DataArray, xr.DataArray]:
    """All four valleys as one loss, with a width and a start for each of many runs."""
    count = each * len(_SLOPES)
    names = [f"c{k}" for k in range(len(_SLOPES))]
    which = np.arange(count) % len(_SLOPES)
    chosen: dict[str, Any] = {
        name: xr.DataArray(np.where(which == k, 1.0, 0.0), dims="particle")
        for k, name in enumerate(names)
    }
    formula = " + ".join(f"{c}*({one})" for c, one in zip(names, _SLOPES.values(), strict=True))
    b = xr.DataArray(10.0 ** rng.uniform(-1.0, 0.7, count), dims="particle")
    start = b * rng.uniform(-1.0, 1.0, count)
    return Loss(formula, "x", **chosen), b, start.expand_dims(coord=["x"], axis=1)


def _beyond(rng: np.random.Generator) -> xr.Dataset:
    """Largest excursions at multiples of the largest lr, rho being the largest admitted then."""
    loss, b, start = _settings(rng, _FEW)
    bounds = valley(loss, b)
    factor = xr.DataArray(_FACTORS, dims="factor", coords={"factor": _FACTORS})
    lr = 0.999 * factor * bounds.largest_lr
    system = Map(loss, USAM(lr=lr, rho=bounds.largest_rho(lr)))
    seen = stays_in_valley(system, b, start, _STEPS, progress=False)
    return seen.drop_vars("applies")


def _rate(rng: np.random.Generator, n: int, d: int, batch_size: int) -> xr.Dataset:
    """The mean loss of SAM at the largest lr and rho of Theorem 4.3, exactly, and its bound."""
    inputs = rng.standard_normal((n, d))
    names = [f"w{j}" for j in range(d)]
    output = " + ".join(f"a{j}*{name}" for j, name in enumerate(names))
    loss = Loss(f"({output})**2/2", names, data={f"a{j}": inputs[:, j] for j in range(d)})
    rest, start = np.zeros(d), rng.standard_normal(d)
    known = convergence_bound(loss, rest)
    lr = float(known.largest_lr(batch_size))
    rho = float(known.largest_rho(lr, batch_size))
    hessian = loss.hessian(rest)
    rows, rates = [], []
    for fresh in (True, False):
        system = Map(loss, USAM(lr=lr, rho=rho), batch_size, fresh_noise=fresh)
        seen = moments(system, rest, _RATE_STEPS, start)
        second = seen["covariance"].values + np.einsum(
            "ti,tj->tij", seen["mean"].values, seen["mean"].values
        )
        rows.append(np.einsum("tij,ij->t", second, hessian) / (start @ hessian @ start))
        rates.append(mean_square_growth(system, rest))
    same = Map(loss, USAM(lr=lr, rho=rho), batch_size)
    time = np.arange(_RATE_STEPS + 1)
    return xr.Dataset(
        {
            "loss": (("variant", "time"), rows),
            "growth": ("variant", rates),
            "bound": ("time", known.rate(lr) ** time),
            "rate": float(known.rate(lr)),
            "lr": lr,
            "rho": rho,
            "stable_lr": mean_square_threshold(same, rest, "lr").value,
            "stable_rho": mean_square_threshold(same, rest, "rho", (0.0, 1e4)).value,
        },
        {"time": time, "variant": ["independent", "same"]},
    )


def claims(runs: Runs) -> list[Claim]:
    """No run leaves; the rate holds; and how far both are from what happens."""
    plain, normal, beyond, rate = (runs[k] for k in ("plain", "normalized", "beyond", "rate"))
    count = plain.stays.size
    left = int((~normal.stays.astype(bool)).sum())
    staying = beyond.stays.astype(bool).all("particle")
    free = float(beyond.factor.values[staying.values].max(initial=0.0))
    ratio = (rate.loss / rate.bound).isel(time=slice(1, None)).max(("variant", "time"))
    return [
        Claim(
            f"Proposition 4.1: exits of the valley in {count:,} random admissible settings, "
            f"{_STEPS} steps",
            "0 exits, all settings admitted",
            f"{int((~plain.stays.astype(bool)).sum())} exits, {int(plain.applies.sum()):,} "
            f"admitted; at most {2 * float(plain.furthest.max()):.3f} b away, the edge being 2 b",
            bool(plain.stays.all() and plain.applies.all()),
        ),
        Claim(
            "normalised SAM at the same lr and rho is not covered: exits",
            "at least 1",
            f"{left} of {count:,}",
            left > 0 and not bool(normal.applies.any()),
        ),
        Claim(
            f"how loose: {beyond.particle.size} settings at multiples of the largest lr (and its "
            "rho)",
            "all stay at 1",
            f"all stay up to {free:g} times; at {_FACTORS[-1]:g} times "
            f"{100 * float(beyond.stays.isel(factor=-1).mean()):.0f} % stay",
            bool(staying.isel(factor=0)),
        ),
        Claim(
            "Theorem 4.3: E L_t over (1 - lr mu/2)^t L_0, three regressions, both variants, its "
            "largest lr and rho",
            "at most 1",
            "at most " + ", ".join(f"{float(x):.3f}" for x in ratio),
            bool((ratio <= 1.0).all()),
        ),
        Claim(
            "how loose: rate measured over rate of the theorem; lr and rho of the theorem over "
            "the exact boundary (same batch)",
            "above 1; below 1",
            ", ".join(f"{float(x):.1f}" for x in _speed(rate).max("variant"))
            + "; lr "
            + ", ".join(f"{float(x):.2g}" for x in rate.lr / rate.stable_lr)
            + "; rho "
            + ", ".join(f"{float(x):.1g}" for x in rate.rho / rate.stable_rho),
            bool(
                (_speed(rate) >= 1.0).all()
                and (rate.lr < rate.stable_lr).all()
                and (rate.rho < rate.stable_rho).all()
            ),
        ),
    ]


def _speed(rate: xr.Dataset) -> xr.DataArray:
    """How much faster than by the theorem the slowest part of the mean loss falls."""
    return np.log(rate.growth) / np.log(rate.rate)


def draw(runs: Runs) -> Figure:
    """Excursions within and beyond the proposition; the rate and what it admits."""
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 7.0))
    _draw_excursions(runs, axes[0, 0])
    _draw_beyond(runs["beyond"], axes[0, 1])
    _draw_rate(runs["rate"], axes[1, 0])
    _draw_admitted(runs["rate"], axes[1, 1])
    titles = (
        f"Proposition 4.1, {runs['plain'].stays.size:,} admissible settings",
        "beyond it, un-normalised SAM",
        r"Theorem 4.3: mean loss at its largest $\eta$, $\rho$",
        "how loose Theorem 4.3 is",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_excursions(runs: Runs, ax: Axes) -> None:
    ax.axhline(1.0, color="0.3", lw=1.0)
    ax.annotate("edge of the valley", (0.02, 1.04))
    for name, color, marker, label in (
        ("normalized", plot.COLORS[1], "x", "normalised"),
        ("plain", plot.COLORS[0], ".", "un-normalised"),
    ):
        one = runs[name]
        most = float(one.furthest.max())
        label = f"{label}: at most {most:.2f}"
        ax.plot(one.share, one.furthest, marker, color=color, ms=2.5, label=label, alpha=0.6)
    outside = runs["normalized"].where(runs["normalized"].furthest > 1.0, drop=True)
    ax.plot(outside.share, outside.furthest, "o", color=plot.COLORS[1], ms=9, mfc="none")
    ax.set(xlabel=r"$\eta$ / largest admitted", ylabel=r"largest $|z_t|\,/\,2b$", xlim=(0, 1))
    ax.set_ylim(0.0, 1.9)
    ax.legend(loc="upper right", markerscale=3)


def _draw_beyond(beyond: xr.Dataset, ax: Axes) -> None:
    ax.axhline(1.0, color="0.3", lw=1.0)
    ax.annotate("edge of the valley", (4.2, 0.93), va="top")
    for share, dashes in ((1.0, "-"), (0.5, "--")):
        line = beyond.furthest.quantile(share, "particle")
        label = "largest of all" if share == 1.0 else "median"
        ax.plot(beyond.factor, line, dashes, marker="o", ms=4, color=plot.COLORS[0], label=label)
    ax.set(xscale="log", yscale="log", xlabel=r"$\eta$ / largest admitted")
    ax.set(ylabel=r"largest $|z_t|\,/\,2b$")
    ax.set_xticks([1, 2, 3, 4, 6, 10], ["1", "2", "3", "4", "6", "10"])
    ax.minorticks_off()
    ax.legend(loc="upper left")


def _sizes(k: int) -> str:
    n, d, batch_size = _REGRESSIONS[k]
    return f"$n$ = {n}, $d$ = {d}, $B$ = {batch_size}"


def _draw_rate(rate: xr.Dataset, ax: Axes) -> None:
    for k, color in zip(range(len(_REGRESSIONS)), plot.COLORS, strict=False):
        one = rate.isel(regression=k)
        ax.plot(one.time, one.loss.sel(variant="same"), color=color, label=_sizes(k))
        ax.plot(one.time, one.bound, "--", color=color)
    ax.plot([], [], color="0.4", label="exact")
    ax.plot([], [], "--", color="0.4", label=r"bound $(1-\eta\mu/2)^t$")
    ax.set(yscale="log", xlabel="step $t$", ylabel=r"E$L_t\,/\,L_0$", xlim=(0, _RATE_STEPS))
    ax.legend(loc="lower left")


def _draw_admitted(rate: xr.Dataset, ax: Axes) -> None:
    rows = (
        (r"$\eta$ admitted / stable", rate.lr / rate.stable_lr, "o"),
        (r"$\rho$ admitted / stable", rate.rho / rate.stable_rho, "s"),
        ("rate promised / actual", 1.0 / _speed(rate).sel(variant="same"), "^"),
    )
    for place, (_, values, marker) in enumerate(rows):
        for k, color in zip(range(len(_REGRESSIONS)), plot.COLORS, strict=False):
            height = place + 0.15 * (1 - k)
            ax.plot(float(values[k]), height, marker, color=color, ms=6)
            left = values[k] > 0.1  # the line at 1 is to the right
            ax.annotate(
                f"{float(values[k]):.2g}",
                (float(values[k]), height),
                va="center",
                ha="right" if left else "left",
                xytext=(-6 if left else 6, 0),
                textcoords="offset points",
                fontsize=8,
            )
    ax.axvline(1.0, color="0.3", lw=1.0)
    ax.set(xscale="log", xlabel="ratio (1: tight)", ylim=(-0.5, 2.5))
    low = min(float(values.min()) for _, values, _ in rows)
    ax.set_xlim(low / 3.0, 4.0)
    ax.set_yticks(range(3), [name for name, _, _ in rows])


EXPERIMENT = Experiment(
    name="zhou-valley",
    title="SAM stays within the valley and converges there: Proposition 4.1 and Theorem 4.3",
    source="Zhou et al., arXiv 2410.10373, Proposition 4.1 and Theorem 4.3",
    caption=(
        "(a) Sub-quadratic valleys [-2b, 2b] of slopes tanh z, atan z, z/sqrt(1 + z^2) and "
        "tanh z sech^2 z, random b, start, lr and rho as the proposition admits: how far 500 steps "
        "of full-batch SAM get. Un-normalised SAM, of which the proposition speaks, never leaves; "
        "normalised SAM can (circles). (b) At multiples of the largest admitted lr, with the rho "
        "that goes with it. (c) Mean loss on linear regressions that fit their data, exact (the "
        "two ways of drawing batches are the same line at so small a rho), and the bound. (d) What "
        "Theorem 4.3 admits and promises over what is true (exact boundary and growth in mean "
        "square, same batch in both gradients); colours as in (c)."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
