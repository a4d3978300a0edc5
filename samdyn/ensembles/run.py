"""simulate: an ensemble of particles through a map."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from samdyn.ensembles.describe import describe_event, describe_system
from samdyn.ensembles.events import Escape, Event
from samdyn.ensembles.execute import execute
from samdyn.ensembles.networks import is_training
from samdyn.ensembles.plan import Plan, make_plan
from samdyn.ensembles.recipe import (
    RecipeError,
    build_event,
    build_points,
    build_system,
    expect_list,
    expect_present,
    expect_table,
    only,
    resolve,
)
from samdyn.ensembles.result import Gathered, dataset
from samdyn.ensembles.steplength import too_long
from samdyn.ensembles.store import prepared
from samdyn.numbers import checked_whole
from samdyn.systems.base import System

_SYSTEM = ("loss", "algorithm", "batches", "flow", "sde", "map", "system")
_ENTRIES = tuple(
    "x0 steps record until statistics after state seed common_noise".split()  # noqa: SIM905
)


def simulate(
    system: System,
    x0: Any,
    steps: int,
    *,
    record: int | Sequence[int] | np.ndarray | None = None,
    until: Event | Sequence[Event] = (),
    statistics: Mapping[str, str] | None = None,
    after: int = 0,
    state: bool = False,
    threads: int | None = None,
    executor: Executor | None = None,
    chunk: int | None = None,
    progress: bool = True,
    store: str | Path | None = None,
    seed: int = 0,
    common_noise: bool = False,
    streams: xr.DataArray | None = None,
) -> xr.Dataset:
    """Run an ensemble: every initial point with every value of every number.

    Each array among the hyperparameters and the loss's constants becomes a dimension named after
    it; an ``xarray.DataArray`` keeps its own dimensions, so that numbers can vary together, or
    with the particles. No trajectory is stored unless asked for.

    Parameters
    ----------
    system : Map, Flow, FormulaMap, SDE or FormulaSDE
    x0 : array_like, shape (d,) or (n, d), or DataArray
        Initial points: one, n of them (dimension ``particle``), or those of `samdyn.grid`. For a
        loss of one variable also a number, or n of them. Points may give the whole state, in
        the order of ``system.rows`` (of one variable: in shape (n, rows)); else velocities begin
        at 0.
    steps : int
        Number of steps, at least 0.
    record : int, sequence of int or None, default None
        Record the weights every so many steps, 0 included, or at exactly these steps. None: the
        final state only.
    until : event or sequence of events, default ()
        `Escape`, `Reached`, `Converged`, `Diverged`. Each is watched before every step and after
        the last (so one may hold at step 0); the first that holds ends the particle's run and
        freezes it. If two hold at once, the one given first counts. A coordinate that is not
        finite always ends a run.
    statistics : mapping from name to formula, optional
        Quantities of the variables, the constants, ``loss`` and ``grad_norm`` whose mean,
        variance, minimum and maximum over the steps are kept without storing the steps. The
        moment at which an event ends the run counts too. A formula may also name the Hessian's
        ``top_eigenvalue``, ``trace`` and ``frobenius`` norm; ``gradient_alignment`` and
        ``ascent_alignment``, the cosines without sign of the gradient and of SAM's perturbation
        with the top eigenvector; and ``switch_distance``, that from where the phase of a `Switch`
        that is under way began. Eigenvalues are taken in up to 6 variables (to compile takes up to
        a minute then), and an alignment is 0 where there is no direction.
    after : int, default 0
        The first step at which statistics count.
    state : bool, default False
        Whether the algorithm's own vectors (``velocity``) come along.
    threads : int, optional
        Default: as many as the process has processors. The result does not depend on it.
    executor : concurrent.futures.Executor, optional
        Where the chunks are run instead of threads of this process.
    chunk : int, optional
        Particles in a chunk. The result does not depend on it.
    progress : bool, default True
        Show a progress bar on runs longer than a second.
    store : path, optional
        A folder in which finished chunks are kept, and those under way every ten seconds and
        when the run is interrupted. The same call takes up what it finds there: an interrupted
        run goes on where it was.
    seed : int, default 0
        Of what is random; from 0 to 2**64 - 1. Runs of the same seed and shape draw the same, so
        independent runs need different seeds.
    common_noise : bool, default False
        Whether the values of a swept number share their draws, initial point by initial point: a
        paired comparison. False: every particle draws for itself. Draws are shared step by step:
        runs of an SDE with different dt do not follow one Brownian path.
    streams : DataArray of int, optional
        The number of each particle's random stream, as a result's coordinate ``stream`` has it:
        with it a particle of a larger run is run again alone. Default: its place in the result,
        or among the initial points with common_noise.

    Returns
    -------
    xarray.Dataset
        Dimensions: the swept numbers, then ``particle`` or the grid's own, ``time``, ``coord``.
        Variables ``w`` (…, time, coord) and ``loss`` (…, time) if recorded, ``final``
        (…, coord), ``final_loss``, ``steps`` taken, ``reason`` (a code with CF flag meanings)
        and ``which`` (the place in ``until`` of the event that ended the run, or -1). Of a
        `Switch` also ``switched`` (…, phase), the step at which each later phase began or -1, and
        ``switch_point`` (…, phase, coord), where. The
        attributes hold the recipe: `samdyn.rerun` follows it again. Where something was drawn, the
        coordinate ``stream`` has the number of each particle's random stream.

        After Ctrl-C the particles that were not finished have reason ``interrupted``.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused; one sentence says why and what would be right.
    MemoryError
        If the result would not fit in memory.

    Warns
    -----
    UserWarning
        If the dt of a flow or an SDE is beyond its scheme's stability limit where the particles
        begin (at most 64 of them are looked at).

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Loss("x**2/2 - y**2/2 + y**4/4")
    >>> run = sd.simulate(sd.Map(saddle, sd.SAM(lr=0.05, rho=[0.0, 0.5])), [0.3, 0.01], 1000)
    >>> run.final.dims
    ('rho', 'coord')
    >>> run.final.sel(rho=0.0).values.round(6)
    array([0., 1.])
    """
    began = time.perf_counter()
    threads = None if threads is None else checked_whole("threads", threads, 1)
    folder = prepared(store)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    plan = make_plan(
        *(system, x0, steps, record, until, statistics or {}, after, state, chunk),
        *(seed, common_noise, streams),
    )
    if (odd := too_long(plan.system, plan.axes)) is not None:
        warnings.warn(odd, stacklevel=2)
    _warn_of_starts_outside(plan)
    gathered = Gathered.empty(
        plan.axes.particles, plan.recorded, plan.kept, plan.sums, len(plan.marks.rows)
    )
    complete = execute(
        plan.chunks(),
        plan.axes.particles * plan.steps,
        gathered.put,
        threads=threads,
        executor=executor,
        progress=progress,
        store=folder,
    )
    if not complete:
        done = int(np.sum(~gathered.interrupted))
        warnings.warn(
            f"interrupted: {done} of {plan.axes.particles} particles finished; the others have "
            "reason 'interrupted'",
            stacklevel=2,
        )
    written = _recipe(plan)
    written["simulate"] |= {
        "record": None if plan.times is None else _plain_record(record),
        "statistics": dict(statistics or {}),
        "state": state,
    }
    if plan.random:
        written["simulate"] |= {"seed": plan.seed, "common_noise": common_noise}
    return dataset(plan, gathered, written, time.perf_counter() - began)


def _warn_of_starts_outside(plan: Plan) -> None:
    """Where steps are bridged, who begins outside looks like one who left in the first step."""
    w = plan.points.transpose(..., "coord").values
    for event in plan.events[: plan.watched]:
        if isinstance(event, Escape) and event.bridges(plan.system):
            count = int(np.sum(event.holds_at(plan.system, w)))
            if count:
                warnings.warn(
                    f"{count} of the initial points are where {event} holds already; they count as "
                    "having escaped in the first step",
                    stacklevel=3,
                )


def rerun(run: xr.Dataset | str | Path, **options: Any) -> xr.Dataset:
    """Run again what a result's recipe says, from the same initial points.

    A part of a result, such as ``run.isel(particle=[7])``, is run as it was within the whole: its
    particles draw from the same streams.

    Parameters
    ----------
    run : Dataset or path
        A result of `simulate` or a part of it, or the netCDF file that holds one.
    **options
        Passed to `simulate`: threads, executor, progress, store, or others to override.

    Raises
    ------
    RecipeError
        If the loss or the algorithm was a Python function, which a recipe cannot hold, or a
        SymPy expression that is no formula.

    Examples
    --------
    >>> import samdyn as sd
    >>> run = sd.simulate(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1)), [1.0], 10)
    >>> bool((rerun(run).final == run.final).all())
    True
    """
    if isinstance(run, str | Path):
        if not Path(run).is_file():
            raise RecipeError(f"there is no file {str(run)!r} to run again")
        try:
            run = xr.load_dataset(run, engine="h5netcdf")
        except OSError:
            raise RecipeError(f"{str(run)!r} is no netCDF file that simulate gave") from None
    if is_training(run):
        raise RecipeError(
            "run is a result of samdyn.networks.train, whose recipe does not hold the model and "
            "the data; call train again with them"
        )
    if not isinstance(run, xr.Dataset) or "recipe" not in run.attrs:
        raise RecipeError("run has no attribute 'recipe': it is no result of simulate")
    written = json.loads(run.attrs["recipe"])
    for table in set(written) - {"simulate"}:
        written[table] = resolve(written[table], run)
    x0 = run["initial"].reset_coords(drop=True)
    x0 = x0.assign_coords({dim: run[dim] for dim in x0.dims if dim in run.coords})
    if "coord" not in x0.dims:  # whole states
        x0 = x0.rename(row="coord")
    x0.attrs = json.loads(run.attrs.get("initial_points", "{}"))
    written["simulate"]["x0"] = x0
    if "stream" in run.coords:
        options = {"streams": run["stream"].reset_coords(drop=True)} | options
    return follow(written, **options)


def follow(written: Mapping[str, Any], **options: Any) -> xr.Dataset:
    """Run what a recipe says: tables that describe a system, and ``simulate``.

    Parameters
    ----------
    written : mapping
        As a TOML file or a result's attribute holds it. The system is ``loss`` and ``algorithm``
        with ``batches``, ``flow`` or ``sde``, or a ``map``, or an ``sde`` with drift and diffusion.
        ``simulate`` takes x0, steps, record,
        until, statistics, after, state, seed and common_noise.
    **options
        Passed to `simulate`, before what is written.

    Raises
    ------
    RecipeError
        If a table or an entry is missing or unknown.
    """
    only(expect_table("the recipe", written), (*_SYSTEM, "simulate"), "the recipe")
    system = build_system({table: written[table] for table in _SYSTEM if table in written})
    expect_present(written, "simulate")
    given = dict(written["simulate"])
    only(given, _ENTRIES, "[simulate]")
    for entry in ("x0", "steps"):
        if entry not in given:
            raise RecipeError(f"[simulate] needs an entry {entry}")
    x0 = given.pop("x0")
    points = x0 if isinstance(x0, xr.DataArray) else build_points(x0)
    expect_table("statistics", given.get("statistics", {}))
    until = expect_list("until", given.get("until", []))
    given["until"] = [build_event(event) for event in until]
    return simulate(system, points, **{**given, **options})


def _recipe(plan: Plan) -> dict[str, Any]:
    return {
        **describe_system(plan.system),
        "simulate": {
            "steps": plan.steps,
            "until": [describe_event(event) for event in plan.events[: plan.watched]],
            "after": plan.after,
        },
    }


def _plain_record(record: Any) -> int | list[int]:
    return int(record) if np.ndim(record) == 0 else [int(step) for step in record]
