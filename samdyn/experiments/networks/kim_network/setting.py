"""The network, its start, and which runs are made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HIDDEN, CLASSES, SAMPLES = 32, 10, 256
SCALE = 0.1
"""Of torch's initial weights: so near the saddle at the origin it starts."""
SEEDS, MORE_SEEDS = range(5), range(10)
"""Of full batches, and of minibatches, which cost less and of which chance decides more."""
LR, MOMENTUM = 0.05, 0.9
LRS = np.array([0.05, 0.1, 0.2])
RHOS = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.5])
BATCHES = (256, 128, 32, 8)
BATCH_RHO = 0.2
BATCH_STEPS = {128: 500, 32: 800, 8: 800}
SGD_STEPS = 100
LEFT = 0.8
"""A network has left when its loss is below this share of the initial one, and stays there."""
BLOWN = 1.2
"""A network has blown up when its loss ends above this share of the initial one."""


TRACED = 250
"""Steps of which the losses are kept."""


class Kind(NamedTuple):
    """One learning rate and momentum; groups of rho with how many steps are watched."""

    lr: float
    momentum: float
    groups: tuple[tuple[slice, int], ...]


KINDS = {
    "plain": Kind(LR, 0.0, ((slice(0, 3), TRACED), (slice(3, 6), 750))),
    "momentum": Kind(LR, MOMENTUM, ((slice(0, 4), TRACED), (slice(4, 6), 900))),
    "step 0.1": Kind(0.1, 0.0, ((slice(0, 3), 150), (slice(3, 6), 500))),
    "step 0.2": Kind(0.2, 0.0, ((slice(0, 6), 150),)),
    "step 0.5": Kind(0.5, 0.0, ((slice(0, 6), 60),)),
}
