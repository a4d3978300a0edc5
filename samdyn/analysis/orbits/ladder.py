"""The values of a number that a diagram goes up and down, and where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.ensembles.points import whole_states
from samdyn.numbers import checked_number
from samdyn.systems.base import System, checked_single


def values_of(system: System, name: str, values: Any) -> np.ndarray:
    """The values of the number, if the system has it and takes them.

    Raises
    ------
    TypeError
        If the system is none or several, or the name is no text.
    ValueError
        If the system has no such number, or the values do not increase.
    """
    checked_single(system)
    if not isinstance(name, str):
        raise TypeError(f"name must be that of one of the system's numbers, got {name!r}")
    ladder = np.asarray(checked_number("values", values), float)
    if ladder.ndim != 1 or len(ladder) < 2:
        raise ValueError(f"values must be at least two values of {name}, got {values!r}")
    if np.any(np.diff(ladder) <= 0):
        raise ValueError(
            "values must increase; sort them (the way down is that of directions=('down',))"
        )
    if name in system.numbers:
        system.replace(**{name: ladder})  # which refuses what it must
        return ladder
    try:
        # momentum, while it is the plain number 0, is no number but can become one
        known = name in system.replace(**{name: ladder}).numbers
    except (TypeError, ValueError):
        known = False
    if not known:
        has = ", ".join(system.numbers) or "none"
        raise ValueError(f"name must be one of the system's numbers ({has}), got {name!r}")
    return ladder


def starts_of(system: System, name: str, x0: Any, ways: Sequence[str]) -> xr.DataArray:
    """Whole initial states, once for each direction.

    Raises
    ------
    TypeError, ValueError
        If x0 is refused, or a dimension has the name of something in the result.
    """
    states = whole_states(x0, system)
    dims = {str(dim) for dim in states.dims} - {"coord"}
    taken = {"direction", "sample", "period"}
    clash = (taken & {*dims, *system.numbers}) | ({name} & dims)
    if clash:
        raise ValueError(f"{min(clash)!r} is the name of something in the result; choose another")
    return states.drop_attrs().expand_dims(direction=len(ways))
