"""Arrays kept in a folder, each file whole or not there at all."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def load(path: Path | None) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None if there is none or it cannot be read."""
    if path is None or not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file) as saved:
            return {name: saved[name] for name in saved.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        warnings.warn(f"{path} cannot be read; its particles are run again", stacklevel=2)
        return None


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to a file."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def prepared(store: str | Path | None) -> Path | None:
    """The folder of a store, made if need be.

    Raises
    ------
    ValueError
        If it cannot be a folder to write in.
    """
    if store is None:
        return None
    if not isinstance(store, str | Path):
        raise ValueError(f"store must be the path of a folder, got {store!r}")
    folder = Path(store)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"store {str(folder)!r} cannot be written: {error.strerror}") from None
    return folder
