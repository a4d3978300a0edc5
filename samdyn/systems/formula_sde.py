"""Any stochastic differential equation, written as formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import sympy

from samdyn.losses.formula import FormulaError, parse, written
from samdyn.losses.names import check_constants, named_constants, realised, variable_names
from samdyn.numbers import Number
from samdyn.program import Program
from samdyn.symbols import compile_expressions, symbols
from samdyn.systems.base import refuse_unknown
from samdyn.systems.diffusion import Diffusion, differential, latex_equations
from samdyn.systems.stochastic import StochasticScheme, euler_maruyama

Formula: TypeAlias = str | float | sympy.Expr


class FormulaSDE(Diffusion):
    """An SDE in Ito's sense, dX = drift(X) dt + diffusion(X) dW, given by formulas.

    Parameters
    ----------
    drift : mapping from name to str, number or sympy.Expr
        The drift of each variable, in order. Text as in `samdyn.Loss`: parsed, never run.
    diffusion : mapping from name to formula, or to a list of formulas
        One formula: what multiplies the variable's own Brownian motion. Lists, one entry a
        Brownian motion: the rows of a matrix, so that variables share their noise. A variable
        that is left out, or whose entries are 0, has no noise.
    dt : float or array, default 1e-2
        Length of a step of the scheme.
    scheme : StochasticScheme, default `samdyn.euler_maruyama`
        Or `samdyn.stochastic_heun`, `samdyn.platen`, or one's own.
    **constants : float or array
        Named numbers of the formulas. An array becomes a dimension of a simulation's result.

    Attributes
    ----------
    expressions : tuple of sympy.Expr
        The drift.
    matrix : tuple of tuple of sympy.Expr
        The diffusion matrix: for each variable a row, an entry a Brownian motion.
    given : (mapping, mapping)
        Drift and diffusion as they were given, as text.

    Raises
    ------
    FormulaError
        If a formula does not parse, or names what is neither a variable nor a constant.
    TypeError
        If drift or diffusion are no such mappings, or scheme is none for an SDE.
    ValueError
        If no variable has noise, a row has more entries than another, dt is not above 0, or a
        name is taken (dt, t, dW1, …).

    Examples
    --------
    >>> well = FormulaSDE(drift={"x": "x - x**3"}, diffusion={"x": "s"}, dt=0.01, s=0.7)
    >>> well.rate([[-1.0], [0.5]])
    array([[0.   ],
           [0.375]])
    >>> well.covariance([0.5])
    array([[0.49]])
    >>> shared = FormulaSDE({"x": "-x", "y": "-y"}, {"x": ["1", "0"], "y": ["x", "2"]})
    >>> shared.noise, shared.covariance([3.0, 0.0]).tolist()
    (('dW1', 'dW2'), [[1.0, 3.0], [3.0, 13.0]])
    """

    def __init__(
        self,
        drift: Mapping[str, Formula],
        diffusion: Mapping[str, Formula | Sequence[Formula]],
        dt: Number = 1e-2,
        scheme: StochasticScheme = euler_maruyama,
        **constants: Number,
    ):
        if not isinstance(drift, Mapping) or not drift:
            raise TypeError(
                "drift must map each variable to a formula, as in {'x': 'x - x**3'}; "
                f"got {drift!r}"
            )
        if not isinstance(diffusion, Mapping):
            raise TypeError(
                "diffusion must map variables to formulas, as in {'x': '0.7'}, or to rows of a "
                f"matrix, as in {{'x': ['s', '0']}}; got {diffusion!r}"
            )
        unknown = [name for name in diffusion if name not in drift]
        if unknown:
            raise ValueError(
                f"diffusion names {unknown[0]}, which has no drift; the variables are "
                f"{', '.join(drift)}"
            )
        self._constants: dict[str, Any] = named_constants(constants)
        self.expressions = tuple(_read(f"drift of {name}", one) for name, one in drift.items())
        self.matrix = _matrix(tuple(drift), diffusion)
        whole = sympy.Tuple(*self.expressions, *(entry for row in self.matrix for entry in row))
        self._names = variable_names(list(drift), whole, self._constants)
        check_constants(self._constants, {symbol.name for symbol in whole.free_symbols})
        self.given = (
            {name: _shown(one) for name, one in drift.items()},
            {name: _shown(one) for name, one in diffusion.items()},
        )
        self.brownian = len(self.matrix[0])
        self.dt, self.scheme = dt, scheme
        self.check()
        try:
            self._programs  # noqa: B018  what has no word is refused now
        except ValueError as error:
            raise FormulaError(str(error)) from None

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self._names

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self._constants)

    @property
    def constants(self) -> dict[str, Any]:
        return self._constants

    @property
    def title(self) -> str:
        drift, diffusion = self.given
        said = []
        for name, rate, row in zip(self._names, self.expressions, self.matrix, strict=True):
            terms = [(drift[name], rate, "dt")]
            for j, entry in enumerate(row):
                text = diffusion.get(name, "0")
                text = text[j] if isinstance(text, list) else text
                terms.append((text, entry, f"dW{j + 1}" if len(row) > 1 else "dW"))
            said.append(f"d{name} = {differential(terms)}")
        return ", ".join(said)

    @property
    def about(self) -> dict[str, str]:
        drift, diffusion = self.given
        return {"drift": repr(drift), "diffusion": repr(diffusion), "scheme": self.scheme.name}

    @property
    def latex(self) -> str:
        """The equations in LaTeX."""
        return latex_equations(self._names, self.expressions, self.matrix)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def __repr__(self) -> str:
        drift, diffusion = self.given
        given = "".join(f", {name}={value!r}" for name, value in self._constants.items())
        return (
            f"FormulaSDE(drift={drift!r}, diffusion={diffusion!r}, dt={self.dt!r}, "
            f"scheme={self.scheme!r}{given})"
        )

    def drift(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return list(self._programs[0](*z, *(numbers[name] for name in self._constants)))

    def diffusion(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[list[Any]]:
        flat = self._programs[1](*z, *(numbers[name] for name in self._constants))
        m = self.brownian
        return [list(flat[i : i + m]) for i in range(0, len(flat), m)]

    def replace(self, **numbers: Any) -> FormulaSDE:
        """The same SDE with other values of some constants, or another step length.

        Examples
        --------
        >>> well = FormulaSDE(drift={"x": "x - x**3"}, diffusion={"x": "s"}, s=0.7)
        >>> well.replace(s=0.3, dt=0.1).numbers
        {'s': 0.3, 'dt': 0.1}
        """
        refuse_unknown(numbers, tuple(self.numbers), "this SDE")
        dt = numbers.pop("dt", self.dt)
        return FormulaSDE(*self.given, dt, self.scheme, **{**self._constants, **numbers})

    @cached_property
    def _programs(self) -> tuple[Program, Program]:
        """Drift, and diffusion matrix row after row."""
        inputs = symbols((*self._names, *self._constants))
        entries = [entry for row in self.matrix for entry in row]
        return compile_expressions(self.expressions, inputs), compile_expressions(entries, inputs)


def _read(what: str, formula: Any) -> sympy.Expr:
    if isinstance(formula, sympy.Expr):
        return realised(formula)
    if isinstance(formula, str | int | float) and not isinstance(formula, bool):
        return parse(formula if isinstance(formula, str) else repr(float(formula)))
    raise TypeError(f"the {what} must be a formula, as text or SymPy, got {formula!r}")


def _matrix(names: tuple[str, ...], diffusion: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    """The entries of the diffusion matrix, of whichever form it was given in."""
    rows = {name: one for name, one in diffusion.items() if isinstance(one, list | tuple)}
    if rows and len(rows) < len(diffusion):
        single = next(name for name in diffusion if name not in rows)
        raise TypeError(
            f"diffusion must give one formula a variable, or a list of them for each; it gives "
            f"{next(iter(rows))} a list and {single} none"
        )
    read = {
        name: tuple(_read(f"diffusion of {name}", entry) for entry in (one if rows else [one]))
        for name, one in diffusion.items()
    }
    if not any(entry != 0 for row in read.values() for entry in row):
        raise ValueError("diffusion must have an entry that is not 0: no variable has noise")
    counts = {name: len(row) for name, row in read.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} for {name}" for name, count in counts.items())
        raise ValueError(f"diffusion must have as many entries for each variable, got {said}")
    if rows:
        none = (sympy.S.Zero,) * next(iter(counts.values()))
        return tuple(read.get(name, none) for name in names)
    noisy = [name for name in names if name in read and read[name][0] != 0]
    return tuple(
        tuple(read[name][0] if name == own else sympy.S.Zero for own in noisy) for name in names
    )


def _shown(formula: Any) -> Any:
    if isinstance(formula, list | tuple):
        return [_shown(entry) for entry in formula]
    return written(formula) if isinstance(formula, sympy.Expr) else str(formula)
