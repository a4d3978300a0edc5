"""Continuation: a branch of fixed points or cycles against a number, through its folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.curves.branch import CLOSED, first_place, followed, shortened
from samdyn.analysis.curves.curve import Curve, Place
from samdyn.analysis.curves.special import Special, special_points
from samdyn.analysis.linear import NEUTRAL, growth, kind_of
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System


def continuation(
    system: System,
    name: str,
    start: Any,
    between: tuple[float, float],
    *,
    period: int = 1,
    step: float = 0.02,
    points: int = 1000,
) -> xr.Dataset:
    """Follow a fixed point or a cycle as a number changes, through folds, with its bifurcations.

    Keller's pseudo-arclength continuation with exact derivatives, in both directions from
    ``start`` at the system's own value of the number. Special points are places of the branch too,
    located to rounding where they are regular.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Of a flow, the zeros of its field are followed.
    name : str
        The number that changes: one of ``system.numbers``.
    start : array_like, shape (d,), (rows,) or (period, d or rows)
        A point near the fixed point, or near the first point of the cycle.
    between : (float, float)
        The interval of the number; the branch stops exactly at its ends.
    period : int, default 1
        The period of the cycle, of a map.
    step : float, default 0.02
        The longest step along the branch: the number is measured in units of the interval, the
        state in units of its largest distance from 0 so far. Steps are shortened where the branch
        bends.
    points : int, default 1000
        The most steps taken in each direction.

    Returns
    -------
    xarray.Dataset
        Along ``place``: the number itself under its name, ``z`` (place, row), ``orbit``
        (place, phase, row), ``multiplier_real`` and ``multiplier_imag`` (place, row; of a flow,
        the eigenvalues of its field), the most unstable first, ``stable`` and ``kind``, as
        `samdyn.stability` has it. Along ``special``: ``special_kind``, ``special_value`` of the
        number, ``special_z`` (special, row), ``special_place`` and the critical multiplier,
        ``special_multiplier_real`` and ``special_multiplier_imag``. Kinds: "fold" (the branch
        turns back), "branch point" (another branch passes: transcritical or pitchfork, seen from
        any of its branches), "flip" (multiplier -1), "Neimark-Sacker" (a complex pair on the
        circle), "Hopf" of a flow. The attributes ``first_end`` and ``last_end`` say why the
        branch stops: at an end of the interval, because it closes, because a cycle shrinks to a
        shorter one, after so many points, or because no further point was found (where normalised
        SAM jumps, say).

    Raises
    ------
    ValueError
        If the name is none of the system's numbers, the interval does not hold the system's own
        value, or no isolated fixed point or cycle of this period is near ``start``.

    References
    ----------
    Keller, in Applications of Bifurcation Theory, 1977; Kuznetsov, Elements of Applied Bifurcation
    Theory, chapter 10.

    Examples
    --------
    >>> from samdyn import FormulaMap
    >>> logistic = FormulaMap({"x": "r*x*(1 - x)"}, r=2.5)
    >>> branch = continuation(logistic, "r", 0.6, (2.0, 3.5))
    >>> branch.special_kind.values.tolist(), branch.special_value.values.round(12).tolist()
    (['flip'], [3.0])
    """
    path = np.asarray(start, dtype=float)
    if path.ndim == 2:  # all points of a cycle, as sd.cycles has them
        period, start = len(path), path[0]
    curve = Curve(system, name, between, period)
    step = checked_number("step", step, above=0.0)
    points = checked_whole("points", points, 1)
    first = first_place(curve, start)
    upward, last_end = followed(curve, first, step, points)
    if last_end == CLOSED:
        places, first_end = [first, *upward], CLOSED
    else:
        downward, first_end = followed(curve, first.reversed(), step, points)
        places = [*(place.reversed() for place in downward[::-1]), first, *upward]
    home = next(i for i, place in enumerate(places) if place is first)
    found = special_points(curve, places)
    left, right = -1.0, float(len(places))
    for at, special in found:
        shorter = shortened(curve, special.place)
        if special.kind == "branch point" and shorter is not None:
            said = f"the cycle shrinks to one of period {shorter}"
            if at < home and at > left:
                left, first_end = at, said
            elif at > home and at < right:
                right, last_end = at, said
    kept = [(at, special) for at, special in found if left <= at <= right]
    taken = [at for at, _ in kept]
    ordinary = [
        (float(i), place)
        for i, place in enumerate(places)
        if left <= i <= right and not np.any(np.abs(np.subtract(taken, i)) < 1e-9)
    ]
    line: list[tuple[float, Any]] = sorted([*ordinary, *kept], key=lambda pair: pair[0])
    return _dataset(curve, [one for _, one in line], (first_end, last_end))


def _dataset(curve: Curve, line: list[Place | Special], ends: tuple[str, str]) -> xr.Dataset:
    continuous, name = curve.system.continuous, curve.name
    places = [one.place if isinstance(one, Special) else one for one in line]
    special = [one for one in line if isinstance(one, Special)]
    n, orbits = curve.n, np.array([place.orbit for place in places])
    values = np.array([place.eigenvalues for place in places])
    sort = "eigenvalue" if continuous else "multiplier"
    critical = np.array([one.multiplier for one in special], dtype=complex)
    variables: dict[str, Any] = {
        name: ("place", np.array([place.u[-1] for place in places])),
        "z": (("place", "row"), orbits[:, 0], {"long_name": "first point of the orbit"}),
        "orbit": (("place", "phase", "row"), orbits),
        "multiplier_real": (("place", "row"), values.real, {"long_name": f"{sort}, real part"}),
        "multiplier_imag": (("place", "row"), values.imag, {"long_name": f"{sort}, imaginary"}),
        "stable": ("place", np.all(growth(values, continuous) < -NEUTRAL, axis=1)),
        "kind": ("place", np.array([kind_of(one, continuous) for one in values], dtype=object)),
        "special_kind": ("special", np.array([one.kind for one in special], dtype=object)),
        "special_value": ("special", np.array([one.place.u[-1] for one in special], float)),
        "special_z": (
            ("special", "row"),
            np.array([one.place.u[:n] for one in special], float).reshape(-1, n),
        ),
        "special_place": (
            "special",
            np.array([i for i, one in enumerate(line) if isinstance(one, Special)], dtype=int),
        ),
        "special_multiplier_real": ("special", critical.real),
        "special_multiplier_imag": ("special", critical.imag),
    }
    attributes = {
        "title": f"branch of {curve.system.title} against {name}",
        "system": curve.system.title,
        "number": name,
        "period": curve.period,
        "first_end": ends[0],
        "last_end": ends[1],
    }
    result = xr.Dataset(variables, coords={"row": list(curve.system.rows)}, attrs=attributes)
    return result.set_coords(name)
