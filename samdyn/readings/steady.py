"""What of a step does not change from step to step: worked out once for each block.

A lane's numbers stand in the table, so the compiler cannot know that the root of a step length is
the same at every step. Only what holds something slow is worth a place in memory.
"""

from __future__ import annotations

from collections.abc import Container

from samdyn.program import TRANSCENDENTAL, Program

_SLOW = TRANSCENDENTAL | {"sqrt", "divide"}


def steady(program: Program, inputs: Container[int], skipped: Container[int]) -> tuple[int, ...]:
    """The slots that are to be worked out beforehand.

    Parameters
    ----------
    program : Program
    inputs : container of int
        The inputs that do not change.
    skipped : container of int
        Slots that cannot be kept: they are no numbers.
    """
    first = len(program.inputs)
    still: set[int] = set()
    slow: set[int] = set()
    for slot, line in enumerate(program.lines, start=first):
        slots = [a for a in line.arguments if type(a) is int]
        if slots and all(a in inputs or a in still for a in slots):
            still.add(slot)
            if line.operation in _SLOW or any(a in slow for a in slots):
                slow.add(slot)
    wanted = {out for out in program.outputs if type(out) is int}
    for slot, line in enumerate(program.lines, start=first):
        if slot not in still:
            wanted.update(a for a in line.arguments if type(a) is int)
    return tuple(slot for slot in sorted(slow & wanted) if slot not in skipped)
