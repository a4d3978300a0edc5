"""Fresh initial weights from a seed."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from samdyn.numbers import check_positive, checked_whole


def initialised(model: nn.Module, seed: int, scale: float = 1.0) -> nn.Module:
    """A copy of a network with fresh initial weights.

    Each module draws its own by its ``reset_parameters``, inner modules first; running
    statistics are reset too. They are drawn on the CPU in double precision, so that a seed gives
    the same weights (to rounding) on every device and in every dtype.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    seed : int
        At least 0. Torch's own random state is left as it was.
    scale : float, default 1
        All weights are multiplied by it: small ones start near the saddle at the origin.

    Raises
    ------
    ValueError
        If a module has weights of its own but no ``reset_parameters``.

    Examples
    --------
    >>> line = nn.Linear(3, 1)
    >>> one, same = initialised(line, seed=0), initialised(line, seed=0)
    >>> torch.equal(one.weight, same.weight), torch.equal(one.weight, line.weight)
    (True, False)
    """
    checked_whole("seed", seed, 0)
    check_positive(scale=scale)
    fresh = deepcopy(model)
    drawn = deepcopy(model).to("cpu", torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs as well
        for name, module in reversed(list(drawn.named_modules())):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif any(True for _ in module.parameters(recurse=False)):
                raise ValueError(
                    f"model must give fresh weights to all its modules, but "
                    f"{name or 'the model itself'} ({type(module).__name__}) has weights and no "
                    "reset_parameters(); give it one, or to train a function of the seed as start="
                )
    with torch.no_grad():
        for weight, new in zip(fresh.parameters(), drawn.parameters(), strict=True):
            weight.copy_(scale * new)
        for buffer, known in zip(fresh.buffers(), drawn.buffers(), strict=True):
            buffer.copy_(known)
    return fresh
