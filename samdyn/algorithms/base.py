"""What an algorithm is: numbers, extra state, and one step as a definition in words."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Oracle = Callable[[Any], Any]
"""The gradient as a function of the point. A step receives it, not its value: SAM asks twice."""

State = tuple[Any, ...]
"""The weights, then the algorithm's own vectors in the order of ``Algorithm.state``."""


class Algorithm:
    """The interface of every algorithm: a one-step map ``z' = F(z; numbers)``.

    A new one gives ``numbers``, ``state`` and ``step``; the rest follows. For most purposes
    writing the step as a function and decorating it with `samdyn.algorithm` is shorter.
    """

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
