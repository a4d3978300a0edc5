"""Thresholds: where a multiplier crosses the unit circle as one number of the system changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from samdyn.analysis.linear import Linear, growth, kind_of, solved
from samdyn.analysis.stability import located
from samdyn.analysis.threshold_formula import threshold_formula
from samdyn.symbols import symbols
from samdyn.systems.base import System

_SCAN = 1200
_SMALLEST, _LARGEST = 1e-8, 1e8
_FOLLOW = 1e-8
_DEPTH = 12
_POSITIVE = ("lr", "rho", "weight_decay", "eta", "alpha")


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

    @property
    def decides(self) -> bool:
        """Whether the point becomes or ceases to be an attractor."""
        return (self.below == "attractor") != (self.above == "attractor")


def stability_threshold(
    system: System, point: Any, name: str, between: tuple[float, float] | None = None
) -> Threshold:
    """Where a fixed point or a cycle gains or loses stability as one number changes.

    Of the crossings that `stability_thresholds` finds, the nearest (in ratio where the number is
    positive) at which the point becomes or ceases to be an attractor; if there is none, the
    nearest at which a multiplier crosses the unit circle at all.

    Parameters
    ----------
    system, point, name, between
        As in `stability_thresholds`.

    Returns
    -------
    Threshold

    Raises
    ------
    ValueError
        If there is no crossing.

    References
    ----------
    Kim et al., arXiv 2301.06308, Theorem 1: rho > -1/lambda_1 makes an index-1 saddle an attractor
    of un-normalised SAM.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Loss("a*x**2/2 - b*y**2/2", variables="x y", a=1.0, b=0.5)
    >>> found = stability_threshold(sd.Map(saddle, sd.USAM(lr=0.1, rho=0.1)), [0, 0], "rho")
    >>> round(found.value, 12), found.kind, found.formula
    (2.0, 'fold', 1/b)
    """
    found = stability_thresholds(system, point, name, between)
    system, _ = _with_number(system, name)
    if not found:
        low, high = _interval(name, between)
        raise ValueError(
            f"no multiplier crosses the unit circle for {name} between {low:g} and {high:g}; look "
            "elsewhere with between=(low, high)"
        )
    current = float(system.numbers[name])

    def distance(one: Threshold) -> float:
        if current > 0 and one.value > 0:
            return abs(float(np.log(one.value / current)))
        return abs(one.value - current)

    return min([one for one in found if one.decides] or found, key=distance)


def stability_thresholds(
    system: System, point: Any, name: str, between: tuple[float, float] | None = None
) -> list[Threshold]:
    """Every value of one number at which a multiplier of a point crosses the unit circle.

    The unstable directions are counted on some 1,200 values; where they change, the crossing is
    bracketed down to neighbouring floats. A fixed point that moves with the number is followed by
    Newton's method. Two crossings of one kind between neighbouring values that undo each other are
    not seen: narrow ``between``.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Each of its numbers being one value.
    point : array_like
        A fixed point or the points of a cycle, as in `samdyn.stability`, at the system's own
        numbers.
    name : str
        One of ``system.numbers`` (or ``momentum``, which is 0 where it is not among them).
    between : (low, high), optional
        Default: 1e-8 to 1e8 for lr, rho and other numbers of an algorithm, 0 to 1 for momentum.
        Needed for constants of the loss.

    Returns
    -------
    list of Threshold
        In ascending order.

    Raises
    ------
    ValueError
        If the point is not fixed, the step jumps there, or ``between`` is needed.

    Examples
    --------
    >>> import samdyn as sd
    >>> system = sd.Map(sd.Loss("x**2 - y**2/4"), sd.USAM(lr=0.1, rho=0.1))
    >>> [(t.value, t.kind, t.above) for t in stability_thresholds(system, [0, 0], "rho")]
    [(2.0, 'fold', 'attractor'), (4.5, 'flip', 'saddle'), (82.0, 'flip', 'repeller')]
    """
    system, known = _with_number(system, name)
    linear = Linear(system)
    points = np.asarray(point, dtype=float)
    if not known and points.shape[-1:] != (linear.size,):
        points = points[..., : len(system.coordinates)]
    z, period = located(linear, points)
    if linear.smoothness(z) == "jumps":
        raise ValueError(
            "the step of this system jumps at the point, which has no multipliers there (as "
            "normalised SAM does at a critical point); look at the cycles around "
            "it, samdyn.cycles(system, 2)"
        )
    values = _scan(name, between, float(system.numbers[name]))
    spectrum = _Spectrum(linear, z, period, name, values)
    counts = spectrum.counts()
    found: list[Threshold] = []
    for i in np.flatnonzero(np.any(counts[1:] != counts[:-1], axis=1)):
        found += _crossings(spectrum, spectrum.values[i], spectrum.values[i + 1])
    return found


class _Spectrum:
    """The eigenvalues of a point as a function of one number, the point being followed."""

    def __init__(self, linear: Linear, z: np.ndarray, period: int, name: str, values: np.ndarray):
        self.linear, self.period, self.name = linear, period, name
        self.start = float(linear.system.numbers[name])
        self.rest = z
        value, jacobian = linear.residual(
            np.broadcast_to(z, (len(values), len(z))), period, **{name: values}
        )
        steps = np.linalg.norm(solved(jacobian, value), axis=-1)
        still = np.linalg.norm(value, axis=-1) == 0
        self.moves = bool(np.any(~still & ~(steps <= _FOLLOW * (1 + np.linalg.norm(z)))))
        self.known = {self.start: z}
        self.values = self._followed(values) if self.moves else values

    def state(self, value: float) -> np.ndarray | None:
        """The point at a value, from the nearest value where it is known."""
        if not self.moves:
            return self.rest
        near = min(self.known, key=lambda one: abs(one - value))
        if near == value:
            return self.known[value]
        origin = self.known[near]
        scale = 1.0 + float(np.linalg.norm(origin))
        z, error = self.linear.polished(origin[None], self.period, scale, **{self.name: value})
        if not error[0] <= 1e-6 * scale or np.linalg.norm(z[0] - origin) > 0.3 * scale:
            return None
        self.known[value] = z[0]
        return z[0]

    def eigenvalues(self, value: float) -> np.ndarray | None:
        """The eigenvalues at a value; None where the point is lost."""
        z = self.state(value)
        if z is None:
            return None
        number = {self.name: value}
        if self.linear.system.continuous:
            jacobian = self.linear.law(z, **number)[1]
        else:
            jacobian = self.linear.orbit(z, self.period, **number)[2]
        return np.linalg.eigvals(jacobian) if np.all(np.isfinite(jacobian)) else None

    def unstable(self, value: float) -> int:
        """The number of unstable directions, or -1 where the point is lost."""
        values = self.eigenvalues(value)
        return -1 if values is None else int(np.sum(growth(values, self.continuous) > 0))

    def sides(self, value: float) -> list[int]:
        """How many unstable eigenvalues are positive, negative and complex."""
        values = self.eigenvalues(value)
        return [-1, -1, -1] if values is None else _sides(values, self.continuous).tolist()

    def counts(self) -> np.ndarray:
        """The unstable eigenvalues at every value of the scan: positive, negative, complex."""
        if self.moves:
            return np.array([self.sides(value) for value in self.values])
        z = np.broadcast_to(self.rest, (len(self.values), len(self.rest)))
        if self.continuous:
            jacobian = self.linear.law(z, **{self.name: self.values})[1]
        else:
            jacobian = self.linear.orbit(z, self.period, **{self.name: self.values})[2]
        finite = np.all(np.isfinite(jacobian), axis=(-2, -1))
        values = np.linalg.eigvals(np.where(finite[:, None, None], jacobian, 0.0))
        return np.where(finite[:, None], _sides(values, self.continuous), -1)

    @property
    def continuous(self) -> bool:
        """Whether the system is a flow."""
        return self.linear.system.continuous

    def _followed(self, values: np.ndarray) -> np.ndarray:
        """The values, from the system's own on in both directions, to where the point is lost."""
        kept = [self.start]
        for side in (values[values > self.start], values[values < self.start][::-1]):
            for value in side:
                if self.state(float(value)) is None:
                    break
                kept.append(float(value))
        return np.array(sorted(kept))


def _sides(values: np.ndarray, continuous: bool) -> np.ndarray:
    """How many unstable eigenvalues are positive, negative and complex."""
    unstable = growth(values, continuous) > 0
    turning = np.abs(values.imag) > 1e-9 * np.abs(values)
    parts = (~turning & (values.real > 0), ~turning & (values.real <= 0), turning)
    return np.stack([np.sum(unstable & part, axis=-1) for part in parts], axis=-1)


def _crossings(
    spectrum: _Spectrum, low: float, high: float, depth: int = _DEPTH
) -> list[Threshold]:
    """The crossings between two values."""
    ends = spectrum.unstable(low), spectrum.unstable(high)
    if -1 in ends:
        return []
    if ends[0] == ends[1]:
        # a fold and a flip can undo each other in the count: then look closer
        middle = 0.5 * (low + high)
        if not depth or not low < middle < high or spectrum.sides(low) == spectrum.sides(high):
            return []
        return _crossings(spectrum, low, middle, depth - 1) + _crossings(
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
    before = _crossings(spectrum, low, a) if spectrum.unstable(a) != ends[0] else []
    after = _crossings(spectrum, b, high) if spectrum.unstable(b) != ends[1] else []
    here = _threshold(spectrum, a, b)
    return [*before, *here, *after]


def _threshold(spectrum: _Spectrum, a: float, b: float) -> list[Threshold]:
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


def _beside(spectrum: _Spectrum, value: float, side: float) -> str:
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


def _with_number(system: System, name: str) -> tuple[System, bool]:
    """The system with a number in play, and whether it was: a plain momentum of 0 is left out."""
    if not isinstance(system, System):
        Linear(system)  # says what would be right
    if name == "dt" and system.continuous:
        raise ValueError(
            "name dt is the scheme's step length, on which no flow's stability depends"
        )
    if name in system.numbers:
        return system, True
    if name in ("momentum", "weight_decay"):
        return _started(system, name), False
    has = ", ".join(system.numbers)
    raise ValueError(f"name must be one of the system's numbers ({has}), got {name!r}")


def _started(system: System, name: str) -> System:
    """A system whose left-out number is hardly above 0."""
    try:
        return system.replace(**{name: _SMALLEST})
    except (TypeError, ValueError):
        has = ", ".join(system.numbers)
        raise ValueError(
            f"name must be one of the system's numbers ({has}), got {name!r}"
        ) from None


def _interval(name: str, between: Any) -> tuple[float, float]:
    if between is not None:
        low, high = map(float, between)
        if not low < high or not np.isfinite(high - low):
            raise ValueError(f"between must be (low, high) with low < high, got {between}")
        return low, high
    if name == "momentum":
        return 0.0, 1.0
    if name in _POSITIVE:
        return _SMALLEST, _LARGEST
    raise ValueError(
        f"between must be given for {name}: the interval (low, high) in which to look for crossings"
    )


def _scan(name: str, between: Any, current: float) -> np.ndarray:
    low, high = _interval(name, between)
    evenly: Callable[..., np.ndarray] = np.linspace
    if low > 0 and high / low > 1e3:
        evenly = np.geomspace
    # a half cell off the ends: at lr = 0 or momentum = 1 every multiplier is on the circle
    inside = evenly(low, high, _SCAN + 1)
    if between is None and name == "momentum":
        inside = inside[1:-1]
    return np.unique(np.append(inside, current)) if low <= current <= high else inside
