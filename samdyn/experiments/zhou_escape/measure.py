"""A hundred runs and more leave the end point of SGD."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.algorithms import GD, SAM, USAM
from samdyn.analysis.late.phases import two_phase
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Runs, finished
from samdyn.experiments.zhou_escape.setting import (
    BATCH,
    LAST,
    LOW,
    LR,
    NORMALIZED,
    PAPER,
    RHO,
    RUNS,
    SHOWN,
    START,
    STEPS,
    loss_of_eight,
)
from samdyn.systems.map import Map


def compute() -> Runs:
    """One run of SGD, and from its end point 1,000 of SGD and of SAM, each with its batches."""
    loss = loss_of_eight()
    sgd = finished(simulate(Map(loss, GD(lr=LR), batch_size=BATCH), START, LAST, record=1, seed=2))
    step = int(np.argmax(sgd.loss.values < LOW))
    start = sgd.w.values[step]
    ensemble, record = np.tile(start, (RUNS, 1)), np.arange(LAST + 1)
    runs: Runs = {"sgd": sgd.isel(time=slice(0, step + 1))}
    for seed, (name, algorithm) in enumerate(
        {
            "usam": USAM(lr=LR, rho=np.array([0.0, RHO])),
            "sam": SAM(lr=LR, rho=NORMALIZED),
        }.items(),
        start=3,
    ):
        system = Map(loss, algorithm, batch_size=BATCH)
        runs[name] = finished(simulate(system, ensemble, STEPS, record=record, seed=seed))
        runs[f"{name}_mean"] = two_phase(runs[name], over="particle")
    few = runs["usam"].sel(rho=RHO).isel(particle=slice(0, SHOWN))
    runs["usam_each"] = two_phase(few)
    paper = xr.DataArray(PAPER, dims="time", coords={"time": np.arange(len(PAPER))})
    runs["paper"] = two_phase(paper).assign(loss=paper)
    return runs
