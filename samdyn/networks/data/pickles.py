"""Pickles that hold nothing but plain data: numbers, text, lists, dicts and arrays of bytes.

An ordinary unpickler runs whatever the file says. This one knows the four names that the
CIFAR archives use, and reads their arrays without handing them to NumPy's own unpickling.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import Any

import numpy as np


class _Array:
    """Stands for NumPy's array while a pickle is read."""

    __slots__ = ("array",)

    def __setstate__(self, state: tuple) -> None:
        _, shape, _, by_columns, raw = state
        flat = np.frombuffer(raw, dtype=np.uint8)
        self.array = flat.reshape(shape, order="F" if by_columns else "C")


class _Type:
    """Stands for NumPy's type of array elements, which must be bytes."""

    __slots__ = ()

    def __init__(self, code: Any, *_: Any):
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it has an array of {code!r}, not of bytes")

    def __setstate__(self, state: tuple) -> None:
        """Byte order and the like, which bytes have none of."""


def _empty(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


_KNOWN: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _empty,
    "numpy._core.multiarray._reconstruct": _empty,
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "_codecs.encode": _encode,  # bytes that Python 3 wrote for Python 2
}
"""What a pickle may ask for by name."""


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data")
        return _KNOWN[f"{module}.{name}"]


def plain(content: bytes) -> dict[bytes, Any]:
    """The dict in a pickle that Python 2 wrote.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ValueError
        If it is broken, no dict, or holds anything but plain data.
    """
    try:
        found = _Plain(BytesIO(content), encoding="bytes").load()
    except Exception as error:  # broken bytes may raise anything
        raise ValueError(f"{error or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not a dict")
    return {key: v.array if isinstance(v, _Array) else v for key, v in found.items()}
