"""What a system is: named scalars of a state, numbers, and one step as a definition in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from samdyn.algorithms.switch import When
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole
from samdyn.program import Program
from samdyn.random import checked_seed, keys, normals
from samdyn.systems.sampling import Sampling
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
    def noise(self) -> tuple[str, ...]:
        """Names of the independent standard normals that a step draws."""
        return ()

    @property
    def minibatches(self) -> Sampling | None:
        """How the minibatches of a step are drawn, if it takes any."""
        return None

    @property
    def random(self) -> bool:
        """Whether a step draws anything."""
        return bool(self.noise) or self.minibatches is not None

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
    def phases(self) -> tuple[tuple[When, System], ...]:
        """The systems that act one after the other, each with what begins its phase."""
        return ((0, self),)

    def start(self, w: Sequence[Any]) -> list[Any]:
        """The scalars of the state at coordinates ``w`` before the first step."""
        return [*w, *(0.0 * scalar for _ in self.vectors for scalar in w)]

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """One step in words: on scalars of any kind, in the order of ``rows``.

        Parameters
        ----------
        z : sequence of scalars
        numbers : mapping
            The ``numbers``, and what the step draws: ``noise`` and the batches, by name.
        """
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
        """One step as a straight-line program of ``rows``, ``numbers`` and what is ``drawn``."""
        return self._traced(self.step, self.drawn)

    @property
    def drawn(self) -> dict[str, int]:
        """What a step draws, by name: normals, and batches with how many fields they have."""
        batches = self.minibatches
        fields: dict[str, int] = {}
        if batches:
            fields = dict.fromkeys(batches.names, int(batches.table.shape[1]))
        return {**dict.fromkeys(self.noise, 0), **fields}

    @property
    def law(self) -> Program:
        """What the system's stability is that of: the step of a map, the field of a flow."""
        return self.program

    def _traced(self, step: Any, drawn: Mapping[str, int] | None = None) -> Program:
        more = drawn or {}
        size, names = len(self.rows), (*self.numbers, *more)
        batches = {name: fields for name, fields in more.items() if fields}

        def definition(*values: Any) -> list[Any]:
            return step(values[:size], dict(zip(names, values[size:], strict=True)))

        return trace(definition, (*self.rows, *names), batches)

    def apply(self, w: Any, steps: int = 1, seed: int = 0) -> np.ndarray:
        """Take steps by plain NumPy: the reference that every faster reading is held against.

        Parameters
        ----------
        w : array_like, shape (…, d)
            Initial coordinates; arrays of numbers broadcast against the leading dimensions.
        steps : int, default 1
            A `Switch` changes algorithm where it says, if it says so in steps.
        seed : int, default 0
            Of what is random. The stream of a particle is its place, in C order.

        Returns
        -------
        ndarray, shape (…, d)

        Raises
        ------
        TypeError
            If the system is a `Switch` at an event, which `samdyn.simulate` watches for.
        """
        checked_whole("steps", steps, 0)
        w = np.asarray(w, dtype=float)
        d = len(self.coordinates)
        if w.ndim == 0 or w.shape[-1] != d:
            raise ValueError(f"w must have shape (…, {d}), got {w.shape}")
        shape = np.broadcast_shapes(
            w.shape[:-1], *(np.shape(n) for _, one in self.phases for n in one.numbers.values())
        )
        key = keys(checked_seed(seed), np.arange(math.prod(shape))).reshape(2, *(shape or (1,)))
        known = dict(zip(self.coordinates, np.moveaxis(w, -1, 0), strict=True))
        phases = [(first, one) for first, one in self.phases if isinstance(first, int)]
        if len(phases) < len(self.phases):
            raise TypeError(f"apply knows steps, not events: run {self.title} by samdyn.simulate")
        ends = [first for first, _ in phases[1:]]
        for (first, one), end in zip(phases, [*ends, steps], strict=True):
            fresh = one.start([known[name] for name in self.coordinates])
            carried = self.coordinates if self.resets else known
            z = [
                known[name] if name in carried else zero
                for name, zero in zip(one.rows, fresh, strict=True)
            ]
            z = one._iterate(z, range(first, min(end, steps)), key)
            known = dict(zip(one.rows, z, strict=True))
        final = np.broadcast_arrays(*(known[name] for name in self.coordinates))
        return np.stack(final, axis=-1).reshape(*shape, d)

    @property
    def resets(self) -> bool:
        """Whether vectors other than the coordinates go back to 0 where a phase begins."""
        return False

    def _iterate(self, z: list[Any], steps: range, key: np.ndarray) -> list[Any]:
        numbers = {name: np.asarray(value, float) for name, value in self.numbers.items()}
        with np.errstate(all="ignore"):
            for t in steps:
                z = list(self.program(*z, *numbers.values(), *self._draw(numbers, t, key)))
        return z

    def _draw(self, numbers: Mapping[str, Any], step: int, key: np.ndarray) -> list[Any]:
        """What a step draws, in the order of ``drawn``."""
        batches = self.minibatches
        drawn: list[Any] = list(normals(key, step, len(self.noise)))
        return drawn + (batches.batches(key, step, numbers["batch_size"]) if batches else [])


def checked_system(system: Any) -> System:
    """The system, if it is one.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(system, System):
        raise TypeError(
            "system must be a samdyn.Map(loss, algorithm), a Flow, an SDE, a FormulaMap or a "
            f"FormulaSDE, got {system!r}"
        )
    return system


def checked_single(system: Any) -> System:
    """The system, if it is one, has one phase and draws nothing.

    Raises
    ------
    TypeError
        If it is no system, or a `Switch`, which is several, or random.
    """
    if len(checked_system(system).phases) > 1:
        raise TypeError("system is a Switch, which is several maps; take one from .phases")
    refuse_random(system)
    return system


def refuse_random(system: System) -> None:
    """Refuse a system whose steps draw, which has no fixed points or basins of its own.

    Raises
    ------
    TypeError
        If it is random.
    """
    if system.random:
        raise TypeError(
            f"system must not be random here, got {system.title}; take the map or the flow of the "
            "mean loss"
        )


def refuse_unknown(names: Mapping[str, Any], known: Sequence[str], title: str) -> None:
    """Refuse numbers that a system does not have."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        has = ", ".join(known) or "none"
        raise ValueError(f"{unknown[0]} is no number of {title}; it has {has}")
