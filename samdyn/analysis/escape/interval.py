"""Exact first-passage times of a one-dimensional diffusion, by scale function and speed measure.

For dX = a dt + b dW let phi(x) be the integral of 2a/b^2. With the scale density s = exp(-phi) and
the speed density m = 2 exp(phi)/b^2 the moments of the passage time solve

    u_k(x) = k * integral of G(x, z) m(z) u_{k-1}(z) dz,    u_0 = 1,

where Green's function G is made of integrals of s (Karlin and Taylor, A Second Course in Stochastic
Processes, 1981, ch. 15.3). Every factor is positive, so nothing cancels, and all of them are
kept as logarithms, so nothing overflows however deep a well is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Coefficient = Callable[[np.ndarray], np.ndarray]
"""A function of x, on arrays of any shape."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_LEGENDRE = np.polynomial.legendre.legvander(_NODES, 15)
_TO_SERIES = np.linalg.inv(_LEGENDRE)
_STEEPEST = 4.0
"""The largest change of phi over a panel."""
_FORGOTTEN = 60.0
"""An infinite end is cut where the speed density has fallen by exp(-60) from its largest."""
_OUTWARD = 90


def _cumulative() -> np.ndarray:
    """Integrals from -1 to each node, as a matrix on values at the nodes."""
    rows = []
    for k in range(16):
        unit = np.zeros(16)
        unit[k] = 1.0
        integral = np.polynomial.legendre.legint(unit, lbnd=-1)
        rows.append(np.polynomial.legendre.legval(_NODES, integral))
    return np.transpose(rows) @ _TO_SERIES


_UP_TO = _cumulative()


class Lost(ValueError):
    """A particle need never leave: the mean time is infinite."""


class Passage(NamedTuple):
    """Moments of the time in which a particle leaves an interval.

    Attributes
    ----------
    edges : ndarray, shape (panels + 1,)
        Where the panels of the quadrature meet.
    logs : ndarray, shape (2, panels, 18)
        Logarithms of the first two moments at each panel's left end, nodes and right end.
    """

    edges: np.ndarray
    logs: np.ndarray

    def mean(self, x: np.ndarray) -> np.ndarray:
        """The mean time from points of the interval."""
        (scale, height), _ = self._moments(x)
        return np.exp(scale) * height

    def std(self, x: np.ndarray) -> np.ndarray:
        """The standard deviation of the time from points of the interval."""
        (scale, height), (other, second) = self._moments(x)
        variance = np.exp(other - 2.0 * scale) * second - height**2
        return np.exp(scale) * np.sqrt(np.maximum(variance, 0.0))

    def _moments(self, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Both moments at points, each as the logarithm of a scale and a height on it."""
        x = np.asarray(x, float)
        panel = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.edges) - 2)
        left, right = self.edges[panel], self.edges[panel + 1]
        t = 2.0 * (x - left) / (right - left) - 1.0
        moments = []
        for logs in self.logs[:, panel]:
            largest = np.max(logs, axis=-1, keepdims=True)
            moments.append((largest[..., 0], _interpolated(t, np.exp(logs - largest))))
        return moments


def passage(
    drift: Coefficient,
    variance: Coefficient,
    low: float,
    high: float,
    absorbing: tuple[bool, bool],
    points: np.ndarray,
) -> Passage:
    """Moments of the first time out of (low, high).

    Parameters
    ----------
    drift, variance : callable
        a(x) and b(x)^2.
    low, high : float
        The interval; an end may be infinite, and must then not be absorbing.
    absorbing : (bool, bool)
        Whether the particle leaves at each end; otherwise a finite end reflects.
    points : ndarray
        Where the moments will be wanted: they bound what an infinite end is cut to.

    Raises
    ------
    Lost
        If no end absorbs, or nothing confines the particle at an infinite end.
    ValueError
        If the noise vanishes, or a coefficient is not finite, inside the interval.
    """
    if not any(absorbing):
        raise Lost("a particle never leaves: no end of the interval is open")

    def slope(x: np.ndarray) -> np.ndarray:
        return 2.0 * drift(x) / variance(x)

    inner = [end for end in (low, high) if np.isfinite(end)] + list(np.ravel(points))
    first, last = min(inner), max(inner)
    edges = _refined(slope, variance, np.linspace(first, last, 9)) if last > first else inner[:1]
    edges = np.asarray(edges)
    if not np.isfinite(low):
        edges = _confined(slope, variance, edges, -1)
    if not np.isfinite(high):
        edges = _confined(slope, variance, edges, 1)
    half = 0.5 * np.diff(edges)[:, None]
    x = edges[:-1, None] + half * (_NODES + 1.0)
    steep = half * slope(x)
    reached = np.concatenate([[0.0], np.cumsum(steep @ _WEIGHTS)])
    phi = reached[:-1, None] + steep @ _UP_TO.T
    speed = phi + np.log(2.0 / variance(x))

    # a: scale from the left end where that is open, else 1; b: the same from the right
    ends = np.zeros(len(edges)), np.zeros(phi.shape)
    a, a_edges = _running(-phi, half) if absorbing[0] else ends[::-1]
    b, b_edges = _running(-phi, half, backwards=True) if absorbing[1] else ends[::-1]
    total = a_edges[-1] if all(absorbing) else 0.0
    moments, known = [], np.zeros(phi.shape)
    for order in (1, 2):
        before, before_edges = _running(a + speed + known, half)
        behind, behind_edges = _running(b + speed + known, half, backwards=True)
        factor = np.log(order) - total
        known = np.logaddexp(b + before, a + behind) + factor
        at_edges = np.logaddexp(b_edges + before_edges, a_edges + behind_edges) + factor
        moments.append(np.column_stack([at_edges[:-1], known, at_edges[1:]]))
    return Passage(edges, np.stack(moments))


def _running(
    logs: np.ndarray, half: np.ndarray, backwards: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the integral of exp(logs) up to each node and edge (or from it to the end)."""
    if backwards:
        nodes, edges = _running(logs[::-1, ::-1], half[::-1])
        return nodes[::-1, ::-1], edges[::-1]
    largest = np.max(logs, axis=1, keepdims=True)
    heights = np.exp(logs - largest)
    with np.errstate(divide="ignore"):
        scale = largest + np.log(half)
        whole = scale[:, 0] + np.log(heights @ _WEIGHTS)
        # rounding may put the first node's own share below 0
        within = scale + np.log(np.maximum(heights @ _UP_TO.T, 0.0))
        edges = np.concatenate([[-np.inf], np.logaddexp.accumulate(whole)])
        return np.logaddexp(edges[:-1, None], within), edges


def _refined(slope: Coefficient, variance: Coefficient, edges: np.ndarray) -> np.ndarray:
    """Edges of panels on which both coefficients are polynomials to rounding."""
    width = edges[-1] - edges[0]
    done: list[np.ndarray] = []
    left, right = edges[:-1], edges[1:]
    while len(left):
        half = 0.5 * (right - left)[:, None]
        x = left[:, None] + half * (_NODES + 1.0)
        noise = variance(x)
        if not np.all(noise > 0) or not np.all(np.isfinite(noise)):
            bad = x[~((noise > 0) & np.isfinite(noise))][0]
            raise ValueError(
                f"the noise must be above 0 and finite inside the region; at {bad:.6g} it is not"
            )
        steep = half * slope(x)
        if not np.all(np.isfinite(steep)):
            raise ValueError(
                f"the drift must be finite; at {x[~np.isfinite(steep)][0]:.6g} it is not"
            )
        rough = _tail(steep) > 1e-13 * (1.0 + np.max(np.abs(steep), axis=1))
        rough |= _tail(np.log(noise)) * (half[:, 0] / width) > 1e-14
        rough |= np.abs(steep @ _WEIGHTS) > _STEEPEST
        rough &= half[:, 0] > 1e-15 * (1.0 + np.abs(left))
        done.append(left[~rough])
        middle = 0.5 * (left + right)[rough]
        left, right = np.append(left[rough], middle), np.append(middle, right[rough])
        if sum(map(len, done)) + len(left) > 20_000:
            raise ValueError("the drift or the noise is too rough to be integrated")
    return np.append(np.sort(np.concatenate(done)), edges[-1])


def _confined(
    slope: Coefficient, variance: Coefficient, edges: np.ndarray, side: int
) -> np.ndarray:
    """Edges carried outward until hardly a particle is found beyond them."""
    end = edges[0] if side < 0 else edges[-1]
    step = 0.25 * (edges[-1] - edges[0]) or 0.25
    phi = largest = 0.0
    parts = [edges]
    for _ in range(_OUTWARD):
        block = np.sort([end, end + side * step])
        try:
            block = _refined(slope, variance, block)
        except ValueError as error:
            raise Lost(
                f"the particle is not confined as x goes to {'-+'[side > 0]}inf: {error}"
            ) from None
        half = 0.5 * np.diff(block)[:, None]
        x = block[:-1, None] + half * (_NODES + 1.0)
        gains = (half * slope(x)) @ _WEIGHTS
        run = phi + (np.cumsum(gains) if side > 0 else -np.cumsum(gains[::-1]))
        phi, largest = float(run[-1]), max(largest, float(np.max(run)))
        parts = [*parts, block[1:]] if side > 0 else [block[:-1], *parts]
        end = block[-1] if side > 0 else block[0]
        falls = side * float(slope(np.array([end]))[0]) * step < -1.0
        if phi < largest - _FORGOTTEN and falls:
            return np.concatenate(parts)
        step *= 1.3
    raise Lost(
        f"nothing is seen to hold the particle back as x goes to {'-+'[side > 0]}inf; give box= a "
        "reflecting wall there, or a region that ends there"
    )


def _tail(values: np.ndarray) -> np.ndarray:
    """The last coefficients of the Legendre series of values at the nodes, shape (panels,)."""
    return np.max(np.abs(values @ _TO_SERIES[-2:].T), axis=1)


def _interpolated(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at t in [-1, 1] of the polynomials through their values at ends and nodes."""
    places = np.concatenate([[-1.0], _NODES, [1.0]])
    gaps = places[:, None] - places + np.eye(18)
    weights = 1.0 / np.prod(gaps, axis=1)
    away = t[..., None] - places
    hit = np.abs(away) < 1e-14
    terms = np.where(np.any(hit, axis=-1, keepdims=True), hit, weights / np.where(hit, 1.0, away))
    return np.sum(terms * values, axis=-1) / np.sum(terms, axis=-1)
