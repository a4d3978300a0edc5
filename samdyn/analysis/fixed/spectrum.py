"""The eigenvalues of a fixed point or a cycle as one number of the system changes."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.linear import NEUTRAL, Linear, growth, solved

_FOLLOW = 1e-8
"""A point that moves less than this, beside its size, over all values of the number rests."""


class Spectrum:
    """The eigenvalues of a point as a function of one number, the point being followed.

    Parameters
    ----------
    linear : Linear
    z : ndarray, shape (rows,)
        The fixed point, or the first of the cycle, at the system's own numbers.
    period : int
    name : str
        Of the number.
    values : ndarray, shape (m,)
        Where the eigenvalues are asked for, in ascending order; ``values`` holds those of them up
        to which the point can be followed.
    """

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
        self._asleep, self._at_one = 0, True
        self._table = self._scanned()
        self._set_asleep()

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
        """The eigenvalues at a value; None where the point is lost.

        Without those that are neutral at every value, along a curve of minimisers for example.
        """
        values = self._all(value)
        return None if values is None else self._awake(values)

    def _all(self, value: float) -> np.ndarray | None:
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
        return [-1, -1, -1] if values is None else sides_of(values, self.continuous).tolist()

    def counts(self) -> np.ndarray:
        """The unstable eigenvalues at every value of the scan: positive, negative, complex."""
        lost = np.any(np.isnan(self._table), axis=1)
        sides = sides_of(self._awake(np.where(lost[:, None], 0.0, self._table)), self.continuous)
        return np.where(lost[:, None], -1, sides)

    def _scanned(self) -> np.ndarray:
        """All eigenvalues at every value of the scan; NaN where the point is lost."""
        if self.moves:
            blank = np.full(self.linear.size, np.nan + 0j)
            found = [self._all(float(value)) for value in self.values]
            return np.array([blank if values is None else values for values in found])
        z = np.broadcast_to(self.rest, (len(self.values), len(self.rest)))
        if self.continuous:
            jacobian = self.linear.law(z, **{self.name: self.values})[1]
        else:
            jacobian = self.linear.orbit(z, self.period, **{self.name: self.values})[2]
        finite = np.all(np.isfinite(jacobian), axis=(-2, -1))
        values = np.linalg.eigvals(np.where(finite[:, None, None], jacobian, 0.0)).astype(complex)
        return np.where(finite[:, None], values, np.nan)

    def _set_asleep(self) -> None:
        """How many eigenvalues are neutral at every value, and whether that is at one place."""
        known = self._table[~np.any(np.isnan(self._table), axis=1)]
        if not len(known):
            return
        # beside a large eigenvalue a neutral one has the rounding of the large one
        size = np.maximum(1.0, np.max(np.abs(known), axis=1, keepdims=True))
        neutral = np.abs(growth(known, self.continuous)) <= NEUTRAL * size
        fewest = int(np.argmin(neutral.sum(axis=1)))
        self._asleep = int(neutral[fewest].sum())
        centre = 0.0 if self.continuous else 1.0
        gaps = np.abs(known[fewest][neutral[fewest]] - centre)
        self._at_one = bool(np.all(gaps < 1e-6 * size[fewest]))

    def _awake(self, values: np.ndarray) -> np.ndarray:
        """The eigenvalues that are not neutral throughout: those furthest from neutral."""
        if not self._asleep:
            return values
        if self._at_one:
            away = np.abs(values - (0.0 if self.continuous else 1.0))
        else:
            away = np.abs(growth(values, self.continuous))
        order = np.argsort(away, axis=-1, kind="stable")[..., self._asleep :]
        return np.take_along_axis(values, order, axis=-1)

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


def sides_of(values: np.ndarray, continuous: bool) -> np.ndarray:
    """How many unstable eigenvalues are positive, negative and complex."""
    unstable = growth(values, continuous) > 0
    turning = np.abs(values.imag) > 1e-9 * np.abs(values)
    parts = (~turning & (values.real > 0), ~turning & (values.real <= 0), turning)
    return np.stack([np.sum(unstable & part, axis=-1) for part in parts], axis=-1)
