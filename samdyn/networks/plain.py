"""Values as short texts that are alike in every process."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

_SCALARS = (int, float, complex, bool, str, bytes, type(None), type(...), range, slice)
_TORCH = (torch.dtype, torch.device, torch.Size)
_DEEPEST = 8


def digest(text: str | bytes) -> str:
    """A short hash."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def fingerprint(*tensors: Tensor) -> str:
    """A short hash of tensors' values, shapes and types."""
    hashed = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous()
        hashed.update(f"{tuple(flat.shape)} {flat.dtype}".encode())
        hashed.update(flat.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()[:16]


def tensor_text(t: Tensor) -> str:
    """A tensor's values as a hash; of one that has none at hand, the shape."""
    known = t.layout is torch.strided and t.device.type != "meta"
    return f"tensor {fingerprint(t)}" if known else f"tensor {tuple(t.shape)}"


def shortened(text: str) -> str:
    """A text, or the beginning of a long one and a hash of it."""
    return text if len(text) <= 60 else f"{text[:20]}… {digest(text)}"


def plain(x: Any, depth: int = 0) -> str | None:
    """A value as text, the same in every process; None if it is none."""
    if isinstance(x, Enum):
        return f"{type(x).__qualname__}.{x.name}"
    if isinstance(x, Tensor):
        return tensor_text(x)
    if isinstance(x, xr.DataArray):
        return f"{x.dims} {plain(x.values)}"
    if isinstance(x, np.ndarray | np.generic):
        array = np.asarray(x)
        values = repr(array.tolist()) if array.ndim == 0 else digest(array.tobytes())
        return None if array.dtype.hasobject else f"{array.dtype} {array.shape} {values}"
    if type(x) in _SCALARS or isinstance(x, _TORCH):
        return repr(x)
    if type(x) not in (list, tuple, set, frozenset, dict) or depth > _DEEPEST:
        return None
    entries = [plain(one, depth + 1) for one in (x.items() if isinstance(x, dict) else x)]
    said = [one for one in entries if one is not None]
    if len(said) < len(entries):
        return None
    ordered = sorted(said) if isinstance(x, set | frozenset) else said
    return f"{type(x).__name__}({', '.join(ordered)})"
