"""Residual networks in the forms that are trained on CIFAR."""

from __future__ import annotations

from torch import Tensor, nn

from samdyn.networks.models.layers import Convolution, Norm, classifier, normalised
from samdyn.numbers import checked_whole


class _Block(nn.Module):
    """relu(body(x) + short(x)): the block of ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, gain: float):
        super().__init__()
        bias = norm is None
        self.body = nn.Sequential(
            Convolution(inputs, outputs, stride=stride, bias=bias),
            *normalised(norm, outputs),
            nn.ReLU(),
            Convolution(outputs, outputs, bias=bias, gain=gain),
            *normalised(norm, outputs),
        )
        self.short = nn.Sequential()
        if stride > 1 or inputs != outputs:
            projection = Convolution(inputs, outputs, side=1, stride=stride, bias=bias)
            self.short = nn.Sequential(projection, *normalised(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.short(x)).relu()


class _PreactivatedBlock(nn.Module):
    """x + body(x), the activation being within: the block of a wide ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, gain: float):
        super().__init__()
        bias = norm is None
        self.before = nn.Sequential(*normalised(norm, inputs), nn.ReLU())
        self.body = nn.Sequential(
            Convolution(inputs, outputs, stride=stride, bias=bias),
            *normalised(norm, outputs),
            nn.ReLU(),
            Convolution(outputs, outputs, bias=bias, gain=gain),
        )
        self.projection: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            self.projection = Convolution(inputs, outputs, side=1, stride=stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        active = self.before(x)
        short = x if self.projection is None else self.projection(active)
        return short + self.body(active)


def _gain(norm: Norm, blocks: int) -> float:
    """Of the last convolution of a block: without normalisation the sum of the blocks must not
    grow with their number.
    """
    return blocks**-0.5 if norm is None else 1.0


def resnet18(
    classes: int = 10, norm: Norm = "batch", width: int = 64, inputs: int = 3
) -> nn.Module:
    """ResNet-18 in the form for CIFAR: a 3x3 stem and no max-pooling.

    Parameters
    ----------
    classes : int, default 10
    norm : "batch", "group", None or callable, default "batch"
        With one, the convolutions have no bias. "group" needs no running statistics, so that
        training and evaluation see one function.
    width : int, default 64
        Channels of the first stage; they double thrice.
    inputs : int, default 3
        Channels of the images, of any size.

    Notes
    -----
    Source: He et al., arXiv 1512.03385, with projections where the shape changes. Initial
    weights: N(0, 2/fan_in); without normalisation the last convolution of each of the N
    blocks is smaller by sqrt(N) (Hayou et al., arXiv 2010.12859), so that it trains.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     sum(p.numel() for p in resnet18().parameters())
    11173962
    """
    before = first = checked_whole("width", width, 1)
    gain = _gain(norm, 8)
    stem = Convolution(checked_whole("inputs", inputs, 1), first, bias=norm is None)
    layers = [stem, *normalised(norm, first), nn.ReLU()]
    for stage in range(4):
        channels = first * 2**stage
        layers.append(_Block(before, channels, 2 if stage else 1, norm, gain))
        layers.append(_Block(channels, channels, 1, norm, gain))
        before = channels
    return nn.Sequential(*layers, *classifier(before, checked_whole("classes", classes, 1)))


def wide_resnet(
    depth: int = 16, factor: int = 8, classes: int = 10, norm: Norm = "batch", inputs: int = 3
) -> nn.Module:
    """A wide residual network, WRN-depth-factor, without dropout.

    Parameters
    ----------
    depth : int, default 16
        6*n + 4, with n blocks in each of the three stages; 16 or 28 in papers.
    factor : int, default 8
        By how much it is widened: 16, 32 and 64 times this many channels.
    classes : int, default 10
    norm : "batch", "group", None or callable, default "batch"
        As for `resnet18`.
    inputs : int, default 3
        Channels of the images, of any size.

    Notes
    -----
    Source: Zagoruyko and Komodakis, arXiv 1605.07146. Initial weights as for `resnet18`.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     sum(p.numel() for p in wide_resnet(28, 10).parameters())
    36479194
    """
    if checked_whole("depth", depth, 10) % 6 != 4:
        raise ValueError(f"depth must be 6*n + 4, such as 10, 16, 22 or 28, got {depth}")
    widen, blocks = checked_whole("factor", factor, 1), (depth - 4) // 6
    gain = _gain(norm, 3 * blocks)
    before = 16
    layers: list[nn.Module] = [
        Convolution(checked_whole("inputs", inputs, 1), before, bias=norm is None)
    ]
    for stage in range(3):
        channels = 16 * widen * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(_PreactivatedBlock(before, channels, stride, norm, gain))
            before = channels
    layers += [*normalised(norm, before), nn.ReLU()]
    return nn.Sequential(*layers, *classifier(before, checked_whole("classes", classes, 1)))
