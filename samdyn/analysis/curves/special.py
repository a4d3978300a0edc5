"""The special points of a branch: folds, branch points, flips and the rest."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from samdyn.analysis.curves.curve import Curve, Place
from samdyn.analysis.linear import NEUTRAL, growth

_EPS = float(np.finfo(float).eps)


class Special(NamedTuple):
    """A special point of a branch: where it is, what it is, and the multiplier that makes it so."""

    place: Place
    kind: str
    multiplier: complex


def special_points(curve: Curve, places: list[Place]) -> list[tuple[float, Special]]:
    """The special points of a branch, each with its position among the places."""
    tests = np.array([_tests(curve, place) for place in places])
    found: list[tuple[float, Special]] = []
    for column in range(tests.shape[1]):
        told = np.flatnonzero(tests[:, column])
        for i, j in pairwise(told):
            if tests[i, column] * tests[j, column] > 0 or j - i > 2:
                continue
            chord = _Chord(curve, places[i], places[j])
            t = chord.root(column)
            at = float(i + t * (j - i))
            near = [one for other, one in found if abs(other - at) < 1e-5]
            special = chord.special(t, column)
            # one crossing is seen by several tests; the first of them is the sharpest
            if special is None or any(one.kind == special.kind or column > 2 for one in near):
                continue
            if not (near and column == 1):
                found.append((at, special))
    return sorted(found, key=lambda pair: pair[0])


def _tests(curve: Curve, place: Place, exact: bool = False) -> np.ndarray:
    """Numbers that change sign at special points; 0 where the sign is in doubt.

    In order: the tangent's component along the number, the product of (multiplier - 1) and that
    of (multiplier + 1), and how much faster than neutral each multiplier is.
    """
    continuous, values = curve.system.continuous, place.eigenvalues
    above = values if continuous else values - 1.0
    below = np.ones(1) if continuous else values + 1.0
    grown = growth(values, continuous)
    tests = np.array([place.tangent[-1], np.prod(above).real, np.prod(below).real, *grown])
    if not exact:
        sizes = [abs(tests[0]) * 1e3, np.min(np.abs(above)), np.min(np.abs(below)), *np.abs(grown)]
        tests[np.array(sizes) <= NEUTRAL] = 0.0
    return tests


class _Chord(NamedTuple):
    """The piece of a curve between two places, by the planes across their chord."""

    curve: Curve
    begin: Place
    end: Place

    def at(self, t: float) -> Place | None:
        scale = self.end.scale
        chord = (self.end.u - self.begin.u) / scale
        normal = chord / np.linalg.norm(chord)
        u = self.curve.corrected(self.begin.u + t * chord * scale, normal, scale)
        return None if u is None else self.curve.place(u, scale, normal)

    def root(self, column: int) -> float:
        """Where a test vanishes; close to it if the curve is singular there."""
        from scipy.optimize import brentq

        known: dict[float, float] = {}

        def value(t: float) -> float:
            place = self.at(t)
            known[t] = np.nan if place is None else _tests(self.curve, place, exact=True)[column]
            return known[t]

        try:
            return float(brentq(value, 0.0, 1.0, xtol=1e-15, rtol=4 * _EPS))
        except ValueError:  # Newton's method was lost
            told = [t for t in known if np.isfinite(known[t])]
            return min(told, key=lambda t: abs(known[t]))

    def special(self, t: float, column: int) -> Special | None:
        """What is special at t, a root of a test."""
        place = self.at(t)
        if place is None:
            return None
        continuous = self.curve.system.continuous
        critical = _critical(place, continuous, column)
        if abs(critical.imag) > 1e-6:
            return Special(place, "Hopf" if continuous else "Neimark-Sacker", critical)
        if not continuous and critical.real < 0:
            return Special(place, "flip", critical)
        before = (self.at(t - 0.05) if t > 0.05 else None) or self.begin
        after = (self.at(t + 0.05) if t < 0.95 else None) or self.end
        if column == 0 and before.orientation == after.orientation:
            return Special(place, "fold", critical)
        place = _crossing(self.curve, place)
        return Special(place, "branch point", _critical(place, continuous, column))


def _critical(place: Place, continuous: bool, column: int) -> complex:
    """The eigenvalue that is neutral where a test vanishes."""
    values = place.eigenvalues
    if column >= 3:
        return complex(values[np.argmin(np.abs(growth(values, continuous)))])
    neutral = 0.0 if continuous else (1.0, 1.0, -1.0)[column]
    return complex(values[np.argmin(np.abs(values - neutral))])


def _crossing(curve: Curve, near: Place) -> Place:
    """The branch point near a place: where the derivative of the residual loses rank.

    On the curve itself Newton's method is lost there. These equations are regular at a simple
    branch point: residual + m psi = 0, psi^T derivative = 0, psi^T psi = 1.
    """
    n, scale = curve.n, near.scale

    def system(x: np.ndarray) -> np.ndarray:
        u, m, psi = x[: n + 1] * scale, x[n + 1], x[n + 2 :]
        value, derivative, _ = curve.residual(u)
        return np.concatenate([value + m * psi, psi @ (derivative * scale), [psi @ psi - 1.0]])

    psi = np.linalg.svd(curve.residual(near.u)[1] * scale)[0][:, -1]
    x = np.concatenate([near.u / scale, [0.0], psi])
    for _ in range(12):
        value = system(x)
        steps = 1e-6 * np.eye(len(x))
        slopes = [(system(x + one) - system(x - one)) / 2e-6 for one in steps]
        if not np.all(np.isfinite(slopes)):
            return near
        move = np.linalg.lstsq(np.array(slopes).T, value, rcond=1e-10)[0]
        x = x - move
        if np.linalg.norm(move) <= 1e-14 * (1.0 + np.linalg.norm(x)):
            break
    sound = np.linalg.norm(move) <= 1e-11 * (1.0 + np.linalg.norm(x))
    if not sound or np.linalg.norm(x[: n + 1] - near.u / scale) > 1e-3:
        return near
    return curve.place(x[: n + 1] * scale, scale, near.tangent) or near
