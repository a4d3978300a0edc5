"""The result of a run: arrays filled chunk by chunk, handed over as an xarray.Dataset."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numba
import numpy as np
import xarray as xr

from samdyn.ensembles.chunk import Outcome
from samdyn.ensembles.events import REASONS
from samdyn.ensembles.marks import entered
from samdyn.ensembles.plan import Plan
from samdyn.notation import LATEX
from samdyn.random import NAME
from samdyn.readings import kernels
from samdyn.systems.base import System
from samdyn.version import VERSION


class Gathered(NamedTuple):
    """Arrays over all particles, in the order of the flattened dimensions.

    ``w`` has shape (n, times, rows) and ``final`` (n, rows), rows being the scalars of the state
    that are kept.
    """

    w: np.ndarray
    loss: np.ndarray
    final: np.ndarray
    final_loss: np.ndarray
    steps: np.ndarray
    code: np.ndarray
    interrupted: np.ndarray
    sums: np.ndarray
    marks: np.ndarray

    @classmethod
    def empty(cls, n: int, times: int, rows: int, sums: int, marks: int) -> Gathered:
        """Room for n particles; what is never filled stays NaN and counts as interrupted."""
        return cls(
            w=np.full((n, times, rows), np.nan),
            loss=np.full((n, times), np.nan),
            final=np.full((n, rows), np.nan),
            final_loss=np.full(n, np.nan),
            steps=np.zeros(n, np.int64),
            code=np.zeros(n, np.int8),
            interrupted=np.ones(n, bool),
            sums=np.full((sums, n), np.nan),
            marks=np.full((marks, n), np.nan),
        )

    def put(self, first: int, last: int, outcome: Outcome) -> None:
        """Fill in a chunk's particles."""
        rows = self.final.shape[1]
        here = slice(first, last)
        self.w[here] = np.moveaxis(outcome.record[:, :rows], 2, 0)
        self.loss[here] = outcome.record_loss.T
        self.final[here] = outcome.z[:rows].T
        self.final_loss[here] = outcome.loss
        self.steps[here] = outcome.ended
        self.code[here] = outcome.code
        self.interrupted[here] = (outcome.code == 0) & (not outcome.finished)
        self.sums[:, here] = outcome.sums
        self.marks[:, here] = outcome.z[len(outcome.z) - len(self.marks) :]


def dataset(plan: Plan, gathered: Gathered, recipe: dict[str, Any], seconds: float) -> xr.Dataset:
    """Name, shape and describe the arrays of a run; see `samdyn.simulate`."""
    result = xr.Dataset(
        {
            **_states(plan, gathered),
            **_endings(plan, gathered),
            **_statistics(plan, gathered),
            **_switches(plan, gathered),
        },
        coords=_coordinates(plan),
    )
    loss = plan.system.loss
    about = plan.system.about
    if loss is not None:
        about |= {"formula": loss.formula, "latex": loss.latex}
    result.attrs = {
        "title": plan.acts[0].kernel.title if plan.marks.phases == 1 else plan.system.title,
        **about,
        **({"clock": "dt"} if plan.system.continuous else {}),
        **_randomness(plan),
        "initial_points": json.dumps({str(k): str(v) for k, v in plan.points.attrs.items()}),
        "recipe": json.dumps(recipe),
        "kernels": " ".join(kernels.key(act.source) for act in plan.acts),
        "samdyn": VERSION,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "python": platform.python_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
    }
    return result


def _randomness(plan: Plan) -> dict[str, Any]:
    """What the attributes say of the draws, if there were any."""
    if not plan.random:
        return {}
    bridged = any(event.bridges(plan.system) for event in plan.events)
    return {"random": NAME, "seed": str(plan.seed), "bridge": str(bridged)}


def finished(run: xr.Dataset) -> xr.Dataset:
    """The result as it is, unless the user interrupted the run.

    Raises
    ------
    KeyboardInterrupt
        If a particle was interrupted.
    """
    if "reason" in run:
        meanings = run.reason.attrs.get("flag_meanings", " ".join(REASONS)).split()
        if bool((run.reason == meanings.index("interrupted")).any()):
            raise KeyboardInterrupt
    return run


def whole_final(run: xr.Dataset, system: System) -> np.ndarray:
    """The whole states in which the particles of a run ended, of shape (…, rows).

    Parameters
    ----------
    run : Dataset
        Of `samdyn.simulate` with ``state=True``.
    system : System
        That was run, of one phase.
    """
    parts = [run["final"], *(run[f"final_{name}"] for name in system.vectors)]
    return np.concatenate([part.values for part in parts], axis=-1)


def whole_path(run: xr.Dataset, system: System) -> np.ndarray:
    """The whole states that were recorded, of shape (…, times, rows); see `whole_final`."""
    parts = [run["w"], *(run[name] for name in system.vectors)]
    return np.concatenate([part.values for part in parts], axis=-1)


def _states(plan: Plan, gathered: Gathered) -> dict[str, Any]:
    dims, shape, d = plan.axes.dims, plan.axes.shape, len(plan.system.coordinates)
    variables: dict[str, Any] = {}
    for k, name in enumerate(("w", *plan.vectors)):
        rows = slice(k * d, (k + 1) * d)
        called = "weights" if name == "w" else name
        if plan.times is not None:
            values = gathered.w[..., rows].reshape(*shape, plan.recorded, d)
            about = _about(f"{called} at the recorded steps", name)
            variables[name] = ((*dims, "time", "coord"), values, about)
        values = gathered.final[:, rows].reshape(*shape, d)
        about = _about(f"{called} at the end of the run", name)
        variables["final" if name == "w" else f"final_{name}"] = ((*dims, "coord"), values, about)
    if plan.times is not None and plan.system.loss is not None:
        about = _about("loss at the recorded steps", "L")
        values = gathered.loss.reshape(*shape, plan.recorded)
        variables["loss"] = ((*dims, "time"), values, about)
    if plan.system.loss is not None:
        about = _about("loss at the end of the run", "L")
        variables["final_loss"] = (dims, gathered.final_loss.reshape(shape), about)
    return variables


def _endings(plan: Plan, gathered: Gathered) -> dict[str, Any]:
    dims, shape = plan.axes.dims, plan.axes.shape
    code = gathered.code
    reasons = np.array([0, *(REASONS.index(event.reason) for event in plan.events)], np.int8)
    interrupted = np.int8(REASONS.index("interrupted"))
    reason = np.where(gathered.interrupted, interrupted, reasons[code])
    which = np.where(code <= plan.watched, code - 1, -1).astype(np.int8)
    return {
        "steps": (
            dims,
            gathered.steps.reshape(shape),
            {"long_name": "steps taken", "units": "step", "latex": "t"},
        ),
        "reason": (
            dims,
            reason.reshape(shape),
            {
                "long_name": "why the run ended",
                "flag_values": np.arange(len(REASONS), dtype=np.int8),
                "flag_meanings": " ".join(REASONS),
            },
        ),
        "which": (
            dims,
            which.reshape(shape),
            {"long_name": "place in until of the event that ended the run, or -1"},
        ),
    }


def _statistics(plan: Plan, gathered: Gathered) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for k, name in enumerate(plan.statistics):
        count = gathered.sums[0]
        mean, scatter, low, high = gathered.sums[1 + 4 * k : 5 + 4 * k]
        with np.errstate(invalid="ignore", divide="ignore"):
            known = {"mean": mean, "variance": scatter / count, "min": low, "max": high}
        for what, values in known.items():
            counted = np.where(count > 0, values, np.nan).reshape(plan.axes.shape)
            about = _about(f"{what} of {name} while running", name)
            variables[f"{name}_{what}"] = (plan.axes.dims, counted, about)
    return variables


def _switches(plan: Plan, gathered: Gathered) -> dict[str, Any]:
    """When and where each later phase of a switch began."""
    dims, shape, marks = plan.axes.dims, plan.axes.shape, plan.marks
    known = dict(zip(marks.rows, gathered.marks, strict=True))
    later = range(1, marks.phases)
    if not later:
        return {}
    steps = np.stack([known[entered(k)] for k in later], axis=-1)
    points = np.array([[known[name] for name in marks.point(k)] for k in later])
    points = np.where(steps[..., None] >= 0, np.moveaxis(points, -1, 0), np.nan)
    return {
        "switched": (
            (*dims, "phase"),
            np.nan_to_num(steps, nan=-1.0).astype(np.int64).reshape(*shape, -1),
            {"long_name": "step at which the phase began, or -1", "units": "step"},
        ),
        "switch_point": (
            (*dims, "phase", "coord"),
            points.reshape(*shape, len(later), -1),
            _about("weights where the phase began", "w"),
        ),
    }


def _coordinates(plan: Plan) -> dict[str, Any]:
    axes, names = plan.axes, plan.system.coordinates
    known: dict[str, Any] = {"coord": list(names)}
    if plan.marks.phases > 1:
        known["phase"] = ("phase", np.arange(1, plan.marks.phases), {"long_name": "phase"})
    for dim, values in axes.coordinates.items():
        known[dim] = (dim, values, _number_about(dim))
    for name, (dims, values) in axes.arrays.items():
        plain = name.rsplit(":", 1)[-1]
        if dims and not name.startswith("x0:") and dims != (plain,):
            known[plain] = (dims, values, _number_about(plain))
    if plan.times is not None:
        about = {"long_name": "step", "units": "step", "latex": "t"}
        known["time"] = ("time", plan.times, about)
        if plan.system.continuous:
            dims, lengths = axes.arrays["0:dt"]
            moments = np.multiply.outer(lengths, plan.times)
            known["t"] = ((*dims, "time"), moments, _about("time of the flow", "t"))
    dims = tuple(str(dim) for dim in plan.points.dims)
    if plan.points.sizes["coord"] > len(names):  # the whole state was given
        known["row"] = [str(name) for name in plan.points["coord"].values]
        dims = (*dims[:-1], "row")
    if plan.system.continuous:
        known["dt"] = (*axes.arrays["0:dt"], _number_about("dt"))
    if plan.random:
        known["stream"] = (*plan.streams, {"long_name": "number of the random stream"})
    known["initial"] = (dims, plan.points.values, _about("initial weights", "w_0"))
    return known


def _about(long_name: str, latex: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1", "latex": latex}


def _number_about(name: str) -> dict[str, str]:
    latex, long_name = LATEX.get(name, (name, name))
    return _about(long_name, latex)
