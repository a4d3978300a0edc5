"""The map of an algorithm on a loss: the discrete algorithm itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from samdyn.algorithms import Algorithm, Switch
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole
from samdyn.program import Program
from samdyn.tracer import trace
from samdyn.words import Point


@dataclass(frozen=True, eq=False)
class Map:
    """An algorithm on a loss, as the one-step map z' = F(z; numbers).

    Parameters
    ----------
    loss : Loss
    algorithm : Algorithm or Switch

    Raises
    ------
    TypeError
        If the arguments are no loss or no algorithm.
    ValueError
        If a variable or a constant of the loss has the name of a hyperparameter, or of a row such
        as ``velocity_x``.

    Examples
    --------
    >>> from samdyn import Loss, GD
    >>> system = Map(Loss("x**2/2 + y**2"), GD(lr=0.1))
    >>> system.apply([1.0, 1.0], steps=2)
    array([0.81, 0.64])
    """

    loss: Loss
    algorithm: Algorithm | Switch

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss must be a samdyn.Loss, got {self.loss!r}")
        if not isinstance(self.algorithm, Algorithm | Switch):
            raise TypeError(
                f"algorithm must be an algorithm such as GD(lr=0.1), got {self.algorithm!r}"
            )
        for _, one in self.phases:
            owners = {
                "a variable of the loss": one.coordinates,
                "a constant of the loss": one.loss.constants,
                "a hyperparameter": one._single.numbers,
                "a row of the state": one.rows[len(one.coordinates) :],
            }
            for (this, names), (that, others) in combinations(owners.items(), 2):
                both = sorted(set(names) & set(others))
                if both:
                    raise ValueError(
                        f"{both[0]} names both {this} and {that}; rename it in the loss"
                    )

    @property
    def phases(self) -> tuple[tuple[int, Map], ...]:
        """The maps that act one after the other, each with the step from which it acts."""
        if isinstance(self.algorithm, Switch):
            return tuple((step, Map(self.loss, one)) for step, one in self.algorithm.phases)
        return ((0, self),)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the weights: the loss's variables."""
        return self.loss.variables

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of all scalars of the state: the weights, then each further vector's."""
        return self.coordinates + tuple(
            f"{vector}_{name}" for vector in self.vectors for name in self.coordinates
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the vectors of the state besides the weights."""
        return self._single.state

    @property
    def numbers(self) -> dict[str, Any]:
        """The loss's constants and the algorithm's hyperparameters, by name."""
        return {**self._single.numbers, **self.loss.constants}

    def start(self, w: Sequence[Any]) -> list[Any]:
        """The scalars of the state at weights ``w`` before the first step."""
        return [*w, *(0.0 * scalar for _ in self._single.state for scalar in w)]

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """One step in words: on scalars of any kind, in the order of ``rows``."""
        d = self.loss.dimension
        vectors = tuple(Point(z[i : i + d]) for i in range(0, len(z), d))
        moved = self._single.step(self._oracle(numbers), vectors, self._namespace(numbers))
        result = [scalar for vector in moved for scalar in vector]
        if len(result) != len(z):
            raise TypeError(
                f"the step of {self.algorithm!r} returned {len(moved)} vectors of a state of "
                f"{len(vectors)}"
            )
        return result

    @cached_property
    def program(self) -> Program:
        """One step as a straight-line program of ``rows`` and ``numbers``."""
        size, names = len(self.rows), tuple(self.numbers)

        def definition(*values: Any) -> list[Any]:
            return self.step(values[:size], dict(zip(names, values[size:], strict=True)))

        return trace(definition, (*self.rows, *names))

    def apply(self, w: Any, steps: int = 1) -> np.ndarray:
        """Take steps by plain NumPy: the reference that every faster reading is held against.

        Parameters
        ----------
        w : array_like, shape (…, d)
            Initial weights; arrays of hyperparameters broadcast against the leading dimensions.
        steps : int, default 1
            A `Switch` changes algorithm where it says.

        Returns
        -------
        ndarray, shape (…, d)
        """
        checked_whole("steps", steps, 0)
        w = np.asarray(w, dtype=float)
        if w.ndim == 0 or w.shape[-1] != self.loss.dimension:
            raise ValueError(f"w must have shape (…, {self.loss.dimension}), got {w.shape}")
        reset = isinstance(self.algorithm, Switch) and self.algorithm.momentum == "reset"
        known = dict(zip(self.coordinates, np.moveaxis(w, -1, 0), strict=True))
        phases = self.phases
        ends = [first for first, _ in phases[1:]]
        for (first, one), end in zip(phases, [*ends, steps], strict=True):
            fresh = one.start([known[name] for name in self.coordinates])
            carried = self.coordinates if reset else known
            z = [
                known[name] if name in carried else zero
                for name, zero in zip(one.rows, fresh, strict=True)
            ]
            z = one._iterate(z, min(end, steps) - first)
            known = dict(zip(one.rows, z, strict=True))
        return np.stack(np.broadcast_arrays(*(known[name] for name in self.coordinates)), axis=-1)

    def _iterate(self, z: list[Any], steps: int) -> list[Any]:
        numbers = [np.asarray(value, float) for value in self.numbers.values()]
        with np.errstate(all="ignore"):
            for _ in range(steps):
                z = list(self.program(*z, *numbers))
        return z

    def descent_gradient(self, w: Any) -> np.ndarray:
        """The gradient that the update uses at ``w``: for SAM, the one at the perturbed point.

        Parameters
        ----------
        w : array_like, shape (…, d)

        Returns
        -------
        ndarray, shape (…, d)
        """
        numbers = {name: np.asarray(value, float) for name, value in self.numbers.items()}
        oracle = self._single.gradient(self._oracle(numbers), self._namespace(numbers))
        with np.errstate(all="ignore"):
            g = oracle(Point(np.moveaxis(np.asarray(w, dtype=float), -1, 0)))
        return np.stack(np.broadcast_arrays(*g), axis=-1)

    @property
    def _single(self) -> Algorithm:
        if isinstance(self.algorithm, Switch):
            raise TypeError("a Switch is several maps; take one of them from .phases")
        return self.algorithm

    def _oracle(self, numbers: Mapping[str, Any]) -> Any:
        return lambda p: self.loss.gradient_at(p, numbers)

    def _namespace(self, numbers: Mapping[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**{name: numbers[name] for name in self._single.numbers})
