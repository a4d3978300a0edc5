"""What an algorithm is: numbers, extra state, and one step as a definition in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from types import SimpleNamespace
from typing import Any

Oracle = Callable[[Any], Any]
"""The gradient as a function of the point. A step receives it, not its value: SAM asks twice."""


class RandomOracle:
    """The gradient on a sample drawn at random: what a step receives of a random loss.

    It answers on one sample as often as it is asked, as a minibatch does.
    """

    def __call__(self, p: Any) -> Any:
        raise NotImplementedError

    @property
    def mean(self) -> Oracle:
        """The expected gradient."""
        raise NotImplementedError

    def redrawn(self) -> RandomOracle:
        """The same with a sample of its own."""
        raise NotImplementedError

    def over_parts(self, m: int, transform: Callable[[Oracle], Oracle]) -> Oracle:
        """The mean of a transformed oracle over parts of m samples of the minibatch."""
        raise NotImplementedError


State = tuple[Any, ...]
"""The weights, then the algorithm's own vectors in the order of ``Algorithm.state``."""


class Algorithm:
    """The interface of every algorithm: a one-step map ``z' = F(z; numbers)``.

    A new one gives ``numbers``, ``state`` and ``step``; the rest follows. For most purposes
    writing the step as a function and decorating it with `samdyn.algorithm` is shorter.
    """

    @property
    def title(self) -> str:
        """What the algorithm is called."""
        return type(self).__name__

    @property
    def numbers(self) -> dict[str, Any]:
        """The hyperparameters that reach the step as data, by name."""
        raise NotImplementedError

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the vectors carried along besides the weights, such as ``velocity``.

        Each is 0 before the first step.
        """
        return ()

    def replace(self, **numbers: Any) -> Algorithm:
        """The same algorithm with other values of some numbers.

        Raises
        ------
        TypeError
            If the class is no dataclass, and does not say itself what replaces a number.
        ValueError
            If a name is none of the algorithm's numbers.
        """
        if not is_dataclass(self):
            raise TypeError(
                f"{type(self).__name__} must be a dataclass, or define replace(**numbers)"
            )
        known = [field.name for field in fields(self)]
        unknown = sorted(set(numbers) - set(known))
        if unknown:
            has = ", ".join(self.numbers)
            raise ValueError(f"{unknown[0]} is no number of {self!r}; it has {has}")
        return replace(self, **numbers)

    def gradient(self, grad: Oracle, n: SimpleNamespace) -> Oracle:
        """The oracle that the update uses in place of the loss's own gradient.

        Raises
        ------
        TypeError
            If the algorithm does not say: one written as a single function does not.
        """
        raise TypeError(f"{self!r} does not say along which gradient it descends")

    def step(self, grad: Oracle, z: State, n: SimpleNamespace) -> State:
        """One step.

        Parameters
        ----------
        grad : callable
            The gradient of the loss, point -> vector.
        z : tuple of points
            The weights, then one vector for each name in ``state``.
        n : SimpleNamespace
            The numbers, as attributes.
        """
        raise NotImplementedError
