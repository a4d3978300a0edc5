"""Thresholds: where a multiplier crosses the unit circle as one number of the system changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from samdyn.analysis.fixed.crossings import Threshold, crossings, merged
from samdyn.analysis.fixed.spectrum import Spectrum
from samdyn.analysis.fixed.stability import located
from samdyn.analysis.linear import Linear
from samdyn.numbers import checked_interval
from samdyn.systems.base import System, checked_system

_SCAN = 1200
_SMALLEST, _LARGEST = 1e-8, 1e8


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
        low, high = _interval(system, name, between)
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
        Default: 1e-8 to 1e8, and as far around the current value, for lr, rho and other numbers
        of an algorithm; 0 to 1 for momentum.
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
    values = _scan(system, name, between)
    spectrum = Spectrum(linear, z, period, name, values)
    counts = spectrum.counts()
    found: list[Threshold] = []
    for i in np.flatnonzero(np.any(counts[1:] != counts[:-1], axis=1)):
        found += crossings(spectrum, spectrum.values[i], spectrum.values[i + 1])
    return merged(spectrum, found)


def _with_number(system: System, name: str) -> tuple[System, bool]:
    """The system with a number in play, and whether it was: a plain momentum of 0 is left out."""
    checked_system(system)
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


def _interval(system: System, name: str, between: Any) -> tuple[float, float]:
    if between is not None:
        return checked_interval("between", between)
    if name == "momentum":
        return 0.0, 1.0
    if name not in system.constants:
        return _SMALLEST, _LARGEST
    raise ValueError(
        f"between must be given for {name}: the interval (low, high) in which to look for crossings"
    )


def _scan(system: System, name: str, between: Any) -> np.ndarray:
    low, high = _interval(system, name, between)
    current = float(system.numbers[name])
    if between is None and name != "momentum" and current > 0:
        low, high = min(low, 1e-8 * current), max(high, 1e8 * current)
    evenly: Callable[..., np.ndarray] = np.linspace
    if low > 0 and high / low > 1e3:
        evenly = np.geomspace
    # a half cell off the ends: at lr = 0 or momentum = 1 every multiplier is on the circle
    inside = evenly(low, high, _SCAN + 1)
    if between is None and name == "momentum":
        inside = inside[1:-1]
    return np.unique(np.append(inside, current)) if low <= current <= high else inside
