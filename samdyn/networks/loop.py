"""The training of one network: batch after batch, with records, phases and checkpoints."""

from __future__ import annotations

from math import inf, isfinite

import torch
from tqdm import tqdm

from samdyn.networks.checkpoint import Keeper
from samdyn.networks.order import Stream
from samdyn.networks.scoring import score
from samdyn.networks.stepping import State, carried, step
from samdyn.networks.task import REASONS, Snapshot, Task


class Training:
    """One network in training.

    Parameters
    ----------
    task : Task
    now : Snapshot
        Where it begins, or goes on.
    """

    def __init__(self, task: Task, now: Snapshot):
        self.task, self.now, self.good = task, now, now
        self._stream = Stream(task.order, now.batches)
        self._next = 0
        self._scores: tuple[int, dict[str, float]] = (-1, {})

    def run(self, keeper: Keeper | None, bar: tqdm) -> Snapshot:
        """Train to the end, to where something is no longer finite, or to Ctrl-C.

        Parameters
        ----------
        keeper : Keeper or None
            Writes the training down every so many seconds and in the end, whatever ends it.
        bar : tqdm
            Of batches.

        Returns
        -------
        Snapshot
            The last that was finite.
        """
        bar.update(self.now.batches)
        try:
            while self.now.reason == 0:
                self._go_on(bar)
                if keeper is not None and keeper.due():
                    keeper.write(self.now)
        except KeyboardInterrupt:
            self.interrupted()
        finally:
            if keeper is not None:
                keeper.write(self.now)
        return self.now

    def arrived(self) -> bool:
        """Record and change phase where it is time to; whether training goes on from here."""
        if not self._look():
            self.now = self.good._replace(reason=REASONS.index("diverged"))
        elif self.now.batches >= self.task.last:
            self.now = self.now._replace(reason=REASONS.index("finished"))
        return self.now.reason == 0

    def interrupted(self) -> None:
        """Stop here, or at the last state that is known to be finite."""
        finite = bool(torch.isfinite(self.now.state.w).all())
        last = self.now if finite else self.good
        self.now = last._replace(reason=REASONS.index("interrupted"))

    def chosen(self, together: bool) -> None:
        """Note for who takes this training up again whether its steps are taken together."""
        self.now = self.now._replace(together=together)
        self.good = self.good._replace(together=together)

    def moved(self, state: State, batches: int, steps: int) -> None:
        """Stand where steps taken elsewhere have led."""
        self.now = self.now._replace(state=state, batches=batches, steps=steps)

    @property
    def stop(self) -> int:
        """After how many batches there is something to do besides stepping."""
        task, batches = self.task, self.now.batches
        look = (batches // task.span + 1) * task.span
        switch = task.phases.next_epoch(self.now.phase) * task.order.per_epoch
        return int(min([look, switch, task.last, *task.places[self._next : self._next + 1]]))

    @property
    def steps_to_go(self) -> float:
        """How many steps the phase that acts has at most."""
        phases, now = self.task.phases, self.now
        later = [when for when in phases.begins[now.phase + 1 :] if isinstance(when, int)]
        return min(later, default=inf) - now.steps if later and not phases.by_epoch else inf

    def _go_on(self, bar: tqdm) -> None:
        if self.arrived():
            before = self.now.batches
            self._step()
            bar.update(self.now.batches - before)

    def _step(self) -> None:
        task, now = self.task, self.now
        state = step(
            task.bench, task.phases.algorithms[now.phase], self._numbers(), now.state, self._stream
        )
        self.moved(state, self._stream.taken, now.steps + 1)

    def _look(self) -> bool:
        """Change phase and record, where it is time to; whether all is finite.

        To look twice is as good as once, so that it does not matter where a training is cut off.
        """
        task, now = self.task, self.now
        per_epoch = task.order.per_epoch
        self._enter(task.phases.due(now.phase, now.steps, now.batches, per_epoch))
        due = self._due()
        ends = now.batches // task.span > now.looked
        if not (ends or due):
            return True
        if not bool(torch.isfinite(now.state.w).all()):
            return False
        while ends and task.phases.awaits(self.now.phase):
            known = {**self._scored(), "epoch": now.batches / per_epoch}
            if not isfinite(known["train_loss"]):
                return False
            if not task.phases.fulfilled(self.now.phase, known):
                break
            self._enter(self.now.phase + 1)
        if due and not self._record(due):
            return False
        self.now = self.now._replace(looked=now.batches // task.span)
        self.good = self.now
        return True

    def _due(self) -> list[int]:
        """The records that it is time to make: several, where a step takes several batches."""
        places, due = self.task.places, []
        while self._next < len(places) and places[self._next] <= self.now.batches:
            due.append(places[self._next])
            self._next += 1
        return [b for b in due if b not in self.now.rows]

    def _enter(self, phase: int) -> None:
        now, phases = self.now, self.task.phases
        if phase == now.phase:
            return
        old, new = phases.algorithms[now.phase], phases.algorithms[phase]
        switched = tuple(now.steps if k == phase else s for k, s in enumerate(now.switched))
        state = carried(now.state, old, new, phases.reset)
        self.now = now._replace(state=state, phase=phase, switched=switched)

    def _record(self, due: list[int]) -> bool:
        task, now = self.task, self.now
        row = dict(self._scored())
        if not isfinite(row["train_loss"]):
            return False
        row |= {
            "learning_rate": self._numbers().get("lr", float("nan")),
            "phase": now.phase,
            "step": now.steps,
        }
        if task.tracked.intersection(due):
            row |= task.tracking.row(now.state.w, now.state.buffers)
        weights = dict.fromkeys(due, now.state.w) if task.keep else {}
        self.now = now._replace(
            rows=now.rows | dict.fromkeys(due, row), weights=now.weights | weights
        )
        return True

    def _scored(self) -> dict[str, float]:
        """Losses and errors as they stand."""
        if self._scores[0] != self.now.batches:
            found = {}
            for name, problem in (("train", self.task.train), ("test", self.task.test)):
                if problem is not None:
                    problem.buffers = self.now.state.buffers
                    loss, error = score(problem, self.now.state.w)
                    found[f"{name}_loss"] = loss
                    if error is not None:
                        found[f"{name}_error"] = error
            self._scores = (self.now.batches, found)
        return self._scores[1]

    def _numbers(self) -> dict[str, float]:
        numbers = self.task.numbers[self.now.phase]
        if self.task.schedule is None:
            return numbers
        return numbers | {"lr": numbers["lr"] * self.factor(self.now.batches)}

    def factor(self, batches: int) -> float:
        """What the schedule multiplies the learning rate by."""
        schedule = self.task.schedule
        if schedule is None:
            return 1.0
        share = batches / max(self.task.last, 1)
        factor = schedule(share)
        if not 0 <= factor < inf:
            raise ValueError(
                f"schedule must give finite factors of at least 0, got {factor!r} at {share:g}"
            )
        return factor
