"""Training kept on disk: each file whole or not there at all, and good for one recipe only."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from samdyn.networks.stepping import State
from samdyn.networks.task import REASONS, Snapshot

_WHAT = {"model": "module", "algorithm": "algorithm"}
"""What is made of code, if it is no function."""


def save(path: Path, kept: dict[str, Any], recipe: dict[str, Any]) -> None:
    """Write tensors and plain data to a file, which is replaced in one go."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save({"recipe": recipe, "kept": kept}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load(path: Path, recipe: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """What a file holds, or None if there is none.

    Raises
    ------
    ValueError
        If it is of another recipe, or cannot be read.
    """
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
        known, kept = saved["recipe"], saved["kept"]
    except Exception as error:  # torch says it in many ways
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read ({type(error).__name__}); remove it to begin "
            "anew"
        ) from None
    begin = f"checkpoint {str(path)!r} is of another run: its "
    names, others = ({k: v for k, v in one.items() if k != "code"} for one in (recipe, known))
    for entry, ours, theirs in _differences(names, others):
        raise ValueError(f"{begin}{entry} is {theirs}, this one's is {ours}; choose another folder")
    if "code" not in known:
        raise ValueError(
            f"checkpoint {str(path)!r} does not say what its functions do, as an earlier samdyn "
            "wrote it; choose another folder"
        )
    for entry in sorted(recipe["code"].keys() | known["code"].keys()):
        parts, before = recipe["code"].get(entry, {}), known["code"].get(entry, {})
        for part, ours, theirs in _differences(parts, before):
            what = _WHAT.get(entry.split()[0], "function")
            raise ValueError(
                f"{begin}{entry} is not the same {what} ({part} was {theirs}, and is {ours}); "
                "choose another folder"
            )
    return kept


class Keeper:
    """A training's file, written every so many seconds."""

    seconds = 10.0

    def __init__(self, path: Path, recipe: dict[str, Any]):
        self.path, self.recipe = path, recipe
        self._written = time.monotonic()

    def found(self, device: torch.device) -> Snapshot | None:
        """What the file holds, if there is one.

        A training that was interrupted or had fewer epochs to go goes on.
        """
        kept = load(self.path, self.recipe, device)
        if kept is None:
            return None
        kept["state"] = State(tuple(kept["state"]["z"]), kept["state"]["buffers"])
        now = Snapshot(**kept | {"switched": tuple(kept["switched"])})
        return now if now.reason == REASONS.index("diverged") else now._replace(reason=0)

    def write(self, now: Snapshot) -> None:
        """Write it down, unless its weights are not finite: then the file stays as it is."""
        if not bool(torch.isfinite(now.state.w).all()):
            return
        state = {"z": list(now.state.z), "buffers": now.state.buffers}
        kept = now._asdict() | {"state": state, "switched": list(now.switched)}
        save(self.path, kept, self.recipe)
        self._written = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._written >= self.seconds


def _differences(ours: Any, theirs: Any, entry: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            inner = f"{entry} {name}".strip()
            yield from _differences(ours.get(name), theirs.get(name), inner)
    elif ours != theirs:
        yield entry, ours, theirs
