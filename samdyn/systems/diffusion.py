"""What a stochastic differential equation is: a drift, a diffusion matrix, a step of a scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from samdyn.forward import pushed
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, checked_number
from samdyn.program import Program
from samdyn.symbols import symbols
from samdyn.systems.base import System
from samdyn.systems.stochastic import StochasticScheme, is_zero


class Diffusion(System):
    """The interface of every SDE, in Ito's sense: dX = drift(X) dt + diffusion(X) dW.

    A subclass has the attributes below, ``coordinates``, ``parameters``, ``title`` and ``replace``,
    and calls ``check`` once it is made.

    Attributes
    ----------
    brownian : int
        How many Brownian motions drive it: the number of columns of the diffusion matrix.
    dt : float or array
        Length of a step of the scheme.
    scheme : StochasticScheme
        `samdyn.euler_maruyama`, `samdyn.stochastic_heun`, `samdyn.platen`, or one's own.
    """

    loss: Loss | None = None
    continuous = True
    brownian: int
    dt: Number
    scheme: StochasticScheme

    def drift(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """The drift in words: on scalars of any kind, in the order of ``rows``."""
        raise NotImplementedError

    def diffusion(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[list[Any]]:
        """The diffusion matrix in words: for each of ``rows`` an entry a Brownian motion.

        An entry that is 0 everywhere is the float 0.0, which leaves no trace in a program.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, Any]:
        """The numbers of drift and diffusion, by name: all numbers but ``dt``."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse a step length, a scheme or names that an SDE cannot have.

        Raises
        ------
        TypeError
            If dt is no number, or the scheme is none for an SDE.
        ValueError
            If dt is not above 0, or a name is taken by the step, the time or the noise.
        """
        object.__setattr__(self, "dt", checked_number("dt", self.dt, above=0.0))
        if not isinstance(self.scheme, StochasticScheme):
            raise TypeError(
                f"scheme must be one for an SDE such as samdyn.euler_maruyama, got {self.scheme!r}"
            )
        taken = {"dt": "the step length", "t": "the time"}
        taken |= dict.fromkeys((*self._motions, *self._extra), "the noise")
        for name in (*self.rows, *self.parameters):
            if name in taken:
                raise ValueError(f"{name} is the name of {taken[name]} of an SDE; choose another")

    @property
    def numbers(self) -> dict[str, Any]:
        return {**self.parameters, "dt": self.dt}

    @property
    def duration(self) -> Any:
        return self.dt

    @property
    def about(self) -> dict[str, str]:
        return {"scheme": self.scheme.name}

    @cached_property
    def noise(self) -> tuple[str, ...]:
        """Names of a step's standard normals: dW1, dW2, … for the Brownian motions' increments
        over sqrt(dt), then dV1, … for what the scheme needs besides.
        """
        if not self._extra:
            return self._motions
        program = self._traced(self.step, dict.fromkeys((*self._motions, *self._extra), 0))
        used = {a for line in program.lines for a in line.arguments if type(a) is int}
        return self._motions + tuple(
            name for name in self._extra if program.inputs.index(name) in used
        )

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        drift = self.stratonovich_drift if self.scheme.stratonovich else self.drift
        normals = [numbers[name] for name in self._motions]
        normals += [numbers.get(name, 0.0) for name in self._extra]  # the step uses no other
        return self.scheme(
            lambda y: drift(y, numbers),
            lambda y: self.diffusion(y, numbers),
            list(z),
            numbers["dt"],
            normals,
        )

    def stratonovich_drift(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """The drift of the same process written in Stratonovich's sense, in words.

        Entry i is drift_i - 1/2 sum over j of (derivative of diffusion_ij along column j); the
        derivative is made from the diffusion's program.
        """
        m = self.brownian
        values = [*z, *(numbers[name] for name in self.numbers)]
        flat = self._diffusion(*values)
        seeds: list[dict[int, Any]] = [
            {j: entry for j, entry in enumerate(flat[i * m : (i + 1) * m]) if not is_zero(entry)}
            for i in range(len(z))
        ]
        _, slopes = pushed(self._diffusion, values, [*seeds, *({} for _ in self.numbers)])
        corrected = self.drift(z, numbers)
        for i in range(len(z)):
            for j in range(m):
                slope = slopes[i * m + j].get(j, 0.0)
                if not is_zero(slope):
                    corrected[i] = corrected[i] - 0.5 * slope
        return corrected

    @cached_property
    def law(self) -> Program:
        """The drift as a program of ``rows`` and ``numbers``: what its stability is that of."""
        return self._traced(self.drift)

    def rate(self, z: Any) -> np.ndarray:
        """The drift at states of shape (…, rows), as an array of the same shape."""
        return np.stack(np.broadcast_arrays(*self._known(z, self.drift)), axis=-1)

    def covariance(self, z: Any) -> np.ndarray:
        """The covariance rate, diffusion diffusion^T, at states of shape (…, rows).

        Returns
        -------
        ndarray, shape (…, rows, rows)
        """
        rows = self._known(z, self.diffusion)
        flat = np.broadcast_arrays(*(entry for row in rows for entry in row), np.asarray(z)[..., 0])
        matrix = np.stack(flat[:-1], axis=-1).reshape(*flat[0].shape, len(rows), self.brownian)
        return matrix @ np.swapaxes(matrix, -1, -2)

    @cached_property
    def _motions(self) -> tuple[str, ...]:
        return tuple(f"dW{j + 1}" for j in range(self.brownian))

    @cached_property
    def _extra(self) -> tuple[str, ...]:
        return tuple(f"dV{k + 1}" for k in range(self.scheme.extra(self.brownian)))

    @cached_property
    def _diffusion(self) -> Program:
        """The entries of the diffusion matrix, row after row, as a program."""

        def entries(z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
            return [entry for row in self.diffusion(z, numbers) for entry in row]

        return self._traced(entries)

    def _known(self, z: Any, definition: Any) -> list[Any]:
        z = np.asarray(z, dtype=float)
        if z.ndim == 0 or z.shape[-1] != len(self.rows):
            raise ValueError(f"z must have shape (…, {len(self.rows)}), got {z.shape}")
        numbers = {name: np.asarray(value, float) for name, value in self.numbers.items()}
        with np.errstate(all="ignore"):
            return definition(list(np.moveaxis(z, -1, 0)), numbers)


def latex_equations(
    names: Sequence[str], drift: Sequence[sympy.Expr], diffusion: Sequence[Sequence[sympy.Expr]]
) -> str:
    """An SDE in LaTeX, an equation a line: a drift and a row of the diffusion matrix each."""
    several = max(map(len, diffusion)) > 1
    lines = []
    for symbol, rate, row in zip(symbols(names), drift, diffusion, strict=True):
        terms = [(sympy.latex(rate), rate, r"\mathrm{d}t")]
        for j, entry in enumerate(row, start=1):
            motion = rf"\mathrm{{d}}W_{{{j}}}" if several else r"\mathrm{d}W"
            terms.append((sympy.latex(entry), entry, motion))
        said = differential(terms, r"\left({}\right) {}", r"{}\, {}")
        lines.append(rf"\mathrm{{d}}{sympy.latex(symbol)} &= {said}")
    return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"


def differential(
    terms: Sequence[tuple[str, sympy.Expr, str]], enclosed: str = "({}) {}", plain: str = "{} {}"
) -> str:
    """A sum of factors times differentials, from (factor's text, factor, differential)."""
    said = ""
    for text, factor, what in terms:
        if factor == 0:
            continue
        apart = factor.is_Add or (said and text.lstrip().startswith("-"))
        term = what if factor == 1 else (enclosed if apart else plain).format(text, what)
        said += f" + {term}" if said else term
    return said or "0"
