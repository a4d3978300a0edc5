"""Lookahead: several fast steps, then part of the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

from samdyn.algorithms.base import Algorithm, Oracle, State
from samdyn.algorithms.gradients import redrawn
from samdyn.numbers import Number, checked_number, checked_whole


@dataclass(frozen=True, eq=False)
class Lookahead(Algorithm):
    """Lookahead around any algorithm; around SAM it is look-ahead SAM.

    One step of the map is a whole cycle: ``k`` steps of the inner algorithm from w lead to w*,
    then w moves ``alpha`` of the way to w*. The inner algorithm's own state (its momentum) is
    carried on.

    Parameters
    ----------
    algorithm : Algorithm
        What takes the fast steps, for example ``SAM(lr=0.05, rho=0.1)``.
    k : int, default 5
        Fast steps in a cycle.
    alpha : float or array, default 0.5
        Share of the way kept, at least 0.

    Raises
    ------
    ValueError
        If ``k`` is below 1 or ``alpha`` negative.

    References
    ----------
    Zhang et al., "Lookahead optimizer: k steps forward, 1 step back", NeurIPS 2019
    (arXiv 1907.08610).
    """

    algorithm: Algorithm
    k: int = 5
    alpha: Number = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.algorithm, Algorithm):
            raise TypeError(f"algorithm must be an algorithm, got {self.algorithm!r}")
        checked_whole("k", self.k, 1)
        if "alpha" in self.algorithm.numbers:
            raise ValueError("algorithm has a number named alpha already, which Lookahead needs")
        object.__setattr__(self, "alpha", checked_number("alpha", self.alpha, minimum=0.0))

    @property
    def title(self) -> str:
        return f"Lookahead {self.algorithm.title}"

    @property
    def numbers(self) -> dict[str, Number]:
        return {**self.algorithm.numbers, "alpha": self.alpha}

    @property
    def state(self) -> tuple[str, ...]:
        return self.algorithm.state

    def replace(self, **numbers: Number) -> Lookahead:
        own = {name: numbers.pop(name) for name in ("alpha",) if name in numbers}
        inner = self.algorithm.replace(**numbers) if numbers else self.algorithm
        return replace(self, algorithm=inner, **own)

    def gradient(self, grad: Oracle, n: SimpleNamespace) -> Oracle:
        return self.algorithm.gradient(grad, n)

    def step(self, grad: Oracle, z: State, n: SimpleNamespace) -> State:
        slow = z[0]
        inner = SimpleNamespace(**{name: getattr(n, name) for name in self.algorithm.numbers})
        for _ in range(self.k):
            z = self.algorithm.step(redrawn(grad), z, inner)
        fast, *rest = z
        return (slow + n.alpha * (fast - slow), *rest)
