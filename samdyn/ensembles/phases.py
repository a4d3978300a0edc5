"""The phases of a system as kernels: a new one at each step at which a switch changes over."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sympy

from samdyn.ensembles.events import Event, checked_condition
from samdyn.ensembles.kernel import Kernel, Later, build
from samdyn.ensembles.marks import Marks
from samdyn.systems.base import System


class Phase(NamedTuple):
    """A phase of a system.

    Attributes
    ----------
    number : int
        Its place among all phases.
    when : int or Event
        What begins it.
    system : System
    """

    number: int
    when: int | Event
    system: System

    def named(self, name: str) -> str:
        """A number of this phase among those of all phases."""
        return f"{self.number}:{name}"


class Act(NamedTuple):
    """One kernel, the steps through which it acts, and the phases that it takes through them.

    Attributes
    ----------
    sets, copies : dict
        What rows of the state are set to where it begins, or copied from.
    """

    first: int
    stop: int
    phases: tuple[Phase, ...]
    kernel: Kernel
    source: str
    sets: dict[str, float]
    copies: dict[str, str]

    @property
    def numbers(self) -> list[str]:
        """The numbers of its phases, among those of all phases."""
        return [phase.named(name) for phase in self.phases for name in phase.system.numbers]

    @property
    def system(self) -> System:
        """The system that it begins with."""
        return self.phases[0].system


def acting(system: System, steps: int) -> list[Phase]:
    """The phases of a system that may come to act within so many steps."""
    begin = [
        when if isinstance(when, int) else checked_condition(when) for when, _ in system.phases
    ]
    too_late = [
        k for k, when in enumerate(begin) if isinstance(when, int) and when >= max(steps, 1)
    ]
    last = too_late[0] if too_late else len(begin)
    return [Phase(k, begin[k], one) for k, (_, one) in enumerate(system.phases[:last])]


def acts(
    phases: Sequence[Phase],
    steps: int,
    events: Sequence[Event],
    statistics: Mapping[str, sympy.Expr],
    rows: tuple[str, ...],
    marks: Marks,
) -> tuple[Act, ...]:
    """Put phases together that events begin, and trace them; see `build`."""
    begin = {k: phase.when for k, phase in enumerate(phases) if isinstance(phase.when, int)}
    cuts = [*begin, len(phases)]
    groups = [phases[a:b] for a, b in itertools.pairwise(cuts)]
    ends = [*list(begin.values())[1:], steps]
    made = []
    for group, first, stop in zip(groups, begin.values(), ends, strict=True):
        later = [Later(*phase) for phase in group[1:]]  # type: ignore[arg-type]
        kernel = build(group[0].system, events, statistics, rows, later, marks)
        opened = marks.opened(group[0].number, first)
        made.append(Act(first, stop, tuple(group), kernel, kernel.source, *opened))
    return tuple(made)
