"""Random numbers from a seed, which neither touch torch's own nor depend on the device."""

from __future__ import annotations

import numpy as np
import torch

from samdyn.numbers import checked_whole


def generator(seed: int | torch.Generator, purpose: str = "") -> torch.Generator:
    """A generator on the CPU.

    Parameters
    ----------
    seed : int or torch.Generator
        A generator is taken as it is, and goes on from where it stands.
    purpose : str, optional
        Seeds of one purpose have nothing to do with those of another.

    Raises
    ------
    ValueError
        If the seed is no whole number >= 0.
    """
    if isinstance(seed, torch.Generator):
        return seed
    own = derived_seed(seed, purpose) if purpose else checked_whole("seed", seed, 0)
    return torch.Generator().manual_seed(own)


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose; a teacher and a student of one seed must not be one network."""
    words = (checked_whole("seed", seed, 0), *purpose.encode())
    return int(np.random.SeedSequence(words).generate_state(1)[0])
