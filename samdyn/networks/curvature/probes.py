"""Random vectors that do not touch torch's own random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from samdyn.networks.seeds import generator


class Probes:
    """Random vectors for one point: the same for a seed on every device and in every dtype.

    Parameters
    ----------
    w : Tensor, shape (d,)
        What they are to resemble in size, dtype and device.
    seed : int
    """

    def __init__(self, w: Tensor, seed: int):
        self._like = w
        self._generator = generator(seed)

    def signs(self) -> Tensor:
        """A vector of -1 and 1 at random, of shape (d,): Rademacher's."""
        drawn = torch.randint(0, 2, (len(self._like),), generator=self._generator)
        return (2 * drawn - 1).to(self._like)

    def normal(self) -> Tensor:
        """A vector of independent normal numbers, of shape (d,)."""
        d = len(self._like)
        return torch.randn(d, generator=self._generator, dtype=torch.float64).to(self._like)
