"""The result of training: what was recorded, as an xarray.Dataset."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from samdyn.ensembles.axes import Axes
from samdyn.networks.problem import Buffers
from samdyn.networks.task import REASONS, Snapshot, Task
from samdyn.version import VERSION

_ABOUT = {
    "train_loss": "mean loss of the training samples",
    "train_error": "share of training samples in the wrong class",
    "test_loss": "mean loss of the test samples",
    "test_error": "share of test samples in the wrong class",
    "learning_rate": "learning rate",
    "phase": "which algorithm acts from there on",
    "step": "steps taken",
}
_WHOLE = ("phase", "step")


class History:
    """What the networks of a sweep have recorded.

    Parameters
    ----------
    axes : Axes
    epochs : sequence of float
        Of the records.
    """

    def __init__(self, axes: Axes, epochs: Sequence[float]):
        self.axes, self.epochs = axes, epochs
        self.ends: dict[int, tuple[Task, Snapshot]] = {}

    def put(self, place: int, task: Task, end: Snapshot) -> None:
        """Add a network at its place in the sweep."""
        self.ends[place] = task, end

    @property
    def _any(self) -> Task:
        return next(iter(self.ends.values()))[0]

    def dataset(self, attrs: dict[str, Any]) -> xr.Dataset:
        """Name, shape and describe it; see `train`."""
        epochs = np.asarray(self.epochs)
        whole = epochs.astype(np.int64)
        coords = {
            **self.axes.coordinates,
            "epoch": (
                "epoch",
                whole if np.array_equal(whole, epochs) else epochs,
                {"long_name": "epoch"},
            ),
        }
        variables = {**self._rows(), **self._states(), **self._endings()}
        run = xr.Dataset(variables, coords=coords)
        if "switch" in run.coords:
            unit = "epoch" if self._any.phases.by_epoch else "step"
            run["switch"].attrs = {"long_name": "switch", "units": unit}
        run.attrs = {
            **{
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in attrs.items()
            },
            "samdyn": VERSION,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return run

    def _rows(self) -> dict[str, Any]:
        dims, shape = (*self.axes.dims, "epoch"), (self.axes.particles, len(self.epochs))
        names = dict.fromkeys(
            name for _, end in self.ends.values() for row in end.rows.values() for name in row
        )
        found: dict[str, Any] = {}
        for name in names:
            values = np.full(shape, np.nan)
            for k, (task, end) in self.ends.items():
                for i, b in enumerate(task.places):
                    if name in _ABOUT or b in task.tracked:  # a shorter run tracked its end
                        values[k, i] = end.rows.get(b, {}).get(name, np.nan)
            if name in _WHOLE:
                values = np.where(np.isnan(values), -1, values).astype(np.int64)
            about = {"long_name": _ABOUT.get(name, name)}
            found[name] = (dims, values.reshape(*self.axes.shape, -1), about)
        return found

    def _states(self) -> dict[str, Any]:
        dims, shape, n = self.axes.dims, self.axes.shape, self.axes.particles
        ws = {k: _array(end.state.w) for k, (_, end) in self.ends.items()}
        final = _filled(n, ws)
        about = {"long_name": "weights at the end of training"}
        found: dict[str, Any] = {"final": ((*dims, "weight"), final.reshape(*shape, -1), about)}
        flat = {k: _flattened(end.state.buffers) for k, (_, end) in self.ends.items()}
        if next(iter(flat.values())).size:
            about = {"long_name": "the model's buffers at the end of training"}
            values = _filled(n, flat).reshape(*shape, -1)
            found["final_buffers"] = ((*dims, "buffer"), values, about)
        if self._any.keep:
            w = np.full((n, len(self.epochs), final.shape[-1]), np.nan, final.dtype)
            for k, (task, end) in self.ends.items():
                for i, b in enumerate(task.places):
                    if b in end.weights:
                        w[k, i] = _array(end.weights[b])
            about = {"long_name": "weights at the recorded epochs"}
            found["w"] = ((*dims, "epoch", "weight"), w.reshape(*shape, *w.shape[1:]), about)
        return found

    def _endings(self) -> dict[str, Any]:
        dims, shape, n = self.axes.dims, self.axes.shape, self.axes.particles
        steps, reason = np.zeros(n, np.int64), np.full(n, REASONS.index("interrupted"), np.int8)
        phases = len(self._any.phases.begins)
        switched = np.full((n, phases), -1, np.int64)
        for k, (_, end) in self.ends.items():
            steps[k], reason[k], switched[k] = end.steps, end.reason, end.switched
        about = {
            "long_name": "why training ended",
            "flag_values": np.arange(len(REASONS), dtype=np.int8),
            "flag_meanings": " ".join(REASONS),
        }
        found: dict[str, Any] = {
            "steps": (dims, steps.reshape(shape), {"long_name": "steps taken"}),
            "reason": (dims, reason.reshape(shape), about),
        }
        if phases > 1:
            about = {"long_name": "step at which the phase began, or -1"}
            values = switched[:, 1:].reshape(*shape, -1)
            found["switched"] = ((*dims, "later_phase"), values, about)
        return found


def trained(model: nn.Module, run: xr.Dataset, epoch: float | None = None) -> nn.Module:
    """A copy of a model with the weights that training gave it, in the precision of the training.

    With it, ``problem = nets.Problem(trained(model, run), data.train, loss)`` is the network as it
    ended, batch norm's running statistics included, and ``problem.start()`` its flat weights.

    Parameters
    ----------
    model : torch.nn.Module
        As it was given to `train`.
    run : Dataset
        Of `train`, or one network of it: ``run.sel(seed=3, rho=0.1)``.
    epoch : float, optional
        With the weights at a record, if they were recorded; the model must then have no buffers.
        Default: at the end.

    Raises
    ------
    ValueError
        If there are several networks in ``run``, or other weights than the model has, or none for
        that epoch.

    Examples
    --------
    >>> from samdyn import GD
    >>> from samdyn.networks.training import train
    >>> from samdyn.networks.problem import Samples
    >>> x = torch.ones(4, 1)
    >>> run = train(nn.Linear(1, 1), Samples(x, x), GD(lr=0.2), epochs=9, batch_size=4, loss="mse")
    >>> round(trained(nn.Linear(1, 1), run)(x[:1]).item(), 3)
    1.0
    """
    if epoch is None:
        final = run["final"]
    elif "w" in run and epoch in run.epoch:
        final = run["w"].sel(epoch=epoch)
    else:
        raise ValueError(
            f"run has no weights at epoch {epoch:g}; train with weights=True, which keeps those of "
            "every record"
        )
    if final.ndim != 1:
        swept = ", ".join(f"{dim}=…" for dim in final.dims[:-1])
        raise ValueError(f"run holds several networks; choose one with run.sel({swept})")
    if np.isnan(final.values).any():
        raise ValueError("run has no weights there, as training was interrupted or stopped before")
    module = deepcopy(model).to(torch.as_tensor(np.array(final)).dtype)
    weights = [p for p in module.parameters() if p.requires_grad]
    buffers = list(module.buffers())
    if buffers and epoch is not None:
        raise ValueError(
            "the buffers of this model are known at the end only; re-estimate those of other "
            "epochs from the weights"
        )
    _fill(weights, final.values, "weights")
    _fill(buffers, run["final_buffers"].values if buffers else np.empty(0), "buffers")
    return module


def _fill(tensors: Sequence[torch.Tensor], values: np.ndarray, what: str) -> None:
    sizes = [t.numel() for t in tensors]
    if sum(sizes) != values.size:
        raise ValueError(f"model has {sum(sizes)} {what}, but the run has {values.size}")
    with torch.no_grad():
        pieces = torch.as_tensor(np.array(values)).split(sizes)
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.reshape(tensor.shape))


def _flattened(buffers: Buffers) -> np.ndarray:
    """Buffers one after the other, in double precision, which holds counters too."""
    parts = [b.detach().cpu().double().reshape(-1).numpy() for b in buffers.values()]
    return np.concatenate([np.empty(0), *parts])


def _array(w: torch.Tensor) -> np.ndarray:
    """Weights for NumPy, which has no bfloat16."""
    return (w.float() if w.dtype == torch.bfloat16 else w).cpu().numpy()


def _filled(n: int, rows: dict[int, np.ndarray]) -> np.ndarray:
    """Rows, and NaN for those that are not there yet."""
    some = next(iter(rows.values()))
    table = np.full((n, some.size), np.nan, some.dtype)
    for k, row in rows.items():
        table[k] = row
    return table
