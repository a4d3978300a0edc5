"""The exact boundary of stability in mean square, as one number of a random map changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.analysis.mean_square.operator import SecondMoments
from samdyn.numbers import check_single, checked_interval
from samdyn.systems.base import System, checked_system
from samdyn.systems.map import Map

_SCAN, _COARSE = 241, 61
_ROOM = 1e-9
_LEVEL = 1e-11
"""Growth this close to 1 is no evidence of either side."""


@dataclass(frozen=True)
class MeanSquareThreshold:
    """A value of one number at which second moments about a point cease, or begin, to grow.

    Attributes
    ----------
    name : str
        The number that changes.
    value : float
        Where the growth of second moments is 1; of batch_size the first whole number beyond.
    below, above : str
        "stable" or "unstable": what the point is in mean square on either side.
    bracket : (float, float)
        Values around the threshold at which the growth was found on either side of 1.
    """

    name: str
    value: float
    below: str
    above: str
    bracket: tuple[float, float]

    def __repr__(self) -> str:
        return (
            f"MeanSquareThreshold({self.name} = {self.value:.12g}: {self.below} below, "
            f"{self.above} above)"
        )


def mean_square_threshold(
    system: System, point: Any, name: str, between: tuple[float, float] | None = None
) -> MeanSquareThreshold:
    """Where a point gains or loses stability in mean square as one number changes.

    Of the crossings that `mean_square_thresholds` finds, the nearest (in ratio where the number is
    positive).

    Parameters
    ----------
    system, point, name, between
        As in `mean_square_thresholds`.

    Returns
    -------
    MeanSquareThreshold

    Raises
    ------
    ValueError
        If there is no crossing.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> sgd = sd.Map(loss, sd.GD(lr=0.2), batch_size=1)
    >>> mean_square_threshold(sgd, 0.0, "lr")  # 2 E a^2/E a^4 = 10/41
    MeanSquareThreshold(lr = 0.243902439024: stable below, unstable above)
    """
    found = mean_square_thresholds(system, point, name, between)
    current = float(np.asarray(system.numbers.get(name, 0.0)))
    if not found:
        low, high = _interval(system, name, between)
        raise ValueError(
            f"the growth of second moments does not cross 1 for {name} between {low:g} and "
            f"{high:g}; look elsewhere with between=(low, high), or at mean_square_growth"
        )

    def distance(one: MeanSquareThreshold) -> float:
        if current > 0 and one.value > 0:
            return abs(float(np.log(one.value / current)))
        return abs(one.value - current)

    return min(found, key=distance)


def mean_square_thresholds(
    system: System, point: Any, name: str, between: tuple[float, float] | None = None
) -> list[MeanSquareThreshold]:
    """Every value of one number at which a point gains or loses stability in mean square.

    The point is stable where the spectral radius of S -> E[J S J^T], J being the Jacobian of a
    step on a random batch, is below 1 (see `samdyn.mean_square_growth`): for linear regression
    that is the exact boundary, batches being enumerated. Directions in which nothing moves, along
    a manifold of minimisers, do not count. The radius is looked at on a grid of values and each
    crossing is then bracketed; two that undo each other between neighbouring values are not seen.

    Parameters
    ----------
    system : Map or FormulaMap
        Each of its numbers being one value. `Map` with ``fresh_noise=True`` has a batch of its own
        for each of SAM's two gradients.
    point : array_like, shape (d,) or (rows,)
        A fixed point of the mean dynamics; it stays where it is as the number changes.
    name : str
        One of ``system.numbers``, or momentum. Of batch_size, the growth being taken to fall with
        it, the one crossing between the ends is found by bisection.
    between : (low, high), optional
        Default: 1e-4 to 1e4 times the current value; 0 to 1 for momentum; 1 to the number of
        samples for batch_size.

    Returns
    -------
    list of MeanSquareThreshold
        In ascending order.

    Raises
    ------
    TypeError
        If the system is none or continuous (of an SDE the drift decides: take
        `samdyn.stability_threshold` of its flow).
    ValueError
        If a number is an array, the point is not fixed on average, the step is not smooth there
        (normalised SAM), or there are too many batches.

    References
    ----------
    Wu, Wang and Su, arXiv 2207.02628; Zhou et al., arXiv 2410.10373, Definition 4.1.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> sam = sd.Map(loss, sd.USAM(lr=0.1, rho=0.1), batch_size=1)
    >>> [round(t.value, 12) for t in mean_square_thresholds(sam, 0.0, "lr")]
    [0.123969756829]
    >>> mean_square_threshold(sd.Map(loss, sd.GD(lr=0.3), batch_size=1), 0.0, "batch_size",
    ...                       between=(1, 9))
    MeanSquareThreshold(batch_size = 2: unstable below, stable above)
    """
    if checked_system(system).continuous:
        raise TypeError(
            f"system must be a map, got {system.title}; of an SDE the drift decides, see "
            "samdyn.stability_threshold"
        )
    check_single("this", system.numbers)
    if name not in system.numbers and name != "momentum":
        has = ", ".join(system.numbers)
        raise ValueError(f"name must be one of the system's numbers ({has}), got {name!r}")
    low, high = _interval(system, name, between)
    if name == "batch_size":
        return _whole(system, point, int(np.ceil(low)), int(high))
    about = SecondMoments(system, point, name, _unit(system, name, low, high))
    found = _crossings(about, _values(low, high, name, between, _SCAN))
    if about.polynomial is not None and not all(_confirmed(about, one) for one in found):
        about.polynomial = None
    if about.polynomial is None:
        found = _crossings(about, _values(low, high, name, between, _COARSE))
    return found


def _values(low: float, high: float, name: str, between: Any, count: int) -> np.ndarray:
    evenly = np.geomspace if low > 0 and high / low > 1e3 else np.linspace
    values = evenly(low, high, count)
    # at momentum 1 nothing is damped
    return values[1:-1] if name == "momentum" and between is None else values


def _crossings(about: SecondMoments, values: np.ndarray) -> list[MeanSquareThreshold]:
    excess = about.growth(values) - 1.0
    decided = np.isfinite(excess) & (np.abs(excess) > _LEVEL)
    values, grows = values[decided], excess[decided] > 0
    return [
        _threshold(about, float(values[i]), float(values[i + 1]), bool(grows[i]))
        for i in np.flatnonzero(grows[1:] != grows[:-1])
    ]


def _threshold(about: SecondMoments, low: float, high: float, grows: bool) -> MeanSquareThreshold:
    from scipy.optimize import brentq

    def excess(value: float) -> float:
        return float(about.growth(np.array([value]))[0]) - 1.0

    value = float(brentq(excess, low, high, xtol=1e-300, rtol=1e-14))
    room = _ROOM * max(abs(value), high - low)  # the number may be 0 there, or below
    near = value - room, value + room
    return MeanSquareThreshold(about.name, value, _said(grows), _said(not grows), near)


def _confirmed(about: SecondMoments, found: MeanSquareThreshold) -> bool:
    """Whether the growth is on either side of 1 at the ends of the bracket, from the system."""
    sides = [_said(about.exactly(end) > 1.0) for end in found.bracket]
    return sides == [found.below, found.above]


def _whole(system: System, point: Any, low: int, high: int) -> list[MeanSquareThreshold]:
    """The threshold in the batch size, if growth is on different sides of 1 at the ends."""

    def grows(size: int) -> bool:
        about = SecondMoments(system.replace(batch_size=size), point, "lr", lr)
        return about.exactly(lr) > 1.0

    lr = float(np.asarray(system.numbers["lr"]))
    first, last = grows(low), grows(high)
    if first == last:
        return []
    while high - low > 1:
        middle = (low + high) // 2
        if grows(middle) == first:
            low = middle
        else:
            high = middle
    ends = float(low), float(high)
    return [MeanSquareThreshold("batch_size", ends[1], _said(first), _said(last), ends)]


def _said(grows: bool) -> str:
    return "unstable" if grows else "stable"


def _interval(system: System, name: str, between: Any) -> tuple[float, float]:
    if between is not None:
        return checked_interval("between", between)
    if name == "momentum":
        return 0.0, 1.0
    if name == "batch_size" and isinstance(system, Map) and system.minibatches is not None:
        return 1.0, float(len(system.minibatches.table))
    current = float(np.asarray(system.numbers[name]))
    if not current > 0:
        raise ValueError(
            f"between must be given for {name}, which is {current:g}: the interval (low, high) in "
            "which to look"
        )
    return 1e-4 * current, 1e4 * current


def _unit(system: System, name: str, low: float, high: float) -> float:
    current = float(np.asarray(system.numbers.get(name, 0.0)))
    if current > 0 and (name != "momentum" or current < 0.75):
        return current
    return 0.5 if name == "momentum" else max(abs(low), abs(high))
