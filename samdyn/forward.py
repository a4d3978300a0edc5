"""Forward differentiation: a program's outputs together with their exact derivatives.

Each line is differentiated by its own rule, so that the length of the result grows with the
length of the program and never with how deep its definition is nested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from samdyn import words
from samdyn.program import OPERATIONS, Argument, Program
from samdyn.tracer import trace

Tangent = dict[int, Any]
"""The derivative of a scalar along some directions, by number; what is absent is 0."""

_RULES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "add": lambda out, a, b: (1.0, 1.0),
    "subtract": lambda out, a, b: (1.0, -1.0),
    "multiply": lambda out, a, b: (b, a),
    "divide": lambda out, a, b: (1.0 / b, -(out / b)),
    "power": lambda out, a, b: (b * words.power(a, b - 1.0), words.log(a) * out),
    "negative": lambda out, a: (-1.0,),
    "sqrt": lambda out, a: (0.5 / out,),
    "exp": lambda out, a: (out,),
    "log": lambda out, a: (1.0 / a,),
    "sin": lambda out, a: (words.cos(a),),
    "cos": lambda out, a: (-words.sin(a),),
    "tan": lambda out, a: (1.0 + out * out,),
    "sinh": lambda out, a: (words.cosh(a),),
    "cosh": lambda out, a: (words.sinh(a),),
    "tanh": lambda out, a: (1.0 - out * out,),
    "arcsin": lambda out, a: (1.0 / words.sqrt(1.0 - a * a),),
    "arccos": lambda out, a: (-1.0 / words.sqrt(1.0 - a * a),),
    "arctan": lambda out, a: (1.0 / (1.0 + a * a),),
    "absolute": lambda out, a: (words.sign(a),),
}
"""The derivative of each operation by its arguments. Steps (sign, comparisons) have none."""


def pushed(
    program: Program, values: Sequence[Any], seeds: Sequence[Tangent]
) -> tuple[list[Any], list[Tangent]]:
    """The outputs of a program and their tangents, on scalars of any kind.

    Parameters
    ----------
    program : Program
    values : sequence of scalars
        The inputs.
    seeds : sequence of Tangent
        The tangent of each input.

    Notes
    -----
    Kinks and jumps have no derivative of their own: beside one, the derivative is that of the
    branch taken.
    """
    slots, tangents = list(values), list(seeds)

    def value(argument: Argument) -> Any:
        return slots[argument] if type(argument) is int else argument

    def tangent(argument: Argument) -> Tangent:
        return tangents[argument] if type(argument) is int else {}

    for operation, arguments in program.lines:
        if not isinstance(operation, str):
            raise TypeError("a step that takes means over minibatches is not differentiated")
        known = [value(argument) for argument in arguments]
        slots.append(OPERATIONS[operation](*known))
        moving = [tangent(argument) for argument in arguments]
        if operation == "where":
            tangents.append(_chosen(known[0], *moving[1:]))
        elif operation in _RULES and any(moving):
            slopes = _slopes(operation, slots[-1], known, moving)
            tangents.append(_combined(slopes, moving))
        else:
            tangents.append({})
    return [value(out) for out in program.outputs], [tangent(out) for out in program.outputs]


def differentiated(program: Program, names: Sequence[str]) -> Program:
    """The program followed by its Jacobian.

    Parameters
    ----------
    program : Program
    names : sequence of str
        The inputs by which to differentiate.

    Returns
    -------
    Program
        Of the same inputs. Its outputs are those of ``program``, then for each of them its
        derivatives by ``names``, row after row.

    Examples
    --------
    >>> square = trace(lambda x, a: [a * x * x], ["x", "a"])
    >>> differentiated(square, ["x"])(3.0, 2.0)
    (18.0, 12.0)
    """
    places = {program.inputs.index(name): k for k, name in enumerate(names)}

    def definition(*values: Any) -> list[Any]:
        seeds = [{places[i]: 1.0} if i in places else {} for i in range(len(values))]
        outputs, tangents = pushed(program, values, seeds)
        return outputs + [tangent.get(k, 0.0) for tangent in tangents for k in range(len(places))]

    return trace(definition, program.inputs)


def _chosen(condition: Any, a: Tangent, b: Tangent) -> Tangent:
    return {
        k: words.where(condition, a.get(k, 0.0), b.get(k, 0.0)) for k in sorted(a.keys() | b.keys())
    }


def _slopes(
    operation: str, out: Any, known: Sequence[Any], moving: Sequence[Tangent]
) -> tuple[Any, ...]:
    if operation == "power" and not moving[1]:
        base, exponent = known  # the logarithm of a base below 0 is none of our business
        return (exponent * words.power(base, exponent - 1.0), 0.0)
    return _RULES[operation](out, *known)


def _combined(slopes: Sequence[Any], moving: Sequence[Tangent]) -> Tangent:
    total: Tangent = {}
    for slope, tangent in zip(slopes, moving, strict=True):
        for k, part in tangent.items():
            term = _product(slope, part)
            total[k] = total[k] + term if k in total else term
    return total


def _product(a: Any, b: Any) -> Any:
    """A product in which factors 1 and -1 leave no trace."""
    for one, other in ((a, b), (b, a)):
        if type(one) is float and abs(one) == 1.0:
            return other if one > 0 else -other
    return a * b
