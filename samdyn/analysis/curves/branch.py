"""A branch: the places along a curve, from the first of them on, a predicted step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.curves.curve import Curve, Place

CLOSED = "the branch closes"
"""Why a branch stops that comes back to where it began."""

_TURN = 0.2
"""The largest angle, in radians, between the tangents at neighbouring places."""

_SMALLEST, _FARTHEST = 1e-9, 1e6


def first_place(curve: Curve, start: Any) -> Place:
    """The place at the system's own value of the number, facing upward."""
    z = curve.linear.states(start, "start")
    if z.shape != (curve.n,):
        raise ValueError(f"start must be one point, got an array of shape {z.shape}")
    what = "fixed point" if curve.period == 1 else f"cycle of period {curve.period}"
    solutions, errors = curve.linear.polished(z[None], curve.period)
    z = solutions[0]
    if not errors[0] <= 1e-8 * (1.0 + np.linalg.norm(z)):
        raise ValueError(
            f"start must be near a {what} at {curve.name} = {curve.value:g}; Newton's method "
            f"finds none from {np.asarray(start).tolist()}"
        )
    u = np.append(z, curve.value)
    unit = max(float(np.linalg.norm(z)), 1e-3)
    scale = np.append(np.full(curve.n, unit), curve.high - curve.low)
    place = curve.place(u, scale, np.eye(curve.n + 1)[-1])
    if place is None or any(curve.linear.smoothness(one) == "jumps" for one in place.orbit):
        raise ValueError(f"start must be where the law is smooth; it jumps at {z.tolist()}")
    if shortened(curve, place) is not None:
        raise ValueError(
            f"start must have period {curve.period}; {z.tolist()} has period "
            f"{shortened(curve, place)}"
        )
    singular = np.linalg.svd(curve.residual(u)[1] * scale)[1]
    if singular[-1] <= 1e-12 * max(singular[0], 1e-300):
        raise ValueError(
            f"start must be an isolated {what}, not a branch point or one of a continuum; the "
            f"multiplier at {z.tolist()} is 1 and the branch has no single direction"
        )
    return place


def shortened(curve: Curve, place: Place) -> int | None:
    """The shorter period that a cycle has, if it does."""
    size = 1e-6 * (1e-9 + np.max(np.abs(place.orbit)))
    for q in range(1, curve.period):
        if curve.period % q == 0 and np.all(np.abs(place.orbit[q] - place.orbit[0]) <= size):
            return q
    return None


def followed(curve: Curve, first: Place, longest: float, points: int) -> tuple[list[Place], str]:
    """The places after the first, along its tangent, and why there are no more."""
    places: list[Place] = []
    here, length = first, longest / 8
    for end in (curve.low, curve.high):
        if here.u[-1] == end and (here.tangent[-1] > 0) == (end == curve.high):
            return [], f"{curve.name} reaches {end:g}"
    while len(places) < points:
        there, bend = _stepped(curve, here, length)
        if there is None:
            length /= 2
            if length < _SMALLEST:
                return places, "no further point was found"
            continue
        places.append(there)
        if there.u[-1] in (curve.low, curve.high):
            return places, f"{curve.name} reaches {there.u[-1]:g}"
        if np.linalg.norm(there.u[:-1]) > _FARTHEST:
            return places, "the state goes to infinity"
        if len(places) > 3 and _passes(here, there, first):
            places[-1] = first
            return places, CLOSED
        here = there
        length = min(longest, length * (1.5 if bend < _TURN / 3 else 1.0))
    return places, f"after {points} points"


def _stepped(curve: Curve, here: Place, length: float) -> tuple[Place | None, float]:
    """A place a step further on, at an end of the interval if that is nearer."""
    ahead = here.u + length * here.scale * here.tangent
    u = None
    if curve.low < ahead[-1] < curve.high:
        u = curve.corrected(ahead, here.tangent, here.scale)
    if u is None or not curve.low < u[-1] < curve.high:
        outside = ahead[-1] if u is None else u[-1]
        if curve.low < outside < curve.high:
            return None, 0.0
        end = curve.high if outside >= curve.high else curve.low
        part = (end - here.u[-1]) / (outside - here.u[-1])
        ahead = here.u + part * ((ahead if u is None else u) - here.u)
        ahead[-1] = end
        u = curve.corrected(ahead, np.eye(curve.n + 1)[-1], here.scale)
        if u is None:
            return None, 0.0
        u[-1] = end
    unit = max(here.scale[0], float(np.linalg.norm(u[:-1])))
    scale = np.append(np.full(curve.n, unit), here.scale[-1])
    there = curve.place(u, scale, here.tangent)
    if there is None or np.linalg.norm((u - ahead) / here.scale) > 0.3 * length:
        return None, 0.0
    seen = there.tangent * there.scale / here.scale
    bend = float(np.arccos(min(1.0, seen @ here.tangent / np.linalg.norm(seen))))
    return (there, bend) if bend <= _TURN else (None, bend)


def _passes(here: Place, there: Place, first: Place) -> bool:
    """Whether a step leads through the first place, in its direction."""
    scale, tangent = here.scale, here.tangent
    whole, part = (there.u - here.u) / scale, (first.u - here.u) / scale
    length = np.linalg.norm(whole)
    along = part @ whole / length
    aside = np.linalg.norm(part - along * whole / length)
    facing = (first.tangent * first.scale / scale) @ tangent > 0
    return bool(facing and 0.0 < along <= length and aside <= 0.1 * length)
