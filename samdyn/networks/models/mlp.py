"""Multilayer perceptrons."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from samdyn.networks.models.layers import Activation, checked_activation
from samdyn.numbers import checked_whole


def mlp(*widths: int, activation: Activation = "relu", bias: bool = True) -> nn.Module:
    """A multilayer perceptron; images are laid out in one row each.

    Parameters
    ----------
    *widths : int
        Of the inputs, of each hidden layer, of the outputs: at least two.
    activation : str or callable, default "relu"
        Between the layers: "relu", "tanh", "gelu", "silu", "elu", "softplus", "sigmoid",
        "linear" (none: a deep linear network), or what makes a module.
    bias : bool, default True
        Whether the layers have biases.

    Notes
    -----
    The initial weights are torch's own: uniform, of variance 1/(3*fan_in).

    Examples
    --------
    >>> sum(p.numel() for p in mlp(64, 64, 10).parameters())
    4810
    """
    if len(widths) < 2:
        raise ValueError(f"widths must be at least two, of inputs and outputs, got {widths}")
    sizes = [checked_whole("widths", width, 1) for width in widths]
    between = checked_activation(activation)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, bias=bias), between()]
    return nn.Sequential(*layers[:-1])
