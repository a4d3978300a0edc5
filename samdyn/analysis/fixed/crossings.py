"""The search for the values of a number at which a multiplier crosses the unit circle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy

from samdyn.analysis.fixed.formula import threshold_formula
from samdyn.analysis.fixed.spectrum import Spectrum
from samdyn.analysis.linear import growth, kind_of
from samdyn.symbols import symbols
from samdyn.systems.base import System

_DEPTH = 12


@dataclass(frozen=True)
class Threshold:
    """A value of one number at which a multiplier crosses the unit circle.

    Attributes
    ----------
    name : str
        The number that changes.
    value : float
        Where the crossing is: that of the formula, or else the upper end of ``bracket``.
    kind : str
        "fold" (the multiplier is +1), "flip" (-1) or "Neimark-Sacker" (a complex pair); for a flow
        "fold" (the eigenvalue is 0) or "Hopf".
    multiplier : complex
        The multiplier that crosses (for a flow the eigenvalue), as computed at ``value``.
    below, above : str
        What the point is on either side: "attractor", "saddle", "repeller", …
    bracket : (float, float)
        Neighbouring floats with different numbers of unstable directions, as computed.
    formula : sympy.Expr or None
        The same value as a formula of the other numbers, where SymPy finds one.
    point : tuple of float
        The state there: fixed points may move with the number.
    """

    name: str
    value: float
    kind: str
    multiplier: complex
    below: str
    above: str
    bracket: tuple[float, float]
    formula: sympy.Expr | None
    point: tuple[float, ...]

    def __repr__(self) -> str:
        found = f" = {self.formula}" if self.formula is not None else ""
        return (
            f"Threshold({self.name} = {self.value:.12g}{found}: {self.kind}, {self.below} below, "
            f"{self.above} above)"
        )

    @property
    def decides(self) -> bool:
        """Whether the point becomes or ceases to be an attractor."""
        return (self.below == "attractor") != (self.above == "attractor")


def crossings(spectrum: Spectrum, low: float, high: float, depth: int = _DEPTH) -> list[Threshold]:
    """The crossings between two values of the number, in ascending order.

    Parameters
    ----------
    spectrum : Spectrum
    low, high : float
        Values at which the unstable directions differ in number or in kind.
    depth : int
        How often an interval is halved in which crossings undo each other in the count.
    """
    ends = spectrum.unstable(low), spectrum.unstable(high)
    if -1 in ends:
        return []
    if ends[0] == ends[1]:
        # a fold and a flip can undo each other in the count: then look closer
        middle = 0.5 * (low + high)
        if not depth or not low < middle < high or spectrum.sides(low) == spectrum.sides(high):
            return []
        return crossings(spectrum, low, middle, depth - 1) + crossings(
            spectrum, middle, high, depth - 1
        )
    a, b = low, high
    while True:
        middle = 0.5 * (a + b)
        if not a < middle < b:
            break
        if spectrum.unstable(middle) == ends[0]:
            a = middle
        else:
            b = middle
    before = crossings(spectrum, low, a) if spectrum.unstable(a) != ends[0] else []
    after = crossings(spectrum, b, high) if spectrum.unstable(b) != ends[1] else []
    here = _threshold(spectrum, a, b)
    return [*before, *here, *after]


def _threshold(spectrum: Spectrum, a: float, b: float) -> list[Threshold]:
    values = spectrum.eigenvalues(b)
    z = spectrum.state(b)
    if values is None or z is None:
        return []
    continuous = spectrum.continuous
    crossing = complex(values[np.argmin(np.abs(growth(values, continuous)))])
    value = float(b)
    formula = None
    if spectrum.period == 1:
        system = spectrum.linear.system
        formula = threshold_formula(system, spectrum.rest, spectrum.name, value)
        if formula is not None:
            value = float(formula.subs(_known(system)))
    return [
        Threshold(
            name=spectrum.name,
            value=value,
            kind=_kind(crossing, continuous),
            multiplier=crossing,
            below=_beside(spectrum, a, -1.0),
            above=_beside(spectrum, b, 1.0),
            bracket=(float(a), float(b)),
            formula=formula,
            point=tuple(z.tolist()),
        )
    ]


def _known(system: System) -> dict[sympy.Symbol, float]:
    return dict(zip(symbols(tuple(system.numbers)), system.numbers.values(), strict=True))


def _beside(spectrum: Spectrum, value: float, side: float) -> str:
    """What the point is a little way off the crossing."""
    for share in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3):
        values = spectrum.eigenvalues(value + side * share * (abs(value) or 1.0))
        if values is not None:
            kind = kind_of(values, spectrum.continuous)
            if kind not in ("neutral", "centre"):
                return kind
    return "neutral"


def _kind(crossing: complex, continuous: bool) -> str:
    # a defective double multiplier +1 shows an imaginary part of the root of the rounding
    complex_pair = abs(crossing.imag) > 1e-7 * max(1.0, abs(crossing))
    if complex_pair:
        return "Hopf" if continuous else "Neimark-Sacker"
    return "fold" if continuous or crossing.real > 0 else "flip"
