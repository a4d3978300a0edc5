"""What is trained: SGD and SAM one after the other, each for so many epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from samdyn.algorithms import GD, SAM, Switch
from samdyn.experiments.base import Runs
from samdyn.experiments.networks.seeds import Interval, gap_closed
from samdyn.experiments.networks.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from samdyn.networks import Problem

EPOCHS, _SEEDS = 100, range(5)
_LAST, _FIRST = (1, 2, 5, 10, 20, 50, 90), (10, 50, 90, 95, 99)
"""Of a hundred epochs, those that SAM trains last, and those that it trains first."""
PLANS = [
    ("SGD", 0),
    *(("last", share) for share in _LAST),
    *(("first", share) for share in _FIRST),
    ("SAM", EPOCHS),
]


class Setting(NamedTuple):
    """What is trained, and how."""

    loss: str
    activation: str
    label_noise: float
    batch_size: int
    lr: float
    weight_decay: float
    rho: float
    decays: bool


_MSE = Setting("mse", "relu", 0.0, 32, 0.03, 5e-4, 0.2, decays=False)
SETTINGS = {
    "mse": _MSE,
    "decayed": _MSE._replace(decays=True),
    "noise": Setting("cross_entropy", "tanh", 0.1, 50, 0.1, 0.0, 1.0, decays=False),
}


def compute() -> Runs:
    """Every plan and seed of each setting; errors and curvature where the training ends."""
    with one_thread():
        return {name: _trained(setting) for name, setting in SETTINGS.items()}


def switching(setting: Setting, plans: list[tuple[str, int]], epochs: int) -> Switch:
    """SGD, from some epoch on SAM, from some epoch on SGD again: one sweep for both orders."""
    lr, decay = setting.lr, setting.weight_decay
    sgd = GD(lr=lr, momentum=0.9, weight_decay=decay)
    sam = SAM(lr=lr, rho=setting.rho, momentum=0.9, weight_decay=decay)
    on = [epochs - share if order in ("SGD", "last") else 0 for order, share in plans]
    off = [share if order == "first" else epochs for order, share in plans]
    begins = xr.DataArray(on, dims="plan"), xr.DataArray(off, dims="plan")
    return Switch([(0, sgd), (begins[0], sam), (begins[1], sgd)], unit="epoch")


def _trained(setting: Setting) -> xr.Dataset:
    from samdyn import networks as nets

    run = nets.train(
        nets.models.mlp(64, 64, 10, activation=setting.activation),
        nets.data.digits(label_noise=setting.label_noise),
        switching(setting, PLANS, EPOCHS),
        epochs=EPOCHS,
        batch_size=setting.batch_size,
        loss=setting.loss,
        seed=list(_SEEDS),
        schedule=_tenth_from_half if setting.decays else None,
        record=[EPOCHS],
        track={"top_eigenvalue": "top_eigenvalue", "trace": _trace},
        together=True,
        chunk=8192,  # room for a minibatch of each network at once
    )
    orders, shares = zip(*PLANS, strict=True)
    run = run.drop_vars("final").isel(epoch=0, drop=True)
    return run.assign_coords(order=("plan", list(orders)), share=("plan", list(shares)))


def _tenth_from_half(share: float) -> float:
    """The factor of a learning rate that is divided by 10 at half time."""
    return 1.0 if share < 0.5 else 0.1


def _trace(problem: Problem, w: Tensor) -> tuple[float, float]:
    """By Hutch++, which takes for these networks half the products that plain probes do."""
    from samdyn.networks import curvature

    found = curvature.trace(problem, w, probes=20, sketch=10)
    return found.value, found.standard_error


def plan(run: xr.Dataset, order: str, share: int) -> xr.Dataset:
    """All seeds of one plan."""
    return run.isel(plan=PLANS.index((order, share)))


def along(run: xr.Dataset, order: str) -> xr.Dataset:
    """The plans of one order, from SGD alone to SAM alone."""
    return run.isel(plan=np.flatnonzero(run.order.isin(["SGD", order, "SAM"])))


def closed(run: xr.Dataset, plans: xr.Dataset, name: str) -> Interval:
    """The share of the gap between SGD and SAM that plans close."""
    return gap_closed(plans[name], run[name].isel(plan=0), run[name].isel(plan=-1))
