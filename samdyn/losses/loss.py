"""A loss: a formula, its numbers, and every derivative that follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from samdyn.losses.check import Check, check_derivatives
from samdyn.losses.critical import CriticalPoint, find_critical_points
from samdyn.losses.derivatives import derivative, symmetric, upper
from samdyn.losses.formula import FUNCTIONS, FormulaError, parse, written
from samdyn.losses.names import check_constants, named_constants, realised, variable_names
from samdyn.losses.sample import checked_data, checked_noise, make_sample
from samdyn.losses.samples import Samples
from samdyn.numbers import Number, check_single, checked_box, checked_number
from samdyn.program import Program
from samdyn.symbols import symbols
from samdyn.tracer import explained, trace
from samdyn.words import Point


class Loss:
    """A function of a few variables, written as a formula.

    Parameters
    ----------
    formula : str, sympy.Expr or callable
        Text such as ``"a*x**2/2 - y**2/2"`` (numbers, names, ``+ - * / **``, parentheses and
        exp, log, sqrt, abs, sin, cos, tanh, …; it is parsed, never run), an expression, or a
        function ``value(w, **constants)`` of a `samdyn.words.Point` in the words of
        `samdyn.words`.
    variables : str or sequence of str, optional
        The coordinates, in order: ``"x y"`` or ``["x", "y"]``. Default: the names of the formula
        that are no constants, sorted (x2 before x10). Needed with a function.
    grad : callable, optional
        Only with a function: the gradient ``grad(w, **constants) -> Point``, for one that no
        formula gives well. Default: differentiated from the value.
    noise : str or sequence of str, optional
        Names in the formula that are independent standard normals, drawn anew for each sample: a
        random loss. They must enter as a polynomial.
    data : mapping from name to array of shape (n,), optional
        Names in the formula that have a value for each of n samples: a finite sum, whose
        minibatches `samdyn.Map` draws.
    **constants : float or array
        Named numbers of the formula. An array becomes a dimension of a simulation's result.

    Attributes
    ----------
    formula : str
        The formula as text; of a random loss, that of one draw.
    expression : sympy.Expr
        Of a random loss its mean, and so are value, gradient and all that follows.
    sample : Sample or None
        One draw of a random loss.
    variables : tuple of str
    constants : dict
    name, source, box, known
        Of a loss of the library: its name, where it comes from, a suggested box (one interval a
        variable) and its known critical points as (point, kind). Else None, or empty.

    Raises
    ------
    FormulaError
        If the formula does not parse or names an unknown symbol.

    Examples
    --------
    >>> loss = Loss("a*x**2/2 - b*y**2/2", variables="x y", a=1.0, b=0.5)
    >>> loss.grad([1.0, 2.0])
    array([ 1., -1.])
    >>> loss.replace(a=3.0).hessian([1.0, 2.0])
    array([[ 3. ,  0. ],
           [ 0. , -0.5]])
    >>> Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 2.0], "b": [0.0, 1.0]}).expression
    1.25*x**2 - x + 0.25
    """

    def __init__(
        self,
        formula: str | sympy.Expr | Callable,
        variables: str | Sequence[str] | None = None,
        *,
        grad: Callable | None = None,
        noise: str | Sequence[str] | None = None,
        data: Mapping[str, Any] | None = None,
        **constants: Number,
    ):
        self.constants: dict[str, Any] = named_constants(constants)
        self.name: str | None = None
        self.source: str | None = None
        self.box: tuple[tuple[float, float], ...] | None = None
        self.known: tuple[tuple[tuple[float, ...], str], ...] = ()
        self.written_value: Callable | None = None
        self.written_grad: Callable | None = grad
        names, arrays = checked_noise(noise), checked_data(data)
        if names and arrays:
            raise TypeError(
                "noise and data do not go together: give Gaussian noise, or a finite sum"
            )
        if grad is not None and (names or arrays):
            raise TypeError("grad does not go with noise or data: each draw is differentiated")
        given = {**self.constants, **dict.fromkeys((*names, *arrays))}
        if len(given) < len(self.constants) + len(names) + len(arrays):
            twice = sorted(set(self.constants) & {*names, *arrays})[0]
            raise FormulaError(f"{twice} is given both as a constant and as noise or data")
        if isinstance(formula, str | sympy.Expr):
            if grad is not None:
                raise TypeError("grad goes with a function; a formula is differentiated exactly")
            expression = parse(formula) if isinstance(formula, str) else realised(formula)
            self.formula = formula if isinstance(formula, str) else written(expression)
            self.variables = variable_names(variables, expression, given)
            used = {symbol.name for symbol in expression.free_symbols}
            if isinstance(formula, str):  # also the a of a*x - a*x
                used |= set(re.findall(r"[A-Za-z_]\w*", formula)) - set(FUNCTIONS)
        elif callable(formula):
            if variables is None:
                raise TypeError("variables must be given with a function, for example 'x y'")
            self.variables = variable_names(variables, None, given)
            if not names and not arrays:
                self.written_value = formula
                self._trace_written()
            expression = sympy.sympify(self._said(formula, tuple(given)))
            self.formula = written(expression)
            gradient = self._gradient_expressions() if grad else ()
            used = {symbol.name for part in (expression, *gradient) for symbol in part.free_symbols}
        else:
            raise TypeError(
                f"formula must be text, a SymPy expression or a function, got {formula!r}"
            )
        check_constants(given, used)
        self.sample = make_sample(expression, self.variables, tuple(self.constants), names, arrays)
        self.expression = self.sample.mean() if self.sample else expression
        if not isinstance(formula, str) and self.written_value is None:
            self._refuse_what_has_no_word()

    def replace(self, **constants: Number) -> Loss:
        """The same loss with other values of some constants.

        Raises
        ------
        ValueError
            If a name is none of the loss's constants.
        """
        unknown = sorted(set(constants) - set(self.constants))
        if unknown:
            has = ", ".join(self.constants) or "none"
            raise ValueError(f"{unknown[0]} is no constant of this loss; it has {has}")
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.pop("mean", None)
        twin.known = ()  # critical points move with the constants
        twin.constants = self.constants | {
            name: checked_number(f"constant {name}", value) for name, value in constants.items()
        }
        return twin

    def described(
        self,
        name: str,
        source: str,
        box: Sequence[tuple[float, float]],
        known: Sequence[tuple[Sequence[float], str]] | Callable = (),
    ) -> Loss:
        """The same loss with a name, a source, a suggested box and known critical points.

        Parameters
        ----------
        known : sequence of (point, kind), or a function of the constants that gives one
            ``kind`` as in `critical_points`. The function is not asked if a constant is an
            array: then there is no one list.
        """
        if callable(known):
            single = not any(np.ndim(value) for value in self.constants.values())
            known = known(**self.constants) if single else ()
        twin = self.replace()
        twin.name, twin.source = name, source
        twin.box = tuple((float(low), float(high)) for low, high in box)
        twin.known = tuple((tuple(map(float, point)), kind) for point, kind in known)
        return twin

    @property
    def dimension(self) -> int:
        """The number of variables, d."""
        return len(self.variables)

    @cached_property
    def mean(self) -> Loss:
        """The loss without its noise: the expected loss of a random one, else itself."""
        if self.sample is None:
            return self
        used = {symbol.name for symbol in self.expression.free_symbols}
        constants = {name: value for name, value in self.constants.items() if name in used}
        mean = Loss(self.expression, self.variables, **constants)
        mean.box, mean.known = self.box, self.known
        return mean

    @property
    def samples(self) -> Samples:
        """The samples of a loss with data, one by one: their values, gradients and Hessians.

        Raises
        ------
        TypeError
            If the loss has no data.
        ValueError
            If one of its constants is an array.

        Examples
        --------
        >>> loss = Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 2.0], "b": [0.0, 1.0]})
        >>> loss.samples.grad([1.0])[:, 0]
        array([1., 2.])
        """
        if self.sample is None or not self.sample.fields:
            raise TypeError(
                "loss must be a finite sum, samdyn.Loss(..., data={name: array}), got "
                f"{self.formula}"
            )
        return Samples(self.sample, self.constants)

    @property
    def latex(self) -> str:
        """The formula in LaTeX."""
        return sympy.latex(self.sample.expression if self.sample else self.expression)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle L({', '.join(self.variables)}) = {self.latex}$"

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.constants.items())
        if self.sample and self.sample.noise:
            given = f", noise={' '.join(self.sample.noise)!r}" + given
        elif self.sample:
            n, fields = len(self.sample.table), ", ".join(self.sample.fields)
            given = f", data of {n} samples: {fields}" + given
        what = f"{self.name}: " if self.name else ""
        return f"Loss({what}{self.formula!r}, variables={' '.join(self.variables)!r}{given})"

    # --- the definition, for every reader -------------------------------------------------

    def value_at(self, w: Point, numbers: Mapping[str, Any]) -> Any:
        """The value in words: at a point of any scalars, the constants from ``numbers``."""
        return self.program(0)(*w, *(numbers[name] for name in self.constants))[0]

    def gradient_at(self, w: Point, numbers: Mapping[str, Any]) -> Point:
        """The gradient in words; see `value_at`."""
        return Point(self.program(1)(*w, *(numbers[name] for name in self.constants)))

    def hessian_at(self, w: Point, numbers: Mapping[str, Any]) -> list[list[Any]]:
        """The Hessian in words, row after row; see `value_at`."""
        entries = self.program(2)(*w, *(numbers[name] for name in self.constants))
        known = dict(zip(upper(self.dimension), entries, strict=True))
        every = range(self.dimension)
        return [[known[min(i, j), max(i, j)] for j in every] for i in every]

    def program(self, order: int) -> Program:
        """The value (0), gradient (1), Hessian's upper triangle (2) or third contraction (3).

        Inputs are the variables, then for order 3 the components of u and of v, then the
        constants.
        """
        written = {0: self.written_value, 1: self.written_grad}.get(order)
        names = (*self.variables, *self.constants)
        if written is None:
            gradient = self._gradient_expressions() if self.written_grad else None
            return derivative(self.expression, gradient, self.variables, names, order)

        def said(*values: Any) -> Sequence[Any]:
            d = self.dimension
            constants = dict(zip(self.constants, values[d:], strict=True))
            with explained(_name(written)):
                result = written(Point(values[:d]), **constants)
                return tuple(result) if order else (result,)

        return trace(said, names)

    def _trace_written(self) -> None:
        """Refuse functions that branch on a value or return no scalar, before SymPy sees them."""
        self.program(0)
        if self.written_grad and len(self.program(1).outputs) != self.dimension:
            raise ValueError(
                f"grad must return {self.dimension} components, one for each of "
                f"{', '.join(self.variables)}; got {len(self.program(1).outputs)}"
            )

    def _said(self, definition: Callable, names: tuple[str, ...]) -> Any:
        with explained(_name(definition)):
            known = dict(zip(names, symbols(names), strict=True))
            return definition(Point(symbols(self.variables)), **known)

    def _refuse_what_has_no_word(self) -> None:
        try:
            for one in (self, self.sample) if self.sample else (self,):
                one.program(0)
                one.program(1)
        except ValueError as error:
            raise FormulaError(str(error)) from None

    def _gradient_expressions(self) -> tuple[sympy.Expr, ...]:
        said = self._said(self.written_grad, tuple(self.constants))  # type: ignore[arg-type]
        return tuple(map(sympy.sympify, said))

    # --- numbers --------------------------------------------------------------------------

    def value(self, p: Any) -> np.ndarray:
        """The loss at points of shape (…, d), as an array of shape (…)."""
        p = self._points(p)
        return self._numbers(0, p, (), p.shape[:-1])[0]

    def grad(self, p: Any) -> np.ndarray:
        """The gradient at points of shape (…, d), as an array of shape (…, d)."""
        p = self._points(p)
        return np.stack(self._numbers(1, p, (), p.shape[:-1]), axis=-1)

    def hessian(self, p: Any) -> np.ndarray:
        """The Hessian at points of shape (…, d), as an array of shape (…, d, d)."""
        p = self._points(p)
        entries = np.stack(self._numbers(2, p, (), p.shape[:-1]), axis=-1)
        return symmetric(entries, self.dimension)

    def third(self, p: Any, u: Any, v: Any) -> np.ndarray:
        """The third derivative applied to two directions, D^3 L(p)[u, v, ·].

        Parameters
        ----------
        p, u, v : array_like, shape (…, d)
            A point and two directions; leading dimensions broadcast.

        Returns
        -------
        ndarray, shape (…, d)
            With u = v a unit eigenvector of the Hessian, the gradient of its eigenvalue.
        """
        p, u, v = np.broadcast_arrays(*map(self._points, (p, u, v)))
        return np.stack(self._numbers(3, p, (u, v), p.shape[:-1]), axis=-1)

    def critical_points(
        self, box: Sequence[tuple[float, float]] | None = None, starts: int | None = None
    ) -> list[CriticalPoint]:
        """All critical points found in a box, polished and classified.

        Newton's method from a low-discrepancy set of starts, then polished in high precision.

        Parameters
        ----------
        box : sequence of (low, high), optional
            One interval a variable. Default: the loss's own suggested box.
        starts : int, optional
            Number of Newton starts. Default 1024 for each variable.

        Returns
        -------
        list of CriticalPoint
            Sorted by value: point, value, eigenvalues (ascending), ``kind`` ("minimum",
            "saddle", "maximum", or "degenerate" where an eigenvalue is 0).

        Raises
        ------
        ValueError
            If no box is known, or it does not have one interval for each variable.

        Examples
        --------
        >>> [c.kind for c in Loss("(x**2 - 1)**2 + y**2").critical_points([(-2, 2), (-2, 2)])]
        ['minimum', 'minimum', 'saddle']
        """
        self.require_scalars("critical_points")
        return find_critical_points(self, self._checked_box(box), starts)

    def check(self, points: Any = None, seed: int = 0) -> Check:
        """Compare value and derivatives with 80-digit differences of the formula.

        Parameters
        ----------
        points : array_like, shape (n, d), optional
            Where to compare. Default: 5 random points of the suggested box (or of [-1, 1]^d).

        Returns
        -------
        Check
            The largest relative error of each derivative; ``.ok`` if all are below 1e-10.
        """
        self.require_scalars("check")
        if points is None:
            low, high = np.transpose(self.box or ((-1.0, 1.0),) * self.dimension)
            points = np.random.default_rng(seed).uniform(low, high, (5, self.dimension))
        return check_derivatives(self, self._points(points), seed)

    def _numbers(
        self, order: int, p: np.ndarray, directions: tuple, shape: tuple
    ) -> list[np.ndarray]:
        inputs = [point[..., i] for point in (p, *directions) for i in range(self.dimension)]
        constants = [np.asarray(value, float) for value in self.constants.values()]
        with np.errstate(all="ignore"):
            outputs = self.program(order)(*inputs, *constants)
        wide = np.broadcast_shapes(shape, *(c.shape for c in constants))
        return [np.array(np.broadcast_to(output, wide)) for output in outputs]

    def _points(self, p: Any) -> np.ndarray:
        p = np.asarray(p, dtype=float)
        if p.ndim == 0 or p.shape[-1] != self.dimension:
            raise ValueError(
                f"points must have shape (…, {self.dimension}), one entry for each of "
                f"{', '.join(self.variables)}; got shape {p.shape}"
            )
        return p

    def require_scalars(self, what: str) -> None:
        """Refuse constants that are arrays, where ``what`` needs single numbers."""
        constants = {f"constant {name}": value for name, value in self.constants.items()}
        check_single(what, constants, ".replace")

    def _checked_box(self, box: Any) -> np.ndarray:
        if box is None and self.box is None:
            raise ValueError(
                f"box must be given for this loss, one (low, high) for each of {self.variables}"
            )
        return checked_box(self.box if box is None else box, self.variables)


def _name(definition: Callable) -> str:
    return getattr(definition, "__name__", type(definition).__name__)
