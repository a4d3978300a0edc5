"""The system of a run, with its numbers laid along the run's dimensions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from samdyn.ensembles.recipe import RecipeError, build_system, resolve
from samdyn.losses.loss import Loss
from samdyn.systems.base import System, checked_system
from samdyn.systems.flow import Flow
from samdyn.systems.map import Map
from samdyn.systems.sde import SDE


def maps_of(run: xr.Dataset, system: System | None) -> list[Map]:
    """The maps of a run, one for each phase, on the mean loss.

    Raises
    ------
    TypeError, ValueError
        If the run holds no system, its recipe cannot be followed, or nothing is minimised.
    """
    if system is None:
        system = _written(run)
    checked_system(system)
    if isinstance(system, Map):
        maps = [one for _, one in system.phases if isinstance(one, Map)]
    elif isinstance(system, Flow | SDE):
        maps = [Map(system.loss, system.algorithm)]
    else:
        raise TypeError(
            f"run must be of an algorithm on a loss, which is what diagnostics look at; "
            f"{system.title} has no loss"
        )
    if tuple(maps[0].coordinates) != tuple(map(str, run["coord"].values)):
        raise ValueError(
            f"system must have the coordinates of the run, {list(run['coord'].values)}, got "
            f"{list(maps[0].coordinates)}"
        )
    return [one.mean for one in maps]


def _written(run: xr.Dataset) -> System:
    if "recipe" not in run.attrs:
        raise ValueError("run has no attribute 'recipe'; give its system")
    recipe = json.loads(run.attrs["recipe"])
    tables = {name: resolve(recipe[name], run) for name in recipe if name != "simulate"}
    try:
        return build_system(tables)
    except RecipeError as error:
        raise ValueError(f"{error}; give the run's system") from None


def laid_along(one: Map, dims: tuple[str, ...]) -> Map:
    """The map with its swept numbers as arrays that broadcast along dimensions."""
    swept = {name: along(name, x, dims) for name, x in one.numbers.items() if np.ndim(x)}
    return one.replace(**swept) if swept else one


def along(name: str, value: Any, dims: tuple[str, ...]) -> np.ndarray:
    """A number of a run as an array with one axis for each dimension."""
    own = tuple(map(str, value.dims)) if isinstance(value, xr.DataArray) else (name,)
    array = np.asarray(value, float)
    missing = [dim for dim in own if dim not in dims]
    if missing:  # one value of a sweep was taken out of the result
        raise ValueError(
            f"run has no dimension {missing[0]!r} along which {name} was swept; take diagnostics "
            "of the whole result, or give the system"
        )
    order = sorted(range(len(own)), key=lambda k: dims.index(own[k]))
    lengths = {dim: array.shape[k] for k, dim in enumerate(own)}
    return array.transpose(order).reshape([lengths.get(dim, 1) for dim in dims])


def of_one(loss: Loss, place: tuple[int, ...]) -> Loss:
    """The loss of one particle, of constants that broadcast along the particles' dimensions."""
    chosen = {}
    for name, value in loss.constants.items():
        if np.ndim(value):
            array = np.asarray(value)
            here = (k if size > 1 else 0 for k, size in zip(place, array.shape, strict=False))
            chosen[name] = float(array[tuple(here)].reshape(-1)[0])
    return loss.replace(**chosen) if chosen else loss
