"""Small convolutional networks and VGG."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from samdyn.networks.models.layers import (
    Activation,
    Convolution,
    Norm,
    checked_activation,
    classifier,
    normalised,
)
from samdyn.numbers import checked_whole


def cnn(
    channels: Sequence[int] = (8, 16),
    classes: int = 10,
    inputs: int = 1,
    size: int = 8,
    activation: Activation = "relu",
    norm: Norm = None,
) -> nn.Module:
    """A small convolutional network; as it stands, for the images of `digits`.

    Each stage is a 3x3 convolution, the normalisation, the activation and a mean over squares
    of 2x2; the last is followed by a linear layer. It is smooth if the activation is.

    Parameters
    ----------
    channels : sequence of int, default (8, 16)
        One a stage.
    classes : int, default 10
    inputs : int, default 1
        Channels of the images; 3 for CIFAR.
    size : int, default 8
        Side of the images; 32 for CIFAR. Every stage halves it, to 1 at least.
    activation : str or callable, default "relu"
        As for `mlp`.
    norm : None, "group", "batch" or callable, default None
        With one, the convolutions have no bias.

    Examples
    --------
    >>> sum(p.numel() for p in cnn().parameters())
    1898
    """
    widths = [checked_whole("channels", width, 1) for width in channels]
    before, side = checked_whole("inputs", inputs, 1), checked_whole("size", size, 1)
    checked_whole("classes", classes, 1)
    if not widths or side < 2 ** len(widths):
        raise ValueError(
            f"channels must have at least one stage and at most as many as halve size {side} to 1, "
            f"got {tuple(channels)}"
        )
    between = checked_activation(activation)
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(nn.Conv2d(before, width, 3, padding=1, bias=norm is None))
        layers += [*normalised(norm, width), between(), nn.AvgPool2d(2)]
        before, side = width, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side**2, classes))


_STAGES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions in each stage, by depth."""


def vgg(
    depth: int = 16, classes: int = 10, norm: Norm = "batch", inputs: int = 3, width: int = 64
) -> nn.Module:
    """VGG in the form that is usual for images of 32x32: one linear layer, no dropout.

    Parameters
    ----------
    depth : int, default 16
        11, 13, 16 or 19, as the networks are called.
    classes : int, default 10
    norm : "batch", "group", None or callable, default "batch"
        With one, the convolutions have no bias, which it would take out again.
    inputs : int, default 3
        Channels of the images, which are 32x32 or larger.
    width : int, default 64
        Channels of the first stage; they double thrice.

    Notes
    -----
    Source: Simonyan and Zisserman, arXiv 1409.1556. Initial weights after He et al., arXiv
    1502.01852, for a network without normalisation trains with no others.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     sum(p.numel() for p in vgg(16, norm=None).parameters())
    14719818
    """
    if depth not in _STAGES:
        raise ValueError(f"depth must be one of {', '.join(map(str, _STAGES))}, got {depth!r}")
    first, before = checked_whole("width", width, 1), checked_whole("inputs", inputs, 1)
    layers: list[nn.Module] = []
    for stage, convolutions in enumerate(_STAGES[depth]):
        channels = first * 2 ** min(stage, 3)
        for _ in range(convolutions):
            layers.append(Convolution(before, channels, bias=norm is None))
            layers += [*normalised(norm, channels), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *classifier(before, checked_whole("classes", classes, 1)))
