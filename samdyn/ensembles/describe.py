"""Systems and events as plain data, which a result's attributes hold."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import numpy as np
import sympy
import xarray as xr

from samdyn import losses
from samdyn.algorithms import Algorithm, Switch, Written
from samdyn.algorithms.switch import When
from samdyn.ensembles.events import Event
from samdyn.losses.formula import FormulaError, parse, written
from samdyn.losses.loss import Loss
from samdyn.losses.sample import Sample
from samdyn.systems.base import System
from samdyn.systems.diffusion import Diffusion
from samdyn.systems.flow import Flow
from samdyn.systems.formula_map import FormulaMap
from samdyn.systems.formula_sde import FormulaSDE
from samdyn.systems.map import Map
from samdyn.systems.modified.covariance import absolute_hessian
from samdyn.systems.schemes import SCHEMES
from samdyn.systems.sde import SDE
from samdyn.systems.stochastic import STOCHASTIC_SCHEMES

DRAWN = {"batch_size": None, "sampling": "replacement", "fresh_noise": False}
"""What a map says of its draws, and what it is if nothing is said."""

_MOST_DATA = 100_000
"""Numbers of a finite sum that a recipe holds."""

LEFT_OUT = "left out"

_LONG = 1000
"""Longer arrays are not written out in a recipe: they stand in the result as a coordinate."""


def describe_loss(loss: Loss) -> dict[str, Any]:
    """A loss as plain data."""
    described: dict[str, Any] = {
        "formula": loss.formula,
        "variables": list(loss.variables),
        "constants": {name: _plain(value, name) for name, value in loss.constants.items()},
    }
    if loss.name in losses.names():
        described["name"] = loss.name
    if loss.sample is not None and loss.sample.noise:
        described["noise"] = list(loss.sample.noise)
    elif loss.sample is not None:
        described["data"] = _plain_data(loss.sample)
    if loss.written_value is not None:
        if not is_default(loss.name, loss.formula, loss.variables):
            described["function"] = _source(loss.written_value)
    elif not _parses(loss.formula):
        whole = loss.sample.expression if loss.sample else loss.expression
        described["expression"] = sympy.srepr(whole)
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
            value = [[_begins(when), describe_algorithm(one)] for when, one in value]
        described[field.name] = _plain(value, field.name)
    return described


def _begins(when: When) -> Any:
    """What begins a phase, as plain data."""
    return describe_event(when) if isinstance(when, Event) else _plain(when, "switch")


def describe_system(system: System) -> dict[str, Any]:
    """A system as plain data: the tables of a recipe that say what moves."""
    if isinstance(system, FormulaMap):
        constants = {name: _plain(value, name) for name, value in system.numbers.items()}
        table: dict[str, Any] = {"formulas": system.formulas, "constants": constants}
        if not all(map(_parses, system.formulas.values())):
            table["expressions"] = [sympy.srepr(formula) for formula in system.expressions]
        return {"map": table}
    if isinstance(system, Map):
        given = {name: getattr(system, name) for name in DRAWN}
        drawn = {
            name: _plain(value, name)
            for name, value in given.items()
            if np.ndim(value) or value != DRAWN[name]
        }
        return _minimised(system) | ({"batches": drawn} if drawn else {})
    if isinstance(system, Flow):
        known = SCHEMES.get(system.about["scheme"]) is system.scheme
        name = system.about["scheme"]
        scheme = {"scheme": name} if known else {"source": _source(system.scheme)}
        return _minimised(system) | {"flow": {"dt": _plain(system.dt, "dt"), **scheme}}
    if isinstance(system, FormulaSDE):
        drift, diffusion = system.given
        constants = {name: _plain(value, name) for name, value in system.constants.items()}
        table = {"drift": drift, "diffusion": diffusion, "constants": constants}
        return {"sde": table | _clock(system)}
    if isinstance(system, SDE):
        table = {"order": system.order or "full"} | _clock(system)
        if system.batch_size is not None:
            table["batch_size"] = _plain(system.batch_size, "batch_size")
        if system.nodes is not None:
            table["nodes"] = system.nodes
        if system.given is not None:
            table["covariance"] = _covariance(system)
        return _minimised(system) | {"sde": table}
    return {"system": {"source": repr(system)}}


def _minimised(system: Map | Flow | SDE) -> dict[str, Any]:
    """Which loss, and by which algorithm."""
    return {
        "loss": describe_loss(system.loss),
        "algorithm": describe_algorithm(system.algorithm),
    }


def _clock(system: Diffusion) -> dict[str, Any]:
    """The step length and the scheme of an SDE."""
    known = STOCHASTIC_SCHEMES.get(system.scheme.name) is system.scheme
    scheme = {"scheme": system.scheme.name} if known else {"source": _source(system.scheme.step)}
    return {"dt": _plain(system.dt, "dt"), **scheme}


def _covariance(system: SDE) -> str | list[list[str]]:
    if system.given is absolute_hessian:
        return absolute_hessian.__name__
    return [[written(entry) for entry in row] for row in system.covariance_given.tolist()]


def describe_event(event: Event) -> dict[str, Any]:
    """An event as plain data."""
    given = {field.name: getattr(event, field.name) for field in fields(event)}
    known = {name: _plain(value, name) for name, value in given.items() if value is not None}
    return {"event": type(event).__name__, **known}


def _plain_data(sample: Sample) -> dict[str, list[float]] | str:
    if sample.table.size > _MOST_DATA:
        return LEFT_OUT
    return {name: sample.table[:, k].tolist() for k, name in enumerate(sample.fields)}


def is_default(name: str | None, formula: str, variables: Any) -> bool:
    """Whether this is the library's loss of that name with the arguments left as they are."""
    if name is None or name not in losses.names():
        return False
    default = losses.get(name)()
    return (formula, list(variables or ())) == (default.formula, list(default.variables))


def _parses(formula: str) -> bool:
    try:
        parse(formula)
    except FormulaError:
        return False
    return True


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray | xr.DataArray) and value.size > _LONG:
        return {"variable": name}
    if isinstance(value, xr.DataArray):
        coords = {str(dim): value[dim].values.tolist() for dim in value.dims if dim in value.coords}
        return {"dims": list(value.dims), "values": value.values.tolist(), "coords": coords}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return repr(function)
