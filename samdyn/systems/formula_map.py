"""Any map, written as formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import sympy

from samdyn.losses.formula import FormulaError, parse, written
from samdyn.losses.names import check_constants, named_constants, realised, variable_names
from samdyn.numbers import Number
from samdyn.program import Program
from samdyn.symbols import compile_expressions, symbols
from samdyn.systems.base import System, refuse_unknown


class FormulaMap(System):
    """A map given as one formula for each of its variables.

    Parameters
    ----------
    formulas : mapping from name to str or sympy.Expr
        The next value of each variable, in order. Text as in `samdyn.Loss`: parsed, never run.
    **constants : float or array
        Named numbers of the formulas. An array becomes a dimension of a simulation's result.

    Raises
    ------
    FormulaError
        If a formula does not parse, or names what is neither a variable nor a constant.

    Examples
    --------
    >>> logistic = FormulaMap({"x": "r*x*(1 - x)"}, r=4.0)
    >>> logistic.apply([0.25])
    array([0.75])
    >>> henon = FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)
    >>> henon.coordinates
    ('x', 'y')
    """

    loss = None

    def __init__(self, formulas: Mapping[str, str | sympy.Expr], **constants: Number):
        if not isinstance(formulas, Mapping) or not formulas:
            raise TypeError(
                "formulas must map each variable to its next value, as in {'x': 'r*x*(1 - x)'}; "
                f"got {formulas!r}"
            )
        for name, formula in formulas.items():
            if not isinstance(formula, str | sympy.Expr):
                raise TypeError(f"the formula of {name} must be text or SymPy, got {formula!r}")
        self._constants: dict[str, Any] = named_constants(constants)
        self.expressions = tuple(
            parse(formula) if isinstance(formula, str) else realised(formula)
            for formula in formulas.values()
        )
        whole = sympy.Tuple(*self.expressions)
        self._names = variable_names(list(formulas), whole, self._constants)
        used = {symbol.name for symbol in whole.free_symbols}
        check_constants(self._constants, used)
        self.formulas = {
            name: formula if isinstance(formula, str) else written(formula)
            for name, formula in zip(self._names, formulas.values(), strict=True)
        }
        try:
            self._program  # noqa: B018  what has no word is refused now
        except ValueError as error:
            raise FormulaError(str(error)) from None

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self._names

    @property
    def numbers(self) -> dict[str, Any]:
        return dict(self._constants)

    @property
    def constants(self) -> dict[str, Any]:
        return self._constants

    @property
    def title(self) -> str:
        return ", ".join(f"{name} -> {formula}" for name, formula in self.formulas.items())

    @property
    def about(self) -> dict[str, str]:
        return {"formulas": repr(self.formulas)}

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self._constants.items())
        return f"FormulaMap({self.formulas!r}{given})"

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return list(self._program(*z, *(numbers[name] for name in self._constants)))

    def replace(self, **numbers: Any) -> FormulaMap:
        """The same map with other values of some constants."""
        refuse_unknown(numbers, tuple(self._constants), "this map")
        formulas = dict(zip(self._names, self.expressions, strict=True))
        twin = FormulaMap(formulas, **{**self._constants, **numbers})
        twin.formulas = self.formulas
        return twin

    @cached_property
    def _program(self) -> Program:
        inputs = symbols((*self._names, *self._constants))
        return compile_expressions(self.expressions, inputs)
