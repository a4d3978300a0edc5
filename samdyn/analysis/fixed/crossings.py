"""The search for the values of a number at which a multiplier crosses the unit circle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy

from samdyn.analysis.fixed.formula import threshold_formula
from samdyn.analysis.fixed.spectrum import Spectrum
from samdyn.analysis.linear import growth, kind_of
from samdyn.symbols import symbols
from samdyn.systems.base import System

_DEPTH = 12
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Threshold:
    """A value of one number at which a multiplier crosses the unit circle.

    Attributes
    ----------
    name : str
        The number that changes.
    value : float
        Where the crossing is: that of the formula, or else found by bisection.
    kind : str
        "fold" (the multiplier is +1), "flip" (-1) or "Neimark-Sacker" (a complex pair); for a flow
        "fold" (the eigenvalue is 0) or "Hopf".
    multiplier : complex
        The multiplier that crosses (for a flow the eigenvalue), as computed at ``value``.
    below, above : str
        What the point is on either side: "attractor", "saddle", "repeller", … Directions that
        are neutral at every value, as along a curve of minimisers, do not count.
    bracket : (float, float)
        Where the crossing is for certain: beyond it the multiplier is off the circle by more than
        rounding. Most are 1e-12 wide or less.
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
    room = _room(spectrum, a, b)
    if spectrum.period == 1:
        system = spectrum.linear.system
        formula = threshold_formula(system, spectrum.rest, spectrum.name, value, room)
        if formula is not None:
            value = float(formula.subs(_known(system)))
    return [
        Threshold(
            name=spectrum.name,
            value=value,
            kind=_kind(crossing, continuous),
            multiplier=crossing,
            below=_beside(spectrum, a, -room),
            above=_beside(spectrum, b, room),
            bracket=(float(a) - room, float(b) + room),
            formula=formula,
            point=tuple(z.tolist()),
        )
    ]


def _known(system: System) -> dict[sympy.Symbol, float]:
    return dict(zip(symbols(tuple(system.numbers)), system.numbers.values(), strict=True))


def _room(spectrum: Spectrum, a: float, b: float) -> float:
    """How far from a crossing its multiplier stays on the circle but for rounding.

    Where it crosses with a slope this is next to nothing; a cubic crossing takes more.
    """
    room = 1e-15 * (abs(b) or 1.0)
    while room < 1e-3 * (abs(b) or 1.0):
        for value in (a - room, b + room):
            values = spectrum.eigenvalues(value)
            if values is None:
                return room
            sizes = np.abs(growth(values, spectrum.continuous))
            if np.min(sizes, initial=np.inf) <= _ROUNDING * (1.0 + np.max(np.abs(values))):
                break
        else:
            return room
        room *= 4.0
    return room


def merged(spectrum: Spectrum, found: list[Threshold]) -> list[Threshold]:
    """Crossings that rounding alone keeps apart, as one; none if nothing changes across them."""
    result: list[Threshold] = []
    for one in found:
        if not result or one.bracket[0] > result[-1].bracket[1]:
            result.append(one)
            continue
        last = result.pop()
        low, high = last.bracket[0], max(one.bracket[1], last.bracket[1])
        if spectrum.unstable(low) != spectrum.unstable(high):
            result.append(replace(last, above=one.above, bracket=(low, high)))
    return result


def _beside(spectrum: Spectrum, value: float, room: float) -> str:
    """What the point is a little way off the crossing, on the side of the sign of ``room``."""
    size = abs(value) or 1.0
    for share in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2):
        values = spectrum.eigenvalues(value + np.sign(room) * max(share * size, 4 * abs(room)))
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
