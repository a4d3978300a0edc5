"""Attacks on a network's inputs: projected gradient ascent of the loss within a small distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samdyn.networks.problem import Buffers, Problem, Samples
from samdyn.numbers import checked_interval, checked_whole

Slope = Callable[[Tensor], Tensor]
"""The gradient of each sample's loss with respect to its input: (n, …) to (n, …)."""


class Attack(NamedTuple):
    """Projected gradient ascent (PGD) in the space of the inputs: what of it is no number.

    Attributes
    ----------
    steps : int
    norm : float
        In which the distance is measured: ``math.inf`` or 2.
    bounds : (low, high) or None
        Of the data, which an attack does not leave.
    random_start : bool
        Whether it begins at a random point within the distance, not at the input itself.
    """

    steps: int
    norm: float = math.inf
    bounds: tuple[float, float] | None = None
    random_start: bool = True

    def __call__(
        self, slope: Slope, inputs: Tensor, epsilon: Any, lr: Any, noise: Tensor | None
    ) -> Tensor:
        """Inputs (n, …) that are attacked, each within ``epsilon`` of what it was.

        Parameters
        ----------
        slope : callable
        inputs : Tensor, shape (n, …)
        epsilon, lr : float or Tensor of shape ()
            The distance and the length of a step.
        noise : Tensor, shape (n, …), or None
            From -1 to 1; for the random start. None: the start is at the inputs.
        """
        ball = _BALLS[self.norm]
        x = inputs
        if noise is not None:
            x = self._clipped(inputs + epsilon * ball.start(noise))
        for _ in range(self.steps):
            moved = x + lr * ball.uphill(slope(x))
            x = self._clipped(inputs + ball.within(moved - inputs, epsilon))
        return x

    def _clipped(self, x: Tensor) -> Tensor:
        return x if self.bounds is None else x.clamp(*self.bounds)

    def check(self, inputs: Tensor) -> None:
        """Refuse inputs that cannot be attacked.

        Raises
        ------
        TypeError
            If they are whole numbers.
        ValueError
            If some are out of bounds.
        """
        if not inputs.is_floating_point():
            raise TypeError(
                f"inputs must be floating-point to be attacked, got {inputs.dtype}: between whole "
                "numbers there is no small distance"
            )
        if self.bounds is not None:
            low, high = float(inputs.min()), float(inputs.max())
            if not self.bounds[0] <= low <= high <= self.bounds[1]:
                raise ValueError(
                    f"bounds must contain all inputs, which are from {low:g} to {high:g}, got "
                    f"{self.bounds}"
                )


class _Ball(NamedTuple):
    """What an attack needs to know of a norm's unit ball."""

    start: Callable[[Tensor], Tensor]
    """A point of it, of noise from -1 to 1."""
    uphill: Slope
    """The unit vector of each sample along which its loss rises fastest."""
    within: Callable[[Tensor, Any], Tensor]
    """The nearest displacements in the ball of radius epsilon."""


def _cube(moved: Tensor, epsilon: Any) -> Tensor:
    edge = torch.as_tensor(epsilon, dtype=moved.dtype, device=moved.device)
    return torch.maximum(torch.minimum(moved, edge), -edge)


def _length(vectors: Tensor) -> Tensor:
    """Of each sample's vector, in a shape that goes with them."""
    return vectors.square().sum(dim=tuple(range(1, vectors.ndim)), keepdim=True).sqrt()


def _along(slopes: Tensor) -> Tensor:
    length = _length(slopes)
    return slopes / torch.where(length > 0, length, torch.ones_like(length))


def _round(moved: Tensor, epsilon: Any) -> Tensor:
    length = _length(moved)
    return torch.where(length > epsilon, epsilon * _along(moved), moved)


_BALLS = {
    math.inf: _Ball(lambda noise: noise, torch.sign, _cube),
    2.0: _Ball(lambda noise: noise / noise[0].numel() ** 0.5, _along, _round),
}
"""By the norm. The random start of norm 2 is drawn from the largest cube in the ball."""


def checked_attack(steps: int, norm: float, bounds: Any, random_start: bool = True) -> Attack:
    """An attack from what the user gave.

    Raises
    ------
    TypeError, ValueError
        If it is refused.
    """
    if norm not in _BALLS:
        raise ValueError(f"norm must be math.inf or 2, got {norm!r}")
    if not isinstance(random_start, bool):
        raise TypeError(f"random_start must be True or False, got {random_start!r}")
    limits = None if bounds is None else checked_interval("bounds", bounds)
    return Attack(checked_whole("attack_steps", steps, 1), float(norm), limits, random_start)


def default_lr(epsilon: Any, steps: int) -> Any:
    """A step so long that an attack comes from any point of the ball to any edge."""
    return 2.5 * epsilon / steps


def slopes(
    problem: Problem, w: Tensor, samples: Samples, buffers: Buffers, training: bool = False
) -> Tensor:
    """The gradient of each sample's loss with respect to its input, of the shape of the inputs.

    Buffers stay as they are. ``torch.vmap`` can take many.
    """

    def total(inputs: Tensor, targets: Tensor) -> Tensor:
        known = {name: b.clone() for name, b in buffers.items()}
        return problem.losses(w, Samples(inputs, targets), known, training).sum()

    pieces = zip(*(t.split(problem.chunk) for t in samples), strict=True)
    return torch.cat([torch.func.grad(total)(*piece) for piece in pieces])
