"""train: an algorithm on a network, from its initial weights to a Dataset over epochs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn
from tqdm import tqdm

from samdyn.algorithms import Algorithm, Switch
from samdyn.ensembles.store import prepared
from samdyn.networks.checkpoint import Keeper
from samdyn.networks.data.data import Data
from samdyn.networks.fingerprints import definitions, fingerprint
from samdyn.networks.fleet import Fleet, obstacle
from samdyn.networks.history import History
from samdyn.networks.job import Start, checked_job, named
from samdyn.networks.loop import Training
from samdyn.networks.losses import PerSample
from samdyn.networks.members import RESERVED, Member, described, laid_out, members
from samdyn.networks.order import Augment, Order
from samdyn.networks.phases import phases_of
from samdyn.networks.problem import Samples
from samdyn.networks.schedules import Schedule, record_epochs
from samdyn.networks.task import REASONS, Task, beginning
from samdyn.networks.tracking import Measure, checked_measures, tracking
from samdyn.networks.workbench import draws_at_random, own_randomness
from samdyn.numbers import checked_whole

_DELAY = 1.0
"""Seconds before a progress bar appears: short runs show none."""


def train(
    model: nn.Module,
    data: Data | Samples,
    algorithm: Algorithm | Switch,
    *,
    epochs: int,
    batch_size: Any,
    loss: str | PerSample = "cross_entropy",
    seed: int | Sequence[int] = 0,
    track: str | Iterable[str] | Mapping[str, Measure] = (),
    every: int = 1,
    track_samples: int | None = None,
    record: int | Sequence[float] | np.ndarray = 1,
    weights: bool = False,
    start: Start | None = None,
    schedule: Schedule | None = None,
    augment: Augment | None = None,
    drop_last: bool = False,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    chunk: int = 4096,
    amp: bool = False,
    compile: bool = False,
    together: bool | None = None,
) -> xr.Dataset:
    """Train networks: every seed with every value of every hyperparameter.

    The algorithm is the very definition that `samdyn.simulate` runs on toy losses. Each array
    among its hyperparameters, an array of times of a `samdyn.Switch`, an array of batch sizes and a
    list of seeds become dimensions of the result. Runs that share a seed begin at the same weights
    and see the same minibatches in the same order, whatever the algorithm: they are paired.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed. Initial weights are drawn anew from each seed by `initialised`.
    data : Data or Samples
        With a test set, or training samples alone.
    algorithm : Algorithm or Switch
        A `samdyn.Switch` counts steps, or epochs with ``unit="epoch"``; an array of them is a
        dimension called ``switch``; a condition as text speaks
        of train_loss, train_error, test_loss, test_error and epoch, and is looked at whenever an
        epoch ends.
    epochs : int
        At least 0.
    batch_size : int or array
        The last minibatch of an epoch is shorter where it does not divide the samples.
    loss : str or callable, default "cross_entropy"
        As in `Problem`.
    seed : int or sequence of int, default 0
        Of initial weights, the order of the samples, augmentation, dropout and the random starts
        of attacks.
    track : str, sequence of str, or mapping from name to function
        What else is measured, on the training samples in evaluation mode: "top_eigenvalue",
        "trace", "frobenius", "gradient_alignment", "grad_norm", "weight_norm", or functions
        ``measure(problem, w)`` that give a number, a pair (number, error) or an estimate of
        `nets.curvature`; a mapping's values may be those names too. Errors go to
        ``<name>_error``: the residual of an eigenvalue, the standard error of a trace.
    every : int, default 1
        That is measured at each so-many-th record, and at the last.
    track_samples : int, optional
        Measure on so many of the training samples, always the same ones. Default: on all.
    record : number or sequence of numbers, default 1
        Record losses and errors every so many epochs, 0 and the end included, or at exactly these
        epochs; either may be fractions, which are rounded to whole minibatches.
    weights : bool, default False
        Whether the weights are recorded too, as ``w`` (…, epoch, weight).
    start : Module, flat weights, or function from a seed to a Module, optional
        Where training begins, in place of weights drawn from the seed.
    schedule : callable, optional
        A factor of the learning rate as a function of the share of the training that is done,
        from 0 to 1; see `cosine`. ``lambda done: 1.0 if done < 0.5 else 0.1`` steps down at half
        time.
    augment : callable, optional
        ``augment(inputs, generator)`` on each minibatch; the generator is on the CPU.
    drop_last : bool, default False
        Leave the shorter minibatch out.
    checkpoint : path, optional
        A folder in which each network's training is kept, every ten seconds, at its end and when
        it is interrupted. The same call takes up what it finds and ends at the same result, bit for
        bit (with as many threads of torch); more seeds or more values of a number may be asked for,
        and more epochs if there is no schedule. A file of another run is refused, also
        where a function, a module or an algorithm has kept its name but does something else; what
        functions import within their bodies stays out of sight.
    progress : bool, default True
        Show a progress bar on runs longer than a second.
    device, dtype : optional
        Where and in which precision to train. Default: those of the model's weights.
    chunk : int, default 4096
        At most so many samples are in memory at once. The gradient of a larger minibatch is
        accumulated, which changes nothing but rounding.
    amp : bool, default False
        Take gradients by ``torch.autocast`` in bfloat16. What is recorded is in full precision.
    compile : bool, default False
        Take gradients through ``torch.compile``.
    together : bool, optional
        Whether networks take their steps all at once, by ``torch.vmap``; results are the same but
        for rounding. Default: whichever is faster, by a trial of some hundredths of a second on
        their first minibatch; as another trial may end otherwise, say True or False where results
        must be the same to the last bit. What was chosen stands in the attribute ``together``; a
        training that is taken up from a checkpoint keeps to it.

    Returns
    -------
    xarray.Dataset
        Dimensions: the swept numbers, ``seed`` if it is a list, ``epoch``, ``weight``. Variables
        over ``epoch``: ``train_loss``, ``test_loss``, ``train_error`` and ``test_error`` (shares of
        wrong classes), ``learning_rate``, ``phase`` (which acts from there on), ``step``, and what
        is tracked; ``final`` (…, weight) and, if the model has any, ``final_buffers`` (…, buffer):
        see `trained`; ``steps`` taken, ``reason`` (finished, diverged or interrupted), and of a
        `Switch` ``switched`` (…, later_phase), the step at which each phase after the first began,
        or -1. The attributes hold the recipe.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused; one sentence says why and what would be right.

    Warns
    -----
    UserWarning
        If a network's loss or weights are no longer finite: it stops there, ``final`` holds the
        last finite state that was recorded or looked at (as is each epoch's end, of shorter epochs
        one in 32 minibatches), and what would follow is NaN. And after Ctrl-C, with what there is.

    Notes
    -----
    Of the forward passes of a step the first alone, at weights not perturbed, moves the running
    statistics of batch norm. Weight decay is not part of SAM's ascent unless the algorithm says so
    (``decay_in_ascent``). m-SAM is SAM's ``m``: no device or micro-batch changes what is computed.
    One step of `samdyn.Lookahead` is a cycle of k minibatches.

    Modules are all put in training mode by ``model.train()``, whatever mode they were in: to keep
    a batch norm frozen, override ``train``. Models, losses and algorithms must be functions of what
    they are given: what a model keeps besides parameters and buffers is not put back from one
    network to the next. Rounding, where networks with batch norm are trained together, depends on
    how many there are.

    `samdyn.two_phase` finds escape and convergence in the result, `samdyn.plot.training` draws it.

    Examples
    --------
    >>> from samdyn import SAM
    >>> x = torch.linspace(-1, 1, 16, dtype=torch.float64)[:, None]
    >>> net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    >>> sam = SAM(lr=0.1, rho=[0.0, 0.1], momentum=0.9)
    >>> run = train(net, Samples(x, x**2), sam, epochs=20, batch_size=8, loss="mse", seed=[0, 1])
    >>> run.train_loss.dims, run.train_loss.sizes["epoch"]
    (('rho', 'seed', 'epoch'), 21)
    """
    began = time.perf_counter()
    job = checked_job(
        model, data, loss, device, dtype, checked_whole("chunk", chunk, 1), amp, compile
    )
    epochs = checked_whole("epochs", epochs, 0)
    phases = phases_of(algorithm, job.test is not None)
    if schedule is not None and not callable(schedule):
        raise TypeError(
            "schedule must be a function of the share of the training that is done, such as "
            f"nets.cosine, got {schedule!r}"
        )
    if schedule is not None and not all("lr" in one.numbers for one in phases.algorithms):
        raise ValueError("schedule multiplies lr, which one of the algorithms does not have")
    axes = laid_out(phases, batch_size, seed)
    several = members(axes, phases, seed)
    at = record_epochs(record, epochs)
    spaced = checked_whole("every", every, 1)
    measures = checked_measures(track, RESERVED.union(axes.dims))
    watch = tracking(measures, job.problem, track_samples)
    masks = draws_at_random(job.bench)

    def task(member: Member) -> Task:
        sizes = member.batch_size, member.seed
        order = Order(job.problem.samples, *sizes, drop_last, augment, masks)
        job.check_batches(order, phases.algorithms)
        places = tuple(round(epoch * order.per_epoch) for epoch in at)
        measured = places[::spaced] + places[-1:] if measures else ()
        return Task(
            bench=job.bench,
            train=job.problem,
            test=job.test,
            tracking=watch,
            tracked=frozenset(measured),
            phases=member.phases,
            numbers=member.numbers,
            order=order,
            places=places,
            last=epochs * order.per_epoch,
            schedule=schedule,
            keep=weights,
        )

    tasks = [task(member) for member in several]
    common = {
        **job.recipe,
        "augment": named(augment),
        "drop_last": drop_last,
        "record": record if isinstance(record, int) else list(at),
        "track": {name: named(one) for name, one in measures.items()},
        "every": spaced if measures else 1,
        "track_samples": track_samples,
        "weights": weights,
        "schedule": named(schedule),
        "amp": amp,
        "compile": compile,
    }
    guard = common | ({} if schedule is None else {"epochs": epochs})
    folder = prepared(checkpoint)
    if folder is not None:
        tracked = {f"measure {name}": one for name, one in measures.items()}
        functions = {"loss": job.problem.loss, "augment": augment, "schedule": schedule, **tracked}
        guard["code"] = definitions(model, phases.algorithms, functions)
    history = History(axes, at)
    total = sum(one.last for one in tasks)
    bar = tqdm(total=total, unit=" batches", disable=not progress, delay=_DELAY, leave=False)
    trainings, keepers = [], []
    for member, one in zip(several, tasks, strict=True):
        w, buffers = job.start(start, member.seed)
        mine = {**guard, **member.recipe, "start": fingerprint(w, *buffers.values())}
        keeper = None if folder is None else Keeper(folder / f"{member.label}.pt", mine)
        found = None if keeper is None else keeper.found(w.device)
        trainings.append(Training(one, found or beginning(one, w, buffers)))
        keepers.append(keeper)
    fleet = Fleet(trainings, keepers, together, obstacle(tasks[0], masks, amp, compile))
    with bar, own_randomness(masks, job.bench):
        for place in fleet.run(bar):
            history.put(place, tasks[place], trainings[place].now)
    _warn(history, several)
    return history.dataset(
        {
            "title": f"{type(model).__name__} on {job.name}",
            "algorithm": repr(algorithm),
            "recipe": {
                **common,
                "epochs": epochs,
                "batch_size": np.asarray(batch_size).tolist(),
                "seed": np.asarray(seed).tolist(),
                "algorithm": described(algorithm),
            },
            "together": fleet.choices,
            "seconds": time.perf_counter() - began,
        }
    )


def _warn(history: History, several: list[Member]) -> None:
    reasons = {k: REASONS[end.reason] for k, (_, end) in history.ends.items()}
    for k, (task, end) in sorted(history.ends.items()):
        if reasons[k] == "diverged":
            epoch = end.batches / task.order.per_epoch
            warnings.warn(
                f"training diverged{_which(several, k)}: loss or weights were not finite after "
                f"epoch {epoch:g}, whose weights are kept; lower lr or rho, if the samples are "
                "finite",
                stacklevel=3,
            )
    if "interrupted" in reasons.values():
        ended = sum(reason != "interrupted" for reason in reasons.values())
        warnings.warn(
            f"interrupted: {ended} of {len(several)} networks finished; the others have "
            "reason 'interrupted'",
            stacklevel=3,
        )


def _which(several: list[Member], place: int) -> str:
    return f" ({several[place].label})" if len(several) > 1 else ""
