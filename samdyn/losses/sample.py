"""One draw of a random loss: Gaussian noise in the formula, or one sample of a finite sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from samdyn.losses.derivatives import derivative
from samdyn.losses.formula import FormulaError, check_name
from samdyn.losses.names import name_list
from samdyn.numbers import checked_number
from samdyn.program import Program
from samdyn.symbols import symbols

_LONGEST = 1024
"""Terms of a mean that are written out."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What a random loss is before its mean is taken.

    Attributes
    ----------
    expression : sympy.Expr
        The loss of one draw, of the variables, the constants and the names below.
    variables, constants : tuple of str
        As the loss's.
    noise : tuple of str
        Names of independent standard normals, drawn anew for each sample.
    fields : tuple of str
        Names of the data, for a finite sum.
    table : ndarray, shape (n, fields)
        A row for each of the n samples.
    """

    expression: sympy.Expr
    variables: tuple[str, ...]
    constants: tuple[str, ...]
    noise: tuple[str, ...]
    fields: tuple[str, ...]
    table: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a draw gives values to."""
        return self.noise + self.fields

    def program(self, order: int) -> Program:
        """Value (0), gradient (1), … of one draw; see `samdyn.Loss.program`.

        Inputs are the variables, then the draw's ``names``, then the constants.
        """
        names = (*self.variables, *self.names, *self.constants)
        return derivative(self.expression, None, self.variables, names, order)

    def mean(self) -> sympy.Expr:
        """The expected loss, exactly: by Gaussian moments, or over all samples."""
        return self._gaussian_mean() if self.noise else self._data_mean()

    def _gaussian_mean(self) -> sympy.Expr:
        noise = symbols(self.noise)
        if not self.expression.is_polynomial(*noise):
            raise FormulaError(
                f"noise must enter the formula as a polynomial, so that its mean is exact; "
                f"{self.expression} is none in {', '.join(self.noise)}"
            )
        # E f(xi) = exp(Laplacian / 2) f at 0, which ends for a polynomial
        total, term, k = sympy.S.Zero, self.expression, 0
        while term != 0:
            total += term.xreplace(dict.fromkeys(noise, sympy.S.Zero))
            k += 1
            second = sympy.Add(*(sympy.diff(term, xi, 2) for xi in noise))
            term = sympy.expand(second / (2 * k)) if second != 0 else sympy.S.Zero
        return total

    def _data_mean(self) -> sympy.Expr:
        """Products of data and of variables are averaged one by one, the rest is written out."""
        fields = symbols(self.fields)
        columns = dict(zip(fields, self.table.T, strict=True))
        apart: dict[sympy.Expr, float] = {}
        mixed = []
        for term in sympy.Add.make_args(multiplied_out(self.expression)):
            data, rest = term.as_independent(*symbols(self.variables), as_Add=False)
            if rest.has(*fields):
                mixed.append(term)
                continue
            constants, data = data.as_independent(*fields, as_Add=False)
            if data.free_symbols - set(fields):  # exp(c*a)
                mixed.append(term)
                continue
            mean = float(np.mean(np.broadcast_to(_over(data, columns), len(self.table))))
            if not np.isfinite(mean):
                raise FormulaError(f"the mean of {data} over the data must be finite, got {mean}")
            key = constants * rest
            apart[key] = apart.get(key, 0.0) + mean
        if len(mixed) * len(self.table) > _LONGEST:
            raise FormulaError(
                f"the mean over {len(self.table)} samples has {len(mixed) * len(self.table)} terms "
                "that do not separate into data times variables; at most "
                f"{_LONGEST} are written out: give fewer samples"
            )
        known = [key * exact(value) for key, value in apart.items()]
        whole = sympy.Add(*mixed)
        written_out = [
            whole.xreplace(dict(zip(fields, map(exact, row), strict=True)))
            for row in (self.table if mixed else ())
        ]
        for row, one in zip(self.table, written_out, strict=False):
            if one.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
                known_row = ", ".join(f"{a} = {v:g}" for a, v in zip(fields, row, strict=True))
                raise FormulaError(
                    f"the loss must be a finite real number; at {known_row} it is not"
                )
        return sympy.Add(*known) + sympy.Add(*written_out) / len(self.table)


def make_sample(
    expression: sympy.Expr,
    variables: tuple[str, ...],
    constants: Sequence[str],
    noise: tuple[str, ...],
    data: Mapping[str, np.ndarray],
) -> Sample | None:
    """The draw of a loss that has noise or data; None for one that has neither."""
    if not noise and not data:
        return None
    table = np.stack(list(data.values()), axis=1) if data else np.empty((0, 0))
    table.setflags(write=False)
    return Sample(expression, variables, tuple(constants), noise, tuple(data), table)


def checked_noise(noise: Any) -> tuple[str, ...]:
    """The names of the noise.

    Raises
    ------
    TypeError, FormulaError
        If they are no names.
    """
    return () if noise is None else name_list("noise", noise)


def checked_data(data: Any) -> dict[str, np.ndarray]:
    """The data: an array of one value a sample for each name.

    Raises
    ------
    TypeError, ValueError
        If they are no arrays of one length.
    """
    if data is None:
        return {}
    if not isinstance(data, Mapping) or not data:
        raise TypeError(f"data must map names to arrays of one value a sample, got {data!r}")
    columns = {}
    for name, values in data.items():
        if not isinstance(name, str):
            raise TypeError(f"data must map names to arrays of one value a sample, got {name!r}")
        column = np.asarray(checked_number(f"data {check_name(name)}", values))
        if column.ndim != 1 or not len(column):
            raise ValueError(
                f"data {name} must be one value a sample, shape (n,); got shape {column.shape}"
            )
        columns[name] = column
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"all data must have one length, a value for each sample; got {said}")
    return columns


def multiplied_out(expression: sympy.Expr) -> sympy.Expr:
    """Sums and their whole powers multiplied out, what stands within functions left as it is."""
    closed = {
        part: sympy.Dummy(real=True)
        for part in expression.atoms(sympy.Function, sympy.Pow)
        if not (part.is_Pow and part.exp.is_Integer and part.exp.is_positive)
    }
    outer = expression.xreplace(closed)
    opened = sympy.expand(outer, log=False, power_base=False, power_exp=False)
    back = {dummy: part for part, dummy in closed.items()}
    return opened.xreplace(back)


def _over(expression: sympy.Expr, columns: Mapping[sympy.Symbol, np.ndarray]) -> Any:
    names = list(columns)
    with np.errstate(all="ignore"):
        return sympy.lambdify(names, expression, "numpy")(*columns.values())


def exact(value: float) -> sympy.Expr:
    """A number that is exact if whole: an exact 1 leaves no trace in a formula, 1.0 would."""
    whole = value == int(value) and abs(value) < 1e15
    return sympy.Integer(int(value)) if whole else sympy.Float(float(value))
