"""The loss seen from a point in units of rho: its rise over rho squared, as a function of v."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from samdyn.analysis.sharpness.intervals import SMOOTH, Interval, enclosed
from samdyn.losses.derivatives import symmetric
from samdyn.losses.loss import Loss
from samdyn.program import Program

Long = np.longdouble
"""Differences of losses nearby are taken in what precision the machine has."""


@dataclass(frozen=True)
class Formula:
    """A loss, or that of one sample: its programs and the numbers they take besides the point.

    Attributes
    ----------
    program : callable
        Of the order of derivative: 0, 1 or 2.
    expression : sympy.Expr
    variables, names : tuple of str
        The coordinates; what else the programs take.
    numbers : tuple of float
        The values of ``names``.
    """

    program: Callable[[int], Program]
    expression: sympy.Expr
    variables: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[float, ...]

    def value(self, w: np.ndarray) -> np.ndarray:
        """At points of shape (…, d), in their own precision."""
        return self._outputs(0, w)[0]

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """The shape is that of the points, (…, d)."""
        return np.stack(self._outputs(1, w), axis=-1)

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """The shape is (…, d, d)."""
        return symmetric(np.stack(self._outputs(2, w), axis=-1), w.shape[-1])

    def _outputs(self, order: int, w: np.ndarray) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            outputs = self.program(order)(*np.moveaxis(w, -1, 0), *self._given(w))
        return [np.broadcast_to(np.asarray(out, w.dtype), w.shape[:-1]) for out in outputs]

    def enclosed(self, order: int, low: np.ndarray, high: np.ndarray) -> list[Interval]:
        """Enclosures over boxes of shape (…, d), given by their corners."""
        w = [Interval(low[..., i], high[..., i]) for i in range(low.shape[-1])]
        numbers = [Interval(x, x) for x in self._given(low)]
        return enclosed(self.program(order), [*w, *numbers], low.shape[:-1])

    def _given(self, w: np.ndarray) -> list[Any]:
        return [w.dtype.type(x) for x in self.numbers]

    @property
    def smooth(self) -> bool:
        """Whether it has no kinks or jumps, so that derivatives bound it."""
        programs = (self.program(order) for order in range(3))
        return all(line.operation in SMOOTH for program in programs for line in program.lines)


def whole(loss: Loss) -> Formula:
    """The loss itself; of a random one its mean."""
    constants = loss.constants
    return Formula(
        loss.program, loss.expression, loss.variables, tuple(constants), tuple(constants.values())
    )


def samples(loss: Loss) -> list[Formula]:
    """The losses of the samples of a finite sum.

    Raises
    ------
    TypeError
        If the loss is none.
    """
    sample = loss.sample
    if sample is None or not sample.fields:
        raise TypeError(f"per_sample needs a finite sum, a loss with data=…; {loss!r} has none")
    constants = tuple(loss.constants.values())
    names = (*sample.names, *loss.constants)
    return [
        Formula(
            sample.program, sample.expression, loss.variables, names, (*map(float, row), *constants)
        )
        for row in sample.table
    ]


@dataclass(frozen=True)
class Landscape:
    """f(u) = (L(p + rho Q u) - L(p))/rho**2, the columns of Q being eigenvectors at p.

    Attributes
    ----------
    formula : Formula
    p : ndarray, shape (d,)
    rho : float
    basis : ndarray, shape (d, d)
        The matrix Q.
    """

    formula: Formula
    p: np.ndarray
    rho: float
    basis: np.ndarray

    def value(self, u: np.ndarray) -> np.ndarray:
        """At points of shape (n, d); -inf where the loss has no value."""
        rise = self.formula.value(self._at(u)) - self.formula.value(self.p.astype(Long))
        return np.nan_to_num((rise / Long(self.rho) ** 2).astype(float), nan=-np.inf)

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """The gradient in u, shape (n, d)."""
        return (self.formula.gradient(self._at(u)) / Long(self.rho)).astype(float) @ self.basis

    def hessian(self, u: np.ndarray) -> np.ndarray:
        """The Hessian in u, shape (n, d, d)."""
        hessian = self.formula.hessian(self._at(u).astype(float))
        return self.basis.T @ hessian @ self.basis

    def _at(self, u: np.ndarray) -> np.ndarray:
        return self.p.astype(Long) + Long(self.rho) * (u.astype(Long) @ self.basis.T.astype(Long))

    # --- enclosures -----------------------------------------------------------------------

    def value_within(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the value at points (n, d) lies between, whatever the rounding."""
        here = self.p.astype(Long)[None]
        rise = self.formula.enclosed(0, *self._point(self._at(u)))[0]
        rise = rise - self.formula.enclosed(0, here, here)[0]
        scaled = rise / Long(self.rho) / Long(self.rho)
        # long numbers are rounded once more on the way to short ones
        low, high = scaled.low.astype(float), scaled.high.astype(float)
        return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)

    def gradient_within(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The gradient in u, shape (n, d), and by how much its length may err, shape (n,)."""
        parts = self.formula.enclosed(1, *self._point(self._at(u)))
        middle = np.stack([(x.low + x.high) / 2 for x in parts], axis=-1) / Long(self.rho)
        radius = np.stack([(x.high - x.low) / 2 for x in parts], axis=-1) / Long(self.rho)
        slope = middle.astype(float) @ self.basis
        size = np.linalg.norm(middle.astype(float), axis=-1)
        return slope, 1.01 * np.linalg.norm(radius.astype(float), axis=-1) + 1e-14 * size

    def hessian_within(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Over boxes of u, corners of shape (n, d): a matrix, and how far any other is from it.

        The distance, shape (n,), is in the spectral norm; NaN where nothing is known.
        """
        middle, half = (low + high) / 2, (high - low) / 2
        centre = self.p + self.rho * (middle @ self.basis.T)
        reach = self.rho * (half @ np.abs(self.basis.T)) * (1 + 1e-13)
        reach += 1e-14 * (np.abs(self.p) + self.rho)
        entries = self.formula.enclosed(2, centre - reach, centre + reach)
        d = len(self.p)
        matrix = symmetric(np.stack([(x.low + x.high) / 2 for x in entries], axis=-1), d)
        radius = symmetric(np.stack([(x.high - x.low) / 2 for x in entries], axis=-1), d)
        far = np.minimum(
            np.linalg.norm(radius, axis=(-2, -1)), np.max(np.sum(radius, axis=-1), axis=-1)
        )
        far = 1.01 * far if d > 1 else far * (1 + 1e-14)
        far = far + 1e-14 * np.linalg.norm(matrix, axis=(-2, -1))
        return self.basis.T @ matrix @ self.basis, far

    @staticmethod
    def _point(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slack = 16 * np.finfo(Long).eps * (np.abs(w) + np.max(np.abs(w), axis=-1, keepdims=True))
        return w - slack, w + slack
