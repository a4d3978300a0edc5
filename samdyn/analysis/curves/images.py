"""Images and preimages of points under an iterated map."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.linear import Linear, solved

_EPS = float(np.finfo(float).eps)


def images_of(linear: Linear, z: np.ndarray, period: int) -> np.ndarray:
    """The law, ``period`` times over, at states of shape (m, n), which may be complex."""
    system = linear.system
    numbers = [np.float64(value) for value in system.numbers.values()]
    with np.errstate(all="ignore"):
        for _ in range(period):
            out = system.law(*z.T, *numbers)
            z = np.stack([np.broadcast_to(one, len(z)) for one in out], axis=-1)
    return z


class Forward:
    """Images under a map iterated ``steps`` times."""

    lost = "it goes to infinity"

    def __init__(self, linear: Linear, steps: int):
        self.linear, self.steps = linear, steps

    def points(self, y: np.ndarray, near: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Images of each of y; what is known of points near it is not needed."""
        return images_of(self.linear, y, self.steps)

    def level(self, y: np.ndarray, x: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Images of points along a curve."""
        return images_of(self.linear, y, self.steps)


class Inverse:
    """Preimages under a map iterated ``steps`` times, by continuity from known ones."""

    def __init__(self, linear: Linear, steps: int, saddle: np.ndarray):
        self.linear, self.steps, self.lost = linear, steps, ""
        self.sign = np.sign(np.linalg.det(linear.orbit(saddle, steps)[2]))
        if self.sign == 0:
            raise ValueError(
                f"the stable manifold needs a map that is invertible at the saddle "
                f"{saddle.tolist()}; its Jacobian is singular there"
            )

    def points(self, y: np.ndarray, near: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Preimages of each of y, beside those known of ``images``."""
        with np.errstate(all="ignore"):
            guess = near + solved(self.linear.orbit(near, self.steps)[2], y - images)
            x, size = guess, np.full(len(y), np.inf)
            for _ in range(8):  # all at once, if they are as easy as most are
                _, end, jacobian = self.linear.orbit(x, self.steps)
                move = solved(jacobian, end - y)
                size = np.linalg.norm(move, axis=1)
                x = x - move
                if np.all(size <= 4 * _EPS * (1 + np.linalg.norm(x, axis=1))):
                    break
            room = 0.3 * np.linalg.norm(guess - near, axis=1)
            sound = size <= 1e-14 * (1 + np.linalg.norm(x, axis=1))
            sound &= np.linalg.norm(x - guess, axis=1) <= room
            sound &= np.sign(np.linalg.det(jacobian)) == self.sign
        for i in np.flatnonzero(~sound):
            x[i] = self.one(y[i], near[i], images[i])
        return x

    def level(self, y: np.ndarray, x: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Preimages of points along a curve, the preimage x of the point before being known."""
        found = np.empty_like(y)
        for i, target in enumerate(y):
            x, image = self.one(target, x, image), target
            found[i] = x
        return found

    def one(self, y: np.ndarray, x: np.ndarray, image: np.ndarray, depth: int = 8) -> np.ndarray:
        """The preimage of y, from x, that of an image close by; NaN where it is lost."""
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
            return np.full_like(x, np.nan)
        _, _, jacobian = self.linear.orbit(x, self.steps)
        guess = x + solved(jacobian, y - image)
        best = self._solved(y, guess)
        if best is not None:
            room = 0.3 * np.linalg.norm(guess - x) + 1e-9 * (1 + np.linalg.norm(x))
            if np.linalg.norm(best - guess) <= room:
                return best
        if depth == 0:
            self.lost = self.lost or (
                f"no preimage is found beyond {np.round(x, 6).tolist()}: the Jacobian becomes "
                "singular"
            )
            return np.full_like(x, np.nan)
        half = (y + image) / 2
        return self.one(y, self.one(half, x, image, depth - 1), half, depth - 1)

    def _solved(self, y: np.ndarray, x: np.ndarray) -> np.ndarray | None:
        before = np.inf
        for _ in range(20):
            _, end, jacobian = self.linear.orbit(x, self.steps)
            move = solved(jacobian, end - y)
            size, room = float(np.linalg.norm(move)), 1 + float(np.linalg.norm(x))
            if not np.isfinite(size) or np.sign(np.linalg.det(jacobian)) != self.sign:
                return None
            if size >= before and before <= 1e-10 * room:
                return x
            x, before = x - move, size
            if size <= 2 * _EPS * room:
                return x
        return None
