"""A run late in training: its loss with the two phases, sharpness, distances and alignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.ensembles.networks import refuse_training
from samdyn.plot.style import COLORS
from samdyn.plot.trajectory import _members

_PANELS = (
    ("loss",),
    ("top_eigenvalue",),
    ("along", "across", "switch_distance"),
    ("gradient_alignment", "ascent_alignment"),
)
_LABELS = ("loss", "sharpness", "distance", "abs(cosine) with\ntop eigenvector")
_DASHES = ("-", "--", ":")
_DEEPEST = 1e-24
"""The axis of the loss goes down to this part of its largest value at most."""


def late(
    found: xr.Dataset,
    phases: xr.Dataset | None = None,
    *,
    ax: Sequence[Axes] | None = None,
    colors: Sequence[str] = COLORS,
    legend: bool = True,
) -> np.ndarray:
    """Draw the diagnostics of a run one above the other, against the step.

    The loss, with the fitted phases laid over it; the top eigenvalue of the Hessian with the edge
    of stability; the distances along and across the manifold of minimisers if they are there, or
    else that from the switch; the alignments with the top eigenvector.

    Parameters
    ----------
    found : Dataset
        Of `samdyn.diagnostics`.
    phases : Dataset, optional
        Of `samdyn.two_phase`, of the same run. Where it averaged over particles the fit is that
        of the mean.
    ax : four Axes, optional
        Default: new ones, which share the step.
    colors : sequence of colours, optional
        One a particle, in turn.
    legend : bool, default True
        Draw legends.

    Returns
    -------
    ndarray of Axes, shape (4,)

    Raises
    ------
    TypeError, ValueError
        If these are no diagnostics, no phases, or not four axes.

    Examples
    --------
    >>> import samdyn as sd
    >>> from samdyn.analysis.late.observed import diagnostics
    >>> system = sd.Map(sd.losses.tanh_network(), sd.USAM(lr=2.5, rho=0.5))
    >>> run = sd.simulate(system, [1.3, 1e-4], 60, record=1)
    >>> [axis.get_ylabel() for axis in late(diagnostics(run))][:2]
    ['loss', 'sharpness']
    """
    _check(found, phases)
    axes = _axes(ax)
    for axis, label, wanted in zip(axes, _LABELS, _PANELS, strict=True):
        names = [name for name in wanted if name in found]
        if "along" in names:
            names.remove("switch_distance")
        for name, dashes in zip(names, _DASHES, strict=False):
            several = len(names) > 1
            for k, one in enumerate(_members(found[name], ("time",), colors)):
                about = (_said(found, name) if k == 0 else "") if several else one.label
                label_now = about if several or axis is axes[0] else ""
                axis.plot(
                    found["time"], one.values, color=one.color, ls=dashes, label=label_now or "_"
                )
        axis.set_ylabel(
            "distance from where\nthe phase began" if names == ["switch_distance"] else label
        )
        _mark_switch(axis, phases)
    _scale_loss(axes[0], found)
    axes[-1].set(ylim=(-0.03, 1.05))
    for axis in axes if ax is not None else axes[-1:]:
        axis.set_xlabel("step")
    _draw_edge(axes[1], found)
    if phases is not None:
        _draw_fit(axes[0], found, phases)
    if legend:
        for axis in axes:
            if axis.get_legend_handles_labels()[0]:
                axis.legend(loc="best")
    return axes


def _check(found: Any, phases: Any) -> None:
    for name, given, key, maker in (
        ("found", found, "top_eigenvalue", "diagnostics"),
        ("phases", phases, "escape_rate", "two_phase"),
    ):
        if given is None and name == "phases":
            continue
        if not isinstance(given, xr.Dataset):
            raise TypeError(
                f"{name} must be a result of samdyn.{maker}, got a {type(given).__name__}"
            )
        refuse_training(name, given, "draw what it recorded with plot.training")
        if key not in given:
            raise ValueError(f"{name} must be a result of samdyn.{maker}; it has no {key!r}")
    if phases is not None and np.any((phases["start"] < 0) & phases["fit"].notnull().any("time")):
        raise ValueError(
            "phases count their steps from each particle's own switch, over which they were "
            "averaged; they do not go with the steps of found, so leave them out"
        )


def _axes(ax: Any) -> np.ndarray:
    if ax is None:
        size = (5.2, 1.7 * len(_PANELS))
        _, ax = plt.subplots(len(_PANELS), sharex=True, figsize=size, layout="constrained")
    axes = np.ravel(np.array(ax, dtype=object))
    if len(axes) != len(_PANELS) or not all(isinstance(axis, Axes) for axis in axes):
        raise ValueError(f"ax must be {len(_PANELS)} Axes, one above the other, got {ax!r}")
    return axes


def _said(found: xr.Dataset, name: str) -> str:
    latex = f"${found[name].attrs.get('latex', name)}$"
    return {"along": f"along the minima, {latex}", "across": f"across, {latex}"}.get(name, latex)


def _scale_loss(axis: Axes, found: xr.Dataset) -> None:
    """A logarithmic axis, unless a loss below 0 forbids it."""
    values = found["loss"].values
    known = values[np.isfinite(values) & (values > 0)]
    if np.nanmin(values, initial=np.inf) < 0 or not known.size:
        return
    highest = float(np.max(known))
    axis.set_yscale("log")
    axis.set_ylim(max(float(np.min(known)), _DEEPEST * highest) / 3, 3 * highest)


def _mark_switch(axis: Axes, phases: xr.Dataset | None) -> None:
    if phases is None:
        return
    for step in np.unique(phases["start"].values):
        if step > 0:
            axis.axvline(step, color="0.6", lw=0.8, ls=":", zorder=0)


def _draw_edge(axis: Axes, found: xr.Dataset) -> None:
    """The edge of stability, once for each value that it takes."""
    if "edge" not in found:
        return
    lines = np.unique(found["edge"].values.reshape(-1, found.sizes["time"]), axis=0)
    finite = [line for line in lines if np.isfinite(line).any()]
    for k, line in enumerate(finite[:4]):
        axis.plot(
            found["time"], line, color="black", lw=0.9, ls="--", zorder=1,
            label="_" if k else _said(found, "edge"),
        )  # fmt: skip


def _draw_fit(axis: Axes, found: xr.Dataset, phases: xr.Dataset) -> None:
    averaged = phases["fit"].ndim < found["loss"].ndim
    if averaged:
        over = [dim for dim in found["loss"].dims if dim not in phases["fit"].dims]
        for one in _members(found["loss"].mean(over), ("time",), ("black",)):
            axis.plot(found["time"], one.values, color="black", lw=1.2, label="mean")
    for k, one in enumerate(_members(phases["fit"], ("time",), ("black",))):
        axis.plot(
            phases["time"], one.values, color=COLORS[4], lw=3.0, alpha=0.55, zorder=4,
            label="_" if k else "fitted phases",
        )  # fmt: skip
