"""What a network is trained on: losses of one sample, of which the mean is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from samdyn.numbers import checked_number

PerSample = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Outputs (n, …) and targets (n, …) to losses (n,)."""


def differences(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """F - y, of the shape of the outputs, y being a one-hot vector where the target is a class."""
    if not targets.is_floating_point():
        classes = torch.arange(outputs.shape[-1], device=targets.device)
        targets = (targets[..., None] == classes).to(outputs.dtype)
    return outputs - targets.reshape(outputs.shape)


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """|f - y|^2 of each sample."""
    return (differences(outputs, targets) ** 2).reshape(len(outputs), -1).sum(dim=1)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of each sample's class.

    Parameters
    ----------
    label_smoothing : float, default 0
        The share of the target that is spread evenly over all classes, from 0 to below 1.
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= checked_number("label_smoothing", self.label_smoothing) < 1:
            raise ValueError(
                f"label_smoothing must be from 0 to below 1, got {self.label_smoothing}"
            )

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each sample, of shape (n,)."""
        return functional.cross_entropy(
            outputs, targets, reduction="none", label_smoothing=self.label_smoothing
        )


LOSSES: dict[str, PerSample] = {"mse": squared, "cross_entropy": CrossEntropy()}
"""The losses that have a name."""


def checked_loss(loss: str | PerSample) -> PerSample:
    """The loss of a name, or the function as it is.

    Raises
    ------
    ValueError
        If there is none of that name.
    TypeError
        If it is neither a name nor a function.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss must be a function or one of {', '.join(LOSSES)}, got {loss!r}")
        return LOSSES[loss]
    if not callable(loss):
        raise TypeError(f"loss must be a function or one of {', '.join(LOSSES)}, got {loss!r}")
    return loss
