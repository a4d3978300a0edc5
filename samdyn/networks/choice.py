"""Whether networks are trained together or one after the other: measured on their own batches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from samdyn.networks.loop import Training
from samdyn.networks.order import Stream
from samdyn.networks.stepping import carried, draws, step
from samdyn.networks.together import Together
from samdyn.networks.vectorised import Batches, Numbers, stacked

FEWEST = 4
"""Networks below which vmap's fixed cost of a step has never been earned."""

WORTHWHILE = 1.0
"""Seconds of work below which a trial costs more than there is to win."""

_FIRST_USE = 3.0
"""Seconds of work more, as long as torch has yet to import what vmap needs, which takes one."""

_LONG = 5.0
"""Seconds of work from which steps are written down for the trial."""

_CLEAR = 1.3
"""How many times as fast one way is for a single trial to be enough."""

_BUDGET = 0.02
"""Seconds for which each way is tried."""


class Choice(NamedTuple):
    """Whether together, and why."""

    together: bool
    reason: str


def refusal(several: Together) -> str | None:
    """What vmap has against a step of these networks, tried on their first batches."""
    trainings = several.trainings  # all, as some may differ in numbers that others share
    for phase in range(len(trainings[0].task.phases.algorithms)):
        try:
            _stepper(several, trainings, phase)()
        except Exception as error:  # functorch and the definitions of users say it in many ways
            said = str(error).strip().partition("\n")[0]
            return f"vmap cannot take a step: {type(error).__name__}: {said}"
    return None


def measured(several: Together, networks: int) -> Choice:
    """The faster way, by the clock.

    Parameters
    ----------
    several : Together
        Some of the networks, as many as would be trained at once.
    networks : int
        How many there are in all.
    """
    trainings = several.trainings
    if networks < FEWEST:
        return Choice(False, f"fewer than {FEWEST} networks")
    if len(trainings) < FEWEST:
        return Choice(False, f"fewer than {FEWEST} of the networks fit in memory at once")
    task, now = trainings[0].task, trainings[0].now
    alone = [_alone(one, now.phase) for one in trainings[:FEWEST]]

    def each() -> None:
        for one in alone:
            one()

    each()
    share = len(trainings) / len(alone)
    seconds = share * _seconds(each, _BUDGET / 2)
    steps = (task.last - now.batches) / draws(task.phases.algorithms[now.phase])
    least = WORTHWHILE if "torch._dynamo" in sys.modules else WORTHWHILE + _FIRST_USE
    if seconds * steps * networks / len(trainings) < least:
        return Choice(False, f"less than {least:g} s of work")
    if (refused := refusal(several)) is not None:
        return Choice(False, refused)
    # long trainings have their steps written down, which takes a while, and are faster then
    long = seconds * steps * networks / len(trainings) > _LONG
    at_once = _stepper(several, trainings, now.phase, written=long)
    at_once()
    vmapped = float("inf")
    for _ in range(3):  # by turns, as others may use the machine
        vmapped = min(vmapped, _seconds(at_once, _BUDGET / 4))
        if max(vmapped / seconds, seconds / vmapped) > _CLEAR:
            break
        seconds = min(seconds, share * _seconds(each, _BUDGET / 4))
    return Choice(
        vmapped < seconds,
        f"a step of {len(trainings)} takes {1e3 * vmapped:.3g} ms together and "
        f"{1e3 * seconds:.3g} ms one by one",
    )


def _seconds(run: Callable[[], None], budget: float) -> float:
    """The least time of a call, among as many as the budget allows."""
    least, began = float("inf"), time.perf_counter()
    while True:
        before = time.perf_counter()
        run()
        after = time.perf_counter()
        least = min(least, after - before)
        if after - began > budget:
            return least


def _alone(one: Training, phase: int) -> Callable[[], None]:
    """A step of one network, forgotten at once."""
    task, now = one.task, one.now
    algorithm, numbers = task.phases.algorithms[phase], task.numbers[phase]

    def run() -> None:
        step(task.bench, algorithm, numbers, now.state, Stream(task.order)).w.sum().item()

    return run


def _stepper(
    several: Together, trainings: Sequence[Training], phase: int, written: bool = False
) -> Callable[[], None]:
    """A step of some of the networks at once, forgotten at once."""
    states = []
    for one in trainings:
        old, new = (one.task.phases.algorithms[k] for k in (one.now.phase, phase))
        states.append(carried(one.now.state, old, new, reset=False))
    state = stacked(states)
    numbers = Numbers([one.task.numbers[phase] for one in trainings], state.w)
    source = Batches([one.task.order for one in trainings])
    taken = draws(trainings[0].task.phases.algorithms[phase])

    def run() -> None:
        samples = [source.batch(k) for k in range(taken)]
        several.steps[phase](numbers, state, samples).w.sum().item()

    if written:
        several.steps[phase].write(numbers, state, [source.batch(k) for k in range(taken)])
    return run
