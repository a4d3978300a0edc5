"""Trainings from near the saddle, and what became of each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.algorithms import SAM
from samdyn.experiments.networks.kim_network.setting import (
    BATCH_RHO,
    BATCH_STEPS,
    BATCHES,
    BLOWN,
    KINDS,
    LEFT,
    LR,
    MOMENTUM,
    MORE_SEEDS,
    RHOS,
    SAMPLES,
    SCALE,
    SEEDS,
    SGD_STEPS,
    TRACED,
)


def escapes(network: Any, data: Any) -> dict[str, xr.Dataset]:
    """Full-batch runs of every kind over rho, and minibatches of every size.

    Returns
    -------
    dict
        "full" (kind, rho, seed), "batches" (batch, rho, seed): see `_outcome`, NaN where a seed
        was not run; "traces" (kind, rho, seed, step): the loss as a share of the initial one.
    """
    full, traces = [], []
    for kind in KINDS.values():
        parts = [
            _trained(network, data, SAM(lr=kind.lr, rho=RHOS[some], momentum=kind.momentum), steps)
            for some, steps in kind.groups
        ]
        full.append(xr.concat([_outcome(one) for one in parts], "rho"))
        if kind.lr == LR:
            rows = [_share(one).sel(step=slice(0, TRACED)) for one in parts]
            joined = xr.concat(rows, "rho", join="outer")
            traces.append(joined.rename("share").to_dataset())
    names = list(KINDS)
    whole = full[names.index("momentum")].sel(rho=[0.0, BATCH_RHO])
    batches = [whole.reindex(seed=list(MORE_SEEDS))]
    for size, steps in BATCH_STEPS.items():
        pair = []
        for rho, watched in ((0.0, SGD_STEPS), (BATCH_RHO, steps)):
            algorithm = SAM(lr=LR, rho=np.array([rho]), momentum=MOMENTUM)
            pair.append(_outcome(_trained(network, data, algorithm, watched, size, MORE_SEEDS)))
        batches.append(xr.concat(pair, "rho"))
    return {
        "full": xr.concat(full, xr.Variable("kind", names)),
        "batches": xr.concat(batches, xr.Variable("batch", list(BATCHES))),
        "traces": xr.concat(traces, xr.Variable("kind", [n for n in names if KINDS[n].lr == LR])),
    }


def _trained(
    network: Any,
    data: Any,
    algorithm: SAM,
    steps: int,
    batch: int = SAMPLES,
    seeds: Sequence[int] = SEEDS,
) -> xr.Dataset:
    """The run of `train`, with the steps of its records as the coordinate ``at``."""
    from samdyn.networks import models, train

    per_epoch = SAMPLES // batch
    at = np.arange(0, steps + 1, 5 if steps <= TRACED else 10)
    with warnings.catch_warnings():
        # that some networks diverge is among the results
        warnings.filterwarnings("ignore", "training diverged", UserWarning)
        run = train(
            network,
            data,
            algorithm,
            epochs=-(-steps // per_epoch),
            batch_size=batch,
            loss="mse",
            seed=list(seeds),
            start=lambda seed: models.initialised(network, seed, scale=SCALE),
            track=("weight_norm", "grad_norm"),
            every=steps,  # at the first and the last
            record=at / per_epoch,
            together=True,
            progress=False,
        )
    return run.assign_coords(at=("epoch", at))


def _share(run: xr.Dataset) -> xr.DataArray:
    """The loss as a share of the initial one, by step."""
    share = run.train_loss / run.train_loss.isel(epoch=0, drop=True)
    return share.swap_dims(epoch="at").drop_vars("epoch").rename(at="step")


def _outcome(run: xr.Dataset) -> xr.Dataset:
    """What became of each network.

    Returns
    -------
    Dataset
        ``left`` (rho, seed): the step from which on the loss is below, NaN if there is none;
        ``blown``: 1 if the loss ends too high, or nowhere; ``watched``: for how many steps;
        ``weights``, ``slope``, ``loss``: at the end, NaN where nothing is finite;
        ``start_weights``, ``start_slope``.
    """
    share = _share(run)
    below = (share < LEFT).values
    lasts = np.flip(np.logical_and.accumulate(np.flip(below, -1), axis=-1), -1)
    left = np.where(lasts.any(-1), share.step.values[lasts.argmax(-1)], np.nan)
    end = share.isel(step=-1, drop=True)
    dims = ("rho", "seed")
    return xr.Dataset(
        {
            "left": (dims, left),
            "blown": (~(end <= BLOWN)).astype(float),
            "watched": np.minimum(run.steps, share.step.values[-1]),
            "weights": run.weight_norm.isel(epoch=-1, drop=True),
            "start_weights": run.weight_norm.isel(epoch=0, drop=True),
            "start_slope": run.grad_norm.isel(epoch=0, drop=True),
            "slope": run.grad_norm.isel(epoch=-1, drop=True),
            "loss": end,
        }
    ).drop_attrs()
