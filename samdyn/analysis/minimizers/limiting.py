"""The flow along the minimisers that SAM follows in the limit of small lr and rho."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.minimizers.following import follow
from samdyn.analysis.minimizers.notions import Notion
from samdyn.analysis.minimizers.projection import project
from samdyn.analysis.minimizers.split import split
from samdyn.analysis.points import finite_points
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_number


def limiting_flow(
    loss: Loss,
    start: Any,
    times: Any,
    *,
    kind: str = "worst",
    per_sample: bool = False,
    lr: Any = None,
) -> xr.Dataset:
    """The flow on the manifold of minimisers that SAM follows, in the slow time lr rho^2 t.

    It descends the limit S of a notion of sharpness, dX/dtau = -P grad S(X), P being the projector
    onto the tangent space: S = lambda_1/2 of the Hessian for full-batch SAM (``kind="worst"``),
    S = Tr H/2 for SAM with one sample at a time (``per_sample=True``), and the smallest non-zero
    eigenvalue over 2, or Tr H/(2 d), for what minimises the loss in the ascent direction, or in
    the average direction.

    Parameters
    ----------
    loss : Loss
        With ``per_sample``, one with data.
    start : array_like, shape (d,) or (n, d)
        Points; of each, `samdyn.project` is where its flow begins.
    times : array_like, shape (m,)
        Slow times tau = lr rho^2 t at which the flow is wanted, ascending, not negative.
    kind : {"worst", "ascent", "average"}, default "worst"
        The notion of sharpness, as in `samdyn.sharpness`.
    per_sample : bool, default False
        Whether it is that of each sample, averaged.
    lr : float or array, shape (k,), optional
        With it, the velocity that SAM of this lr has for rho -> 0: it oscillates along the top
        eigenvector, at whose ends it looks farther away, which multiplies grad lambda_1 by
        (1 - lr lambda_1/2)^-2. With ``per_sample`` the gradient of each sample's eigenvalue has a
        factor of its own; this is exact where the samples' directions are orthogonal. Default:
        the limit of small lr, as with 0.

    Returns
    -------
    xarray.Dataset
        Over ``time`` (after ``lr`` if it is an array, and ``particle`` with several starts): ``w``
        (…, time, coord), ``top_eigenvalue``, ``trace`` and ``smallest_eigenvalue`` (that is not 0)
        of the loss's Hessian. The attribute ``drift`` is how far from the manifold the integration
        was at most; ``w`` itself is on it.

    Raises
    ------
    ValueError
        If an argument is refused; if gradient flow from a start does not end at a minimum, or at
        an isolated one; if the eigenvalue that is followed crosses another (Assumption 4.4), the
        Hessian's rank falls, or lr times the largest eigenvalue is 2 or more.

    Notes
    -----
    Wen, Ma and Li, arXiv 2211.05729: equation 7 and Theorem 4.5 (full batch), equation 18 and
    Theorem 5.4 (one sample). The factors of a finite lr are derived here, from the 2-cycle of
    Theorem 4.8; cf. Bartlett, Long and Bousquet, arXiv 2210.01513. The derivatives of eigenvalues
    are exact; the integrator is SciPy's DOP853 at a relative tolerance of 1e-11.

    Examples
    --------
    On x*y = 1 full-batch SAM lowers 2*(x**2 + y**2), by log(x)' = -2 tanh(2 log(x)):

    >>> flow = limiting_flow(Loss("(x*y - 1)**2"), [2.0, 0.5], [0.0, 0.1])
    >>> s = np.arcsinh(np.sinh(2 * np.log(2.0)) * np.exp(-0.4)) / 2
    >>> bool(abs(flow.w.values[1, 0] - np.exp(s)) < 1e-10)
    True
    """
    points = finite_points(loss, start, "start", "limiting_flow")
    if points.ndim > 2:
        raise ValueError(f"start must be one point or several, (d,) or (n, d); got {points.shape}")
    if isinstance(times, xr.DataArray):
        times = times.values
    given = _checked_times(times)
    lrs = np.asarray(0.0 if lr is None else checked_number("lr", lr, minimum=0.0), dtype=float)
    if lrs.ndim > 1:
        raise ValueError(f"lr must be one number or several, got shape {lrs.shape}")
    bases = _bases(loss, points.reshape(-1, loss.dimension))
    notion = Notion(loss, kind, bool(per_sample), np.repeat(lrs.reshape(-1), len(bases)))
    paths, drift = follow(notion, np.tile(bases, (lrs.size, 1)), given)
    w = paths.reshape(*lrs.shape, *points.shape[:-1], *paths.shape[1:])
    parts = split(loss, w)
    over = [*["lr"] * lrs.ndim, *["particle"] * (points.ndim - 1), "time"]
    tau = {"long_name": "slow time lr rho^2 t", "latex": r"\tau"}
    about = {"formula": loss.formula, "kind": kind, "per_sample": int(bool(per_sample))}
    return xr.Dataset(
        {
            "w": ((*over, "coord"), w),
            "top_eigenvalue": (over, parts.top, {"latex": r"\lambda_1"}),
            "trace": (over, parts.eigenvalues.sum(axis=-1), {"latex": r"\mathrm{Tr}\,H"}),
            "smallest_eigenvalue": (over, parts.smallest),
        },
        coords={
            "time": ("time", given, tau),
            "coord": list(loss.variables),
            **({} if lr is None else {"lr": lrs if lrs.ndim else float(lrs)}),
        },
        attrs={**about, "drift": drift},
    )


def _checked_times(times: Any) -> np.ndarray:
    given = np.atleast_1d(np.asarray(times, dtype=float))
    sound = given.ndim == 1 and given.size and np.all(np.isfinite(given)) and given[0] >= 0
    if not sound or np.any(np.diff(given) <= 0):
        raise ValueError(f"times must be ascending slow times from 0 on, got {times!r}")
    return given


def _bases(loss: Loss, rows: np.ndarray) -> np.ndarray:
    """The minimisers at which flows from the rows begin."""
    found = project(loss, rows)
    for row, kind, rank in zip(rows, found.kind, found.rank, strict=True):
        if kind != "minimum":
            ends = "does not" if kind == "none" else f"ends at a {kind}"
            raise ValueError(
                f"start must be a point from which gradient flow ends at a minimum; from {row} it "
                f"{ends}"
            )
        if rank == loss.dimension:
            raise ValueError(
                f"start must lead to a manifold of minimisers; gradient flow from {row} ends at an "
                "isolated one"
            )
        if rank != found.rank[0]:
            raise ValueError(
                "start must lead to minimisers whose Hessians have one rank; take starts of ranks "
                f"{found.rank[0]} and {rank} one by one"
            )
    return found.point
