"""Experiments held against their sources, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from samdyn.experiments import claims_table
from samdyn.experiments.base import Claim, Experiment


class Verified(NamedTuple):
    """An experiment and what came of its claims.

    Attributes
    ----------
    seconds : float
        How long it took.
    """

    experiment: Experiment
    claims: list[Claim]
    seconds: float

    @property
    def held(self) -> int:
        """How many claims hold."""
        return sum(claim.holds for claim in self.claims)


def verify(
    chosen: Sequence[Experiment], *, saved: Path | None = None, out: Path | None = None
) -> Iterator[Verified]:
    """Hold experiments against their sources, each as it is asked for.

    An experiment that breaks off with an error does not end the others: the error is a claim
    that does not hold.

    Parameters
    ----------
    chosen : sequence of Experiment
        Which.
    saved : Path, optional
        A folder with saved results, to take in place of running.
    out : Path, optional
        A folder that keeps results, figures and the table, which grows with each experiment; see
        `claims_table.keep`.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted a run.
    """
    for experiment in chosen:
        began = time.perf_counter()
        try:
            claims = _hold(experiment, saved, out)
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            claims = [Claim("the experiment comes to its end", "no error", said, False)]
        if out is not None:
            claims_table.keep(experiment, claims, out)
        yield Verified(experiment, claims, time.perf_counter() - began)


def _hold(experiment: Experiment, saved: Path | None, out: Path | None) -> list[Claim]:
    runs = experiment.run() if saved is None else experiment.load(saved)
    try:
        claims = experiment.claims(runs)
    finally:  # what was computed is kept even if it cannot be judged
        if out is not None:
            experiment.save(runs, out)
    return claims or [Claim("the experiment claims something", "a claim", "none", False)]


def saved_in(folder: Path, known: Sequence[Experiment]) -> list[Experiment]:
    """Those of some experiments that have results in a folder.

    Raises
    ------
    ValueError
        If there is no such folder, or none of them has.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    found = [experiment for experiment in known if experiment.data(folder).is_file()]
    if not found:
        raise ValueError(
            f"{folder} has no results of {_names(known)}; `samdyn verify --out {folder}` makes them"
        )
    return found


def _names(some: Sequence[Experiment]) -> str:
    return ", ".join(one.name for one in some) if len(some) < 4 else "an experiment"
