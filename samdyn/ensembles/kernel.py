"""What one kernel computes: a step, the events and the running statistics, as one program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy

from samdyn.ensembles.events import Event
from samdyn.ensembles.marks import CLOCK, PHASE, Marks
from samdyn.ensembles.moment import Moment
from samdyn.program import Program
from samdyn.readings.writer import Layout, write
from samdyn.systems.base import System
from samdyn.tracer import trace
from samdyn.words import Point, maximum, minimum, where

SUMS = {"mean": 0.0, "scatter": 0.0, "min": np.inf, "max": -np.inf}
"""The running sums of one statistic, and their values before the first count."""


class Later(NamedTuple):
    """A phase of a switch that may begin while a kernel runs.

    Attributes
    ----------
    number : int
        Its place among all phases.
    when : Event
        What begins it, watched while the phase before it acts.
    system : System
    """

    number: int
    when: Event
    system: System


class Kernel(NamedTuple):
    """A program with its layout, and the thresholds of its events."""

    program: Program
    layout: Layout
    thresholds: dict[str, float]
    title: str

    @property
    def source(self) -> str:
        """The module to compile."""
        return write(self.program, self.layout, self.title)


def build(
    system: System,
    events: Sequence[Event],
    statistics: Mapping[str, sympy.Expr],
    rows: tuple[str, ...] = (),
    later: Sequence[Later] = (),
    marks: Marks | None = None,
) -> Kernel:
    """Trace a map with its events and statistics.

    Parameters
    ----------
    system : System
        Of one phase.
    events : sequence of Event
    statistics : mapping from name to expression
        Quantities whose mean, variance and extremes are kept.
    rows : tuple of str
        All scalars of the weights and vectors, where that is more than the map has: in a phase of
        a switch without momentum the velocity is 0.
    later : sequence of Later
        Phases that events begin while the kernel runs, one after the other.
    marks : Marks, optional
        What a switch leaves behind; it comes after the rows.
    """
    rows = rows or system.rows
    marks = marks or Marks(system.coordinates)
    systems = [system, *(one.system for one in later)]
    watched = [*events, *(one.when for one in later)]
    thresholds = {
        f"event{k}_{name}": value
        for k, event in enumerate(watched)
        for name, value in event.numbers().items()
    }
    conditions = [event.prepare(system) for event in events]
    triggers = [one.when.prepare(before) for one, before in zip(later, systems, strict=False)]
    # an event that looks between two steps draws an exponential number of its own
    bridging = [event.bridges(system) for event in watched]
    drawing = [one.minibatches for one in systems]
    batches = drawing[0]
    layout = Layout(
        state=rows + marks.rows,
        sums=(("count",) if statistics else ())
        + tuple(f"{name}_{sum_}" for name in statistics for sum_ in SUMS),
        numbers=tuple(spelled(name, k) for k, one in enumerate(systems) for name in one.numbers),
        thresholds=tuple(thresholds),
        events=len(events),
        normals=max(len(one.noise) for one in systems),
        bridges=sum(bridging),
        batches=max(one.draws if one else 0 for one in drawing),
        order=batches.order if batches else "",
    )

    def definition(*values: Any) -> list[Any]:
        z, sums, numbers, limits = _named(values, layout, systems, watched, bridging)
        particle = _Particle(systems, marks, rows, z, numbers)
        after = particle.step(0)
        for k, (phase, begins) in enumerate(zip(later, triggers, strict=True)):
            # it follows on the phase before it, not on an earlier one, nor twice
            number = float(phase.number)
            next_up = (z[PHASE] >= number - 1.0) & (z[PHASE] < number)
            now = next_up & begins(particle.seen(k, after), limits[len(events) + k])
            marks.enter(z, phase.number, now)
            moved, acts = particle.step(k + 1), z[PHASE] >= number
            after = {name: where(acts, moved[name], after[name]) for name in rows}
        acting = [z[PHASE] >= float(phase.number) for phase in later]
        followers = [(acts, particle.seen(k, after)) for k, acts in enumerate(acting, start=1)]
        seen = particle.seen(0, after, followers)
        kept = {name: z[name] for name in marks.rows}
        kept |= {CLOCK: z[CLOCK] + 1.0} if later else {}
        return [
            *after.values(),
            *kept.values(),
            *_count(seen, statistics, sums),
            *(holds(seen, limit) for holds, limit in zip(conditions, limits, strict=False)),
        ]

    safe = " ".join(system.title.replace("\\", "").replace('"', "'").split())[:90]
    fields = batches.table.shape[1] if batches else 0
    names = dict.fromkeys(layout.inputs[len(layout.inputs) - layout.batches :], fields)
    return Kernel(trace(definition, layout.inputs, names), layout, thresholds, safe)


class _Inputs(NamedTuple):
    """A kernel's inputs: the state, the sums, the numbers of every phase, thresholds of events."""

    z: dict[str, Any]
    sums: list[Any]
    numbers: list[dict[str, Any]]
    limits: list[dict[str, Any]]


def _named(
    values: Sequence[Any],
    layout: Layout,
    systems: Sequence[System],
    watched: Sequence[Event],
    bridging: Sequence[bool],
) -> _Inputs:
    """The inputs by their names; what is drawn counts among the numbers and thresholds."""
    given = iter(values)
    z, sums = (dict(zip(names, given, strict=False)) for names in (layout.state, layout.sums))
    numbers = [{name: next(given) for name in one.numbers} for one in systems]
    limits = [dict(zip(event.numbers(), given, strict=False)) for event in watched]
    going = next(given) if any(bridging) else False
    normals = [next(given) for _ in range(layout.normals)]
    for limit, bridges in zip(limits, bridging, strict=True):
        limit |= {"exponential": next(given), "going": going} if bridges else {}
    dealt = list(given)
    for known, one in zip(numbers, systems, strict=True):
        known |= dict(zip(one.noise, normals, strict=False))
        known |= dict(zip(one.minibatches.names, dealt, strict=False)) if one.minibatches else {}
    return _Inputs(z, list(sums.values()), numbers, limits)


class _Particle(NamedTuple):
    """A particle in words, and the phases that may act on it while a kernel runs.

    Attributes
    ----------
    systems : sequence of System
        One for each phase.
    marks : Marks
    rows : tuple of str
        The scalars of the state that a step moves.
    z : dict
        The state.
    numbers : sequence of dict
        Those of each phase.
    """

    systems: Sequence[System]
    marks: Marks
    rows: tuple[str, ...]
    z: dict[str, Any]
    numbers: Sequence[Mapping[str, Any]]

    def step(self, k: int) -> dict[str, Any]:
        """Where a step of phase ``k`` leads; what that phase does not have becomes 0."""
        one = self.systems[k]
        moved = one.step([self.z[name] for name in one.rows], self.numbers[k])
        return dict.fromkeys(self.rows, 0.0) | dict(zip(one.rows, moved, strict=True))

    def seen(
        self, k: int, after: Mapping[str, Any], followers: Sequence[tuple[Any, Moment]] = ()
    ) -> Moment:
        """The particle as phase ``k`` sees it, before the step that leads to ``after``."""
        one, z = self.systems[k], self.z
        here = Point(z[name] for name in one.rows)
        coming = Point(after[x] for x in one.coordinates)
        origin = Point(z[name] for name in self.marks.origin) if self.marks.rows else None
        return Moment(one, here, coming, self.numbers[k], origin, followers)


def spelled(name: str, k: int) -> str:
    """A number of phase ``k`` among those of all phases of a kernel."""
    return f"{name} {k}" if k else name


def _count(moment: Moment, statistics: Mapping[str, sympy.Expr], sums: Sequence[Any]) -> list[Any]:
    """The sums with this moment counted in (Welford's recurrence)."""
    if not statistics:
        return []
    count = sums[0] + 1.0
    counted = [count]
    for k, expression in enumerate(statistics.values()):
        mean, scatter, low, high = sums[1 + 4 * k : 5 + 4 * k]
        value = moment.evaluate(expression)
        gap = value - mean
        mean = mean + gap / count
        scatter = scatter + gap * (value - mean)
        counted += [mean, scatter, minimum(value, low), maximum(value, high)]
    return counted
