"""What is trained, and how."""

from __future__ import annotations

from typing import NamedTuple

SEEDS = 8
SAMPLES, INPUTS, HIDDEN, TEACHER = 4, 5, 16, 5
RHO = 0.1
LRS = (0.02, 0.04, 0.08)
LR = LRS[-1]
STEPS, EVERY = 2_400, 50
"""Of every run of SAM; and how many lie between two records."""

GD_STEPS = 600

RHOS = (0.0125, 0.025, 0.05)
SETTLING, AVERAGED = 800, 20
"""Steps at each of these rho, from where the runs end; and how many of the last are averaged."""


class Kind(NamedTuple):
    """A way to run SAM: its batch size, its m, and which limiting flow it should follow."""

    said: str
    batch_size: int
    m: int | None
    flow: str


KINDS = {
    "full": Kind("SAM, full batch", SAMPLES, None, "top"),
    "parts": Kind("$m$-SAM, $m$ = 1, full batch", SAMPLES, 1, "trace"),
    "single": Kind("SAM, batch size 1", 1, None, "trace"),
}

SETTLED = ("full", "single")
"""Those whose gradient is looked at."""
