"""Momentum against rho on digits: test accuracies at one lr, and at one lr/(1 - beta)."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM
from samdyn.experiments.base import Claim, Experiment, Runs
from samdyn.experiments.networks.seeds import Interval, mean
from samdyn.experiments.networks.threads import one_thread

_RHOS = np.array([0.0, 0.1, 0.2, 0.5])
_MOMENTA = np.array([0.0, 0.5, 0.9, 0.95])
_LR, _HIGH = 0.05, 0.9
_EPOCHS, _BATCH, _SEEDS = 20, 32, list(range(8))
_PAPER = (0.1, 0.5)
"""The values of rho in the paper's table."""
_KEPT = r"fixed lr/$(1-\beta)$"


def compute() -> Runs:
    """Both tables: every rho with every momentum, of which the second keeps lr/(1 - beta)."""
    with one_thread():
        fixed = _trained(_LR, _MOMENTA)
        others = _MOMENTA[_MOMENTA != _HIGH]  # with that one both tables are the same
        kept = _LR * (1 - others) / (1 - _HIGH)
        effective = _trained(xr.DataArray(kept, {"momentum": others}, ("momentum",)), others)
    both = [effective, fixed.sel(momentum=[_HIGH])]
    return {"fixed": fixed, "effective": xr.concat(both, "momentum").sortby("momentum")}


def _trained(lr: float | xr.DataArray, momenta: np.ndarray) -> xr.Dataset:
    """How networks end: accuracy (%), train_loss (momentum, rho, seed), learning_rate."""
    from samdyn.networks import data, models, train

    run = train(
        models.mlp(64, 64, 10),
        data.digits(),
        SAM(lr=lr, rho=_RHOS, momentum=momenta),
        epochs=_EPOCHS,
        batch_size=_BATCH,
        seed=_SEEDS,
        record=_EPOCHS,
        together=True,
        progress=False,
    )
    end = run.isel(epoch=-1, drop=True)
    return xr.Dataset(
        {
            "accuracy": 100 * (1 - end.test_error),
            "train_loss": end.train_loss,
            "learning_rate": end.learning_rate.isel(rho=0, seed=0, drop=True),
        }
    ).drop_attrs()


def _gain(values: xr.DataArray) -> xr.DataArray:
    """What momentum 0.9 has over none, of each seed."""
    return values.sel(momentum=_HIGH, drop=True) - values.sel(momentum=0.0, drop=True)


def _gap(run: xr.Dataset) -> xr.DataArray:
    """Between the best and the worst momentum, in the mean over seeds."""
    table = run.accuracy.mean("seed")
    return table.max("momentum") - table.min("momentum")


def _growth(gain: xr.DataArray, low: float, high: float) -> Interval:
    """By how much it is larger at one rho than at another; seeds are paired."""
    return mean(gain.sel(rho=high, drop=True) - gain.sel(rho=low, drop=True))


def _each(values: Iterable[float], form: str) -> str:
    """A number for each rho."""
    return "; ".join(
        f"rho = {rho:g}: {float(one):{form}}" for rho, one in zip(_RHOS, values, strict=True)
    )


def _row(values: Interval) -> str:
    """An interval for each rho."""
    return "; ".join(
        f"rho = {rho:g}: {Interval(*(one.sel(rho=rho) for one in values)).said('+.2f')}"
        for rho in _RHOS
    )


def claims(runs: Runs) -> list[Claim]:
    """What momentum is worth at each rho, and how much of that is the step's size."""
    fixed, kept = runs["fixed"], runs["effective"]
    gains, evens = _gain(fixed.accuracy), _gain(kept.accuracy)
    gain, even = mean(gains), mean(evens)
    table = fixed.accuracy.mean("seed").transpose("rho", "momentum")
    best = _MOMENTA[table.argmax("momentum").values]
    paper, early = _growth(gains, *_PAPER), _growth(gains, 0.0, 0.1)
    logs = -_gain(np.log(fixed.train_loss))
    factors, steeper = np.exp(logs.mean("seed")), _growth(logs, 0.0, 0.5)
    high = fixed.accuracy.sel(momentum=_HIGH, drop=True)
    too_much = mean(fixed.accuracy.sel(momentum=0.95, drop=True) - high)
    better = mean(high - high.sel(rho=0.0, drop=True))
    less = _growth(gains - evens, 0.0, 0.5)
    return [
        Claim(
            "fixed lr: test accuracy (%) with momentum beta = 0.9 less that without, seed by seed",
            "above 0 at every rho",
            _row(gain),
            bool((gain.low > 0).all()),
        ),
        Claim(
            "fixed lr: the best momentum of each rho, in the mean, is a high one",
            "0.9 or 0.95, as in the paper",
            _each(best, "g"),
            bool(np.all(best >= _HIGH)),
        ),
        Claim(
            "fixed lr: the larger rho, the more momentum matters: what momentum 0.9 adds at "
            "rho = 0.5 less what it adds at 0.1, the paper's two; and max - min over momenta",
            "above 0; max - min at 0.5 over twice that at 0.1 (in the paper 5.79 at 0.5)",
            f"{paper.said('+.2f')}; {_each(_gap(fixed), '.2f')}",
            bool(paper.low > 0) and bool(_gap(fixed).sel(rho=0.5) > 2 * _gap(fixed).sel(rho=0.1)),
        ),
        Claim(
            "but that is so at the largest rho only: what it adds at rho = 0.1 less that at 0",
            "within 1.5 points of 0",
            early.said("+.2f"),
            bool(abs(early.value) < 1.5),
        ),
        Claim(
            "fixed lr: momentum 0.9 divides the training loss by more at rho = 0.5 than with SGD",
            "a larger factor",
            f"{_each(factors, '.1f')}; log of the ratio {steeper.said('+.2f')}",
            bool(steeper.value > 0),
        ),
        Claim(
            "fixed lr: at rho = 0.5 momentum can be too much: accuracy with 0.95 less that with "
            "0.9, seed by seed",
            "interval below 0 at rho = 0.5, and at no smaller rho",
            _row(too_much),
            (too_much.high < 0).values.tolist() == [False, False, False, True],
        ),
        Claim(
            "fixed lr/(1 - beta): little is left of it: what momentum 0.9 adds, and max - min",
            "at rho = 0.5 less than a third of what they are with fixed lr",
            f"{_row(even)}; max - min {_each(_gap(kept), '.2f')}",
            bool(even.high.sel(rho=0.5) < gain.value.sel(rho=0.5) / 3)
            and bool(_gap(kept).sel(rho=0.5) < _gap(fixed).sel(rho=0.5) / 3),
        ),
        Claim(
            "so most of it is the step's size: what momentum 0.9 adds grows from rho = 0 to 0.5 by "
            "more with fixed lr than with fixed lr/(1 - beta)",
            "above 0",
            less.said("+.2f"),
            bool(less.low > 0),
        ),
        Claim(
            "fixed lr, momentum 0.9: SAM's accuracy less SGD's is small: digits are an easy task",
            "within 2 points",
            _row(better),
            bool((abs(better.value) < 2).all()),
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Both tables, and what momentum adds by rho."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.8))
    _draw_table(runs["fixed"], axes[0, 0], "b")
    _draw_table(runs["effective"], axes[0, 1], "a")
    _draw_gain(runs, axes[1, 0])
    _draw_loss(runs, axes[1, 1])
    titles = (
        rf"test accuracy (%), fixed lr = {_LR:g}",
        rf"test accuracy (%), {_KEPT} = {_LR / (1 - _HIGH):g}",
        r"what momentum $\beta$ = 0.9 adds",
        "training loss",
    )
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_table(run: xr.Dataset, ax: Axes, other: str) -> None:
    table = run.accuracy.transpose("rho", "momentum", "seed")
    middle, low, _ = mean(table)
    shade = ax.imshow(middle, cmap="viridis", vmin=93, vmax=98, aspect="auto", origin="lower")
    for i in range(len(_RHOS)):
        for j in range(len(_MOMENTA)):
            value = float(middle[i, j])
            ax.text(
                j, i, f"{value:.2f}\n± {value - float(low[i, j]):.2f}", ha="center", va="center",
                fontsize=8, color="white" if value < 96 else "black",
            )  # fmt: skip
    ax.set_xticks(
        range(len(_MOMENTA)),
        [f"{m:g} (as in {other})" if m == _HIGH else f"{m:g}" for m in _MOMENTA],
    )
    ax.set_yticks(range(len(_RHOS)), [f"{r:g}" for r in _RHOS])
    ax.set(xlabel=r"momentum $\beta$", ylabel=r"$\rho$")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(shade, ax=ax, extend="min")


def _draw_gain(runs: Runs, ax: Axes) -> None:
    places = np.arange(len(_RHOS))
    ax.axhline(0, color="0.6", lw=0.8, ls=":")
    for k, (name, said) in enumerate((("fixed", "fixed lr"), ("effective", _KEPT))):
        gain = _gain(runs[name].accuracy)
        middle, low, _ = mean(gain)
        x = places + 0.14 * (k - 0.5)
        ax.errorbar(
            x, middle, middle - low, fmt="os"[k] + "-", color=plot.COLORS[k], ms=5, capsize=3,
            label=said,
        )  # fmt: skip
        for one in gain.transpose("seed", "rho"):
            ax.plot(x + 0.05, one, ".", color=plot.COLORS[k], ms=3, alpha=0.6)
    ax.set_xticks(places, [f"{r:g}" for r in _RHOS])
    ax.set(xlabel=r"$\rho$", ylabel="accuracy, less that without (points)")
    ax.legend(loc="upper left")


def _draw_loss(runs: Runs, ax: Axes) -> None:
    places = np.arange(len(_RHOS))
    for k, momentum in enumerate(_MOMENTA):
        for name, style in (("fixed", "o-"), ("effective", "s:")):
            if name == "effective" and momentum == _HIGH:
                continue  # the same networks
            values = np.log(runs[name].train_loss.sel(momentum=momentum))
            middle, low, high = (np.exp(one) for one in mean(values))
            ax.errorbar(
                places + 0.06 * (k - 1.5), middle, [middle - low, high - middle], fmt=style,
                color=plot.COLORS[k], ms=3.5, lw=1, capsize=2,
                label=rf"$\beta$ = {momentum:g}" if name == "fixed" else None,
            )  # fmt: skip
    ax.plot([], [], "o-", color="black", ms=3.5, lw=1, label="fixed lr")
    ax.plot([], [], "s:", color="black", ms=3.5, lw=1, label=_KEPT)
    ax.set_xticks(places, [f"{r:g}" for r in _RHOS])
    ax.annotate(
        rf"$\beta$ = {_HIGH:g}: one line, for both", (1.5, 0.0245), (0.55, 0.0125), fontsize=8,
        arrowprops={"arrowstyle": "-", "color": plot.COLORS[2], "lw": 0.8},
    )  # fmt: skip
    ax.set(yscale="log", ylim=(2e-3, 6), xlabel=r"$\rho$", ylabel="cross-entropy")
    ax.legend(loc="upper left", ncols=3)


EXPERIMENT = Experiment(
    name="kim-table",
    title="The larger rho, the more momentum matters, by making the step larger",
    source="Kim et al., arXiv 2301.06308, Table 1, on digits",
    caption=(
        "MLP 64-64-10 (ReLU) on digits, cross-entropy, batch size 32, 20 epochs, normalised SAM "
        "with momentum beta, 8 seeds that are paired; +- and bars: 95 % intervals. (a) With lr = "
        "0.05 whatever beta, as in the paper: 0.9 or 0.95 is best, and without momentum rho = 0.5 "
        "does badly. Of these two 0.95 is better at rho = 0 and worse at 0.5; at 0.1 and 0.2 the "
        "paired difference cannot be told from 0. (b) With lr = 0.5 (1 - beta), so that momentum "
        "does not change the effective step, little is left of that. At beta = 0.9 both have lr = "
        "0.05: that column of (a) and (b) is the same experiment, and one line in (d). (c) What "
        "beta = 0.9 adds to the accuracy, seed by seed (dots): with fixed lr 2 to 2.7 points up to "
        "rho = 0.2 and 7.7 at 0.5, with fixed lr/(1 - beta) at 0.5 nothing that can be told from "
        "0. (d) The training loss tells the same: solid lines, fixed lr, are far apart, "
        "dotted ones are not. So here it is a larger step that large rho asks for, whether by "
        "momentum or by lr. Digits are an easy task: with beta = 0.9 SAM is better than SGD by "
        "about half a point, if at all."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
