"""The networks of a sweep: seeds and arrays of hyperparameters laid out as dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from samdyn.algorithms import Algorithm, Switch, Written
from samdyn.algorithms.switch import swept
from samdyn.ensembles.axes import Axes, lay_out
from samdyn.ensembles.describe import describe_algorithm
from samdyn.networks.phases import Phases
from samdyn.numbers import checked_number, checked_whole

RESERVED = frozenset(
    "epoch weight buffer later_phase train_loss train_error test_loss test_error learning_rate "  # noqa: SIM905
    "phase step steps reason switched w final final_buffers".split()
)
"""Names in results, which nothing of the user's may have there."""


class Member(NamedTuple):
    """One network of a sweep.

    Attributes
    ----------
    seed : int
    batch_size : int
    phases : Phases
        Whose algorithms have single numbers.
    label : str
        Such as "seed=3,rho=0.1"; "run" if nothing is swept.
    """

    seed: int
    batch_size: int
    phases: Phases
    label: str

    @property
    def numbers(self) -> list[dict[str, float]]:
        """The hyperparameters of each phase."""
        return [dict(one.numbers) for one in self.phases.algorithms]

    @property
    def recipe(self) -> dict[str, Any]:
        """What tells it from others, as plain data."""
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            **self.phases.recipe(_numbered),
        }


def described(algorithm: Algorithm | Switch) -> dict[str, Any]:
    """An algorithm as plain data; one of the user's own class as what it prints."""
    try:
        return describe_algorithm(algorithm)
    except TypeError:
        return {"name": repr(algorithm)}


def _numbered(algorithm: Algorithm) -> dict[str, Any]:
    """An algorithm by its name and what is plain of it: what it does, fingerprints say."""
    try:
        known = describe_algorithm(algorithm)
    except TypeError:  # no dataclass
        return {"name": type(algorithm).__qualname__, **_kept(algorithm.numbers)}
    if isinstance(algorithm, Written):
        known["name"] = algorithm.title
    return _kept(known)


def _kept(described: dict[str, Any]) -> dict[str, Any]:
    plain = {name: _kept(v) if isinstance(v, dict) else v for name, v in described.items()}
    kinds = dict | list | tuple | str | int | float | None
    return {name: v for name, v in plain.items() if name != "source" and isinstance(v, kinds)}


def laid_out(phases: Phases, batch_size: Any, seed: Any) -> Axes:
    """The dimensions of a sweep.

    Parameters
    ----------
    phases : Phases
    batch_size : int or array
    seed : int or sequence of int

    Raises
    ------
    ValueError
        If a seed or a batch size is no whole number, or arrays do not go together.
    """
    several = isinstance(seed, Sequence | np.ndarray | xr.DataArray) and not isinstance(seed, str)
    seeds = [checked_whole("seed", one, 0) for one in (seed if several else [seed])]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seed must be one or more different whole numbers, got {seed!r}")
    if several:
        draws = xr.DataArray(np.empty((len(seeds), 0)), {"seed": seeds}, ("seed", "coord"))
    else:
        draws = xr.DataArray(np.empty(0), dims=("coord",))
    sizes = checked_number("batch_size", batch_size, minimum=1)
    if np.any(np.asarray(sizes) % 1):
        raise ValueError(f"batch_size must be whole numbers >= 1, got {batch_size}")
    numbers = {
        f"{k}:{name}": value
        for k, one in enumerate(phases.algorithms)
        for name, value in one.numbers.items()
    }
    steps = {f"{k}:switch": when for k, when in enumerate(phases.begins) if swept(when)}
    axes = lay_out({**numbers, **steps, "batch_size": sizes}, draws, ())
    taken = sorted(RESERVED.intersection(axes.dims))
    if taken:
        raise ValueError(f"a dimension called {taken[0]!r} is in every result; choose another name")
    return axes


def members(axes: Axes, phases: Phases, seed: Any) -> list[Member]:
    """The networks of a sweep, in the order of its dimensions."""
    found = []
    for place in range(axes.particles):
        known = {name: axes.take(name, place, place + 1) for name in axes.arrays}
        single = {name: float(np.asarray(value).item()) for name, value in known.items()}
        index = dict(zip(axes.dims, np.unravel_index(place, axes.shape), strict=True))
        algorithms = tuple(
            _single(one, {name: single[f"{k}:{name}"] for name in one.numbers})
            for k, one in enumerate(phases.algorithms)
        )
        begins = tuple(
            int(single[f"{k}:switch"]) if swept(when) else when
            for k, when in enumerate(phases.begins)
        )
        known_steps = [when for when in begins if isinstance(when, int)]
        if sorted(known_steps) != known_steps:
            raise ValueError(f"the steps of phases must increase, got {known_steps} together")
        said = {
            dim: axes.coordinates[dim][i] if dim in axes.coordinates else i
            for dim, i in index.items()
        }
        own = int(said["seed"]) if "seed" in said else int(seed)
        label = ",".join(f"{dim}={_text(value)}" for dim, value in said.items()) or "run"
        found.append(
            Member(
                own,
                int(single["batch_size"]),
                phases._replace(begins=begins, algorithms=algorithms),
                label,
            )
        )
    return found


def _single(algorithm: Algorithm, numbers: dict[str, float]) -> Algorithm:
    """The algorithm with one value of each number."""
    arrays = {name: numbers[name] for name, value in algorithm.numbers.items() if np.ndim(value)}
    return algorithm.replace(**arrays) if arrays else algorithm


def _text(value: Any) -> str:
    number = isinstance(value, int | float | np.number)
    return f"{value:.10g}" if number else "".join(c if c.isalnum() else "_" for c in str(value))
