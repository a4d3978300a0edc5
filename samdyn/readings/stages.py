"""Steps that take means over minibatches, written as stages.

A loop over a batch within the lane loop would stop it from vectorising. So the lane loop is cut at
each mean: the lanes go together through the lines before it, then through one sample after the
other, then on. What a later stage needs is put aside, a row a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

from samdyn.program import Argument, Line, Mean, Program
from samdyn.readings.lines import at, constant, said

_CONDITIONS = {"less", "less_equal", "both", "either"}
_LOOP = "for i in range(a, b):"


class _Batch(NamedTuple):
    """A batch in generated text: the places ``first`` to ``last``, of which ``size`` count."""

    draw: int
    first: str
    last: str
    size: str


_Known = str | _Batch | list[str]
"""What a slot is read by: an expression, a batch, or an expression for each of the means."""

_Finish = Callable[[Sequence[str], Sequence[bool]], list[str]]
"""The lines made of a program's outputs, told which of them are truth values."""


def stages(program: Program, reads: Sequence[str], batches: int) -> tuple[list[str], int]:
    """A program as stages that put its outputs aside, in the first rows.

    Parameters
    ----------
    program : Program
        Its inputs are those of ``reads``, then the batches.
    reads : sequence of str
        What reads each input.
    batches : int

    Returns
    -------
    list of str
        The text, of lanes ``a`` to ``b`` at step ``u``.
    int
        How many rows it puts aside.
    """
    writer = _Stages(len(program.outputs))
    whole = [_Batch(k, "0", "most", f"sizes[{at(k)}]") for k in range(batches)]

    def finish(outputs: Sequence[str], conditions: Sequence[bool]) -> list[str]:
        pairs = zip(outputs, conditions, strict=True)
        return [f"aside[{at(k)}] = {_number(*pair)}" for k, pair in enumerate(pairs)]

    writer.lay(program, [*reads, *whole], finish)
    return writer.text, writer.rows


class _Stages:
    """The stages written so far."""

    def __init__(self, rows: int):
        self.text: list[str] = []
        self.rows = rows
        self._depth = 0
        self._names = 0

    def row(self) -> str:
        """A new row, as what reads and writes it."""
        self.rows += 1
        return f"aside[{at(self.rows - 1)}]"

    def name(self) -> str:
        """A new name."""
        self._names += 1
        return f"v{self._names}"

    def write(self, *lines: str) -> None:
        self.text += ["    " * self._depth + line for line in lines]

    def loop(self, lines: Sequence[str]) -> None:
        """A lane loop over some lines."""
        self.write(_LOOP, *(f"    {line}" for line in lines))

    def lay(self, program: Program, reads: Sequence[_Known], finish: _Finish) -> None:
        """Write a program; its last lane loop ends with what ``finish`` makes of the outputs."""
        first = len(program.inputs)
        known: dict[int, _Known] = dict(enumerate(reads))
        truths = conditions(program)
        waiting: dict[int, Line] = {}
        for k, line in enumerate(program.lines):
            if isinstance(line.operation, Mean):
                known |= self._put_aside(waiting, known, truths, _used(program, k))
                waiting = {}
                known[first + k] = self._mean(line.operation, line.arguments, known)
            elif line.operation == "entry":
                mean, place = line.arguments
                means = known[int(mean)]
                assert isinstance(means, list)
                known[first + k] = means[int(place)]
            else:
                waiting[first + k] = line

        def ending(say: Callable[[Argument], str]) -> list[str]:
            outputs = program.outputs
            return finish(
                [say(out) for out in outputs],
                [type(out) is bool or (type(out) is int and out in truths) for out in outputs],
            )

        self._stage(waiting, known, ending)

    def _put_aside(
        self,
        waiting: Mapping[int, Line],
        known: Mapping[int, _Known],
        truths: Set[int],
        later: Set[int],
    ) -> dict[int, _Known]:
        """A stage that ends before a mean; what reads the values of it that are used later."""
        kept = {slot: self.row() for slot in waiting if slot in later}

        def ending(say: Callable[[Argument], str]) -> list[str]:
            return [
                f"{place} = {_number(say(slot), slot in truths)}" for slot, place in kept.items()
            ]

        self._stage(waiting, known, ending)
        return {
            slot: f"({place} != 0.0)" if slot in truths else place for slot, place in kept.items()
        }

    def _stage(
        self,
        lines: Mapping[int, Line],
        known: Mapping[int, _Known],
        ending: Callable[[Callable[[Argument], str]], list[str]],
    ) -> None:
        text: list[str] = []
        names: dict[int, str] = {}

        def say(argument: Argument) -> str:
            if type(argument) is not int:
                return constant(argument)
            if argument not in names:
                names[argument] = self.name()
                text.append(f"{names[argument]} = {known[argument]}")
            return names[argument]

        for slot, line in lines.items():
            right = said(line, [say(argument) for argument in line.arguments])
            names[slot] = self.name()
            text.append(f"{names[slot]} = {right}")
        end = ending(say)
        if text or end:
            self.loop([*text, *end])

    def _mean(
        self, mean: Mean, arguments: Sequence[Argument], known: Mapping[int, _Known]
    ) -> list[str]:
        """Write the loop of a mean; what reads each of its entries."""
        batch = known[int(arguments[0])]
        assert isinstance(batch, _Batch)
        captured = [known[a] if type(a) is int else constant(a) for a in arguments[1:]]
        totals = [self.row() for _ in mean.body.outputs]
        place, step = self.name(), f", {mean.part}" if mean.part else ""
        self.loop([f"{total} = 0.0" for total in totals])
        self.write(f"for {place} in range({batch.first}, {batch.last}{step}):")
        self._depth += 1
        own: list[_Known]
        if mean.part:
            end, size = self.name(), self.row()
            gone = f"({place} - {batch.first})"
            self.write(f"{end} = min({place} + {mean.part}, {batch.last})")
            self.loop([f"{size} = min(max({batch.size} - {gone}, 0.0), {float(mean.part)})"])
            own = [_Batch(batch.draw, place, end, size)]
            added, inside = f"{size} * ", f"{size} > 0.0"
        else:
            fields = len(mean.body.inputs) - len(captured)
            own = [f"samples[{batch.draw}, {place}, {k}, i]" for k in range(fields)]
            added, inside = "", f"{place} - {batch.first} < {batch.size}"

        def finish(outputs: Sequence[str], conditions: Sequence[bool]) -> list[str]:
            return [
                f"{total} = {total} + {added}{out} if {inside} else {total}"
                for total, out in zip(totals, outputs, strict=True)
            ]

        self.lay(mean.body, [*own, *captured], finish)
        self._depth -= 1
        self.loop([f"{total} = {total} / {batch.size}" for total in totals])
        return totals


def _used(program: Program, first: int) -> set[int]:
    """The slots that the lines from ``first`` on, or the outputs, use."""
    later = [argument for line in program.lines[first:] for argument in line.arguments]
    return {argument for argument in (*later, *program.outputs) if type(argument) is int}


def conditions(program: Program) -> set[int]:
    """The slots that hold a truth value."""
    found: set[int] = set()
    for slot, line in enumerate(program.lines, start=len(program.inputs)):
        chosen = line.arguments[1:2] if line.operation == "where" else ()
        if line.operation in _CONDITIONS or any(
            type(a) is bool or (type(a) is int and a in found) for a in chosen
        ):
            found.add(slot)
    return found


def _number(value: str, condition: bool) -> str:
    """What a row can hold of a value."""
    return f"1.0 if {value} else 0.0" if condition else value
