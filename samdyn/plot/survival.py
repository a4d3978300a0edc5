"""Pictures of escape times: the share that has not escaped, against time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from samdyn.analysis.escape.survival import EscapeTimes, Survival
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.numbers import checked_number
from samdyn.plot.labels import plain, symbol
from samdyn.plot.style import COLORS, DASHES, axes_or_new

_MOST_STEPS, _MOST_MARKS = 2_000, 60

Theory = float | Callable[[np.ndarray], np.ndarray]
"""The rate of an exponential law, or a function of time that gives the share left."""


def survival(
    times: EscapeTimes | EscapeSweep | Mapping[str, EscapeTimes],
    ax: Axes | None = None,
    *,
    log: bool = False,
    band: bool = True,
    censored: bool = True,
    theory: Theory | Mapping[str, Theory] | None = None,
    legend: bool = True,
) -> Axes:
    """Kaplan and Meier's survival curves with their bands, and a theory drawn over them.

    Parameters
    ----------
    times : EscapeTimes, EscapeSweep or mapping from label to EscapeTimes
        Of `samdyn.escape_times`. A sweep is labelled by its values.
    ax : Axes, optional
        Default: new ones.
    log : bool, default False
        A logarithmic vertical axis, on which an exponential law is a straight line.
    band : bool, default True
        Shade the confidence band (pointwise).
    censored : bool, default True
        Mark times at which particles were seen for the last time without having escaped.
    theory : float, callable, or mapping from label to either, optional
        The rate of an exponential law, or a function of time such as the ``survival`` of a fit.
        In a mapping, each is drawn dashed in the colour of the curve with that label. Of a sweep
        over one number, its values are labels too.
    legend : bool, default True
        Draw a legend, if anything has a label.

    Raises
    ------
    TypeError, ValueError
        If these are no escape times, or of different units, or a theory has a label that no curve
        has.

    Examples
    --------
    >>> from samdyn.analysis.escape.survival import EscapeTimes
    >>> ax = survival({"SGD": EscapeTimes([1.0, 2.0, 3.0])}, theory={"SGD": 0.5})
    >>> ax.get_ylabel()
    'share not escaped $S(t)$'
    """
    curves = _curves(times)
    laws = _laws(_labelled(theory, times), list(curves))
    ax = axes_or_new(ax)
    lowest, last = 1.0, 0.0
    for k, (label, one) in enumerate(curves.items()):
        color, dashes = COLORS[k % len(COLORS)], DASHES[k // len(COLORS) % len(DASHES)]
        drawn = _thinned(one.survival)
        ax.step(
            drawn.time, drawn.S, where="post", color=color, ls=dashes, label=label or "_", zorder=3
        )
        if band:
            edges = drawn.low, drawn.high
            ax.fill_between(drawn.time, *edges, step="post", color=color, alpha=0.2, lw=0, zorder=2)
        if censored:
            _mark(ax, one, color)
        lowest = min(lowest, float(np.min(drawn.S[drawn.S > 0])))
        last = max(last, float(drawn.time[-1]))
    moments = np.linspace(0, last, 400)
    for label, law in laws.items():
        known = label in curves and len(curves) > 1
        color = COLORS[list(curves).index(label) % len(COLORS)] if known else "black"
        first = label == next(iter(laws))
        ax.plot(
            moments,
            _share(law, moments),
            color=color,
            ls="--",
            lw=1.1,
            label="theory" if first else "_",
            zorder=4,
        )
    unit = "step" if next(iter(curves.values())).discrete else "time"
    ax.set(xlabel=f"{unit} $t$", ylabel="share not escaped $S(t)$", xlim=(0, last or None))
    if log:
        ax.set_yscale("log")
        ax.set_ylim(lowest / 2, 1.2)
    else:
        ax.set_ylim(0, 1.03)
    if legend and ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small", loc="best")
    return ax


def _curves(times: Any) -> dict[str, EscapeTimes]:
    """The curves by label; a single one has none."""
    if isinstance(times, EscapeTimes):
        return {"": times}
    if isinstance(times, EscapeSweep):
        curves = {}
        for values, one in times.items():
            said = (f"{symbol(d)} = {_plain(value)}" for d, value in values.items())
            curves[", ".join(said)] = one
        return curves
    if not isinstance(times, Mapping) or not times:
        raise TypeError(
            "times must be what samdyn.escape_times gives, or a mapping from label to that; got "
            f"a {type(times).__name__}"
        )
    for label, one in times.items():
        if not isinstance(one, EscapeTimes):
            hint = "; choose from a sweep with .sel(…)" if isinstance(one, EscapeSweep) else ""
            raise TypeError(
                f"times of {label!r} must be EscapeTimes, got a {type(one).__name__}{hint}"
            )
    if len({one.discrete for one in times.values()}) > 1:
        raise ValueError("times must be in one unit: some are in steps, others in time")
    return {str(label): one for label, one in times.items()}


def _labelled(theory: Any, times: Any) -> Any:
    """A theory for values of the one number of a sweep, by the labels of its curves."""
    if not isinstance(theory, Mapping) or not isinstance(times, EscapeSweep):
        return theory
    known = {}
    for (values, _), label in zip(times.items(), _curves(times), strict=True):
        if len(values) == 1:
            known[next(iter(values.values()))] = label
    return {known.get(label, label): law for label, law in theory.items()}


def _plain(value: Any) -> str:
    return plain(value) if isinstance(value, int | float) else str(value)


def _laws(theory: Any, labels: list[str]) -> dict[str, Theory]:
    if theory is None:
        return {}
    laws = dict(theory) if isinstance(theory, Mapping) else {"": theory}
    for label, law in laws.items():
        if isinstance(theory, Mapping) and label not in labels:
            raise ValueError(f"theory must be for labels among {labels}, got {label!r}")
        if not callable(law):
            checked_number("theory", law, minimum=0.0)
    return laws


def _share(law: Theory, moments: np.ndarray) -> np.ndarray:
    return np.asarray(law(moments)) if callable(law) else np.exp(-law * moments)


def _thinned(curve: Survival) -> Survival:
    """The curve at few enough of its steps to draw, evenly in time and in S."""
    if len(curve.time) <= _MOST_STEPS:
        return curve
    last = curve.time[-1]
    by_time = np.searchsorted(curve.time, np.linspace(0, last, _MOST_STEPS // 2), "right") - 1
    # few are left late, where on a logarithmic axis most is to be seen
    left = np.geomspace(1, max(curve.S[-1], 1 / len(curve.S)), _MOST_STEPS // 2)
    by_share = np.searchsorted(-curve.S, -left)
    places = np.concatenate([by_time, by_share, [len(curve.time) - 1]])
    return Survival(*(a[np.unique(np.clip(places, 0, len(a) - 1))] for a in curve))


def _mark(ax: Axes, one: EscapeTimes, color: str) -> None:
    """Strokes on the curve where particles are censored."""
    moments = np.unique(one.times[~one.escaped])
    if len(moments) > _MOST_MARKS:
        moments = moments[np.linspace(0, len(moments) - 1, _MOST_MARKS).astype(int)]
    curve = one.survival
    S = curve.S[np.searchsorted(curve.time, moments, "right") - 1]
    ax.plot(moments, S, "|", color=color, ms=6, mew=1.0, zorder=3, clip_on=False)
