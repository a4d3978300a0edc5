"""The work that samdyn and its peers are given: losses, algorithms and ensembles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


def quartic(w: Sequence[Any]) -> tuple[Any, Any]:
    """The gradient of x**2/2 - y**2/2 + y**4/4."""
    x, y = w
    return x, y * y * y - y


def beale(w: Sequence[Any]) -> tuple[Any, Any]:
    """The gradient of Beale's function."""
    x, y = w
    y2 = y * y
    y3 = y2 * y
    a = 1.5 - x + x * y
    b = 2.25 - x + x * y2
    c = 2.625 - x + x * y3
    return (
        2.0 * (a * (y - 1.0) + b * (y2 - 1.0) + c * (y3 - 1.0)),
        2.0 * x * (a + 2.0 * b * y + 3.0 * c * y2),
    )


def rosenbrock(w: Sequence[Any]) -> list[Any]:
    """The gradient of the sum of 100*(x_(i+1) - x_i**2)**2 + (1 - x_i)**2."""
    above = [b - a * a for a, b in pairwise(w)]
    first = [2.0 * (a - 1.0) - 400.0 * a * c for a, c in zip(w, above, strict=False)]
    last = [200.0 * c for c in above]
    middle = [a + b for a, b in zip(first[1:], last, strict=False)]
    return [first[0], *middle, last[-1]]


class Work(NamedTuple):
    """An algorithm on a loss, and the ensemble it is run on.

    Attributes
    ----------
    loss : str
        What the loss is called in every peer.
    formula : str
        The loss, for samdyn.
    gradient : callable
        Its gradient on a sequence of components, for the peers that work on arrays.
    names : tuple of str
        The variables of the formula, in order.
    algorithm : str
        "GD", "SAM" or "SAM + momentum".
    box : tuple of float
        The initial points are uniform in this interval in every coordinate.
    lr : tuple of float
        The learning rates are uniform in this interval, one a particle.
    radius : float
        A particle escapes from the ball of this radius about 0.
    """

    loss: str
    formula: str
    gradient: Callable
    names: tuple[str, ...]
    algorithm: str
    box: tuple[float, float]
    lr: tuple[float, float]
    radius: float

    @property
    def dimension(self) -> int:
        """The number of weights."""
        return len(self.names)

    @property
    def momentum(self) -> float:
        """The momentum, 0 for algorithms without."""
        return 0.9 if "momentum" in self.algorithm else 0.0

    @property
    def ascends(self) -> bool:
        """Whether the gradient is taken at the perturbed point."""
        return "SAM" in self.algorithm

    @property
    def title(self) -> str:
        """Loss and algorithm."""
        return f"{self.loss}, {self.algorithm}"


class Ensemble(NamedTuple):
    """Initial points (d, n), and the learning rate and the ascent radius of each particle."""

    w: np.ndarray
    lr: np.ndarray
    rho: np.ndarray


def ensemble(work: Work, particles: int) -> Ensemble:
    """The particles of a piece of work, the same for every peer."""
    random = np.random.default_rng(0)
    return Ensemble(
        w=random.uniform(*work.box, (work.dimension, particles)),
        lr=random.uniform(*work.lr, particles),
        rho=random.uniform(0.01, 0.1, particles),
    )


_BEALE = "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2"
_NAMES = tuple(f"x{i}" for i in range(10))
_ROSENBROCK = " + ".join(f"100*({b} - {a}**2)**2 + (1 - {a})**2" for a, b in pairwise(_NAMES))
_QUARTIC = ("quartic", "x**2/2 - y**2/2 + y**4/4", quartic, ("x", "y"))
_ON_BEALE = ("beale", _BEALE, beale, ("x", "y"))

# Learning rates so small that nothing arrives: at its end normalised SAM rattles in cycles that
# amplify rounding, and coordinates that die out become subnormal, which slows down most peers.
ALL = (
    Work(*_QUARTIC, "GD", (-0.6, 0.6), (1e-5, 1e-4), 0.9),
    Work(*_QUARTIC, "SAM", (-0.6, 0.6), (1e-5, 1e-4), 0.9),
    Work(*_QUARTIC, "SAM + momentum", (-0.6, 0.6), (1e-6, 1e-5), 0.9),
    Work(*_ON_BEALE, "GD", (-1.0, 1.0), (1e-5, 1e-4), 2.0),
    Work(*_ON_BEALE, "SAM", (-1.0, 1.0), (1e-5, 1e-4), 2.0),
    Work(*_ON_BEALE, "SAM + momentum", (-1.0, 1.0), (1e-6, 1e-5), 2.0),
    Work("rosenbrock10", _ROSENBROCK, rosenbrock, _NAMES, "SAM", (-1, 1), (1e-6, 1e-5), 3.0),
)
