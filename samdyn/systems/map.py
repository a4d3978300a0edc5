"""The map of an algorithm on a loss: the discrete algorithm itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from samdyn.algorithms import Algorithm, Switch
from samdyn.algorithms.switch import When, swept
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, checked_number
from samdyn.systems.base import System
from samdyn.systems.oracle import draws_of, random_oracle
from samdyn.systems.sampling import ORDERS, Sampling
from samdyn.words import Point


@dataclass(frozen=True, eq=False)
class Map(System):
    """An algorithm on a loss, as the one-step map z' = F(z; numbers).

    Parameters
    ----------
    loss : Loss
    algorithm : Algorithm or Switch
    batch_size : int or array, optional
        Samples that a step takes of a loss with data; an array is a sweep. Default: all of them,
        which leaves nothing random.
    sampling : {"replacement", "subset", "epochs"}, default "replacement"
        Samples drawn independently; all different within a batch; or each once an epoch, in a new
        order every time (the last batch of an epoch may be shorter).
    fresh_noise : bool, default False
        Whether each gradient of a step has a draw of its own. False: one draw a step serves all,
        as a minibatch serves both of SAM's gradients.

    Raises
    ------
    TypeError
        If the arguments are no loss or no algorithm.
    ValueError
        If batch_size comes without data, is below 1 or, unless sampled with replacement, above
        the number of samples; or if sampling or fresh_noise comes without what is to be drawn.
        If a variable or a constant of the loss has the name of a hyperparameter, or of a row such
        as ``velocity_x``. If a `Switch` counts epochs.

    Examples
    --------
    >>> from samdyn import Loss, GD
    >>> system = Map(Loss("x**2/2 + y**2"), GD(lr=0.1))
    >>> system.apply([1.0, 1.0], steps=2)
    array([0.81, 0.64])
    """

    loss: Loss
    algorithm: Algorithm | Switch
    batch_size: Number | None = None
    sampling: str = "replacement"
    fresh_noise: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss must be a samdyn.Loss, got {self.loss!r}")
        if not isinstance(self.algorithm, Algorithm | Switch):
            raise TypeError(
                f"algorithm must be an algorithm such as GD(lr=0.1), got {self.algorithm!r}"
            )
        if isinstance(self.algorithm, Switch) and self.algorithm.unit == "epoch":
            raise ValueError(
                "a Switch of a map must count steps; unit='epoch' is for the training of networks"
            )
        for when, _ in self.phases:
            if swept(when):
                raise ValueError(
                    "a Switch of a map must begin each phase at one step, at an event or at a "
                    f"condition, got the steps {np.asarray(when).tolist()}; arrays of them are for "
                    "the training of networks"
                )
        self._check_draws()
        for _, one in self.phases:
            owners = {
                "a variable of the loss": one.coordinates,
                "a constant of the loss": one.loss.constants,
                "a hyperparameter": {**one.single.numbers, **one._sizes},
                "the loss's noise": one.noise,
                "a row of the state": one.rows[len(one.coordinates) :],
            }
            for (this, names), (that, others) in combinations(owners.items(), 2):
                both = sorted(set(names) & set(others))
                if both:
                    raise ValueError(
                        f"{both[0]} names both {this} and {that}; rename it in the loss"
                    )
            one._draws  # noqa: B018  what cannot be drawn is refused now

    @property
    def phases(self) -> tuple[tuple[When, Map], ...]:
        """The maps that act one after the other, each with what begins its phase."""
        if isinstance(self.algorithm, Switch):
            return tuple((when, self._with(algorithm=one)) for when, one in self.algorithm.phases)
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
        return {**self.single.numbers, **self._sizes, **self.loss.constants}

    @property
    def random(self) -> bool:
        """Whether a step draws: there is noise, or there are minibatches."""
        sample = self.loss.sample
        return sample is not None and (bool(sample.noise) or self.batch_size is not None)

    @property
    def noise(self) -> tuple[str, ...]:
        return tuple(name for draw in self._noise for name in draw)

    @cached_property
    def minibatches(self) -> Sampling | None:
        if self.batch_size is None:
            return None
        return Sampling(self.loss.sample.table, self.sampling, self._draws)  # type: ignore[union-attr]

    @property
    def title(self) -> str:
        several = isinstance(self.algorithm, Switch)
        name = "Switch" if several else self.single.title
        return f"{name} on {self.loss.name or self.loss.formula}"

    @property
    def about(self) -> dict[str, str]:
        about = {"algorithm": repr(self.algorithm)}
        if self.batch_size is not None:
            about["sampling"] = self.sampling
        return about

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
        size = numbers.pop("batch_size", self.batch_size) if self._sizes else self.batch_size
        algorithm = self.single.replace(**numbers) if numbers else self.algorithm
        loss = self.loss.replace(**ours) if ours else self.loss
        return self._with(loss=loss, algorithm=algorithm, batch_size=size)

    @property
    def mean(self) -> Map:
        """The algorithm on the expected loss: nothing is random in it."""
        return Map(self.loss.mean, self.algorithm) if self.loss.sample else self

    def descent_gradient(self, w: Any) -> np.ndarray:
        """The gradient that the update uses at ``w``: for SAM, the one at the perturbed point.

        Of a random loss it is that of the mean loss.

        Parameters
        ----------
        w : array_like, shape (…, d)

        Returns
        -------
        ndarray, shape (…, d)
        """
        numbers = {name: np.asarray(value, float) for name, value in self.numbers.items()}
        oracle = self.single.gradient(self._mean_oracle(numbers), self._namespace(numbers))
        with np.errstate(all="ignore"):
            g = oracle(Point(np.moveaxis(np.asarray(w, dtype=float), -1, 0)))
        return np.stack(np.broadcast_arrays(*g), axis=-1)

    def ascent_at(self, w: Point, numbers: Mapping[str, Any]) -> Point:
        """From ``w`` to where the algorithm asks for the gradient that it uses, in words.

        That is SAM's perturbation, and 0 for gradient descent. Of a random loss it is that of the
        mean loss.
        """
        asked = []

        def asking(p: Point) -> Point:
            asked.append(p)
            return self.loss.gradient_at(p, numbers)

        self.single.gradient(asking, self._namespace(numbers))(w)
        return asked[-1] - w

    def ascent(self, w: Any) -> np.ndarray:
        """SAM's perturbation at ``w``; see `ascent_at`.

        Parameters
        ----------
        w : array_like, shape (…, d)

        Returns
        -------
        ndarray, shape (…, d)

        Examples
        --------
        >>> from samdyn import Loss, SAM
        >>> Map(Loss("x**2"), SAM(lr=0.1, rho=0.5)).ascent([2.0])
        array([0.5])
        """
        numbers = {name: np.asarray(value, float) for name, value in self.numbers.items()}
        with np.errstate(all="ignore"):
            moved = self.ascent_at(Point(np.moveaxis(np.asarray(w, float), -1, 0)), numbers)
        return np.stack(np.broadcast_arrays(*moved), axis=-1)

    @property
    def single(self) -> Algorithm:
        """The algorithm, which must be one: a `Switch` is several maps."""
        if isinstance(self.algorithm, Switch):
            raise TypeError("a Switch is several maps; take one of them from .phases")
        return self.algorithm

    def _oracle(self, numbers: Mapping[str, Any]) -> Any:
        if not self.random:
            return self._mean_oracle(numbers)
        drawn = [[numbers[name] for name in draw] for draw in self._noise]
        batches = self.minibatches
        given = [numbers[name] for name in batches.names] if batches else drawn
        return random_oracle(self.loss, numbers, given, self.fresh_noise)

    def _mean_oracle(self, numbers: Mapping[str, Any]) -> Any:
        return lambda p: self.loss.gradient_at(p, numbers)

    @cached_property
    def _draws(self) -> int:
        """How many draws a step takes."""
        if not self.random:
            return 0
        return draws_of(self.single, self.loss.dimension, self.fresh_noise)

    @property
    def _noise(self) -> list[list[str]]:
        """The names of the normals of each draw."""
        names = self.loss.sample.noise if self.loss.sample else ()
        if not names:
            return []
        return [[f"{name} {k}" if k else name for name in names] for k in range(self._draws)]

    @property
    def _sizes(self) -> dict[str, Any]:
        return {} if self.batch_size is None else {"batch_size": self.batch_size}

    def _with(self, **changes: Any) -> Map:
        return replace(self, **changes)

    def _check_draws(self) -> None:
        if self.sampling not in ORDERS:
            raise ValueError(f"sampling must be one of {', '.join(ORDERS)}, got {self.sampling!r}")
        if not isinstance(self.fresh_noise, bool):
            raise TypeError(f"fresh_noise must be True or False, got {self.fresh_noise!r}")
        sample = self.loss.sample
        if self.fresh_noise and sample is None:
            raise ValueError("fresh_noise goes with a random loss; this one has no noise or data")
        if self.batch_size is None:
            no_noise = sample is None or not sample.noise
            if self.sampling != "replacement" or (self.fresh_noise and no_noise):
                raise ValueError("sampling and fresh_noise of data go with batch_size; give one")
            return
        if sample is None or not sample.fields:
            raise ValueError("batch_size goes with a loss of data; this one has none")
        n = len(sample.table)
        size = checked_number("batch_size", self.batch_size)
        too_large = self.sampling != "replacement" and np.max(size) > n
        if np.any(np.asarray(size) % 1) or np.min(size) < 1 or too_large:
            most = "on" if self.sampling == "replacement" else f"to the {n} samples"
            raise ValueError(
                f"batch_size must be whole numbers from 1 {most}, got {self.batch_size}"
            )
        whole = size.astype(int) if np.ndim(size) else int(size)
        object.__setattr__(self, "batch_size", whole)

    def _namespace(self, numbers: Mapping[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**{name: numbers[name] for name in self.single.numbers})
