"""Runs as plain data: what a result carries so that it can be run again, and what a file says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr

from samdyn import losses
from samdyn.algorithms import ASAM, GD, SAM, USAM, Algorithm, Lookahead, Switch, Written
from samdyn.ensembles.events import Converged, Diverged, Escape, Event
from samdyn.ensembles.points import ball, grid, uniform
from samdyn.losses.loss import Loss

ALGORITHMS: dict[str, Any] = {f.__name__: f for f in (GD, SAM, USAM, ASAM, Lookahead, Switch)}
"""The algorithms that a recipe may name."""

EVENTS: dict[str, Any] = {f.__name__: f for f in (Escape, Converged, Diverged)}
"""The events that a recipe may name."""

_SPACINGS = {"linspace": np.linspace, "geomspace": np.geomspace}
_POINTS = {"grid": grid, "uniform": uniform, "ball": ball}


_LONG = 1000
"""Longer arrays are not written out in a recipe: they stand in the result as a coordinate."""


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the entry and what would be right."""


def describe_loss(loss: Loss) -> dict[str, Any]:
    """A loss as plain data."""
    described: dict[str, Any] = {
        "formula": loss.formula,
        "variables": list(loss.variables),
        "constants": {name: _plain(value, name) for name, value in loss.constants.items()},
    }
    if loss.written_value is not None:
        described["function"] = _source(loss.written_value)
    return described


def describe_algorithm(algorithm: Algorithm | Switch) -> dict[str, Any]:
    """An algorithm as plain data."""
    if isinstance(algorithm, Written):
        numbers = {name: _plain(value, name) for name, value in algorithm.numbers.items()}
        return {"name": "function", "source": _source(algorithm.definition), **numbers}
    described: dict[str, Any] = {"name": type(algorithm).__name__}
    for field in fields(algorithm):  # type: ignore[arg-type]
        value = getattr(algorithm, field.name)
        if isinstance(value, Algorithm):
            value = describe_algorithm(value)
        elif field.name == "phases":
            value = [[step, describe_algorithm(one)] for step, one in value]
        described[field.name] = _plain(value, field.name)
    return described


def describe_event(event: Event) -> dict[str, Any]:
    """An event as plain data."""
    given = {field.name: getattr(event, field.name) for field in fields(event)}
    return {"event": type(event).__name__, **{k: v for k, v in given.items() if v is not None}}


def build_loss(recipe: Mapping[str, Any]) -> Loss:
    """The loss that a recipe describes: a formula, or the name of one in the library."""
    recipe = dict(recipe)
    if "function" in recipe:
        raise RecipeError("the loss was given as a Python function; build it again and simulate")
    constants = {name: _number(value) for name, value in recipe.pop("constants", {}).items()}
    if "name" in recipe and "formula" not in recipe:
        arguments = {key: value for key, value in recipe.items() if key != "name"}
        return _call(losses.get(recipe["name"]), recipe["name"], **arguments).replace(**constants)
    recipe.pop("name", None)
    only(recipe, ("formula", "variables"), "loss")
    if "formula" not in recipe:
        raise RecipeError("loss needs a formula, or the name of a loss in the library")
    return Loss(recipe["formula"], variables=recipe.get("variables"), **constants)


def build_algorithm(recipe: Mapping[str, Any]) -> Algorithm | Switch:
    """The algorithm that a recipe describes."""
    recipe = dict(recipe)
    name = recipe.pop("name", None)
    if name == "function":
        raise RecipeError(
            "the algorithm was given as a Python function; write it again and simulate"
        )
    if name not in ALGORITHMS:
        raise RecipeError(
            f"the name of an algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}"
        )
    if name == "Switch":
        phases = [(step, build_algorithm(one)) for step, one in recipe.pop("phases", [])]
        return _call(Switch, "Switch", phases, **recipe)
    if name == "Lookahead":
        inner = build_algorithm(recipe.pop("algorithm", {}))
        alpha = {key: _number(value) for key, value in recipe.items() if key == "alpha"}
        return _call(Lookahead, name, inner, **{**recipe, **alpha})
    return _call(ALGORITHMS[name], name, **{key: _number(value) for key, value in recipe.items()})


def build_event(recipe: Mapping[str, Any]) -> Event:
    """The event that a recipe describes."""
    recipe = dict(recipe)
    name = recipe.pop("event", None)
    if name not in EVENTS:
        raise RecipeError(f"event must be one of {', '.join(EVENTS)}, got {name!r}")
    return _call(EVENTS[name], name, **recipe)


def build_points(recipe: Any) -> Any:
    """Initial points: numbers as they stand, or {grid = …}, {uniform = …}, {ball = …}."""
    if not isinstance(recipe, Mapping):
        return np.asarray(recipe, dtype=float)
    if len(recipe) != 1 or next(iter(recipe)) not in _POINTS:
        raise RecipeError(f"x0 must be points or one of {', '.join(_POINTS)}, got {dict(recipe)}")
    ((kind, given),) = recipe.items()
    given = {
        name: tuple(v) if isinstance(v, list) and kind != "ball" else v for name, v in given.items()
    }
    return _call(_POINTS[kind], kind, **given)


def _number(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "dims" in value:
        return xr.DataArray(value["values"], dims=value["dims"], coords=value.get("coords"))
    if len(value) == 1 and next(iter(value)) in _SPACINGS:
        ((spacing, arguments),) = value.items()
        return _call(_SPACINGS[spacing], spacing, *arguments)
    raise RecipeError(f"a number must be a value, a list or {{linspace = [a, b, n]}}, got {value}")


def resolve(recipe: Any, run: xr.Dataset) -> Any:
    """A recipe in which the numbers that stand in the result itself are filled in."""
    if isinstance(recipe, list):
        return [resolve(entry, run) for entry in recipe]
    if not isinstance(recipe, Mapping):
        return recipe
    if set(recipe) == {"variable"}:
        values = run[recipe["variable"]]
        return values.values if values.dims == (values.name,) else values.reset_coords(drop=True)
    return {key: resolve(entry, run) for key, entry in recipe.items()}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray | xr.DataArray) and value.size > _LONG:
        return {"variable": name}
    if isinstance(value, xr.DataArray):
        coords = {str(dim): value[dim].values.tolist() for dim in value.dims if dim in value.coords}
        return {"dims": list(value.dims), "values": value.values.tolist(), "coords": coords}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return repr(function)


def only(recipe: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Refuse entries that nothing knows."""
    unknown = sorted(set(recipe) - set(known))
    if unknown:
        raise RecipeError(f"{what} does not know {unknown[0]!r}; it takes {', '.join(known)}")


def _call(function: Any, name: str, *arguments: Any, **named: Any) -> Any:
    try:
        return function(*arguments, **named)
    except TypeError as error:
        raise RecipeError(f"{name}: {error}") from None
