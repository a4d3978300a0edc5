"""Random numbers of one purpose, unrelated to those of others with the same seed."""

from __future__ import annotations

import numpy as np
import torch

from samdyn.numbers import checked_whole


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose; a teacher and a student of one seed must not be one network."""
    words = (checked_whole("seed", seed, 0), *purpose.encode())
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU for one purpose."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose))
