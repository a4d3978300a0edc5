"""What one network of a sweep is to do, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from samdyn.networks.order import Order
from samdyn.networks.phases import Phases
from samdyn.networks.problem import Buffers, Problem
from samdyn.networks.schedules import Schedule
from samdyn.networks.stepping import State, started
from samdyn.networks.tracking import Tracking
from samdyn.networks.workbench import Workbench

REASONS = ("running", "finished", "diverged", "interrupted")
"""Why a network's training ended; the code in a result is the place in this list."""


_FEWEST = 32
"""Batches between looks at a network that no condition asks for."""


class Task(NamedTuple):
    """What one network is to do; a sweep is several of them.

    Attributes
    ----------
    bench : Workbench
        Where gradients are taken.
    train, test : Problem, Problem or None
        What is scored.
    tracking : Tracking
    tracked : frozenset of int
        The records at which it measures, by their number of batches.
    phases : Phases
    numbers : list of dict
        The hyperparameters of each phase.
    order : Order
    places : tuple of int
        After how many batches each record is made.
    last : int
        After how many batches training ends.
    schedule : callable or None
    keep : bool
        Whether the weights of each record are kept.
    """

    bench: Workbench
    train: Problem
    test: Problem | None
    tracking: Tracking
    tracked: frozenset[int]
    phases: Phases
    numbers: list[dict[str, float]]
    order: Order
    places: tuple[int, ...]
    last: int
    schedule: Schedule | None
    keep: bool

    @property
    def span(self) -> int:
        """After how many batches it is looked whether all is finite and conditions hold.

        That is an epoch; several, where they are short and no condition is waited for.
        """
        epoch, phases = self.order.per_epoch, self.phases
        if any(phases.awaits(k) for k in range(len(phases.begins))):
            return epoch
        return epoch * -(-_FEWEST // epoch)


class Snapshot(NamedTuple):
    """Where a training stands: all that is needed to go on.

    Attributes
    ----------
    batches, steps, phase : int
        How many have gone by, and which algorithm acts.
    switched : tuple of int
        The step at which each phase began, -1 if it has not.
    rows : dict from int to dict
        What was recorded, by the number of batches it was planned for.
    weights : dict from int to Tensor
        The weights of each record, if they are kept.
    looked : int
        The last span at whose end it was looked at.
    reason : int
        The place in `REASONS`.
    together : bool
        Whether its steps are taken together with those of other networks.
    """

    state: State
    batches: int
    steps: int
    phase: int
    switched: tuple[int, ...]
    rows: dict[int, dict[str, float]]
    weights: dict[int, Tensor]
    looked: int = -1
    reason: int = 0
    together: bool = False


def beginning(task: Task, w: Tensor, buffers: Buffers) -> Snapshot:
    """Before the first step."""
    algorithms = task.phases.algorithms
    switched = (0, *(-1 for _ in algorithms[1:]))
    return Snapshot(started(algorithms[0], w, buffers), 0, 0, 0, switched, {}, {})
