"""The runs of the experiment on a matrix factorisation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from samdyn.algorithms import SAM, USAM
from samdyn.analysis.escape.survival import EscapeTimes
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.kim_factorization.setting import (
    AT_SADDLE,
    BATCHES,
    LEFT,
    LINEAR_RHOS,
    LINEAR_SCALE,
    LINEAR_STEPS,
    LR,
    MOMENTA,
    RANK,
    RHOS,
    SAMPLES,
    SCALE,
    SEEDS,
    SINGULAR,
    SIZE,
    STEPS,
    USAM_RHOS,
    USAM_STEPS,
)
from samdyn.experiments.networks.threads import one_thread


def compute() -> Runs:
    """Train from beside the saddle, by SAM with what may free it, and by un-normalised SAM."""
    momenta = np.array(MOMENTA)
    with one_thread(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged", UserWarning)
        sam = SAM(lr=LR, rho=np.array(RHOS), momentum=momenta)
        sizes = [
            _train(sam, size, STEPS, {"gradient": "grad_norm"}, often=False) for size in BATCHES
        ]
        usam = USAM(lr=LR, rho=np.array(USAM_RHOS))
        return {
            "sam": xr.concat(sizes, xr.DataArray(list(BATCHES), dims="batch_size")),
            "usam": _train(usam, SAMPLES, USAM_STEPS, _directions(_learned, double=False)),
            "linear": _train(
                USAM(lr=LR, rho=np.array(LINEAR_RHOS), momentum=momenta),
                SAMPLES,
                LINEAR_STEPS,
                _directions(_size_along, double=True),
                double=True,
            ),
        }


def _data(double: bool) -> Any:
    import torch

    from samdyn.networks import data

    dtype = torch.float64 if double else torch.float32
    return data.matrix_factorization(SIZE, SIZE, rank=RANK, samples=SAMPLES, dtype=dtype)


def _train(
    algorithm: SAM,
    size: int,
    steps: int,
    track: dict[str, Any],
    double: bool = False,
    often: bool = True,
) -> xr.Dataset:
    """So many steps by minibatches of a size, recorded by steps; or measured first and last."""
    from samdyn import networks as nets

    scale = LINEAR_SCALE if double else SCALE
    model = nets.models.matrix_factorization(SIZE, SIZE, SIZE, scale=scale)
    each = SAMPLES // size
    record = np.unique(np.r_[0, np.geomspace(5, steps, 48).round(), steps])
    run = nets.train(
        model.double() if double else model,
        _data(double).train,
        algorithm,
        epochs=steps // each,
        batch_size=size,
        loss="mse",
        seed=range(SEEDS),
        track=track,
        every=1 if often else len(record),
        record=[float(step) / each for step in record],
        together=True,
    )
    kept = run[["train_loss", "reason", *track]].assign_coords(step=("epoch", record.astype(int)))
    return kept.swap_dims(epoch="step").drop_vars("epoch")


def _directions(
    measure: Callable[[Any, Any, Any], Any], double: bool
) -> dict[str, Callable[[Any, Any], float]]:
    """A measure (U, V; its singular vectors) of each singular direction of M, by name."""
    import torch

    samples = _data(double).train
    left, _, right = torch.linalg.svd(samples.targets.T @ samples.inputs)

    def along(j: int) -> Callable[[Any, Any], float]:
        def measured(problem: Any, w: Any) -> float:
            parts = problem.parts(w)
            return float(measure(parts["left"].T @ left[:, j], parts["right"].T @ right[j], j))

        return measured

    return {f"direction_{j + 1}": along(j) for j in range(RANK)}


def _size_along(a: Any, b: Any, j: int) -> Any:
    """The length of the weights' part in the ten directions of eigenvalue -2 s."""
    return ((a + b) / 2**0.5).norm()


def _learned(a: Any, b: Any, j: int) -> Any:
    """The share of the singular value that the product has."""
    return a @ b / SINGULAR[j]


# --- what is read off the runs -------------------------------------------------------------


def ends_of(runs: Runs) -> xr.Dataset:
    """Whether SAM's runs ``left`` the saddle, ``diverged``, or are ``stuck``; and their ``time``.

    Who diverges has not left; time is that of the first record of it, or the last if none.
    """
    run = runs["sam"]
    below = run.train_loss < LEFT * AT_SADDLE
    diverged = ~np.isfinite(run.train_loss.isel(step=-1))
    left = below.any("step") & ~diverged
    first = first_step(below)
    seen = run.train_loss.notnull().sum("step")
    last = xr.apply_ufunc(lambda k: run.step.values[k - 1], seen)
    stuck = ~left & ~diverged
    return xr.Dataset(
        {"left": left, "diverged": diverged, "stuck": stuck, "time": first.where(left, last)}
    )


def times_of(ends: xr.Dataset) -> EscapeTimes:
    """The times of a few runs; censored where they did not leave."""
    return EscapeTimes(ends.time.values, ends.left.values, discrete=True)


def usam_times(runs: Runs) -> xr.DataArray:
    """When un-normalised SAM leaves, by rho and seed; NaN if it does not."""
    return first_step(runs["usam"].train_loss < LEFT * AT_SADDLE)


def first_step(holds: xr.DataArray) -> xr.DataArray:
    """The first step of a record in which something holds; NaN if none."""
    steps = holds.step.values
    first = xr.apply_ufunc(lambda b: steps[b.argmax(-1)], holds, input_core_dims=[["step"]])
    return first.where(holds.any("step"))


def learned(runs: Runs) -> xr.DataArray:
    """Of each singular value the share that un-normalised SAM has learned."""
    parts = [runs["usam"][f"direction_{j + 1}"] for j in range(RANK)]
    return xr.concat(parts, "direction")


def measured_rates(runs: Runs) -> xr.DataArray:
    """The mean growth a step along the directions of each singular value."""
    run = runs["linear"]
    size = xr.concat([run[f"direction_{j + 1}"] for j in range(RANK)], "direction")
    grown = size.isel(step=-1) / size.isel(step=0)
    return xr.apply_ufunc(np.log, grown) / LINEAR_STEPS
