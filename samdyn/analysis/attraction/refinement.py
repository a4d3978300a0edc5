"""Adaptive refinement of a labelled plane: more points where the label changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""Points of shape (n, 2) -> their labels, then further quantities, each of shape (n,)."""


def refined(
    evaluate: Evaluate, axes: Sequence[np.ndarray], times: int, geometric: Sequence[bool] = ()
) -> tuple[list[np.ndarray], tuple[np.ndarray, ...], np.ndarray]:
    """Labels on a grid whose cells are halved where the labels of their corners differ.

    Parameters
    ----------
    evaluate : callable
    axes : two increasing arrays
        The coarse grid.
    times : int
        How often cells are halved.
    geometric : two bools, optional
        Whether an axis is halved in its logarithm.

    Returns
    -------
    axes : list of ndarray
        Of the finest grid.
    values : tuple of ndarray
        Labels and further quantities on it. Points that were not run have the label and the
        quantities of the nearest corner of their cell, whose corners agree.
    ran : ndarray of bool
        Which points were run.
    """
    logs = list(geometric) or [False] * len(axes)
    axes = [np.asarray(axis, float) for axis in axes]
    values = [part.reshape(len(axes[0]), len(axes[1])) for part in evaluate(_mesh(axes))]
    known: np.ndarray = np.ones(values[0].shape, bool)
    for _ in range(times):
        mixed = _mixed(values[0])
        axes = [_halved(axis, log) for axis, log in zip(axes, logs, strict=True)]
        finer = [_spread(part) for part in values]
        wanted = np.zeros(finer[0].shape, bool)
        for i, j in np.ndindex(3, 3):
            wanted[i : i + 2 * len(mixed) - 1 : 2, j : j + 2 * mixed.shape[1] - 1 : 2] |= mixed
        ran = np.zeros(wanted.shape, bool)
        ran[::2, ::2] = known
        wanted &= ~ran
        # a point that turns out otherwise than its cell said makes its neighbours doubtful
        while np.any(wanted):
            places = np.argwhere(wanted)
            points = np.stack([axis[k] for axis, k in zip(axes, places.T, strict=True)], axis=-1)
            for part, fresh in zip(finer, evaluate(points), strict=True):
                part[wanted] = fresh
            ran |= wanted
            doubtful = _mixed(finer[0])
            wanted = np.zeros(ran.shape, bool)
            wanted[:-1, :-1] |= doubtful
            wanted[1:, :-1] |= doubtful
            wanted[:-1, 1:] |= doubtful
            wanted[1:, 1:] |= doubtful
            wanted &= ~ran
        values, known = finer, ran
    return axes, tuple(values), known


def _mesh(axes: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _mixed(labels: np.ndarray) -> np.ndarray:
    """Cells whose corners do not all have the same label."""
    corner = labels[:-1, :-1]
    return (labels[1:, :-1] != corner) | (labels[:-1, 1:] != corner) | (labels[1:, 1:] != corner)


def _halved(axis: np.ndarray, log: bool) -> np.ndarray:
    middle = np.sqrt(axis[:-1] * axis[1:]) if log else 0.5 * (axis[:-1] + axis[1:])
    finer = np.empty(2 * len(axis) - 1)
    finer[::2], finer[1::2] = axis, middle
    return finer


def _spread(part: np.ndarray) -> np.ndarray:
    """Values on the finer grid: each new point has those of the corner below it."""
    return np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)[:-1, :-1]
