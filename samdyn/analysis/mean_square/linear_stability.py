"""Zhou et al.'s linear stability of a system at a minimiser: what their theorems say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.algorithms import GD, SAM, Algorithm
from samdyn.analysis.mean_square import bounds
from samdyn.analysis.mean_square.noise import NoiseAlignment, noise_alignment
from samdyn.numbers import check_single
from samdyn.systems.map import Map


@dataclass(frozen=True)
class LinearStability:
    """What the necessary conditions say of SGD or un-normalised SAM at a minimiser.

    Attributes
    ----------
    noise : NoiseAlignment
        gamma, |H|_F and where they come from.
    batch_size : float
        B; for batches without repetition B (n - 1)/(n - B), which has the same noise.
    lr, rho : float
        Those of the system; rho = 0 for SGD.
    """

    noise: NoiseAlignment
    batch_size: float
    lr: float
    rho: float

    def __repr__(self) -> str:
        return (
            f"LinearStability(excluded={self.excluded}, growth_factor={self.growth_factor:.6g}, "
            f"largest_lr={self.largest_lr:.6g}, largest_rho={self.largest_rho:.6g})"
        )

    @property
    def growth_factor(self) -> float:
        """C, the lower bound on the factor of growth of the mean loss, a step."""
        if np.isinf(self.batch_size):
            return 0.0
        return float(bounds.escape_factor(self.lr, self.rho, *self._rest))

    @property
    def excluded(self) -> bool:
        """Whether stability is excluded. If not, nothing is said: see `mean_square_growth`."""
        return self.growth_factor > 1.0

    @property
    def largest_lr(self) -> float:
        """The learning rate above which stability is excluded, at this rho."""
        if np.isinf(self.batch_size):
            return np.inf
        return float(bounds.largest_lr(self.noise.frobenius, self.rho, *self._rest[1:]))

    @property
    def largest_rho(self) -> float:
        """The rho above which stability is excluded, at this lr; NaN if it is at every rho."""
        if np.isinf(self.batch_size):
            return np.inf
        return float(bounds.largest_rho(self.lr, *self._rest))

    @property
    def largest_frobenius(self) -> float:
        """The |H|_F above which stability is excluded, at this lr and rho."""
        if np.isinf(self.batch_size):
            return np.inf
        return float(bounds.largest_frobenius(self.lr, self.rho, *self._rest[1:]))

    @property
    def _rest(self) -> tuple[float, float, float]:
        return self.noise.frobenius, self.noise.gamma, self.batch_size


def linear_stability(system: Map, point: Any) -> LinearStability:
    """What Zhou et al.'s theorems say of SGD or un-normalised SAM at a minimiser.

    The conditions are necessary, not sufficient, and loose: `samdyn.mean_square_threshold` has the
    exact boundary. They are proved for independent batches in SAM's two gradients
    (``fresh_noise=True``); with one batch for both, SAM was less stable still in every case tried.

    Parameters
    ----------
    system : Map
        Of `GD` or `USAM` without momentum on a loss with data; without batch_size the noise is
        none and nothing is excluded.
    point : array_like, shape (d,)
        A minimiser that fits all the data.

    Raises
    ------
    TypeError
        If the algorithm is another: normalised SAM is not linearly stable anywhere.
    ValueError
        If a number is an array, or the point is no minimiser of all samples.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Theorems 4.1 and 4.2; Wu, Wang and Su, arXiv 2207.02628.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> sgd = linear_stability(sd.Map(loss, sd.GD(lr=0.2), batch_size=1), 0.0)
    >>> round(sgd.largest_lr, 12), sgd.excluded
    (0.25, False)
    """
    if not isinstance(system, Map):
        raise TypeError(f"system must be a samdyn.Map(loss, algorithm), got {system!r}")
    rho = plain_rho(system.single)
    check_single("this", system.numbers)
    if system.sampling == "epochs":
        raise ValueError("sampling must be 'replacement' or 'subset' here, got 'epochs'")
    noise = noise_alignment(system.loss, point)
    lr = float(system.numbers["lr"])
    return LinearStability(noise, _independent(system), lr, float(rho))


def plain_rho(algorithm: Algorithm) -> Any:
    """The rho of un-normalised SAM, 0 of gradient descent.

    Raises
    ------
    TypeError
        If the algorithm is another, or has momentum, weight decay or several ascents.
    """
    if type(algorithm) is GD and set(algorithm.numbers) == {"lr"}:
        return 0.0
    plain = type(algorithm) is SAM and set(algorithm.numbers) == {"lr", "rho"}
    if plain and (algorithm.normalize, algorithm.ascent_steps, algorithm.m) == (False, 1, None):  # type: ignore[attr-defined]
        return algorithm.numbers["rho"]
    raise TypeError(
        "algorithm must be GD(lr=…) or USAM(lr=…, rho=…), of which alone the theorem speaks, got "
        f"{algorithm!r}"
    )


def _independent(system: Map) -> float:
    """How many independent samples have a minibatch's noise."""
    if system.batch_size is None:
        return np.inf
    n, size = len(system.loss.samples), float(system.batch_size)
    if system.sampling == "replacement":
        return size
    return np.inf if size >= n else size * (n - 1.0) / (n - size)
