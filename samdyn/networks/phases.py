"""Which algorithm acts when: the phases of a `samdyn.Switch` in a network's training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

import sympy

from samdyn.algorithms import Algorithm, Switch
from samdyn.algorithms.switch import swept
from samdyn.losses.formula import parse_condition
from samdyn.numbers import Number
from samdyn.symbols import symbols

KNOWN = ("train_loss", "train_error", "test_loss", "test_error", "epoch")
"""What a condition may speak of."""


class Phases(NamedTuple):
    """Algorithms that act one after the other.

    Attributes
    ----------
    begins : tuple of int, sympy.Basic or array
        The step or epoch at which each begins, or a condition that is looked at when an epoch ends.
        Of a sweep, arrays of steps or epochs too; of one network none.
    algorithms : tuple of Algorithm
    by_epoch : bool
        Whether whole numbers in ``begins`` count epochs.
    reset : bool
        Whether vectors go back to 0 where a phase begins.
    """

    begins: tuple[int | sympy.Basic | Number, ...]
    algorithms: tuple[Algorithm, ...]
    by_epoch: bool
    reset: bool

    def due(self, phase: int, steps: int, batches: int, per_epoch: int) -> int:
        """The phase that numbers say is to act after so many steps and batches."""
        for later in range(phase + 1, len(self.begins)):
            when = self.begins[later]
            if isinstance(when, int) and (
                batches >= when * per_epoch if self.by_epoch else steps >= when
            ):
                phase = later
        return phase

    def next_epoch(self, phase: int) -> float:
        """The epoch at which a number says that a later phase begins; infinity if none does."""
        later = self.begins[phase + 1 :] if self.by_epoch else ()
        return min((when for when in later if isinstance(when, int)), default=inf)

    def awaits(self, phase: int) -> bool:
        """Whether the phase after this one begins on a condition."""
        return phase + 1 < len(self.begins) and not isinstance(self.begins[phase + 1], int)

    def recipe(self, described: Callable[[Algorithm], dict[str, Any]]) -> dict[str, Any]:
        """As plain data."""
        pairs = zip(self.begins, self.algorithms, strict=True)
        found: dict[str, Any] = {
            f"phase {k}": {"begins": when if isinstance(when, int) else str(when)} | described(one)
            for k, (when, one) in enumerate(pairs)
        }
        if len(self.begins) > 1:
            found["switch unit"] = "epoch" if self.by_epoch else "step"
            found["switch momentum"] = "reset" if self.reset else "keep"
        return found

    def fulfilled(self, phase: int, known: Mapping[str, float]) -> bool:
        """Whether the condition of the phase after this one holds."""
        condition = self.begins[phase + 1]
        values = dict(zip(symbols(list(known)), known.values(), strict=True))
        unknown = sorted(map(str, condition.free_symbols - values.keys()))  # type: ignore[union-attr]
        if unknown:
            raise ValueError(
                f"the condition {condition} of a phase speaks of {unknown[0]}, which this training "
                f"does not have; it has {', '.join(known)}"
            )
        return bool(condition.subs(values))  # type: ignore[union-attr]


def phases_of(algorithm: Algorithm | Switch, tested: bool = True) -> Phases:
    """The phases of an algorithm: one, unless it is a `samdyn.Switch`.

    Parameters
    ----------
    tested : bool
        Whether there is a test set, of which a condition may speak.

    Raises
    ------
    TypeError
        If it is no algorithm, or a phase begins at an event of a simulation.
    """
    if isinstance(algorithm, Algorithm):
        return Phases((0,), (algorithm,), False, False)
    if not isinstance(algorithm, Switch):
        raise TypeError(
            f"algorithm must be an algorithm such as SAM(lr=0.1, rho=0.05), got {algorithm!r}"
        )
    known = [name for name in KNOWN if tested or not name.startswith("test")]
    begins: list[int | sympy.Basic | Number] = []
    for when, _ in algorithm.phases:
        if isinstance(when, str):
            condition = parse_condition(when)
            unknown = sorted({str(symbol) for symbol in condition.free_symbols} - set(known))
            if unknown:
                raise ValueError(
                    f"the condition {when!r} of a phase must speak of {', '.join(known)}; "
                    f"{unknown[0]} is none of them"
                )
            begins.append(condition)
        elif isinstance(when, int) or swept(when):
            begins.append(when)
        else:
            raise TypeError(
                "a phase of a network's training must begin at a step, an epoch or a condition "
                f"such as 'train_loss < 0.01', got {when!r}"
            )
    by_epoch = algorithm.unit == "epoch"
    return Phases(
        tuple(begins),
        tuple(one for _, one in algorithm.phases),
        by_epoch,
        algorithm.momentum == "reset",
    )
