"""The map of an algorithm on a loss: the discrete algorithm itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from samdyn.algorithms import Algorithm, Switch
from samdyn.losses.loss import Loss
from samdyn.systems.base import System
from samdyn.words import Point


@dataclass(frozen=True, eq=False)
class Map(System):
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
                "a hyperparameter": one.single.numbers,
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
    def vectors(self) -> tuple[str, ...]:
        """Names of the vectors of the state besides the weights."""
        return self.single.state

    @property
    def numbers(self) -> dict[str, Any]:
        """The algorithm's hyperparameters and the loss's constants, by name."""
        return {**self.single.numbers, **self.loss.constants}

    @property
    def title(self) -> str:
        several = isinstance(self.algorithm, Switch)
        name = "Switch" if several else self.single.title
        return f"{name} on {self.loss.name or self.loss.formula}"

    @property
    def about(self) -> dict[str, str]:
        return {"algorithm": repr(self.algorithm)}

    @property
    def resets(self) -> bool:
        return isinstance(self.algorithm, Switch) and self.algorithm.momentum == "reset"

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        d = self.loss.dimension
        vectors = tuple(Point(z[i : i + d]) for i in range(0, len(z), d))
        moved = self.single.step(self._oracle(numbers), vectors, self._namespace(numbers))
        result = [scalar for vector in moved for scalar in vector]
        if len(result) != len(z):
            raise TypeError(
                f"the step of {self.algorithm!r} returned {len(moved)} vectors of a state of "
                f"{len(vectors)}"
            )
        return result

    def replace(self, **numbers: Any) -> Map:
        """The same map with other hyperparameters, or other constants of the loss.

        Examples
        --------
        >>> from samdyn import Loss, SAM
        >>> Map(Loss("x**2"), SAM(lr=0.1, rho=0.5)).replace(rho=0.2).algorithm
        SAM(lr=0.1, rho=0.2)
        """
        ours = {name: numbers.pop(name) for name in self.loss.constants if name in numbers}
        algorithm = self.single.replace(**numbers) if numbers else self.algorithm
        return Map(self.loss.replace(**ours) if ours else self.loss, algorithm)

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
        oracle = self.single.gradient(self._oracle(numbers), self._namespace(numbers))
        with np.errstate(all="ignore"):
            g = oracle(Point(np.moveaxis(np.asarray(w, dtype=float), -1, 0)))
        return np.stack(np.broadcast_arrays(*g), axis=-1)

    @property
    def single(self) -> Algorithm:
        """The algorithm, which must be one: a `Switch` is several maps."""
        if isinstance(self.algorithm, Switch):
            raise TypeError("a Switch is several maps; take one of them from .phases")
        return self.algorithm

    def _oracle(self, numbers: Mapping[str, Any]) -> Any:
        return lambda p: self.loss.gradient_at(p, numbers)

    def _namespace(self, numbers: Mapping[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**{name: numbers[name] for name in self.single.numbers})
