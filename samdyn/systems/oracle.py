"""The gradient oracles that a step receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

from samdyn.algorithms.base import Algorithm, Oracle, RandomOracle
from samdyn.algorithms.gradients import NO_PARTS
from samdyn.losses.loss import Loss
from samdyn.words import Point


class Drawn(RandomOracle):
    """The gradient of a random loss on one draw.

    Parameters
    ----------
    gradient : callable
        ``gradient(p, draw)``.
    mean : callable
        The expected gradient.
    next_draw : callable
        Gives the next draw: the values of the noise, or a batch.
    fresh : bool
        Whether each call takes a draw of its own.
    parted : bool, default True
        Whether a draw is a batch, which has parts.
    """

    def __init__(
        self,
        gradient: Callable,
        mean: Oracle,
        next_draw: Callable[[], Any],
        fresh: bool,
        parted: bool = True,
    ):
        self._gradient = gradient
        self._mean = mean
        self._next = next_draw
        self._fresh = fresh
        self._parted = parted

    @cached_property
    def _draw(self) -> Any:
        return self._next()

    def __call__(self, p: Any) -> Any:
        return self._gradient(p, self._next() if self._fresh else self._draw)

    @property
    def mean(self) -> Oracle:
        return self._mean

    def redrawn(self) -> Drawn:
        return Drawn(self._gradient, self._mean, self._next, self._fresh, self._parted)

    def over_parts(self, m: int, transform: Callable[[Oracle], Oracle]) -> Oracle:
        if self._fresh:
            raise ValueError("m does not go with fresh_noise: parts of a batch share its samples")
        if not self._parted:
            raise TypeError(NO_PARTS)

        def averaged(w: Any) -> Any:
            def of_part(part: Any) -> tuple:
                return tuple(transform(Drawn(self._gradient, self._mean, lambda: part, False))(w))

            return Point(self._draw.over_parts(m, of_part))

        return averaged


def random_oracle(
    loss: Loss, numbers: Mapping[str, Any], draws: Sequence[Any], fresh: bool
) -> Drawn:
    """The oracle of a random loss that takes one of the draws after the other."""
    sample = loss.sample
    constants = [numbers[name] for name in loss.constants]

    def on_noise(p: Point, draw: Sequence[Any]) -> Point:
        return Point(sample.program(1)(*p, *draw, *constants))  # type: ignore[union-attr]

    def on_batch(p: Point, batch: Any) -> Point:
        program = sample.program(1)  # type: ignore[union-attr]
        return Point(batch.mean(lambda *fields: program(*p, *fields, *constants)))

    noisy = bool(sample.noise)  # type: ignore[union-attr]
    gradient = on_noise if noisy else on_batch
    mean = partial(loss.gradient_at, numbers=numbers)
    return Drawn(gradient, mean, iter(draws).__next__, fresh, not noisy)


class _Uncut:
    """A batch that is all one part."""

    def over_parts(self, m: int, function: Callable[[_Uncut], Sequence[Any]]) -> Sequence[Any]:
        return function(self)


def draws_of(algorithm: Algorithm, dimension: int, fresh: bool) -> int:
    """How many draws a step takes."""
    drawn = []

    def next_draw() -> _Uncut:
        drawn.append(_Uncut())
        return drawn[-1]

    def gradient(p: Point, draw: Any = None) -> Point:
        return Point(0.5 + 0.0 * x for x in p)

    numbers = SimpleNamespace(**dict.fromkeys(algorithm.numbers, 0.5))
    vectors = tuple(Point([0.5] * dimension) for _ in (None, *algorithm.state))
    algorithm.step(Drawn(gradient, gradient, next_draw, fresh), vectors, numbers)
    return len(drawn)
