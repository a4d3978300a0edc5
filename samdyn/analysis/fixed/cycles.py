"""Fixed points and cycles: found by Newton's method from many starts, certified, classified."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.fixed.certified import certified
from samdyn.analysis.fixed.cycle import Cycle
from samdyn.analysis.linear import Linear
from samdyn.numbers import checked_box, checked_whole
from samdyn.systems.base import System, refuse_random

_LONGEST = 8


def fixed_points(system: System, box: Any = None, starts: int | None = None) -> list[Cycle]:
    """All fixed points found in a box: F(z) = z of a map, the zeros of a flow's field.

    Newton's method with exact Jacobians from a low-discrepancy set of starts, from the ends of
    short simulations, from the critical points of the loss and from around those where the
    system jumps. The search is thorough, but no proof that there are no others.

    Normalised SAM jumps at critical points of the loss. Since g/|g| counts as 0 at g = 0, it rests
    there if started there exactly; these are the fixed points of kind "discontinuous". What it
    does beside them, `cycles` of period 2 tell.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        With one value of each number.
    box : sequence of (low, high), optional
        One interval a coordinate. Default: the box that the loss suggests.
    starts : int, optional
        Number of starts spread over the box, here and in the search for critical points of the
        loss. Default 1024 for each coordinate.

    Returns
    -------
    list of Cycle
        Of period 1, sorted by their coordinates. Of a continuum, a spaced sample whose
        ``isolated`` is False.

    Raises
    ------
    TypeError
        If the system is none, or a `Switch`, which is several maps.
    ValueError
        If no box is known or it does not fit, or a number of the system is an array.

    Examples
    --------
    >>> from samdyn import FormulaMap
    >>> fixed_points(FormulaMap({"x": "r*x*(1 - x)"}, r=3.2), box=[(-1, 2)])
    [<fixed point, repeller: (x) = (0); eigenvalues 3.2>,
     <fixed point, repeller: (x) = (0.6875); eigenvalues -1.2>]
    """
    return _search(system, 1, box, starts)


def cycles(system: System, period: int, box: Any = None, starts: int | None = None) -> list[Cycle]:
    """All cycles of a map found in a box that have this minimal period.

    Searched for as in `fixed_points`. Normalised SAM on a quadratic loss has one cycle of period 2
    along each eigenvector v of the Hessian, +-r v with r = lr rho |l| / (2 - lr l) for the
    eigenvalue l (Bartlett, Long and Bousquet, arXiv 2210.01513, for the largest).

    Parameters
    ----------
    system : Map or FormulaMap
        With one value of each number.
    period : int
        From 1 to 8.
    box, starts
        As in `fixed_points`. All points of a cycle lie in the box.

    Returns
    -------
    list of Cycle
        Each cycle once, sorted by its smallest point.

    Raises
    ------
    TypeError
        If the system is none, or a `Switch`, which is several maps.
    ValueError
        If period is not a whole number from 1 to 8, or above 1 for a flow; and as `fixed_points`.

    Examples
    --------
    >>> from samdyn import Loss, Map, SAM
    >>> sam = Map(Loss("x**2 + y**2/2"), SAM(lr=0.5, rho=0.1))
    >>> for cycle in cycles(sam, 2, box=[(-1, 1), (-1, 1)]):
    ...     print(cycle.kind, cycle.point.round(6), cycle.eigenvalues.real.round(6))
    attractor [-0.1  0. ] [0.0625 0.    ]
    saddle [ 0.       -0.033333] [36.    0.25]
    """
    checked_whole("period", period, 1)
    if period > _LONGEST:
        raise ValueError(f"period must be at most {_LONGEST}, got {period}")
    if isinstance(system, System) and system.continuous and period > 1:
        raise ValueError(
            f"period must be 1 for a flow, whose fixed points are the zeros of its field; got "
            f"{period} (cycles are of maps, such as Map(loss, algorithm))"
        )
    return _search(system, period, box, starts)


def _search(system: System, period: int, box: Any, starts: int | None) -> list[Cycle]:
    linear = Linear(system)
    refuse_random(system)
    box = _checked_box(system, box)
    count = 1024 * len(box) if starts is None else checked_whole("starts", starts, 1)
    with np.errstate(all="ignore"):  # of starts far out
        loss = system.loss
        centres = [] if loss is None else loss.critical_points(box.tolist(), starts)
        return certified(linear, period, box, count, centres)


def _checked_box(system: System, box: Any) -> np.ndarray:
    names = system.coordinates
    if box is None:
        box = None if system.loss is None else system.loss.box
    if box is None:
        raise ValueError(f"box must be given, one (low, high) for each of {', '.join(names)}")
    return checked_box(box, names)
