"""When to record, and how the learning rate falls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from samdyn.numbers import checked_whole

Schedule = Callable[[float], float]
"""From the share of the training that is done, 0 to 1, to a factor of the learning rate."""


def cosine(share: float) -> float:
    """The factor of a learning rate that falls to 0 along half a cosine.

    Parameters
    ----------
    share : float
        Of the training that is done, from 0 to 1.

    Notes
    -----
    Source: Loshchilov and Hutter, ICLR 2017 (arXiv 1608.03983), without restarts.
    """
    return 0.5 * (1.0 + math.cos(math.pi * share))


def record_epochs(record: Any, epochs: int) -> tuple[float, ...]:
    """The epochs at which to record."""
    if isinstance(record, float) and 0 < record < math.inf and record % 1:
        record = np.append(np.arange(0, epochs - 1e-9, record), epochs)
    if isinstance(record, int | float | np.integer) and not isinstance(record, bool):
        whole = checked_whole("record", int(record) if record == int(record) else record, 1)
        return tuple(dict.fromkeys([*range(0, epochs, whole), epochs]))
    try:
        at = np.asarray(record, dtype=float)
    except (TypeError, ValueError):
        at = np.empty(0)
    good = at.ndim == 1 and at.size > 0 and bool(np.all(np.diff(at) > 0))
    if not (good and at[0] >= 0 and at[-1] <= epochs):
        raise ValueError(
            f"record must be a number of epochs, or epochs that increase from 0 to {epochs} at "
            f"most, got {record!r}"
        )
    return tuple(int(e) if e == int(e) else float(e) for e in at)
