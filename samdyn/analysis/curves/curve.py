"""The curve of the states and numbers at which a residual vanishes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samdyn.analysis.linear import Linear, growth, solved
from samdyn.forward import differentiated
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System, refuse_unknown

_EPS = float(np.finfo(float).eps)


class Place(NamedTuple):
    """A point of a branch, with what the search for special points looks at."""

    u: np.ndarray  # the state, then the number
    scale: np.ndarray  # the units in which lengths along the branch are measured
    tangent: np.ndarray  # of length 1 in these units
    orbit: np.ndarray
    eigenvalues: np.ndarray
    orientation: float  # the sign of the determinant of the bordered matrix

    def reversed(self) -> Place:
        """The same place, facing the other way."""
        return self._replace(tangent=-self.tangent, orientation=-self.orientation)


class Curve:
    """The curve of the states and numbers at which a residual vanishes."""

    def __init__(self, system: System, name: str, between: tuple[float, float], period: int):
        self.linear = Linear(system)
        self.system, self.name = system, name
        self.period = checked_whole("period", period, 1)
        if system.continuous and period != 1:
            raise ValueError(f"period must be 1 for the fixed points of a flow, got {period}")
        refuse_unknown({name: 0.0}, tuple(system.numbers), system.title)
        if system.continuous and name == "dt":
            raise ValueError("name must be a number of the field, which does not depend on dt")
        try:
            low, high = (checked_number("between", end) for end in between)
        except (TypeError, ValueError):
            raise ValueError(f"between must be two numbers (low, high), got {between!r}") from None
        self.value = float(system.numbers[name])
        if not (low < high and low <= self.value <= high):
            raise ValueError(
                f"between must be (low, high) with the system's own {name} = {self.value:g} "
                f"inside, got ({low:g}, {high:g})"
            )
        for end in (low, high):
            system.replace(**{name: end})  # refuses what the number may not be
        self.low, self.high, self.n = low, high, len(system.rows)
        self._place = system.law.inputs.index(name)
        self._others = [np.float64(value) for value in system.numbers.values()]
        self._program = differentiated(system.law, (*system.rows, name))

    def law(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The law at a state and number u, and its derivative by u, of shape (n, n + 1)."""
        n, inputs = self.n, [*u[: self.n], *self._others]
        inputs[self._place] = u[n]
        with np.errstate(all="ignore"):
            outputs = np.array(self._program(*inputs), dtype=float)
        return outputs[:n], outputs[n:].reshape(n, n + 1)

    def whole(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The orbit (period, n), where it ends, and the derivative of the end by u."""
        n, z, orbit = self.n, u[: self.n], []
        derivative = np.eye(n, n + 1)
        for _ in range(self.period):
            orbit.append(z)
            z, own = self.law(np.append(z, u[n]))
            with np.errstate(all="ignore"):
                derivative = own[:, :n] @ derivative
            derivative[:, n] += own[:, n]
        return np.array(orbit), z, derivative

    def residual(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What vanishes on the curve, its derivative, and how large rounding may make it."""
        _, value, derivative = self.whole(u)
        noise = 4 * _EPS * (np.abs(derivative) @ np.abs(u))
        if self.system.continuous:
            return value, derivative, noise
        n = self.n
        noise = noise + 4 * _EPS * np.abs(u[:n])
        return value - u[:n], derivative - np.eye(n, n + 1), noise

    def corrected(self, u: np.ndarray, normal: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
        """The point of the curve on the plane through u with a normal, by Newton's method."""
        origin = u
        before: Any = np.inf
        for _ in range(12):
            value, derivative, noise = self.residual(u)
            aside = normal @ ((u - origin) / scale)
            if np.all(np.abs(value) <= noise) and abs(aside) <= 1e-14:
                return u
            move = solved(np.vstack([derivative * scale, normal]), np.append(value, aside))
            size, room = np.linalg.norm(move), 1.0 + np.linalg.norm(u / scale)
            if not np.isfinite(size) or (size > 2 * before and before > 1e-9 * room):
                return None
            if size >= before and before <= 1e-9 * room:  # rounding is reached
                return u
            u, before = u - scale * move, size
            if size <= 4 * _EPS * room:
                return u
        return u if before <= 1e-9 * room else None

    def place(self, u: np.ndarray, scale: np.ndarray, along: np.ndarray) -> Place | None:
        """A point of the curve with its tangent, taken in the direction of a vector."""
        orbit, _, derivative = self.whole(u)
        if not np.all(np.isfinite(derivative)):
            return None
        slope = derivative if self.system.continuous else derivative - np.eye(self.n, self.n + 1)
        tangent = np.linalg.svd(slope * scale)[2][-1]
        tangent = tangent if tangent @ along >= 0 else -tangent
        values = np.linalg.eigvals(derivative[:, : self.n]).astype(complex)
        order = np.lexsort((-values.imag, -growth(values, self.system.continuous)))
        orientation = np.linalg.slogdet(np.vstack([slope * scale, tangent]))[0]
        return Place(u, scale, tangent, orbit, values[order], float(orientation))
