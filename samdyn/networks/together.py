"""Many networks trained in one go: their steps at once, their records each by itself."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from samdyn.networks.checkpoint import Keeper
from samdyn.networks.loop import Training
from samdyn.networks.stepping import draws
from samdyn.networks.task import Task
from samdyn.networks.vectorised import Batches, Functional, Numbers, Vectorised, parted, stacked

_ROOM = 2**26
"""At most so many weights of networks are in one tensor."""


class Together:
    """Networks of one kind in training: see `kind`.

    Parameters
    ----------
    trainings : sequence of Training
    keepers : sequence of Keeper or None
        Of each.
    """

    def __init__(self, trainings: Sequence[Training], keepers: Sequence[Keeper | None]):
        self.trainings, self.keepers = trainings, keepers
        bench = trainings[0].task.bench
        self.problem = Functional(bench.model, bench.samples, bench.loss, bench.chunk)
        self.problem.room = max(1, self.problem.room // len(trainings))
        algorithms = trainings[0].task.phases.algorithms
        self._taken = [draws(one) for one in algorithms]
        # phases of one algorithm are one: before SAM and after it, say
        self._alike = [algorithms.index(one) for one in algorithms]
        self.steps = [Vectorised(self.problem, one) for one in algorithms]

    def run(self, bar: tqdm) -> None:
        """Train all to the end; one that is no longer finite stops, the others go on.

        After Ctrl-C all that were under way have reason "interrupted".
        """
        bar.update(sum(one.now.batches for one in self.trainings))
        running = [one for one in self.trainings if one.now.reason == 0]
        try:
            while running := [one for one in running if one.arrived()]:
                # after a kill some may be ahead of others, whose files were written first
                least = min(one.now.batches for one in running)
                level = [one for one in running if one.now.batches == least]
                alike = self._alike[level[0].now.phase]
                behind = [one for one in level if self._alike[one.now.phase] == alike]
                ahead = [one.now.batches for one in running if one.now.batches > least]
                until = min([*ahead, *(self._next_stop(one) for one in level)])
                self._advance(behind, until, bar)
                if any(keeper is not None and keeper.due() for keeper in self.keepers):
                    self._write(running)
        except KeyboardInterrupt:
            for one in running:
                if one.now.reason == 0:
                    one.interrupted()
        finally:
            self._write(self.trainings)

    def _next_stop(self, one: Training) -> int:
        """Where a network at the latest does not just step on.

        All stop there, whatever phase they are in: so it does not depend on when files are
        written how many go on together, on which batch norm's rounding depends.
        """
        taken = self._taken[one.now.phase]
        return int(min(one.stop, one.now.batches + taken * one.steps_to_go))

    def _write(self, trainings: Sequence[Training]) -> None:
        for one, keeper in zip(self.trainings, self.keepers, strict=True):
            if keeper is not None and one in trainings:
                keeper.write(one.now)

    def _advance(self, several: Sequence[Training], until: int, bar: tqdm) -> None:
        """Step until so many batches have gone by, or a file is to be written."""
        first = several[0]
        phase, batches, steps = self._alike[first.now.phase], first.now.batches, 0
        state = stacked([one.now.state for one in several])
        numbers = Numbers([one.task.numbers[one.now.phase] for one in several], state.w)
        source = Batches([one.task.order for one in several])
        try:
            while batches < until:
                samples = [source.batch(batches + k) for k in range(self._taken[phase])]
                scaled = first.task.schedule is not None
                given = numbers.scaled("lr", first.factor(batches)) if scaled else numbers
                state = self.steps[phase](given, state, samples)
                batches, steps = batches + len(samples), steps + 1
                bar.update(len(samples) * len(several))
                if any(keeper is not None and keeper.due() for keeper in self.keepers):
                    break
        finally:
            for one, own in zip(several, parted(state), strict=True):
                one.moved(own, batches, one.now.steps + steps)


def kind(task: Task) -> Hashable:
    """What networks must have in common to be trained together."""
    return task.order.batch_size, tuple(
        (type(one), one.state, tuple(one.numbers)) for one in task.phases.algorithms
    )


def most_together(task: Task) -> int:
    """How many such networks fit in memory at once."""
    return max(1, min(task.bench.chunk // task.order.batch_size, _ROOM // task.bench.dimension))


def pieces(trainings: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Places in a sweep, as evenly shared out as can be among pieces of at most so many."""
    count = -(-len(trainings) // most)
    for k in range(count):
        yield trainings[len(trainings) * k // count : len(trainings) * (k + 1) // count]


@contextmanager
def quietly() -> Iterator[None]:
    """Without functorch's remark that a layer is slow under vmap, which has been measured."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield
