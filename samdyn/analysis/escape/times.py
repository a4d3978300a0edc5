"""escape_times: from the result of a run to survival data."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.escape.survival import EscapeTimes
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.ensembles.events import REASONS
from samdyn.ensembles.networks import refuse_training
from samdyn.ensembles.recipe import EVENTS

_ENDINGS = ("escaped", "reached", "converged", "diverged")
_EXAMPLES = {
    "escaped": "Escape(center=…, radius=…)",
    "reached": "Reached(center=…, radius=…)",
    "converged": "Converged()",
}


def escape_times(
    run: xr.Dataset,
    dim: str | Sequence[str] | None = None,
    *,
    event: str = "escaped",
    never: Sequence[str] = ("converged",),
    level: float = 0.95,
) -> EscapeTimes | EscapeSweep:
    """The escape times of a run's particles, as right-censored survival data.

    Time is counted in steps for an algorithm (any map), and is steps times dt for a flow or a
    diffusion; with the Brownian bridge, which finds a crossing within a step, an escape is put
    at the middle of its step. Without it an escape is seen at the first grid time after it.

    A particle that still runs at the last step is censored there. One that another event ended
    competes: what it counts as is the question asked.

    - As one that will never escape (``never``): it stays among those that have not, until the
      last step of the run. The survival curve is then the share of all particles that has not
      escaped. This is right for a particle that converged under a deterministic algorithm. With
      all four other endings it is 1 minus the cumulative incidence of escape. A rate or a mean
      then depends on how long the run was.
    - As censored at its step (the other endings): the rates are those of the particles that
      could still escape. The survival curve is the share that would remain if nothing else ended
      a particle and those that ended were like the others, which the data cannot tell.

    Particles for which the event held at step 0 were never inside; they are left out with a
    warning (not with the Brownian bridge, for which they crossed in the first step).

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.simulate` with ``until=Escape(…)``.
    dim : str or sequence of str, optional
        The dimensions whose particles are one ensemble. Default: those of the initial points.
    event : str, default "escaped"
        What is timed: "escaped", or "reached", "converged", "diverged".
    never : sequence of str, default ("converged",)
        Endings after which the event will never come.
    level : float, default 0.95
        Of all intervals.

    Returns
    -------
    EscapeTimes or EscapeSweep
        An `EscapeSweep`, one EscapeTimes for each value, if other dimensions remain.

    Raises
    ------
    TypeError, ValueError
        If it is no result of simulate, has no such dimension, is empty, or was interrupted: of
        its chunk under way those that had escaped are known and the others are not, which
        would bias every estimate.

    Warns
    -----
    UserWarning
        If particles were outside from the start.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Loss("x**2/2 - y**2/2 + y**4/4")
    >>> x0 = sd.ball(100, center=(0, 0), radius=0.1, seed=0)
    >>> run = sd.simulate(sd.Map(saddle, sd.USAM(lr=0.1, rho=[0.0, 0.5])), x0, 1000,
    ...                   until=sd.Escape(center=(0, 0), radius=0.5), progress=False)
    >>> found = escape_times(run)
    >>> found.median.values < [30, 60], found.sel(rho=0.5).n
    (array([ True,  True]), 100)
    """
    _check(run, event, never)
    pooled = _pooled(run, dim)
    rest = [str(d) for d in run.reason.dims if d not in pooled]
    time, discrete = _times(run, event, never)
    ended, began = run.reason == REASONS.index(event), run.steps == 0
    outside = ended & began & (not _bridged(run))
    if bool(outside.any()):
        warnings.warn(
            f"{int(outside.sum())} of {outside.size} particles {event} at step 0: they were "
            "outside from the start and are left out",
            stacklevel=2,
        )
    parts = [array.transpose(*rest, *pooled) for array in (time, ended, outside)]
    shape = [run.sizes[d] for d in rest]
    times, escaped, left_out = (part.values.reshape(*shape, -1) for part in parts)
    found = np.empty(shape, object)
    for place in np.ndindex(*shape):
        kept = ~left_out[place]
        if not kept.any():
            raise ValueError("all particles of an ensemble were outside from the start")
        found[place] = EscapeTimes(times[place][kept], escaped[place][kept], level, discrete)
    if not rest:
        return found.item()
    known = {n: c for n, c in run.reason.coords.items() if set(c.dims) <= set(rest)}
    return EscapeSweep(xr.DataArray(found, dims=rest, coords=known, name="escape_times"))


def step_length(run: xr.Dataset) -> xr.DataArray | float | None:
    """The time that a step of a run's system takes; None for a map, whose clock are its steps.

    Raises
    ------
    ValueError
        If the run has lost its coordinate dt.
    """
    if run.attrs.get("clock") != "dt":
        return None
    if "dt" not in run.coords:
        raise ValueError("run has lost its coordinate dt; keep it when selecting (drop=False)")
    return run["dt"]


def _times(run: xr.Dataset, event: str, never: Sequence[str]) -> tuple[xr.DataArray, bool]:
    """Times of all particles, and whether they are whole steps."""
    last = json.loads(run.attrs["recipe"])["simulate"]["steps"]
    codes = [REASONS.index(name) for name in never]
    steps = run.steps.where(~run.reason.isin(codes), last)
    dt = step_length(run)
    if dt is None:
        return steps, True
    if event == "escaped" and _bridged(run):
        steps = steps + 0.5 * (run.reason == REASONS.index(event))
    return steps * dt, False


def _bridged(run: xr.Dataset) -> bool:
    return str(run.attrs.get("bridge", "False")) == "True"


def _check(run: Any, event: str, never: Sequence[str]) -> None:
    if not isinstance(run, xr.Dataset):
        raise TypeError(f"run must be a result of samdyn.simulate, got a {type(run).__name__}")
    refuse_training(
        "run", run, "the escape of networks from a minimum is found in their losses by "
        "samdyn.two_phase, or with Kaplan and Meier's curves from your own times by "
        "samdyn.EscapeTimes"
    )  # fmt: skip
    missing = {"reason", "steps", "initial"} - set(map(str, run.variables))
    if missing or "recipe" not in run.attrs:
        lacks = ", ".join(sorted(missing)) or "the attribute recipe"
        raise ValueError(f"run must be a result of samdyn.simulate; it lacks {lacks}")
    if event not in _ENDINGS:
        raise ValueError(f"event must be one of {', '.join(_ENDINGS)}; got {event!r}")
    if isinstance(never, str):
        raise TypeError(f'never must be a sequence such as ("converged",), got {never!r}')
    odd = [name for name in never if name not in _ENDINGS]
    if odd:
        raise ValueError(f"never must name endings among {', '.join(_ENDINGS)}; got {odd[0]!r}")
    if run.reason.size == 0:
        raise ValueError("run must have particles, got none")
    watched = json.loads(run.attrs["recipe"])["simulate"].get("until", [])
    if event != "diverged" and event not in {EVENTS[one["event"]].reason for one in watched}:
        raise ValueError(
            f"no particle can have {event} in this run; simulate it with until={_EXAMPLES[event]}"
        )
    cut = int((run.reason == REASONS.index("interrupted")).sum())
    if cut:
        raise ValueError(
            f"run was interrupted, with {cut} of {run.reason.size} particles unfinished; finish it "
            "first (simulate with store= goes on where it was)"
        )


def _pooled(run: xr.Dataset, dim: str | Sequence[str] | None) -> list[str]:
    """The dimensions that are one ensemble, in the order of the run."""
    dims = [str(d) for d in run.reason.dims]
    if dim is None:
        return [d for d in dims if d in run["initial"].dims]
    asked = [dim] if isinstance(dim, str) else [str(d) for d in dim]
    odd = [d for d in asked if d not in dims]
    if odd:
        raise ValueError(f"dim must be among {', '.join(dims) or 'none'}; got {odd[0]!r}")
    return [d for d in dims if d in asked]
