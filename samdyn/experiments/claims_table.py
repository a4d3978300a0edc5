"""The table of claims: as text for a reader, as CSV and Markdown to keep."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

from samdyn.experiments.base import Claim, Experiment
from samdyn.version import VERSION

_HEAD = ("statement", "expected", "measured", "holds")
_KEPT = ("experiment", "source", *_HEAD, "samdyn")
_WIDTHS = (52, 34, 44, 5)


def text(parts: Sequence[tuple[str, Sequence[Claim]]]) -> str:
    """The table as text, long cells broken between words.

    Parameters
    ----------
    parts : sequence of (str, claims)
        Claims under a heading; an empty one is left out.
    """
    broken = [(heading, [_broken(claim) for claim in claims]) for heading, claims in parts]
    lines = chain.from_iterable(row for _, rows in broken for row in rows)
    widths = [max(map(len, column)) for column in zip(_HEAD, *lines, strict=True)]
    said = [_line(_HEAD, widths)]
    for heading, rows in broken:
        said += ["", heading] if heading else []
        said += [_line(line, widths) for row in rows for line in row]
    return "\n".join(said)


def _broken(claim: Claim) -> list[tuple[str, ...]]:
    """A claim in as many lines as its longest cell needs."""
    cells = zip(_cells(claim), _WIDTHS, strict=True)
    return list(zip_longest(*(textwrap.wrap(cell, width) for cell, width in cells), fillvalue=""))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def keep(experiment: Experiment, claims: Sequence[Claim], folder: Path) -> None:
    """Put an experiment's rows in the table of a folder, `claims.csv` and `claims.md`.

    Its older rows go; those of other experiments stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "claims.csv"
    rows: list[tuple[str, ...]] = []
    if target.is_file():
        with target.open(newline="", encoding="utf-8") as file:
            rows = [tuple(row) for row in csv.reader(file)][1:]
    rows = [row for row in rows if row[:1] != (experiment.name,)]
    rows += [(experiment.name, experiment.source, *_cells(claim), VERSION) for claim in claims]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_KEPT, *rows])
    lines = [_KEPT, ("---",) * len(_KEPT), *rows]
    marked = "".join("| " + " | ".join(map(_escaped, line)) + " |\n" for line in lines)
    target.with_suffix(".md").write_text(marked, encoding="utf-8")


def _cells(claim: Claim) -> tuple[str, str, str, str]:
    return claim.statement, claim.expected, claim.measured, "yes" if claim.holds else "NO"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
