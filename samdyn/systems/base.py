"""What a system is: named scalars of a state, numbers, and one step as a definition in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole
from samdyn.program import Program
from samdyn.tracer import trace


class System:
    """The interface of every system: a one-step map ``z' = F(z; numbers)``.

    Attributes
    ----------
    loss : Loss or None
        What is minimised, if anything is.
    continuous : bool
        Whether the step is one of a scheme for an ordinary differential equation, ``field``.
    """

    loss: Loss | None
    continuous = False

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates that initial points have: the weights, for an optimiser."""
        raise NotImplementedError

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the vectors of the state besides the coordinates; each starts at 0."""
        return ()

    @property
    def numbers(self) -> dict[str, Any]:
        """Hyperparameters and constants, by name. Any of them may be an array."""
        raise NotImplementedError

    @property
    def constants(self) -> dict[str, Any]:
        """Those of the numbers that a formula of a run may name."""
        return {} if self.loss is None else self.loss.constants

    @property
    def duration(self) -> Any:
        """The time that a step takes: 1 for a map, ``dt`` for a flow."""
        return 1.0

    @property
    def title(self) -> str:
        """A few words that say what this is."""
        raise NotImplementedError

    @property
    def about(self) -> dict[str, str]:
        """What a result's attributes say of the system, besides its loss."""
        return {}

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of all scalars of the state: the coordinates, then each further vector's."""
        return self.coordinates + tuple(
            f"{vector}_{name}" for vector in self.vectors for name in self.coordinates
        )

    @property
    def phases(self) -> tuple[tuple[int, System], ...]:
        """The systems that act one after the other, each with the step from which it acts."""
        return ((0, self),)

    def start(self, w: Sequence[Any]) -> list[Any]:
        """The scalars of the state at coordinates ``w`` before the first step."""
        return [*w, *(0.0 * scalar for _ in self.vectors for scalar in w)]

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """One step in words: on scalars of any kind, in the order of ``rows``."""
        raise NotImplementedError

    def replace(self, **numbers: Any) -> System:
        """The same system with other values of some numbers.

        Raises
        ------
        ValueError
            If a name is none of the system's numbers.
        """
        raise NotImplementedError

    @cached_property
    def program(self) -> Program:
        """One step as a straight-line program of ``rows`` and ``numbers``."""
        return self._traced(self.step)

    @property
    def law(self) -> Program:
        """What the system's stability is that of: the step of a map, the field of a flow."""
        return self.program

    def _traced(self, step: Any) -> Program:
        size, names = len(self.rows), tuple(self.numbers)

        def definition(*values: Any) -> list[Any]:
            return step(values[:size], dict(zip(names, values[size:], strict=True)))

        return trace(definition, (*self.rows, *names))

    def apply(self, w: Any, steps: int = 1) -> np.ndarray:
        """Take steps by plain NumPy: the reference that every faster reading is held against.

        Parameters
        ----------
        w : array_like, shape (…, d)
            Initial coordinates; arrays of numbers broadcast against the leading dimensions.
        steps : int, default 1
            A `Switch` changes algorithm where it says.

        Returns
        -------
        ndarray, shape (…, d)
        """
        checked_whole("steps", steps, 0)
        w = np.asarray(w, dtype=float)
        d = len(self.coordinates)
        if w.ndim == 0 or w.shape[-1] != d:
            raise ValueError(f"w must have shape (…, {d}), got {w.shape}")
        known = dict(zip(self.coordinates, np.moveaxis(w, -1, 0), strict=True))
        phases = self.phases
        ends = [first for first, _ in phases[1:]]
        for (first, one), end in zip(phases, [*ends, steps], strict=True):
            fresh = one.start([known[name] for name in self.coordinates])
            carried = self.coordinates if self.resets else known
            z = [
                known[name] if name in carried else zero
                for name, zero in zip(one.rows, fresh, strict=True)
            ]
            z = one._iterate(z, min(end, steps) - first)
            known = dict(zip(one.rows, z, strict=True))
        return np.stack(np.broadcast_arrays(*(known[name] for name in self.coordinates)), axis=-1)

    @property
    def resets(self) -> bool:
        """Whether vectors other than the coordinates go back to 0 where a phase begins."""
        return False

    def _iterate(self, z: list[Any], steps: int) -> list[Any]:
        numbers = [np.asarray(value, float) for value in self.numbers.values()]
        with np.errstate(all="ignore"):
            for _ in range(steps):
                z = list(self.program(*z, *numbers))
        return z


def checked_system(system: Any) -> System:
    """The system, if it is one.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(system, System):
        raise TypeError(
            f"system must be a samdyn.Map(loss, algorithm), a Flow or a FormulaMap, got {system!r}"
        )
    return system


def checked_single(system: Any) -> System:
    """The system, if it is one and has one phase.

    Raises
    ------
    TypeError
        If it is no system, or a `Switch`, which is several.
    """
    if len(checked_system(system).phases) > 1:
        raise TypeError("system is a Switch, which is several maps; take one from .phases")
    return system


def refuse_unknown(names: Mapping[str, Any], known: Sequence[str], title: str) -> None:
    """Refuse numbers that a system does not have."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        has = ", ".join(known) or "none"
        raise ValueError(f"{unknown[0]} is no number of {title}; it has {has}")
