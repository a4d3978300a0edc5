"""What a run shows late in training: loss, gradient, sharpness, distances and alignments."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.algorithms import GD
from samdyn.analysis.edges.stability import edge_of_stability
from samdyn.analysis.late.recipe import along, laid_along, maps_of, of_one
from samdyn.analysis.late.series import switch_of
from samdyn.analysis.minimizers.distances import along_and_across
from samdyn.ensembles.networks import refuse_training
from samdyn.losses.loss import Loss
from samdyn.systems.base import System
from samdyn.systems.map import Map

_ABOUT = {
    "loss": ("loss", "L"),
    "grad_norm": ("norm of the gradient", r"\|\nabla L\|"),
    "switch_distance": ("distance from where the phase began", r"\|w - w_0\|"),
    "top_eigenvalue": ("largest eigenvalue of the Hessian", r"\lambda_1"),
    "trace": ("trace of the Hessian", r"\mathrm{tr}\,H"),
    "frobenius": ("Frobenius norm of the Hessian", r"\|H\|_F"),
    "gradient_alignment": ("alignment of the gradient", r"|\cos(\nabla L, v_1)|"),
    "ascent_alignment": ("alignment of the ascent", r"|\cos(w^p - w, v_1)|"),
    "edge": ("edge of stability of gradient descent", r"2/\eta"),
    "across": ("distance from the manifold of minimisers", r"\|w - \Phi(w)\|"),
    "along": ("distance gone along the manifold", "s"),
    "projection": ("minimiser that gradient flow leads to", r"\Phi(w)"),
}


def diagnostics(
    run: xr.Dataset, system: System | None = None, *, manifold: bool = False
) -> xr.Dataset:
    """Late-phase diagnostics of a recorded run: what the weights say at every recorded step.

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.simulate` with ``record=``, or a part of one that keeps its swept
        dimensions.
    system : Map, Flow or SDE, optional
        Which was run. Default: rebuilt from the run's recipe; needed if that holds a Python
        function, or one value of a sweep was taken out.
    manifold : bool, default False
        Whether the distances along and across the manifold of minimisers are wanted: gradient
        flow is then integrated from every recorded point.

    Returns
    -------
    xarray.Dataset
        Over the dimensions of the run and ``time``, NaN where a point is not finite:

        - ``loss`` and ``grad_norm``; of a random loss, of its mean, as is all that follows;
        - ``switch_distance``, that from where the phase of a `Switch` that is under way began,
          or from the initial point;
        - ``top_eigenvalue`` (the largest), ``trace`` and ``frobenius`` norm of the Hessian;
        - ``gradient_alignment`` and ``ascent_alignment``: the cosine, without sign, of the
          gradient and of SAM's perturbation with the top eigenvector; NaN where there is no
          direction, as gradient descent has no perturbation. The latter is left out where the
          algorithm does not say (m-SAM, `samdyn.Lookahead`, one's own function);
        - ``edge``, the largest eigenvalue at which gradient descent with the algorithm's lr,
          momentum and weight decay is stable: `samdyn.edge_of_stability`. Left out of
          `samdyn.Lookahead` and one's own function, and where the momentum is 1 or more.

        With ``manifold`` also ``projection`` Phi(w), ``across`` = abs(w - Phi(w)), and ``along``,
        the length of the path of Phi(w) since the last switch (negative before it); NaN where
        gradient flow does not end at a minimum.

    Raises
    ------
    TypeError, ValueError
        If nothing was recorded, the run is not of an algorithm on a loss, or its system is not
        known.

    Notes
    -----
    The same names stand for the same quantities in formulas of statistics and events, where
    they are computed while running; an alignment that is NaN here is 0 there.

    Examples
    --------
    >>> import samdyn as sd
    >>> late = sd.Switch([(0, sd.GD(lr=2.5)), (100, sd.SAM(lr=2.5, rho=0.05))])
    >>> run = sd.simulate(sd.Map(sd.losses.tanh_network(), late), [1.6, 0.3], 200, record=100)
    >>> (2.5 * diagnostics(run).top_eigenvalue).values.round(2)
    array([1.56, 1.9 , 0.32])
    """
    _check(run)
    maps = maps_of(run, system)
    w = run["w"].transpose(..., "time", "coord")
    dims = tuple(map(str, w.dims[:-1]))
    laid = [laid_along(one, dims) for one in maps]
    loss = laid[0].loss
    points = w.values
    gradient = loss.grad(points)
    hessian = loss.hessian(points)
    finite = np.isfinite(hessian).all(axis=(-2, -1))
    values, vectors = np.linalg.eigh(np.where(finite[..., None, None], hessian, 0.0))
    top = vectors[..., -1]
    begun, starts = _phases(run, len(maps), w), _starts(run, w)
    found: dict[str, Any] = {
        "loss": loss.value(points),
        "grad_norm": np.linalg.norm(gradient, axis=-1),
        "switch_distance": np.linalg.norm(
            points - _acting(begun, list(starts[..., None, :])), axis=-1
        ),
        "top_eigenvalue": np.where(finite, values[..., -1], np.nan),
        "trace": np.trace(hessian, axis1=-2, axis2=-1),
        "frobenius": np.linalg.norm(hessian, axis=(-2, -1)),
        "gradient_alignment": _cosine(gradient, top),
    }
    ascents = [_ascent(one, points) for one in laid]
    if all(one is not None for one in ascents):
        found["ascent_alignment"] = _cosine(_acting(begun, ascents), top)
    edges = [_edge(one, dims, w.shape[:-1]) for one in maps]
    if all(one is not None for one in edges):
        found["edge"] = _acting(begun, edges)
    known = np.isfinite(points).all(axis=-1)
    variables = {
        name: (dims, np.where(known, np.broadcast_to(x, known.shape), np.nan), _about(name))
        for name, x in found.items()
    }
    coords = {name: x for name, x in run.coords.items() if set(x.dims) <= {*dims, "coord"}}
    result = xr.Dataset(variables, coords)
    result.attrs = {key: run.attrs[key] for key in ("title", "formula", "latex", "algorithm")
                    if key in run.attrs}  # fmt: skip
    return _with_manifold(result, run, loss, w, known) if manifold else result


def _check(run: Any) -> None:
    if not isinstance(run, xr.Dataset):
        raise TypeError(f"run must be a result of samdyn.simulate, got a {type(run).__name__}")
    refuse_training(
        "run", run, "what it measures of networks is asked for there, with "
        'track=["top_eigenvalue", "gradient_alignment"], and looked at with plot.training'
    )  # fmt: skip
    if "time" not in run.dims or "w" not in run:
        raise ValueError("nothing was recorded; run simulate with record=, for example record=10")


def _about(name: str) -> dict[str, str]:
    long_name, latex = _ABOUT[name]
    return {"long_name": long_name, "latex": latex, "units": "1"}


def _phases(run: xr.Dataset, count: int, w: xr.DataArray) -> np.ndarray:
    """Which phase acts at every recorded point, of shape (…, time): the last that has begun."""
    shape = w.shape[:-1]
    if count == 1 or "switched" not in run:
        return np.zeros(shape, int)
    switched = run["switched"]
    begun = (run["time"] >= switched) & (switched >= 0)
    # phases that events begin may be skipped
    last = (begun * xr.DataArray(np.arange(1, count), dims="phase")).max("phase")
    return np.broadcast_to(last.transpose(*w.dims[:-1]).values, shape)


def _starts(run: xr.Dataset, w: xr.DataArray) -> np.ndarray:
    """Where the run and each later phase of it began, of shape (phases, …, coord)."""
    blank = w.isel(time=0, drop=True).drop_vars("coord", errors="ignore")
    initial = run["initial"].rename({"row": "coord"} if "row" in run["initial"].dims else {})
    initial = initial.reset_coords(drop=True).drop_vars("coord", errors="ignore")
    initial = initial.isel(coord=slice(w.sizes["coord"])).broadcast_like(blank)
    places = [initial.transpose(*blank.dims).values]
    if "switch_point" in run:
        places += list(run["switch_point"].transpose("phase", *blank.dims).values)
    return np.array(places)


def _acting(begun: np.ndarray, of_each: list[Any]) -> np.ndarray:
    """What belongs to the phase that acts, of what belongs to each phase."""
    found = np.array(of_each[0])
    for k, one in enumerate(of_each[1:], start=1):
        here = begun == k
        found = np.where(here[..., None] if found.ndim > begun.ndim else here, one, found)
    return found


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine without sign; NaN where a vector is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.minimum(np.abs(np.sum(a * b, axis=-1)) / np.linalg.norm(a, axis=-1), 1.0)


def _ascent(one: Map, points: np.ndarray) -> np.ndarray | None:
    """SAM's perturbation, or None where the algorithm does not say."""
    try:
        return one.ascent(points)
    except TypeError:
        return None


def _edge(one: Map, dims: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray | None:
    """The largest eigenvalue at which the algorithm without its ascent is stable."""
    own = one.single
    if not isinstance(own, GD) or np.any(np.asarray(own.momentum) >= 1):
        return None
    plain = GD(
        lr=own.lr, momentum=own.momentum, nesterov=own.nesterov, weight_decay=own.weight_decay
    )
    edge = edge_of_stability(plain)
    return np.broadcast_to(along("edge", edge, dims) if np.ndim(edge) else edge, shape)


def _with_manifold(
    result: xr.Dataset, run: xr.Dataset, loss: Loss, w: xr.DataArray, known: np.ndarray
) -> xr.Dataset:
    """The diagnostics with the distances along and across the manifold of minimisers."""
    shape = known.shape
    gone_along, across = np.full(shape, np.nan), np.full(shape, np.nan)
    projection = np.full(w.shape, np.nan)
    time = w["time"].values
    switch = switch_of(run).transpose(*w.dims[:-2]).values
    starts = _starts(run, w)
    for place in np.ndindex(shape[:-1]):
        here = known[place]
        if not here.any():
            continue
        # the path leads through the point at which the last phase began, recorded or not
        since = int(np.searchsorted(time[here], switch[place]))
        begun = [start[place] for start in starts if np.isfinite(start[place]).all()]
        points = np.insert(w.values[place][here], since, begun[-1], axis=0)
        path = along_and_across(of_one(loss, place), points)
        gone, kept = path["along"].values, np.arange(path.sizes["time"]) != since
        sound = np.flatnonzero(np.isfinite(gone))
        if len(sound):  # from the first projection since the switch
            first = min(int(np.searchsorted(sound, since)), len(sound) - 1)
            gone = gone - gone[sound[first]]
        gone_along[place][here] = gone[kept]
        across[place][here] = path["across"].values[kept]
        projection[place][here] = path["projection"].values[kept]
    dims = w.dims[:-1]
    more = {
        "along": (dims, gone_along),
        "across": (dims, across),
        "projection": (w.dims, projection),
    }
    return result.assign({name: (*value, _about(name)) for name, value in more.items()})
