"""Lines of points in space: their length, where they bend, where they leave a box."""

from __future__ import annotations

import numpy as np

_BEND = 0.2
"""The largest angle, in radians, between neighbouring pieces longer than spacing/100."""


def length_of(line: np.ndarray) -> float:
    """The length of a line of points, shape (m, n)."""
    return float(np.sum(np.linalg.norm(np.diff(line, axis=0), axis=1)))


def inside(z: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which points have their coordinates within limits of shape (d, 2)."""
    w = z[:, : len(limits)]
    return np.all((w >= limits[:, 0]) & (w <= limits[:, 1]), axis=1)


def turning(line: np.ndarray) -> np.ndarray:
    """The angle by which a line turns at each of its points but the two ends."""
    pieces = np.diff(line, axis=0)
    sizes = np.linalg.norm(pieces, axis=1)
    with np.errstate(all="ignore"):
        cosines = np.sum(pieces[1:] * pieces[:-1], axis=1) / (sizes[1:] * sizes[:-1])
    return np.arccos(np.clip(np.nan_to_num(cosines, nan=1.0), -1.0, 1.0))


def coarse(line: np.ndarray, room: float, spacing: float, limits: np.ndarray) -> np.ndarray:
    """Which points of a line, counted from its third, lie too far behind their predecessor."""
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(np.diff(line, axis=0), axis=1)
        turns = turning(line)
        run = np.cumsum(sizes[1:]) - sizes[1:]
    bent = np.maximum(turns, np.append(turns[1:], 0.0)) > _BEND
    coarse = (sizes[1:] > spacing) | (bent & (sizes[1:] > spacing / 100))
    outside = np.cumsum(~inside(line[1:-1], limits)) > 0
    return np.flatnonzero(coarse & (run <= room) & ~outside)


def cut(line: np.ndarray, why: str, length: float, limits: np.ndarray) -> tuple[np.ndarray, str]:
    """The part of a line inside the box and not longer than asked for, and why it ends."""
    run = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    beyond, outside = run > length * (1 + 1e-12), ~inside(line, limits)
    if not np.any(beyond | outside):
        return line, why or "its length is reached"
    first = int(np.argmax(beyond | outside))
    return line[:first], "it leaves the box" if outside[first] else "its length is reached"


def thinned(line: np.ndarray, spacing: float) -> np.ndarray:
    """A line without the points that lie close together where it is straight."""
    kept = [0]
    for i in range(1, len(line) - 1):
        here, last, following = line[i], line[kept[-1]], line[i + 1]
        far = np.linalg.norm(following - last) > spacing
        apart = np.linalg.norm(here - last) > spacing / 200
        if far or (apart and turning(np.array([last, here, following]))[0] > _BEND / 4):
            kept.append(i)
    return line[[*kept, len(line) - 1]] if len(line) > 1 else line
