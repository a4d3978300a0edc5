"""The numbers of a system: hyperparameters and constants, one value or an array of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Number: TypeAlias = Any
"""A float, a 1-D array (a dimension of the result, named after the number), or an
``xarray.DataArray`` (which keeps its own dimensions)."""


def checked_number(
    name: str, value: Number, *, minimum: float | None = None, above: float | None = None
) -> Any:
    """Return a number as a float or as it is if an array, or refuse it in one sentence.

    Parameters
    ----------
    minimum : float, optional
        The smallest value allowed.
    above : float, optional
        Every value must be larger than this.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is NaN, infinite, too small or empty.
    """
    if isinstance(value, str | bool) or value is None:
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}")
    try:
        if np.iscomplexobj(value):
            raise TypeError
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}") from None
    if array.size == 0:
        raise ValueError(f"{name} must have at least one value, got an empty array")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {_worst(value, array)}")
    if minimum is not None and not np.all(array >= minimum):
        raise ValueError(f"{name} must be at least {minimum:g}, got {_worst(value, array)}")
    if above is not None and not np.all(array > above):
        raise ValueError(f"{name} must be above {above:g}, got {_worst(value, array)}")
    if array.ndim == 0:
        return float(array)
    if isinstance(value, list | tuple | np.ndarray):
        value = array.copy()  # what the caller does to an array later is no matter
        value.flags.writeable = False
    return value


def check_positive(**numbers: Number) -> None:
    """Refuse, by name, numbers that are not above 0; see `checked_number`."""
    for name, value in numbers.items():
        checked_number(name, value, above=0.0)


def checked_whole(name: str, value: Any, smallest: int) -> int:
    """Return a whole number not below ``smallest``, or refuse it in one sentence."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < smallest:
        raise ValueError(f"{name} must be a whole number >= {smallest}, got {value!r}")
    return int(value)


def checked_box(box: Any, names: Sequence[str], endless: bool = False) -> np.ndarray:
    """Return a box as an array of shape (d, 2), or refuse it in one sentence.

    Parameters
    ----------
    box : sequence of (low, high)
        One interval for each name.
    names : sequence of str
        Of the coordinates.
    endless : bool, default False
        Whether an end may be infinite.

    Raises
    ------
    ValueError
        If it is no such box.
    """
    try:
        limits = np.asarray(box, dtype=float)
    except (TypeError, ValueError):  # no numbers, or rows of different lengths
        limits = np.empty(0)
    if limits.shape != (len(names), 2) or not np.all(limits[:, 0] < limits[:, 1]):
        shown = box.tolist() if isinstance(box, np.ndarray) else box
        raise ValueError(
            f"box must be {len(names)} intervals (low, high) with low < high, one for each of "
            f"{', '.join(names)}; got {shown}"
        )
    if not endless and not np.all(np.isfinite(limits)):
        raise ValueError(f"box must be finite, got {limits.tolist()}; choose where to search")
    return limits


def _worst(value: Any, array: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{value}"
    bad = array[~np.isfinite(array)]
    return f"an array with {bad[0] if bad.size else array.min():g}"


def checked_interval(name: str, value: Any) -> tuple[float, float]:
    """An interval (low, high) of finite length.

    Raises
    ------
    ValueError
        If it is none.
    """
    if np.shape(value) != (2,):
        raise ValueError(f"{name} must be (low, high) with low < high, got {value}")
    low, high = map(float, value)
    if not low < high or not np.isfinite(high - low):
        raise ValueError(f"{name} must be (low, high) with low < high, got {value}")
    return low, high


def check_single(what: str, numbers: Mapping[str, Any], replace: str = "system.replace") -> None:
    """Refuse arrays among numbers.

    Parameters
    ----------
    what : str
        What needs single values.
    numbers : mapping
        Name, perhaps after a word such as "constant", -> value.
    replace : str
        How another value is chosen.

    Raises
    ------
    ValueError
        If one of the numbers is an array.
    """
    for name, value in numbers.items():
        if np.ndim(value):
            raise ValueError(
                f"{what} needs one value of {name}, which is an array of shape {np.shape(value)}; "
                f"choose one with {replace}({name.split()[-1]}=…)"
            )
