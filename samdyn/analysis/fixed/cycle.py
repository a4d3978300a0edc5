"""What a fixed point or a cycle is, as the search for them finds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Cycle:
    """A fixed point (period 1) or a cycle of a map; a fixed point of a flow.

    Attributes
    ----------
    points : ndarray, shape (period, rows)
        The whole states passed, one a step; the smallest comes first.
    eigenvalues : ndarray of complex, shape (rows,)
        Multipliers of the whole cycle, or eigenvalues of a flow's field; the most unstable first.
        NaN where the system jumps.
    kind : str
        "attractor", "saddle", "repeller", "centre", "neutral" or "discontinuous".
    residual : float
        The largest distance between the image of a point and the next point; for a flow the
        length of the field.
    error : float
        How far off the true cycle is: the length of the next Newton step, or what rounding may
        add to it if that is more. Of a simple root; a neutral cycle may be further off.
    coordinates : tuple of str
        Names of the coordinates, which are the first entries of a state.
    isolated : bool
        False if this one stands for a curve or a surface of such cycles.
    """

    points: np.ndarray
    eigenvalues: np.ndarray
    kind: str
    residual: float
    error: float
    coordinates: tuple[str, ...]
    isolated: bool = True

    @property
    def period(self) -> int:
        """The number of points."""
        return len(self.points)

    @property
    def path(self) -> np.ndarray:
        """The coordinates of all points, shape (period, d)."""
        return self.points[:, : len(self.coordinates)]

    @property
    def point(self) -> np.ndarray:
        """The coordinates of the first point, shape (d,)."""
        return self.path[0]

    def __repr__(self) -> str:
        what = f"cycle of period {self.period}" if self.period > 1 else "fixed point"
        # what is only rounding beside the rest is written as 0
        gone = 1e-14 * np.max(np.abs(self.path))
        path = np.where(np.abs(self.path) <= gone, 0.0, self.path)
        places = (", ".join(f"{x:.6g}" for x in point) for point in path)
        values = ", ".join(
            f"{e.real + 0.0:.6g}" if e.imag == 0 else f"{e.real:.6g}{e.imag:+.6g}j"
            for e in self.eigenvalues
        )
        among = "" if self.isolated else ", one of a continuum"
        return (
            f"<{what}, {self.kind}{among}: ({', '.join(self.coordinates)}) = "
            f"{' -> '.join(f'({place})' for place in places)}; eigenvalues {values}>"
        )
