"""All networks of a sweep: which of them are trained together, and in what order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from samdyn.networks.checkpoint import Keeper
from samdyn.networks.choice import Choice, measured, refusal
from samdyn.networks.loop import Training
from samdyn.networks.task import REASONS, Task
from samdyn.networks.together import Together, kind, most_together, pieces, quietly


class Fleet:
    """The networks of a sweep.

    Parameters
    ----------
    trainings : sequence of Training
    keepers : sequence of Keeper or None
        Of each.
    together : bool or None
        Whether networks of one kind take their steps at once; None: whichever is faster.
    hindrance : str or None
        What forbids it, as `obstacle` says.

    Raises
    ------
    TypeError
        If ``together`` is neither of them.
    ValueError
        If it is True and cannot be.
    """

    def __init__(
        self,
        trainings: Sequence[Training],
        keepers: Sequence[Keeper | None],
        together: bool | None,
        hindrance: str | None,
    ):
        if not (together is None or isinstance(together, bool | np.bool_)):
            raise TypeError(f"together must be True, False or None, got {together!r}")
        self._wish = None if together is None else bool(together)
        self._trainings, self._keepers = trainings, keepers
        self._hindrance = hindrance
        self._built: dict[tuple[int, ...], Together] = {}
        self.choices: list[dict[str, Any]] = []
        """What was chosen for the networks of each kind, and why."""
        with quietly():
            self._together, self._alone = self._shared_out()

    def run(self, bar: tqdm) -> Iterator[int]:
        """Train; the places of the networks that have ended, as they end.

        After Ctrl-C the last are those that were under way.
        """
        interrupted = False
        for places in self._together:
            with quietly():
                self._of(places).run(bar)
            del self._built[tuple(places)]
            yield from places
            interrupted = any(self._interrupted(place) for place in places)
            if interrupted:
                return
        for place in self._alone:
            self._trainings[place].run(self._keepers[place], bar)
            yield place
            if self._interrupted(place):
                return

    def _interrupted(self, place: int) -> bool:
        return REASONS[self._trainings[place].now.reason] == "interrupted"

    def _of(self, places: Sequence[int]) -> Together:
        """Those of some places; what a trial has written down of their steps is kept."""
        key = tuple(places)
        if key not in self._built:
            trainings = [self._trainings[k] for k in key]
            self._built[key] = Together(trainings, [self._keepers[k] for k in key])
        return self._built[key]

    def _shared_out(self) -> tuple[list[Sequence[int]], list[int]]:
        """The places of those trained together, and of those one after the other."""
        kinds: dict[Hashable, list[int]] = defaultdict(list)
        for place, one in enumerate(self._trainings):
            kinds[kind(one.task)].append(place)
        at_once: list[Sequence[int]] = []
        alone: list[int] = []
        for places in kinds.values():
            task = self._trainings[places[0]].task
            parts = list(pieces(places, most_together(task)))
            choice = self._chosen(places, parts[0])
            self.choices.append(
                {
                    "networks": len(places),
                    "batch_size": task.order.batch_size,
                    "together": choice.together,
                    "because": choice.reason,
                }
            )
            for place in places:
                one = self._trainings[place]
                one.chosen(choice.together)
            if choice.together:
                at_once += parts
            else:
                alone += places
        return at_once, sorted(alone)

    def _chosen(self, places: Sequence[int], some: Sequence[int]) -> Choice:
        """How the networks of one kind are trained."""
        task = self._trainings[places[0]].task
        hindrance = self._hindrance
        if task.order.batch_size > task.bench.chunk:
            hindrance = "the gradient of a minibatch larger than chunk is accumulated"
        if self._wish is False:
            return Choice(False, "asked for")
        running = [k for k in places if self._trainings[k].now.reason == 0]
        begun = [k for k in running if self._trainings[k].now.batches > 0]
        earlier = any(self._trainings[k].now.together for k in begun)
        if self._wish is None and begun and not earlier:
            return Choice(False, "as in the checkpoint")
        if hindrance is None and (self._wish or earlier):
            hindrance = refusal(self._of(some))
        if hindrance is not None:
            if self._wish:
                raise ValueError(f"together=True is not possible: {hindrance}; leave it out")
            return Choice(False, hindrance)
        if self._wish:
            return Choice(True, "asked for")
        if earlier:
            return Choice(True, "as in the checkpoint")
        return measured(self._of(some), len(places))


def obstacle(task: Task, masks: bool, amp: bool, compile: bool) -> str | None:
    """What forbids to train the networks of a sweep together, if something does."""
    if masks:
        return "the network itself draws random numbers, as dropout does"
    if amp or compile:
        return "amp and compile are for one network after the other"
    if any(task.phases.awaits(k) for k in range(len(task.phases.begins))):
        return "a condition lets each network change its algorithm at a time of its own"
    return None
