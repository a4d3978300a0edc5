"""What one kernel computes: a step, the events and the running statistics, as one program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy

from samdyn.ensembles.events import Event
from samdyn.ensembles.moment import Moment
from samdyn.program import Program
from samdyn.readings.writer import Layout, write
from samdyn.systems.base import System
from samdyn.tracer import trace
from samdyn.words import Point, maximum, minimum

SUMS = {"mean": 0.0, "scatter": 0.0, "min": np.inf, "max": -np.inf}
"""The running sums of one statistic, and their values before the first count."""


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
        All scalars of the state, where that is more than the map has: in a phase of a switch
        without momentum the velocity is 0.
    """
    rows = rows or system.rows
    thresholds = {
        f"event{k}_{name}": value
        for k, event in enumerate(events)
        for name, value in event.numbers().items()
    }
    conditions = [event.prepare(system) for event in events]
    # an event that looks between two steps draws an exponential number of its own
    bridging = [event.bridges(system) for event in events]
    batches = system.minibatches
    layout = Layout(
        state=rows,
        sums=(("count",) if statistics else ())
        + tuple(f"{name}_{sum_}" for name in statistics for sum_ in SUMS),
        numbers=tuple(system.numbers),
        thresholds=tuple(thresholds),
        events=len(events),
        normals=len(system.noise),
        bridges=sum(bridging),
        batches=batches.draws if batches else 0,
        order=batches.order if batches else "",
    )

    def definition(*values: Any) -> list[Any]:
        given = iter(values)
        z, sums, numbers = (
            dict(zip(names, given, strict=False))
            for names in (layout.state, layout.sums, layout.numbers)
        )
        limits = [dict(zip(event.numbers(), given, strict=False)) for event in events]
        going = next(given) if any(bridging) else False
        numbers |= {name: next(given) for name in system.noise}
        for limit, bridges in zip(limits, bridging, strict=True):
            limit |= {"exponential": next(given), "going": going} if bridges else {}
        numbers |= dict(zip(batches.names, given, strict=True)) if batches else {}
        before = [z[name] for name in system.rows]
        moved = system.step(before, numbers)
        moment = Moment(system, Point(before), Point(moved), numbers)
        after = dict(zip(system.rows, moved, strict=True))
        return [
            *(after.get(name, 0.0) for name in rows),
            *_count(moment, statistics, list(sums.values())),
            *(holds(moment, limit) for holds, limit in zip(conditions, limits, strict=True)),
        ]

    safe = " ".join(system.title.replace("\\", "").replace('"', "'").split())[:90]
    fields = batches.table.shape[1] if batches else 0
    names = dict.fromkeys(layout.inputs[len(layout.inputs) - layout.batches :], fields)
    return Kernel(trace(definition, layout.inputs, names), layout, thresholds, safe)


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
