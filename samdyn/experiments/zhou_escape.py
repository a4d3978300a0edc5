"""A hundred runs leave the end point of SGD: how fast, and where they come to rest."""

from __future__ import annotations

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import GD, SAM, USAM
from samdyn.analysis.late.phases import two_phase
from samdyn.analysis.spread.moments import mean_square_growth
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_INPUTS = np.linspace(0.5, 1.5, 8)
_BATCH, _LR, _RHO, _NORMALIZED = 4, 2.4, 0.5, 0.05
_START, _LOW = np.array([1.5, 0.3]), 1e-7
_RUNS, _SHOWN, _STEPS, _LAST, _SEEN = 1_000, 100, 400, 150, 31
_PAPER = np.array([4.16e-5, 3.46e-4, 7.60e-4, 1.42e-3, 2.95e-3, 6.93e-3, 1.52e-2, 3.35e-2, 6.43e-2])
"""Mean training loss of the paper's Fig. 4b, read off the figure: a deep network, 8 steps."""

_LATER = 11
"""So many steps later the paper's losses are drawn, to lie beside ours."""


def _loss() -> Loss:
    """Example 4.1 with eight samples: each is fitted wherever v = 0."""
    return Loss("tanh(v*tanh(u*x))**2/2", "u v", data={"x": _INPUTS})


def compute() -> Runs:
    """One run of SGD, and from its end point 1,000 of SGD and of SAM, each with its batches."""
    loss = _loss()
    sgd = finished(
        simulate(Map(loss, GD(lr=_LR), batch_size=_BATCH), _START, _LAST, record=1, seed=2)
    )
    step = int(np.argmax(sgd.loss.values < _LOW))
    start = sgd.w.values[step]
    ensemble, record = np.tile(start, (_RUNS, 1)), np.arange(_LAST + 1)
    runs: Runs = {"sgd": sgd.isel(time=slice(0, step + 1))}
    for seed, (name, algorithm) in enumerate(
        {
            "usam": USAM(lr=_LR, rho=np.array([0.0, _RHO])),
            "sam": SAM(lr=_LR, rho=_NORMALIZED),
        }.items(),
        start=3,
    ):
        system = Map(loss, algorithm, batch_size=_BATCH)
        runs[name] = finished(simulate(system, ensemble, _STEPS, record=record, seed=seed))
        runs[f"{name}_mean"] = two_phase(runs[name], over="particle")
    few = runs["usam"].sel(rho=_RHO).isel(particle=slice(0, _SHOWN))
    runs["usam_each"] = two_phase(few)
    paper = xr.DataArray(_PAPER, dims="time", coords={"time": np.arange(len(_PAPER))})
    runs["paper"] = two_phase(paper).assign(loss=paper)
    return runs


def _batches() -> np.ndarray:
    """Every batch, as places of its samples; all are equally likely."""
    return np.array(list(product(range(len(_INPUTS)), repeat=_BATCH)))


def _rates(u: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates of E v^2 and of a typical v^2 at minima (u, 0), over every batch.

    A step multiplies v by 1 - lr a (1 + rho a), a being the mean of tanh(u x)^2 over the batch.
    """
    inputs = _INPUTS[_batches()]
    a = np.mean(np.tanh(np.asarray(u)[..., None, None] * inputs) ** 2, axis=-1)
    m = 1 - _LR * a * (1 + rho * a)
    return np.log(np.mean(m**2, axis=-1)), 2 * np.mean(np.log(np.abs(m)), axis=-1)


def _curvature(u: np.ndarray) -> np.ndarray:
    """The sharpness at minima (u, 0)."""
    return np.mean(np.tanh(np.multiply.outer(u, _INPUTS)) ** 2, axis=-1)


def _ends(runs: Runs) -> np.ndarray:
    return runs["usam"].final.sel(rho=_RHO, coord="u").values


def claims(runs: Runs) -> list[Claim]:
    """The rate of escape by linear theory, and where and how fast runs come to rest."""
    u = np.array(runs["sgd"].w.values[-1, 0])
    stable, _ = _rates(u, 0.0)
    growth, typical = _rates(u, _RHO)
    system = Map(_loss(), USAM(lr=_LR, rho=_RHO), batch_size=_BATCH)
    by_operator = mean_square_growth(system, [float(u), 0.0])
    mean, each = runs["usam_mean"].sel(rho=_RHO), runs["usam_each"]
    sgd = runs["usam_mean"].sel(rho=0.0)
    low, high = mean.escape_interval.values
    own_low, own_high = mean.typical_interval.values
    paper = runs["paper"]
    bound, share, gamma = _bound(float(u))
    return [
        Claim(
            "the end point of SGD is linearly stable for SGD and not for SAM: factor of E v^2 "
            "a step, over all batches; the second-moment operator's spectral radius",
            "below 1; above 1; the same",
            f"{np.exp(stable):.3f}; {np.exp(growth):.4f}; {by_operator:.4f}",
            bool(stable < 0 < growth and abs(by_operator / np.exp(growth) - 1) < 1e-9)
            and not bool(sgd.escapes),
        ),
        Claim(
            f"mean loss of {_RUNS:,} runs: rate of escape (P1)",
            f"{growth:.4f}",
            f"{float(mean.escape_rate):.4f} [{low:.4f}, {high:.4f}], steps "
            f"{int(mean.escape_stretch[0])} to {int(mean.escape_stretch[1])}",
            bool(abs(float(mean.escape_rate) - growth) < (high - low)),
        ),
        Claim(
            "a typical run is slower: mean of the runs' own rates, and 2 E log abs(m)",
            f"{typical:.4f}",
            f"{float(mean.typical_rate):.4f} [{own_low:.4f}, {own_high:.4f}]",
            bool(abs(float(mean.typical_rate) - typical) < (own_high - own_low))
            and bool(float(mean.typical_rate) < low),
        ),
        Claim(
            "Theorem 4.2's constant C (eta^2 gamma/B) H^2 (1 + (rho^2 gamma/B) H^2) is below the "
            "growth: how loose it is",
            f"C = {bound:.4f}, with gamma = {gamma:.4f}",
            f"{np.exp(growth):.3f}: C is {share:.4f} of it, and does not tell that SAM leaves",
            bool(bound < np.exp(growth)),
        ),
        Claim(
            "growth is exponential in the paper's Fig. 4b too (a deep network): factor a step "
            "after the first, beside ours (lr and rho were chosen to come near)",
            "8.3, then 2.2, 1.9, 2.1, 2.3, 2.2, 2.2, 1.9",
            f"{float(np.exp(paper.escape_rate)):.2f} "
            f"[{', '.join(f'{x:.2f}' for x in np.exp(paper.escape_interval.values))}] in theirs, "
            f"{np.exp(float(mean.escape_rate)):.2f} in ours",
            bool(paper.escapes) and abs(float(np.exp(paper.escape_rate)) - 2.13) < 0.03,
        ),
        *_settled(runs, float(u), each),
    ]


def _bound(u: float) -> tuple[float, float, float]:
    """The constant of Theorem 4.2 at (u, 0), its share of the true growth, and gamma.

    Across the minima one direction counts: with a_i = tanh(u x_i)^2 the noise of the gradient is
    v^2 Var(a) and gamma = Var(a)/E(a)^2.
    """
    a = np.tanh(u * _INPUTS) ** 2
    gamma, h2 = float(np.var(a) / np.mean(a) ** 2), float(np.mean(a) ** 2)
    c = _LR**2 * gamma / _BATCH * h2 * (1 + _RHO**2 * gamma / _BATCH * h2)
    return c, c / float(np.exp(_rates(np.array(u), _RHO)[0])), gamma


def _settled(runs: Runs, u: float, each: xr.Dataset) -> list[Claim]:
    """That runs converge, as fast as linear theory says, to a flatter minimum of the valley."""
    ends = _ends(runs)
    known = each.converges.values
    measured = each.convergence_rate.values[known]
    theory = -_rates(ends[:_SHOWN][known], _RHO)[1]
    off = measured - theory
    error = np.std(off) / np.sqrt(len(off))
    flat = _curvature(ends)
    highest = _along_the_line(runs)
    passed = float(runs["sam"].loss.mean("particle").max())
    return [
        Claim(
            "every run comes to rest at a flatter minimum (P3): sharpness, mean and largest",
            f"below {float(_curvature(np.array(u))):.4f}, SGD's",
            f"{np.mean(flat):.4f}, {np.max(flat):.4f}",
            bool(np.max(flat) < _curvature(np.array(u))),
        ),
        Claim(
            "it is one where SAM is stable: share of ends at which a typical v^2 falls",
            "1",
            f"{np.mean(_rates(ends, _RHO)[1] < 0):.3f} (E v^2: "
            f"{np.mean(_rates(ends, _RHO)[0] < 0):.3f})",
            bool(np.mean(_rates(ends, _RHO)[1] < 0) > 0.99),
        ),
        Claim(
            f"{_SHOWN} runs converge exponentially (P4), at the rate -2 E log abs(m) of their ends",
            f"{np.mean(theory):.3f}; each run's less theory 0",
            f"{np.mean(measured):.3f} ({np.mean(known):.0%} of the runs); "
            f"{np.mean(off):+.3f} +- {error:.3f}",
            bool(
                np.mean(known) > 0.9 and abs(np.mean(off)) < max(4 * error, 0.05 * np.mean(theory))
            ),
        ),
        Claim(
            "no barrier on the line from SGD's end to normalised SAM's (Fig. 4c): largest loss "
            "between, less that of the higher end",
            "below 1e-4 of the largest mean loss passed",
            f"{highest:.1e}; the runs passed {passed:.2g}",
            highest < 1e-4 * passed,
        ),
    ]


def _line(runs: Runs, shares: np.ndarray) -> np.ndarray:
    """The loss between the ends of SAM (0) and that of SGD (1), shape (runs, shares)."""
    far = runs["sam"].final.values[:_SHOWN, None, :]
    sgd = runs["sgd"].w.values[-1]
    return _loss().value(far + shares[:, None] * (sgd - far))


def _along_the_line(runs: Runs) -> float:
    values = _line(runs, np.linspace(0, 1, 101))
    return float(np.max(values.max(axis=1) - np.maximum(values[:, 0], values[:, -1])))


def draw(runs: Runs) -> Figure:
    """Escape, both phases, rates beside linear theory, and the line between the ends."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.8))
    _draw_escape(runs, axes[0, 0])
    _draw_both(runs, axes[0, 1])
    _draw_rates(runs, axes[1, 0])
    _draw_line(runs, axes[1, 1])
    titles = (
        f"escape, {_SHOWN} of {_RUNS:,} runs",
        "the same to the end, and normalised SAM",
        "rates of un-normalised SAM, and linear theory",
        f"no barrier: {_SHOWN} runs of normalised SAM",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_escape(runs: Runs, ax: Axes) -> None:
    run, mean = runs["usam"].sel(rho=_RHO), runs["usam_mean"].sel(rho=_RHO)
    time = run.time.values[:_SEEN]
    loss = run.loss.values[:, :_SEEN]
    ax.plot(time, loss[:_SHOWN].T, color=plot.COLORS[1], lw=0.4, alpha=0.25)
    low, high = np.quantile(loss, [0.1, 0.9], axis=0)
    ax.fill_between(
        time, low, high, color=plot.COLORS[1], alpha=0.25, lw=0, label="80 % of the runs"
    )
    ax.plot(time, loss.mean(axis=0), color=plot.COLORS[1], lw=2, label="SAM, mean")
    start = float(loss[0, 0])
    u = np.array(runs["sgd"].w.values[-1, 0])
    for rate, dashes, said in zip(
        _rates(u, _RHO), ("--", ":"), ("of the mean", "of a typical run"), strict=True
    ):
        ax.plot(time[:18], start * np.exp(rate * time[:18]), color="black", ls=dashes, lw=1.2,
                label=f"linear theory {said}", zorder=5)  # fmt: skip
    stretch = mean.fit.values[:_SEEN]
    shown = time <= int(mean.escape_stretch[1])
    ax.plot(time[shown], stretch[shown], color=plot.COLORS[4], lw=5, alpha=0.5, label="fit")
    paper = runs["paper"]
    ax.plot(
        paper.time + _LATER, paper.loss, "D", color=plot.COLORS[0], ms=4, mfc="white",
        label=f"paper's Fig. 4b, {_LATER} steps later",
    )  # fmt: skip
    sgd = runs["usam"].sel(rho=0.0).loss.mean("particle").values[:_SEEN]
    ax.plot(time, sgd, color=plot.COLORS[7], label="SGD goes on, mean")
    ax.set(yscale="log", ylim=(1e-11, 1e3), xlim=(0, _SEEN - 1), xlabel="step after the switch",
           ylabel="training loss")  # fmt: skip
    ax.legend(loc="upper left", ncols=2, fontsize=7)


def _draw_both(runs: Runs, ax: Axes) -> None:
    for name, run, color in (
        (rf"SAM, $\rho$ = {_NORMALIZED}, mean", runs["sam"], plot.COLORS[2]),
        (rf"USAM, $\rho$ = {_RHO}, median", runs["usam"].sel(rho=_RHO), plot.COLORS[1]),
    ):
        values = run.loss.values
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        middle = values.mean(axis=0) if "mean" in name else np.median(values, axis=0)
        ax.fill_between(run.time, np.maximum(low, 1e-30), high, color=color, alpha=0.2, lw=0)
        ax.plot(run.time, middle, color=color, label=name)
    fit = runs["sam_mean"]
    ax.plot(fit.time, fit.fit, color="black", ls="--", lw=1, label="fitted phases of the mean")
    ax.set(yscale="log", ylim=(1e-20, 1e3), xlim=(0, 100), xlabel="step after the switch",
           ylabel="training loss")  # fmt: skip
    ax.legend(loc="upper right")


def _draw_rates(runs: Runs, ax: Axes) -> None:
    fine = np.linspace(0.6, 1.6, 60)
    mean, each = runs["usam_mean"].sel(rho=_RHO), runs["usam_each"]
    for values, dashes, said in zip(
        _rates(fine, _RHO), ("-", "--"), ("E $L$", "a typical run"), strict=True
    ):
        ax.plot(_curvature(fine), values, color="black", ls=dashes, lw=1, label=f"theory, {said}")
    ends = _ends(runs)[:_SHOWN]
    ax.plot(
        _curvature(ends), -each.convergence_rate, "o", color=plot.COLORS[1], ms=3, alpha=0.6,
        mew=0, label="convergence of each run",
    )  # fmt: skip
    a = float(_curvature(np.array(runs["sgd"].w.values[-1, 0])))
    for rate, interval, marker, said in (
        (mean.escape_rate, mean.escape_interval, "s", "escape of the mean"),
        (mean.typical_rate, mean.typical_interval, "D", "escape of a typical run"),
    ):
        bars = np.abs(interval.values - float(rate))[:, None]
        ax.errorbar(a, float(rate), bars, fmt=marker, color=plot.COLORS[0], ms=5, capsize=3,
                    mfc="white", label=said)  # fmt: skip
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(xlabel="sharpness of the minimum", ylabel="rate of log loss a step", ylim=(-4, 1.5))
    ax.legend(loc="lower right")


def _draw_line(runs: Runs, ax: Axes) -> None:
    shares = np.linspace(-0.2, 1.2, 141)
    values = _line(runs, shares)
    ax.plot(shares, values.T, color=plot.COLORS[2], lw=0.4, alpha=0.3)
    ax.plot(shares, values.mean(axis=0), color=plot.COLORS[2], lw=2, label="mean")
    for x, said in ((0, "SAM's end"), (1, "SGD's end")):
        ax.axvline(x, color="0.6", lw=0.8, ls=":")
        ax.annotate(said, (x, 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                    textcoords="offset points", va="top")  # fmt: skip
    ax.set(xlabel=r"share $\lambda$ of the way", ylabel="training loss")
    ax.legend(loc="center left")


EXPERIMENT = Experiment(
    name="zhou-escape",
    title="SAM escapes exponentially fast from the minimum that SGD found, then converges",
    source="Zhou et al., arXiv 2410.10373, Fig. 4b and 4c",
    caption=(
        "Example 4.1 with eight samples, L(u, v) the mean of tanh(v tanh(u x))^2/2, minibatches "
        "of 4, lr = 2.4. SGD is run until its loss is below 1e-7; from there 1,000 runs go on, "
        "each with its own minibatches. (a) Un-normalised SAM, rho = 0.5: the mean loss grows "
        "exponentially at the rate of the second-moment operator, a typical run at a lower one; "
        "the paper's deep network, drawn beside it, grows as fast, as lr and rho were so chosen. "
        "(b) Then the runs converge; normalised SAM, rho = 0.05, jumps in its first step, and "
        "its loss falls on as it drifts. Bands: 80 % of the runs. (c) Rates fitted against the "
        "sharpness where a run leaves and where it comes to rest, beside exact linear theory: all "
        "ends are flatter. (d) On lines from SAM's ends to SGD's the loss is nowhere above the "
        "higher end by more than a millionth of what was passed on the way."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
