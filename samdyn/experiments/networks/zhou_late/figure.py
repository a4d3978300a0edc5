"""The drawing."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.seeds import Interval, mean
from samdyn.experiments.networks.zhou_late.training import EPOCHS, SETTINGS, along, closed

_ORDERS = {
    "last": ("SGD, then SAM", plot.COLORS[1], -0.035),
    "first": ("SAM, then SGD", plot.COLORS[0], 0.035),
}
_CURVATURES = {"top_eigenvalue": r"$\lambda_1$", "trace": "trace"}
_LOOKS = {
    "top_eigenvalue": {"marker": "o", "ls": "-"},
    "trace": {"marker": "s", "ls": "--", "mfc": "white"},
}
_FAR = 100.0
"""An interval is drawn so far at most, beyond what the axes show."""


def draw(runs: Runs) -> Figure:
    """Shares of the gap closed in each setting, and test errors."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.0))
    titles = (
        "MSE, constant learning rate",
        "MSE, learning rate/10 from half time",
        "cross-entropy with label noise",
        "test error",
    )
    for ax, name in zip(axes.flat, SETTINGS, strict=False):
        _draw_closed(runs[name], ax)
    _draw_errors(runs, axes[1, 1])
    for letter, title, ax in zip("abcd", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 0.33))
    return figure


def _at(shares: np.ndarray) -> np.ndarray:
    """Where shares are drawn: both ends of the axis are stretched."""
    return np.log((shares + 1) / (EPOCHS + 1 - shares))


def _stretched(ax: Axes) -> None:
    shown = np.array([0, 1, 2, 5, 10, 20, 50, 80, 90, 95, 99, 100])
    ax.set_xticks(_at(shown), [str(share) for share in shown])
    ax.set(xlabel="epochs trained by SAM (%), both ends stretched")


def _bars(ax: Axes, at: np.ndarray, interval: Interval, **look: Any) -> None:
    value, low, high = (one.values for one in interval)
    below, above = (np.clip(size, 0, _FAR) for size in (value - low, high - value))
    ax.errorbar(at, value, [below, above], ms=4, lw=1.2, elinewidth=0.9, **look)


def _draw_closed(run: xr.Dataset, ax: Axes) -> None:
    for end in (0, 1):
        ax.axhline(end, color="0.6", lw=0.8, ls=":")
    for order, (label, color, offset) in _ORDERS.items():
        plans = along(run, order)
        for name, symbol in _CURVATURES.items():
            _bars(
                ax, _at(plans.share.values) + offset, closed(run, plans, name), color=color,
                label=f"{symbol}, {label}", **_LOOKS[name],
            )  # fmt: skip
    ends = (
        f"{order}: {_CURVATURES['top_eigenvalue']} = {float(at.top_eigenvalue.mean()):#.2g}, "
        f"trace {float(at.trace.mean()):.3g}"
        for order, at in (("SGD", run.isel(plan=0)), ("SAM", run.isel(plan=-1)))
    )
    ax.text(0.99, 0.03, "\n".join(ends), transform=ax.transAxes, ha="right", fontsize=8)
    _stretched(ax)
    ax.set(ylabel="share of the gap closed", ylim=(-0.55, 1.2))


def _draw_errors(runs: Runs, ax: Axes) -> None:
    for name, said, look in (
        ("noise", "label noise", {"marker": "D", "ls": "-"}),
        ("mse", "MSE", {"marker": "^", "ls": "--", "mfc": "white"}),
    ):
        for order, (label, color, offset) in _ORDERS.items():
            plans = along(runs[name], order)
            error = mean(100 * plans.test_error)
            _bars(
                ax, _at(plans.share.values) + offset, error, color=color,
                label=f"{said}, {label}", **look,
            )  # fmt: skip
    _stretched(ax)
    ax.set(ylabel="test error (%)", ylim=(0, 14))
    ax.legend(loc="upper right", ncols=2)
