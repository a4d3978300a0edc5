"""Runs as plain data: what a result carries so that it can be run again, and what a file says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn import losses
from samdyn.algorithms import ASAM, DNSAM, GD, SAM, USAM, Algorithm, Lookahead, Switch
from samdyn.ensembles.describe import DRAWN, LEFT_OUT, is_default
from samdyn.ensembles.events import Converged, Diverged, Escape, Event, Reached
from samdyn.ensembles.points import ball, grid, uniform
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System
from samdyn.systems.flow import Flow
from samdyn.systems.formula_map import FormulaMap
from samdyn.systems.formula_sde import FormulaSDE
from samdyn.systems.map import Map
from samdyn.systems.modified.covariance import absolute_hessian
from samdyn.systems.schemes import SCHEMES
from samdyn.systems.sde import SDE
from samdyn.systems.stochastic import STOCHASTIC_SCHEMES

ALGORITHMS: dict[str, Any] = {
    f.__name__: f for f in (GD, SAM, USAM, ASAM, DNSAM, Lookahead, Switch)
}
"""The algorithms that a recipe may name."""

EVENTS: dict[str, Any] = {f.__name__: f for f in (Escape, Reached, Converged, Diverged)}
"""The events that a recipe may name."""

_SPACINGS = {"linspace": np.linspace, "geomspace": np.geomspace}
_POINTS = {"grid": grid, "uniform": uniform, "ball": ball}


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the entry and what would be right."""


def build_system(recipe: Mapping[str, Any]) -> System:
    """The system that a recipe's tables describe; see `describe_system`."""
    if "system" in recipe:
        raise RecipeError("the system is one that a recipe cannot hold; build it again")
    if "map" in recipe:
        only(recipe, ("map",), "a recipe with a table [map]")
        return _build_map(expect_table("map", recipe["map"]))
    sde = dict(expect_table("sde", recipe.get("sde", {})))
    if "drift" in sde:
        only(recipe, ("sde",), "a recipe with a drift in its table [sde]")
        return _build_formula_sde(sde)
    for table in ("loss", "algorithm"):
        expect_present(recipe, table)
    loss, algorithm = build_loss(recipe["loss"]), build_algorithm(recipe["algorithm"])
    if "sde" in recipe:
        only(recipe, ("loss", "algorithm", "sde"), "a recipe with a table [sde]")
        return _build_sde(loss, algorithm, sde)
    if "flow" not in recipe:
        drawn = dict(expect_table("batches", recipe.get("batches", {})))
        only(drawn, tuple(DRAWN), "[batches]")
        if "batch_size" in drawn:
            drawn["batch_size"] = _number(drawn["batch_size"], "batch_size")
        return _made(Map, "batches", loss, algorithm, **drawn)
    flow = dict(expect_table("flow", recipe["flow"]))
    if "source" in flow:
        raise RecipeError("the scheme was given as a Python function; build the flow again")
    only(flow, ("dt", "scheme"), "[flow]")
    scheme = expect_text("scheme", flow.get("scheme", "rk4"))
    if scheme not in SCHEMES:
        raise RecipeError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    dt = _number(flow.get("dt", 1e-2), "dt")
    return _made(Flow, "flow", loss, algorithm, dt=dt, scheme=SCHEMES[scheme])


def _build_map(table: Mapping[str, Any]) -> FormulaMap:
    if "expressions" in table:
        raise RecipeError(
            "the map was given as SymPy expressions that are no formulas of samdyn; build it "
            "again and simulate"
        )
    only(table, ("formulas", "constants"), "[map]")
    expect_present(table, "formulas")
    formulas = {
        name: expect_text(f"the formula of {name}", formula)
        for name, formula in expect_table("formulas", table["formulas"]).items()
    }
    constants = expect_table("constants", table.get("constants", {}))
    numbers = {name: _number(value, name) for name, value in constants.items()}
    return _made(FormulaMap, "map", formulas, **numbers)


def _build_formula_sde(table: dict[str, Any]) -> FormulaSDE:
    only(table, ("drift", "diffusion", "constants", "dt", "scheme", "source"), "[sde]")
    expect_present(table, "diffusion")
    constants = expect_table("constants", table.get("constants", {}))
    numbers = {name: _number(value, name) for name, value in constants.items()}
    drift, diffusion = (expect_table(name, table[name]) for name in ("drift", "diffusion"))
    return _made(FormulaSDE, "sde", dict(drift), dict(diffusion), **_clock(table), **numbers)


def _build_sde(loss: Loss, algorithm: Any, table: dict[str, Any]) -> SDE:
    only(table, ("order", "batch_size", "nodes", "covariance", "dt", "scheme", "source"), "[sde]")
    given: dict[str, Any] = {n: table[n] for n in ("nodes", "covariance") if n in table}
    if given.get("covariance") == absolute_hessian.__name__:
        given["covariance"] = absolute_hessian
    if "batch_size" in table:
        given["batch_size"] = _number(table["batch_size"], "batch_size")
    order = None if table.get("order", 1) == "full" else table.get("order", 1)
    return _made(SDE, "sde", loss, algorithm, order=order, **_clock(table), **given)


def _clock(table: Mapping[str, Any]) -> dict[str, Any]:
    """The step length and the scheme of an SDE."""
    if "source" in table:
        raise RecipeError("the scheme is one of the user's own; build the SDE again")
    name = expect_text("scheme", table.get("scheme", "euler_maruyama"))
    if name not in STOCHASTIC_SCHEMES:
        raise RecipeError(f"scheme must be one of {', '.join(STOCHASTIC_SCHEMES)}, got {name!r}")
    return {"dt": _number(table.get("dt", 1e-2), "dt"), "scheme": STOCHASTIC_SCHEMES[name]}


def expect_present(recipe: Mapping[str, Any], table: str) -> None:
    """Refuse a recipe without one of its tables."""
    if not isinstance(recipe.get(table), Mapping):
        raise RecipeError(f"the recipe needs a table [{table}]")


def build_loss(recipe: Mapping[str, Any]) -> Loss:
    """The loss that a recipe describes: a formula, or the name of one in the library."""
    recipe = dict(expect_table("loss", recipe))
    if "function" in recipe:
        raise RecipeError("the loss was given as a Python function; build it again and simulate")
    if "expression" in recipe:
        raise RecipeError(
            "the loss was given as a SymPy expression that is no formula of samdyn; build it "
            "again and simulate"
        )
    table = expect_table("constants", recipe.pop("constants", {}))
    constants = {name: _number(value, name) for name, value in table.items()}
    name = expect_text("the name of a loss", recipe.pop("name")) if "name" in recipe else None
    if name is not None and "formula" not in recipe:
        arguments = {key: _number(value, key) for key, value in recipe.items()}
        return _call(losses.get(name), name, **arguments).replace(**constants)
    only(recipe, ("formula", "variables", "noise", "data"), "loss")
    if "formula" not in recipe:
        raise RecipeError("loss needs a formula, or the name of a loss in the library")
    variables = _names(recipe.get("variables"))
    if name is not None and is_default(name, recipe["formula"], variables):
        return losses.get(name)().replace(**constants)
    drawn: dict[str, Any] = {}
    if "noise" in recipe:
        drawn["noise"] = _names(recipe["noise"])
    if "data" in recipe:
        if recipe["data"] == LEFT_OUT:
            raise RecipeError(
                "the loss has more data than a recipe holds; build it again and simulate"
            )
        drawn["data"] = expect_table("data", recipe["data"])
    loss = _made(Loss, "loss", recipe["formula"], variables, **drawn, **constants)
    loss.name = name
    return loss


def build_algorithm(recipe: Mapping[str, Any]) -> Algorithm | Switch:
    """The algorithm that a recipe describes."""
    recipe = dict(expect_table("an algorithm", recipe))
    name = expect_text("the name of an algorithm", recipe.pop("name", ""))
    if name == "function":
        raise RecipeError(
            "the algorithm was given as a Python function; write it again and simulate"
        )
    if name not in ALGORITHMS:
        raise RecipeError(
            f"the name of an algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}"
        )
    if name == "Switch" and "phases" in recipe:
        recipe["phases"] = [_phase(phase) for phase in expect_list("phases", recipe["phases"])]
    if name == "Lookahead" and "algorithm" in recipe:
        recipe["algorithm"] = build_algorithm(recipe["algorithm"])
    numbers = {key: _number(value, key) for key, value in recipe.items()}
    return _call(ALGORITHMS[name], name, **numbers)


def build_event(recipe: Mapping[str, Any]) -> Event:
    """The event that a recipe describes."""
    recipe = dict(expect_table("an entry of until", recipe))
    name = expect_text("event", recipe.pop("event", ""))
    if name not in EVENTS:
        raise RecipeError(f"event must be one of {', '.join(EVENTS)}, got {name!r}")
    for entry in {"center", "box"} & set(recipe):
        expect_list(f"{entry} of {name}", recipe[entry])
    for interval in recipe.get("box", ()):
        expect_list(f"an interval in box of {name}", interval)
    return _call(EVENTS[name], name, **recipe)


def build_points(recipe: Any) -> Any:
    """Initial points: numbers as they stand, or {grid = …}, {uniform = …}, {ball = …}."""
    if not isinstance(recipe, Mapping):
        return recipe
    if len(recipe) != 1 or next(iter(recipe)) not in _POINTS:
        raise RecipeError(f"x0 must be points or one of {', '.join(_POINTS)}, got {dict(recipe)}")
    ((kind, table),) = recipe.items()
    # TOML has no tuples: there a list is a range or an interval
    given = {
        name: tuple(value) if isinstance(value, list) and kind != "ball" else _number(value, name)
        for name, value in expect_table(kind, table).items()
    }
    return _call(_POINTS[kind], kind, **given)


def expect_table(what: str, value: Any) -> Mapping[str, Any]:
    """Return a table as it is, or refuse what is none."""
    if not isinstance(value, Mapping):
        raise RecipeError(f"{what} must be a table {{name = …}}, got {value!r}")
    return value


def expect_list(what: str, value: Any) -> Sequence[Any]:
    """Return a list as it is, or refuse what is none."""
    if not isinstance(value, list | tuple):
        raise RecipeError(f"{what} must be a list […], got {value!r}")
    return value


def expect_text(what: str, value: Any) -> str:
    """Return a text as it is, or refuse what is none."""
    if not isinstance(value, str):
        raise RecipeError(f"{what} must be a text, got {value!r}")
    return value


def _names(variables: Any) -> Any:
    if variables is None or isinstance(variables, str):
        return variables
    return [expect_text("a variable", name) for name in expect_list("variables", variables)]


def _phase(phase: Any) -> tuple[Any, Algorithm | Switch]:
    if len(expect_list("a phase", phase)) != 2:
        raise RecipeError(f"a phase must be a list [when, algorithm], got {phase!r}")
    when, algorithm = phase
    return build_event(when) if isinstance(when, Mapping) else when, build_algorithm(algorithm)


def _number(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if set(value) in ({"dims", "values"}, {"dims", "values", "coords"}):
        return _made(
            xr.DataArray, name, value["values"], dims=value["dims"], coords=value.get("coords")
        )
    if len(value) == 1 and next(iter(value)) in _SPACINGS:
        ((spacing, arguments),) = value.items()
        if len(expect_list(spacing, arguments)) != 3:
            raise RecipeError(f"{spacing} takes [first, last, count], got {arguments!r}")
        ends = checked_number(f"{spacing} of {name}", arguments[:2])
        count = checked_whole(f"count of {spacing}", arguments[2], 1)
        return _made(_SPACINGS[spacing], spacing, *ends, count)
    raise RecipeError(
        f"{name} must be a number, a list or {{linspace = [a, b, n]}}, got {dict(value)}"
    )


def resolve(recipe: Any, run: xr.Dataset) -> Any:
    """A recipe in which the numbers that stand in the result itself are filled in.

    Those of a part of a result are the part's.
    """
    if isinstance(recipe, list):
        return [resolve(entry, run) for entry in recipe]
    if not isinstance(recipe, Mapping):
        return recipe
    if set(recipe) == {"variable"} and isinstance(recipe["variable"], str):
        return _standing(recipe["variable"], run)
    return {
        key: _standing(key, run) if _narrowed(key, entry, run) else resolve(entry, run)
        for key, entry in recipe.items()
    }


def _standing(name: str, run: xr.Dataset) -> Any:
    values = run[name]
    if not values.dims:
        return float(values)
    return values.values if values.dims == (values.name,) else values.reset_coords(drop=True)


def _narrowed(name: str, entry: Any, run: xr.Dataset) -> bool:
    """Whether an array of numbers is longer in the recipe than it stands in the result."""
    listed = entry.get("values") if isinstance(entry, Mapping) else entry
    return isinstance(listed, list) and name in run.coords and run[name].size < np.size(listed)


def only(recipe: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Refuse entries that nothing knows."""
    unknown = sorted(set(recipe) - set(known))
    if unknown:
        takes = ", ".join(known) or "nothing"
        raise RecipeError(f"{what} does not know {unknown[0]!r}; it takes {takes}")


def _call(function: Any, name: str, /, **named: Any) -> Any:
    """Call a function with the entries of a table, which must be its parameters."""
    # USAM hands its options on to SAM
    parameters = inspect.signature(SAM if function is USAM else function).parameters.values()
    plain = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    # what must be given comes first in the sentence
    known = [p.name for p in sorted(plain, key=lambda p: p.default is not p.empty)]
    if len(plain) == len(parameters):
        only(named, known, name)
    missing = [p.name for p in plain if p.default is p.empty and p.name not in named]
    if missing:
        raise RecipeError(f"{name} needs an entry {missing[0]}")
    return _made(function, name, **named)


def _made(function: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
    try:
        return function(*arguments, **named)
    except (TypeError, AttributeError) as error:
        raise RecipeError(f"{name}: {' '.join(str(error).split())}") from None
