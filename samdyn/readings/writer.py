"""A straight-line program written out as one Numba function that advances blocks of particles.

Sixty-four particles (lanes) go through each step together, the lane loop innermost and without
branches, which LLVM turns into full-width SIMD. A block's numbers stand in one table, a row a
quantity and a column a lane, so that every load and store has a constant offset.

Watching for events costs almost nothing this way: all lanes go through a stretch of steps at full
width, and a flag remembers whose event held on the way. A flagged lane is put back to where the
stretch began and taken through it once more by itself, up to its event. That happens once in a
particle's life. The same scalar loop takes over where only a few lanes are left.

What a step draws is a function of the lane's key and of the step, so a lane that is put back
draws the same again. The numbers of four steps are drawn at once, in lane loops of their own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from samdyn.program import Argument, Line, Mean, Program
from samdyn.readings import dealing, drawing, elementary, template
from samdyn.readings.lines import CALLS, LANES, at, constant, indented, said
from samdyn.readings.stages import conditions, stages
from samdyn.readings.steady import steady

_STRETCH = 32
_FEW = 4


class Layout(NamedTuple):
    """The rows of a block's table, in order, and what the program's outputs are for.

    The program's inputs are the rows of ``state``, ``sums`` and ``numbers``, then the
    ``thresholds``, which all lanes share, then so many ``normals``, ``bridges`` (exponential
    numbers for events that look between two steps) and ``batches`` as a step draws; its outputs
    are the new ``state``, the new ``sums`` and one condition for each event. With bridges it is
    also told, before what is drawn, whether the lane is ``going`` on after this step.
    """

    state: tuple[str, ...]
    sums: tuple[str, ...]
    numbers: tuple[str, ...]
    thresholds: tuple[str, ...]
    events: int
    normals: int = 0
    bridges: int = 0
    batches: int = 0
    order: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the program's inputs."""
        drawn = tuple(
            f"{name} {k}"
            for name, count in zip(("normal", "exponential", "batch"), self[5:8], strict=True)
            for k in range(count)
        )
        going = ("going",) if self.bridges else ()
        return self.state + self.sums + self.numbers + self.thresholds + going + drawn

    @property
    def random(self) -> bool:
        """Whether a step draws anything."""
        return bool(self.normals or self.bridges or self.batches)

    @property
    def size(self) -> int:
        """The row that holds a lane's batch size."""
        return len(self.state) + len(self.sums) + self.numbers.index("batch_size")

    @property
    def code(self) -> int:
        """The row that holds 0 while a lane runs, then 1 + the number of the event."""
        return len(self.state) + len(self.sums) + len(self.numbers)

    @property
    def ended(self) -> int:
        """The row that holds the step at which a lane stopped."""
        return self.code + 1

    @property
    def flag(self) -> int:
        """The row that says whose event held in the stretch under way."""
        return self.code + 2

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.code + 3


def write(program: Program, layout: Layout, title: str) -> str:
    """The source of a kernel module.

    Parameters
    ----------
    program : Program
        Inputs and outputs as `Layout` has them.
    layout : Layout
    title : str
        One line for the reader of the source.
    """
    names = _names(layout)
    text = _Step(program, layout, names)
    lines = list(_all_lines(program))
    used = {str(line.operation) for line in lines if not isinstance(line.operation, Mean)}
    functions = [elementary.text(used & elementary.NAMES)]
    if layout.random:
        functions.append(drawing.cipher())
    draws = layout.normals + layout.bridges
    if draws:
        functions.append(drawing.text(layout.normals, layout.bridges))
    tools = template.TOOLS if layout.batches else ""
    now = "now, " if draws else ""
    thresholds = "".join(
        f"    {name} = shared[{i}]\n"
        for i, name in enumerate(names[layout.code : layout.code + len(layout.thresholds)])
    )
    if layout.batches:
        functions.append(dealing.text(layout.order, layout.batches, layout.size))
        functions.append(
            template.STAGES.format(
                now=now,
                tools=tools,
                thresholds=thresholds,
                stages=indented(4, text.stages),
            )
        )
    libm = sorted({CALLS[name] for name in used & set(CALLS) - elementary.NAMES} - {"abs"})
    constants = {argument for line in lines for argument in line.arguments}
    constants |= set(program.outputs)
    special = [name for name in ("inf", "nan") if any(name in repr(c) for c in constants)]
    moving = len(layout.state) + len(layout.sums)
    prepare = f"prepare(row, shared, key0, key1, {now}{tools}{{}}, u)"
    cards = 0 if layout.order == "replacement" else "data.shape[0]"
    room = template.ROOM.format(batches=layout.batches, lanes=LANES, cards=cards, aside=text.rows)
    rooms = room.split("\n") * bool(tools)
    return template.MODULE.format(
        title=title,
        lanes=LANES,
        stretch=_STRETCH,
        few=_FEW,
        rows="\n".join(
            f"  {short}: {name}" for short, name in zip(names, layout.inputs, strict=False)
        ),
        math=", ".join([*libm, *special]) or "pi",
        functions="".join(function.rstrip() + "\n\n\n" for function in functions if function),
        thresholds=thresholds,
        tools=tools,
        given="drawn, " * bool(draws) + "fixed, " * bool(text.fixed),
        moving=moving * LANES,
        code=layout.code * LANES,
        flag=layout.flag * LANES,
        room=_block(
            4,
            [f"drawn = np.empty((4, {draws * LANES}))"] * bool(draws)
            + [f"fixed = np.empty({text.kept * LANES})"] * bool(text.fixed)
            + rooms,
        ),
        fresh=_block(8, ["four = -1"] * bool(draws) + ["dealt[:] = -1"] * bool(tools) + text.fixed),
        before=_block(
            20, template.BEFORE * bool(draws) + [prepare.format(f"0, {LANES}")] * bool(tools)
        ),
        alone_before=_block(
            8, template.ALONE * bool(draws) + [prepare.format("i, i + 1")] * bool(tools)
        ),
        together=indented(24, _together(text, layout, names)),
        restore=indented(
            24,
            [f"row[{at(i)}] = saved[{at(i)}] if done else row[{at(i)}]" for i in range(moving)],
        ),
        by_itself=indented(8, _by_itself(text, layout, names)),
    )


def _block(depth: int, lines: list[str]) -> str:
    return indented(depth, lines) + "\n" if lines else ""


def _names(layout: Layout) -> list[str]:
    groups = zip("zspq", layout[:4], strict=True)
    named = [f"{letter}{i}" for letter, rows in groups for i in range(len(rows))]
    return named + ["going"] * bool(layout.bridges)


def _all_lines(program: Program) -> Iterator[Line]:
    """The lines of a program and of what its means are taken of."""
    for line in program.lines:
        yield line
        if isinstance(line.operation, Mean):
            yield from _all_lines(line.operation.body)


class _Step:
    """The text of a step.

    Attributes
    ----------
    fixed : list of str
        What is worked out once for a block: so many rows as ``kept``.
    stages : list of str
        What comes before the lane loop of a step with minibatches: it puts aside ``rows`` rows.
    lines : list of str
        What stands in the lane loop.
    outputs : list of str
        What reads each output.
    """

    def __init__(self, program: Program, layout: Layout, names: list[str]):
        self.fixed: list[str] = []
        self.stages: list[str] = []
        self.kept, self.rows = 0, 0
        drawn = [f"now[{at(k)}]" for k in range(layout.normals + layout.bridges)]
        loads = [f"{name} = row[{at(i)}]" for i, name in enumerate(names[: layout.code])]
        if layout.batches:
            reads = [*(f"row[{at(i)}]" for i in range(layout.code)), *names[layout.code :], *drawn]
            self._in_stages(program, layout, reads, loads)
            return
        first, changing = len(program.inputs), len(layout.state) + len(layout.sums)
        values = [*names, *(f"f{k}" for k in range(len(drawn)))]
        values += [f"v{k}" for k in range(len(program.lines))]

        def say(argument: Argument) -> str:
            return values[argument] if type(argument) is int else constant(argument)

        def text(slot: int) -> str:
            line = program.lines[slot - first]
            return f"{values[slot]} = {said(line, [say(a) for a in line.arguments])}"

        last = layout.code + len(layout.thresholds)
        kept = steady(program, range(changing, last), conditions(program))
        if kept:
            numbers = loads[changing:]
            needed = [text(slot) for slot in _leading_to(program, kept)]
            kept_at = [f"fixed[{at(k)}] = {values[slot]}" for k, slot in enumerate(kept)]
            body = [*numbers, *needed, *kept_at]
            self.fixed = [f"for i in range({LANES}):", *(f"    {line}" for line in body)]
            self.kept = len(kept)
        self.lines = [*loads, *(f"f{k} = {place}" for k, place in enumerate(drawn))]
        self.lines += [f"{values[slot]} = fixed[{at(k)}]" for k, slot in enumerate(kept)]
        inner = _leading_to(program, [out for out in program.outputs if type(out) is int], kept)
        self.lines += [text(slot) for slot in inner]
        self.outputs = [say(output) for output in program.outputs]

    def _in_stages(
        self, program: Program, layout: Layout, reads: list[str], loads: list[str]
    ) -> None:
        self.stages, self.rows = stages(program, reads, layout.batches)
        kept = len(layout.state) + len(layout.sums)
        self.outputs = [f"o{k}" for k in range(len(program.outputs))]
        self.lines = loads + [
            f"o{k} = aside[{at(k)}]" + (" != 0.0" if k >= kept else "")
            for k in range(len(program.outputs))
        ]


def _leading_to(program: Program, wanted: Sequence[int], known: Container[int] = ()) -> list[int]:
    """The lines' slots that some slots need, in order, those that are known left out."""
    first = len(program.inputs)
    needed = {slot for slot in wanted if slot not in known}
    for slot in range(first + len(program.lines) - 1, first - 1, -1):
        if slot in needed:
            arguments = program.lines[slot - first].arguments
            needed.update(a for a in arguments if type(a) is int and a not in known)
    return [slot for slot in sorted(needed) if slot >= first]


def _together(step: _Step, layout: Layout, names: list[str]) -> list[str]:
    """A step of all lanes: everybody moves, and whose event holds is remembered."""
    text, outputs = list(step.lines), step.outputs
    moving, kept = len(layout.state), len(layout.state) + len(layout.sums)
    text.append(f"hit = {' | '.join(outputs[kept:])}")
    text.append(f"row[{at(layout.flag)}] = 1.0 if hit else row[{at(layout.flag)}]")
    text += [f"row[{at(i)}] = {outputs[i]}" for i in range(moving)]
    text += [
        f"row[{at(i)}] = {outputs[i]} if counting else {names[i]}" for i in range(moving, kept)
    ]
    return text


def _by_itself(step: _Step, layout: Layout, names: list[str]) -> list[str]:
    """A step of one lane, up to its event."""
    text, outputs = list(step.lines), step.outputs
    moving, kept = len(layout.state), len(layout.state) + len(layout.sums)
    if layout.sums:
        text.append("if counting:")
        text += [f"    row[{at(i)}] = {outputs[i]}" for i in range(moving, kept)]
    text.append("hit = 0.0")
    for number in reversed(range(layout.events)):  # the first event given wins
        text.append(f"hit = {number + 1}.0 if {outputs[kept + number]} else hit")
    text += [
        "if hit != 0.0:",
        f"    row[{at(layout.code)}] = hit",
        f"    row[{at(layout.ended)}] = float(u)",
        "    break",
        "if u < end:",
    ]
    return text + [f"    row[{at(i)}] = {outputs[i]}" for i in range(moving)]
