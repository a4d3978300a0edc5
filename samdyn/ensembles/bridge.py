"""Crossings between two steps of an SDE, by the Brownian bridge.

Between two points of the grid the path of an SDE is close to a Brownian bridge. One that begins and
ends at distances a and b from a boundary crosses it with probability exp(-2ab/(s^2 dt)), s^2 being
the variance rate across the boundary (Gobet, Stochastic Processes and their Applications 87, 2000):
it crosses where 2ab is below s^2 dt times an exponential number of mean 1.
Without this an escape is seen too late, by an error of the order of sqrt(dt).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy.core.relational import GreaterThan, Relational, StrictGreaterThan

from samdyn.ensembles.moment import Moment
from samdyn.losses.derivatives import differentiate
from samdyn.symbols import symbols
from samdyn.systems.base import System
from samdyn.systems.diffusion import Diffusion


def depth(condition: sympy.Basic) -> sympy.Expr:
    """A function that is positive where a condition does not hold and 0 where it begins to."""
    if isinstance(condition, Relational):
        above, below = condition.lhs, condition.rhs
        over = isinstance(condition, StrictGreaterThan | GreaterThan)
        return below - above if over else above - below
    parts = [depth(part) for part in condition.args]
    if condition.func is sympy.Not:
        return -parts[0]
    return sympy.Max(*parts) if condition.func is sympy.And else sympy.Min(*parts)


def crossing(system: Diffusion, inside: sympy.Expr) -> Callable[[Moment, Mapping[str, Any]], Any]:
    """Whether the path crosses into where ``inside`` is negative, between now and the next step.

    Parameters
    ----------
    system : Diffusion
    inside : sympy.Expr
        Of the coordinates, the constants, ``loss``, ``grad_norm`` and the event's thresholds.
    """
    w = symbols(system.coordinates)
    written = inside.xreplace(_losses(system))
    slopes = [differentiate(written, x) for x in w]

    def crosses(moment: Moment, n: Mapping[str, Any]) -> Any:
        along = [moment.evaluate(slope, n) for slope in slopes]
        columns = zip(*system.diffusion(list(moment.z), moment.numbers), strict=True)
        variance = sum(
            sum(slope * entry for slope, entry in zip(along, column, strict=False)) ** 2
            for column in columns
        )
        now, then = moment.evaluate(written, n), moment.next.evaluate(written, n)
        # after the last step nobody goes on to where it might cross
        near = 2.0 * now * then < n["exponential"] * (variance * moment.numbers["dt"])
        return n["going"] & near

    return crosses


def _losses(system: System) -> dict[sympy.Symbol, sympy.Expr]:
    if system.loss is None:
        return {}
    value = system.loss.expression
    squares = [differentiate(value, x) ** 2 for x in symbols(system.coordinates)]
    loss, grad_norm = symbols(("loss", "grad_norm"))
    return {loss: value, grad_norm: sympy.sqrt(sympy.Add(*squares))}
