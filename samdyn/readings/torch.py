"""Algorithms read by torch: the same steps on a network's weights, laid out in one flat tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch

from samdyn import words
from samdyn.algorithms import Algorithm

Gradient = Callable[[torch.Tensor], torch.Tensor]
"""The gradient at a flat tensor of weights, as a flat tensor."""

_WORDS: dict[str, Callable] = {
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "arcsin": torch.asin,
    "arccos": torch.acos,
    "arctan": torch.atan,
    "absolute": torch.abs,
    "sign": torch.sign,
    "power": torch.pow,
    "where": torch.where,
    "dot": torch.dot,
}
for _name, _function in _WORDS.items():
    getattr(words, _name).register(torch.Tensor, _function)

State = tuple[torch.Tensor, ...]


def start(algorithm: Algorithm, w: torch.Tensor) -> State:
    """The state before the first step: the weights, then a zero tensor for each vector."""
    return (w, *(torch.zeros_like(w) for _ in algorithm.state))


def step(algorithm: Algorithm, grad: Gradient, z: State) -> State:
    """One step.

    Parameters
    ----------
    algorithm : Algorithm
        Its numbers must be single values.
    grad : callable
        Asked once for GD and twice for SAM; what it returns must not require gradients.
    z : tuple of tensors, each of shape (d,)
        As `start` gives it.

    Raises
    ------
    ValueError
        If a number is an array: torch takes one step of one network.
    """
    for name, value in algorithm.numbers.items():
        if np.ndim(value):
            raise ValueError(
                f"{name} must be one number for torch, got an array of {np.size(value)}"
            )
    return algorithm.step(grad, z, SimpleNamespace(**algorithm.numbers))


def iterate(algorithm: Algorithm, grad: Gradient, w: torch.Tensor) -> Iterator[State]:
    """The state before the first step, after it, and so on without end."""
    z = start(algorithm, w)
    while True:
        yield z
        z = step(algorithm, grad, z)
