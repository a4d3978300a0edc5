"""Networks on digits leave the minimum that they are at, and what lies between the ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from samdyn.algorithms import GD, SAM, USAM
from samdyn.analysis.late.phases import two_phase
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.threads import one_thread
from samdyn.experiments.networks.zhou_network_escape.setting import (
    ASIDE,
    BATCH,
    DECAY,
    EPOCHS,
    ESCAPE,
    FITTED,
    LATER,
    LR,
    MOMENTUM,
    NARROW,
    NEAR_BATCH,
    NEAR_EPOCHS,
    NEAR_LR,
    NEAR_NORMALIZED,
    NEAR_RHOS,
    NEAR_RUNS,
    NEAR_STEPS,
    PER_EPOCH,
    PUSH,
    REST,
    RHO,
    SEEDS,
    SHARES,
    WIDE,
    WIDTH,
    critical_rho,
)

if TYPE_CHECKING:
    from torch import Tensor

    from samdyn.networks import Problem


def compute() -> Runs:
    """The exact rate, many runs from one checkpoint, and the switch in usual training."""
    with one_thread():
        return {**_exact(), **_near(), **_usual()}


def _exact() -> Runs:
    """SAM from beside weights that fit 100 digits to rounding."""
    import torch

    from samdyn import networks as nets

    digits = nets.data.digits(dtype=torch.float64).train.take(slice(0, FITTED))
    net = nets.models.mlp(64, NARROW, 10, activation="tanh").double()
    problem = nets.Problem(nets.models.initialised(net, 0), digits, "mse")
    w = nets.interpolating(problem)
    pairs = nets.curvature.eigenpairs(problem, w, k=2, tol=1e-9)
    top, v = float(pairs.values[0]), pairs.vectors[0]
    lr = PUSH / top
    rho = SHARES * critical_rho(top, lr)
    known = {"lr": lr, "top": top, "second": float(pairs.values[1]),
             "fitted": float(problem.value(w))}  # fmt: skip

    def run(rho: np.ndarray, epochs: int, **options: Any) -> xr.Dataset:
        return nets.train(
            net, problem.samples, USAM(lr=lr, rho=rho), epochs=epochs, batch_size=FITTED,
            loss="mse", start=w + ASIDE * v, together=False, progress=False, **options,
        )  # fmt: skip

    early = run(rho, ESCAPE, weights=True)
    aside = (early.w - w.numpy()) @ xr.DataArray(v.numpy(), dims="weight")
    shown = np.unique(np.geomspace(10, REST, 24).round())
    late = run(rho[SHARES > 1], REST, record=[0, *shown], track="top_eigenvalue")
    curvature = late.top_eigenvalue.rename(epoch="step")
    return {
        "oracle": _known({"loss": _by_step(early), "aside": aside.rename(epoch="step")}, known),
        "oracle_late": _known({"loss": _by_step(late), "top_eigenvalue": curvature}, known),
    }


def _near() -> Runs:
    """Many runs, each with its own minibatches, from one end point of SGD."""
    import torch

    from samdyn import networks as nets

    digits = nets.data.digits().train.take(slice(0, FITTED))
    net = nets.models.mlp(64, WIDE, 10)
    common: dict[str, Any] = {"batch_size": NEAR_BATCH, "loss": "mse", "progress": False}
    sgd = nets.train(
        net, digits, GD(lr=NEAR_LR), epochs=NEAR_EPOCHS, record=NEAR_EPOCHS, together=False,
        **common,
    )  # fmt: skip
    per_epoch = FITTED // NEAR_BATCH
    at = nets.trained(net, sgd)
    problem = nets.Problem(at, digits, "mse")
    runs: Runs = {}
    for name, algorithm in (
        ("near_usam", USAM(lr=NEAR_LR, rho=NEAR_RHOS)),
        ("near_sam", SAM(lr=NEAR_LR, rho=NEAR_NORMALIZED)),
    ):
        run = nets.train(
            net, digits, algorithm, epochs=NEAR_STEPS // per_epoch, start=at,
            record=np.arange(NEAR_STEPS + 1) / per_epoch, seed=range(NEAR_RUNS), together=True,
            **common,
        )  # fmt: skip
        loss = _by_step(run)
        runs[name] = _known(
            {"loss": loss, "top_eigenvalue": _tops(problem, run.final)},
            {"lr": NEAR_LR, "top": _top(problem, problem.start())},
        )
        runs[f"{name}_phases"] = _phases(loss)
        if name == "near_usam":
            some = run.final.isel(rho=-1, seed=slice(0, SEEDS))
            starts = problem.start().expand(SEEDS, -1)
            test = problem.on(nets.data.digits().test)
            runs["near_lines"] = _between(problem, test, starts, torch.tensor(some.values))
    return runs


def _usual() -> Runs:
    """SGD, and then SAM or SGD with the same minibatches; and lines between where they end."""
    from samdyn import networks as nets

    digits = nets.data.digits()
    net = nets.models.mlp(64, WIDTH, 10)
    common: dict[str, Any] = {
        "batch_size": BATCH, "loss": "mse", "seed": range(SEEDS), "together": True,
        "progress": False,
    }  # fmt: skip
    numbers: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY}
    sgd = nets.train(net, digits.train, GD(**numbers), epochs=EPOCHS, record=EPOCHS, **common)
    steps = [*range(0, 2 * PER_EPOCH, 2), *range(2 * PER_EPOCH, LATER * PER_EPOCH + 1, 20)]
    late = nets.train(
        net, digits.train, SAM(rho=np.array([0.0, RHO]), **numbers), epochs=LATER,
        start=lambda seed: nets.trained(net, sgd.sel(seed=seed)),
        record=np.array(steps) / PER_EPOCH, **common,
    )  # fmt: skip
    problem = nets.Problem(net, digits.train, "mse")
    loss = _by_step(late)
    return {
        "late": xr.Dataset(
            {
                "loss": loss,
                "before": _tops(problem, sgd.final),
                "top_eigenvalue": _tops(problem, late.final),
            }
        ),
        "late_phases": _phases(loss),
        "lines": _lines(problem, problem.on(digits.test), late.final),
    }


def _lines(problem: Problem, test: Problem, final: xr.DataArray) -> xr.Dataset:
    """From the end of SGD to that of SAM after it, and to the end of SGD from another seed."""
    import torch

    sgd, sam = (torch.tensor(final.sel(rho=rho).values) for rho in (0.0, RHO))
    pairs = [_between(problem, test, sgd, ends) for ends in (sam, sgd.roll(-1, 0))]
    return xr.concat(pairs, xr.DataArray(["same", "other"], dims="pair"))


def _between(problem: Problem, test: Problem, a: Tensor, b: Tensor) -> xr.Dataset:
    """The losses on the lines between some weights and others."""
    from samdyn.networks.landscape import interpolate

    found = [interpolate(problem, *ends, test=test) for ends in zip(a, b, strict=True)]
    distance = xr.DataArray([one.distance for one in found], dims="seed")
    return xr.concat(found, "seed", combine_attrs="drop").assign(distance=distance)


def _tops(problem: Problem, final: xr.DataArray) -> xr.DataArray:
    """The largest eigenvalue of the Hessian at each of some weights."""
    import torch

    return xr.apply_ufunc(
        lambda w: _top(problem, torch.tensor(w)),
        final,
        input_core_dims=[["weight"]],
        vectorize=True,
    )


def _top(problem: Problem, w: Tensor) -> float:
    from samdyn.networks.curvature import eigenpairs

    return float(eigenpairs(problem, w, strict=False).values[0])


def _known(variables: dict[str, xr.DataArray], numbers: dict[str, float]) -> xr.Dataset:
    return xr.Dataset(variables).assign_attrs(numbers)


def _by_step(run: xr.Dataset) -> xr.DataArray:
    """The training loss of a result of `train` against the number of steps."""
    step = run.step.values.reshape(-1, run.sizes["epoch"])[0]
    return run.train_loss.rename(epoch="step").assign_coords(step=step)


def _phases(loss: xr.DataArray) -> xr.Dataset:
    """The phases of the mean over seeds; over ``step`` the fitted loss."""
    return two_phase(loss.rename(step="time"), over="seed").rename(time="step")
