"""What the models are built of: activations, normalisations, convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, sqrt
from typing import TypeAlias

from torch import nn

Activation: TypeAlias = str | Callable[[], nn.Module]
"""A name, or what makes a module, such as ``nn.ELU``."""

Norm: TypeAlias = str | Callable[[int], nn.Module] | None
"""None, a name, or what makes a module for a number of channels, such as ``nn.BatchNorm2d``."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}
"""The activations that have a name."""


def group_norm(channels: int) -> nn.Module:
    """Group normalisation: 32 groups, or as many as leave two channels to each.

    Source: Wu and He, arXiv 1803.08494.
    """
    return nn.GroupNorm(gcd(channels // 2, 32) if channels > 1 else 1, channels)


NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "group": group_norm}
"""The normalisations that have a name."""


def checked_activation(activation: Activation) -> Callable[[], nn.Module]:
    """What makes the activation, or a refusal in one sentence."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if isinstance(activation, str) or not callable(activation):
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)} or make a module, "
            f"got {activation!r}"
        )
    return activation


def normalised(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation of so many channels: one module, or none.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if norm is None:
        return []
    if isinstance(norm, str) and norm in NORMS:
        return [NORMS[norm](channels)]
    if isinstance(norm, str) or not callable(norm):
        raise ValueError(
            f"norm must be None, one of {', '.join(NORMS)} or make a module of a number of "
            f"channels, got {norm!r}"
        )
    return [norm(channels)]


class Convolution(nn.Conv2d):
    """A convolution with He's initial weights: N(0, 2*gain^2/fan_in), and biases of 0.

    Torch's own initial weights have a sixth of that variance, with which a deep network
    without normalisation doesn't train. The padding keeps the image's size at stride 1.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    side : int, default 3
        Of the kernel; odd.
    stride : int, default 1
    bias : bool, default False
    gain : float, default 1
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int = 3,
        stride: int = 1,
        bias: bool = False,
        gain: float = 1.0,
    ):
        self.gain = gain
        super().__init__(inputs, outputs, side, stride, padding=side // 2, bias=bias)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=self.gain * sqrt(2 / fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def classifier(features: int, classes: int) -> Sequence[nn.Module]:
    """The mean of each channel over the image, and a linear map of the means."""
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)
