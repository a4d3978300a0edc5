"""The runs of the experiment on a network of one neuron, and what is read off them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from samdyn.algorithms import SAM, USAM
from samdyn.analysis.fixed.threshold import stability_threshold
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Runs, finished
from samdyn.experiments.kim_toy_network.setting import (
    BATCHES,
    DRAWN_BATCHES,
    DRAWN_RUNS,
    DRAWS,
    FREED,
    GROWING,
    HEIGHT,
    LONG,
    LONG_RHOS,
    LR,
    MOMENTA,
    RHOS,
    RUNS,
    SAMPLES,
    SLOPES,
    STEPS,
    TINY,
    Network,
    network,
)
from samdyn.systems.map import Map


def compute() -> Runs:
    """Where runs from beside the line of saddles end, and how they grow there or drift along it."""
    net = network()
    loss = net.loss
    rng = np.random.default_rng(1)
    start = np.c_[0.1 * rng.standard_normal(RUNS), rng.uniform(0.3, 0.7, RUNS)]
    sam = SAM(lr=LR, rho=RHOS, momentum=MOMENTA)
    few = Map(loss, sam, batch_size=BATCHES[:-1], sampling="subset")
    runs: Runs = {
        "samples": xr.Dataset({"x": ("sample", net.x), "y": ("sample", net.y)}),
        "minibatch": finished(simulate(few, start, STEPS)),
        "full": finished(simulate(Map(loss, sam), start, STEPS)),
    }
    line = Map(loss, SAM(lr=LR, rho=LONG_RHOS, momentum=0.0))
    runs["long"] = finished(simulate(line, start[:50], LONG))
    path = Map(loss, SAM(lr=LR, rho=np.array([0.0, 0.1, 0.2, 0.4]), momentum=0.0))
    runs["paths"] = finished(simulate(path, [0.08, HEIGHT], STEPS, record=5))
    # with the weights so small the line's linear part alone is at work
    usam = USAM(lr=LR, rho=SLOPES)
    near = np.tile([TINY, HEIGHT], (RUNS, 1))
    grown = Map(loss, usam, batch_size=BATCHES, sampling="subset")
    runs["growth"] = finished(simulate(grown, near, GROWING))
    found = stability_threshold(Map(loss, usam.replace(rho=0.1)), [0, HEIGHT], "rho", (0.0, 1.0))
    runs["growth"]["threshold"] = found.value
    runs["draws"] = _other_draws(start[:DRAWN_RUNS])
    for name in ("minibatch", "full"):
        runs[name] = runs[name].drop_vars(["final_loss", "which"])
    return runs


def _other_draws(start: np.ndarray) -> xr.Dataset:
    """How many runs on other samples are lost, stuck or diverged."""
    counts = []
    for seed in range(1, DRAWS + 1):
        net = network(seed)
        sam = SAM(lr=LR * network().c / net.c, rho=FREED, momentum=MOMENTA)
        system = Map(net.loss, sam, batch_size=DRAWN_BATCHES, sampling="subset")
        ends = outcome(net, finished(simulate(system, start, STEPS, seed=seed)).final)
        counts.append((ends.stuck | ends.away).sum("particle"))
    draws = xr.DataArray(np.arange(1, DRAWS + 1), dims="draw", name="draw")
    return xr.concat(counts, draws, coords="minimal", compat="override").to_dataset(name="lost")


def network_of(runs: Runs) -> Network:
    """The network that was run."""
    return Network(runs["samples"].x.values, runs["samples"].y.values)


def ends_of(runs: Runs) -> xr.Dataset:
    """Where all runs end, as `outcome` has it."""
    net = network_of(runs)
    full = runs["full"].final.expand_dims(batch_size=[SAMPLES])
    few = runs["minibatch"].final.drop_vars("stream")
    final = xr.concat([few, full], "batch_size", coords="minimal", compat="override", join="exact")
    return outcome(net, final)


def outcome(net: Network, final: xr.DataArray) -> xr.Dataset:
    """Of weights at the end: ``stuck``, ``away`` and the loss, on the line where away."""
    p = final.sel(coord="w2") * final.sel(coord="w1") ** 2
    away = ~(net.loss_at(p) < 1.1 * net.on_line)
    loss = np.minimum(net.loss_at(p.where(~away, 0.0)), net.on_line)
    stuck = ~away & (loss > (net.on_line + net.least) / 2)
    return xr.Dataset({"stuck": stuck, "away": away, "loss": loss})


class Share(NamedTuple):
    """A share of runs with Wilson's 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}, {self.high:.2f})"


def share(marks: xr.DataArray) -> Share:
    """The share of runs for which something holds."""
    from scipy.stats import binomtest

    test = binomtest(int(marks.sum()), marks.size)
    interval = test.proportion_ci(method="wilson")
    return Share(float(test.statistic), float(interval.low), float(interval.high))


def measured_growth(runs: Runs) -> tuple[xr.DataArray, xr.DataArray]:
    """The rate at which abs(w1) was seen to grow, and its standard error."""
    w1 = runs["growth"].final.sel(coord="w1")
    rates = np.log(np.abs(w1) / TINY) / GROWING
    return rates.mean("particle"), rates.std("particle", ddof=1) / np.sqrt(RUNS)
