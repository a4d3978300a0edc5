"""What the closed forms take: numbers that cannot be negative."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_not_negative(**numbers: Any) -> None:
    """Refuse, by name, what is no number or is negative. NaN, of a run that diverged, may pass.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If one of the values is negative.
    """
    for name, value in numbers.items():
        try:
            array = np.asarray(value, float)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a number or an array, got {value!r}") from None
        if np.any(array < 0):
            raise ValueError(f"{name} must be at least 0, got {np.nanmin(array):g}")
