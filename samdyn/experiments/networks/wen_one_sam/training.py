"""GD and SAM in three ways from interpolating weights, and the limiting flows from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from samdyn import networks as nets
from samdyn.algorithms import GD, SAM
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.wen_one_sam.interpolators import (
    gradients,
    limiting_flows,
    projected,
    spectrum,
)
from samdyn.experiments.networks.wen_one_sam.setting import (
    AVERAGED,
    EVERY,
    GD_STEPS,
    HIDDEN,
    INPUTS,
    KINDS,
    LR,
    LRS,
    RHO,
    RHOS,
    SAMPLES,
    SEEDS,
    SETTLED,
    SETTLING,
    STEPS,
    TEACHER,
    Kind,
)


class _Task(NamedTuple):
    """A student, and what a teacher says to a few inputs."""

    model: torch.nn.Module
    data: nets.Samples

    @property
    def problem(self) -> nets.Problem:
        """The loss."""
        return nets.Problem(self.model, self.data, "mse")


def _task() -> _Task:
    with torch.random.fork_rng(devices=[]):  # making a module draws from torch's own state
        model = nets.models.mlp(INPUTS, HIDDEN, 1, activation="tanh").double()
    data = nets.data.teacher_student(
        INPUTS, TEACHER, SAMPLES, test=1, activation="tanh", dtype=torch.float64
    )
    return _Task(model, data.train)


def computed() -> Runs:
    """By name: the flows, GD, each kind of SAM, and each where its gradient has settled."""
    task = _task()
    fitted = _train(task, GD(lr=0.05, momentum=0.9), 300, [300], None)
    start = projected(task.problem, torch.from_numpy(fitted.final.values))
    steps = EVERY * np.arange(STEPS // EVERY + 1)
    tau = LR * RHO**2 * steps
    lrs = (0.0, *LRS, 0.0)
    single = [False] * (len(lrs) - 1) + [True]
    top, *factored, trace = limiting_flows(task.problem, start, list(tau), single, lrs)
    flows = {"top": (top, factored), "trace": (trace, [])}
    runs = {f"flow_{name}": _along(task, limit, tau) for name, (limit, _) in flows.items()}
    runs["flow_factored"] = _along(task, factored[-1], tau)
    still = steps[: GD_STEPS // EVERY + 1]
    gd = _train(task, GD(lr=LR), GD_STEPS, still, fitted)
    runs["gd"] = _along(task, _weights(gd), tau[: len(still)])
    ended = {}
    for name, kind in KINDS.items():
        run = _sam(task, kind, list(LRS), RHO, STEPS, steps, fitted)
        limit, factored = flows[kind.flow]
        found = []
        for k, lr in enumerate(LRS):
            w = _weights(run.sel(lr=lr))[:, :: round(LR / lr)]  # at the same slow times
            paths = {"limit": limit} | ({"factored": factored[k]} if factored else {})
            found.append(_along(task, w, tau[: w.shape[1]], paths).expand_dims(lr=[lr]))
        runs[name] = xr.concat(found, "lr", join="outer")
        ended[name] = run.sel(lr=LR)
    for name in SETTLED:
        runs[f"{name}_settled"] = _settled(task, KINDS[name], ended[name])
    return runs


def _train(
    task: _Task,
    algorithm: Any,
    steps: int,
    record: Any,
    before: xr.Dataset | None,
    batch_size: int = SAMPLES,
) -> xr.Dataset:
    """All seeds at once, from where they were before, recorded at some steps."""
    per_epoch = SAMPLES // batch_size

    return nets.train(
        task.model,
        task.data,
        algorithm,
        epochs=steps // per_epoch,
        batch_size=batch_size,
        loss="mse",
        seed=list(range(SEEDS)),
        record=list(np.asarray(record) / per_epoch),
        weights=True,
        start=None if before is None else _from(task, before),
        progress=False,
        together=True,
    )


def _from(task: _Task, before: xr.Dataset) -> Callable[[int], torch.nn.Module]:
    return lambda seed: nets.trained(task.model, before.sel(seed=seed))


def _sam(
    task: _Task, kind: Kind, lr: Any, rho: Any, steps: int, record: Any, before: xr.Dataset
) -> xr.Dataset:
    return _train(task, SAM(lr=lr, rho=rho, m=kind.m), steps, record, before, kind.batch_size)


def _weights(run: xr.Dataset) -> Tensor:
    """The weights of all seeds at all records, (seeds, records, d)."""
    return torch.from_numpy(run.w.transpose("seed", "epoch", "weight").values)


def _along(
    task: _Task, w: Tensor, times: np.ndarray, paths: dict[str, Tensor] | None = None
) -> xr.Dataset:
    """What the loss is like on the manifold beside networks, and how far they are from flows.

    Parameters
    ----------
    w : Tensor, shape (seeds, times, d)
    times : array
    paths : dict, optional
        Weights to which the distance is measured at the same times.
    """
    base = projected(task.problem, w)
    values, _ = spectrum(task.problem, base)
    found = {
        "top": values[..., -1],
        "second": values[..., -2],
        "trace": values.sum(-1),
        "drift": (base - base[:, :1]).norm(dim=-1),
    }
    for name, path in (paths or {}).items():
        found[name] = (base - path[:, : len(times)]).norm(dim=-1)
    return xr.Dataset(
        {name: (("seed", "time"), one.numpy()) for name, one in found.items()},
        coords={"seed": np.arange(len(w)), "time": times},
    )


def _settled(task: _Task, kind: Kind, ended: xr.Dataset) -> xr.Dataset:
    """Gradient and loss for several rho, a while on from where runs ended; means of steps."""
    last = np.arange(SETTLING - AVERAGED + 1, SETTLING + 1)
    run = _sam(task, kind, LR, list(RHOS), SETTLING, last, ended)
    w = torch.from_numpy(run.w.transpose("rho", "seed", "epoch", "weight").values)
    base = projected(task.problem, w)
    values, tops = spectrum(task.problem, base)
    g = gradients(task.problem, w)
    cosine = (g * tops).sum(-1).abs() / g.norm(dim=-1)
    found = {
        "angle": cosine.clamp(max=1.0).acos(),
        "top": values[..., -1],
        "loss": torch.from_numpy(run.train_loss.transpose("rho", "seed", "epoch").values),
    }
    return xr.Dataset(
        {name: (("rho", "seed"), one.mean(-1).numpy()) for name, one in found.items()},
        coords={"rho": list(RHOS), "seed": np.arange(SEEDS)},
    )
