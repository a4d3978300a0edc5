"""The named experiments behind the figures."""

from __future__ import annotations

from difflib import get_close_matches

from samdyn.experiments import (
    compagnoni_order,
    compagnoni_saddle,
    compagnoni_stationary,
    kim_basins,
    kim_beale,
    kim_diffusion,
    kim_escape,
    kim_phase_diagram,
    kim_transition,
)
from samdyn.experiments.base import Claim, Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        kim_beale,
        kim_transition,
        kim_basins,
        kim_phase_diagram,
        kim_diffusion,
        kim_escape,
        compagnoni_order,
        compagnoni_stationary,
        compagnoni_saddle,
    )
}
"""Every experiment by its name."""


def get(name: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the nearest names.
    """
    if name not in EXPERIMENTS:
        near = get_close_matches(name, EXPERIMENTS, cutoff=0.3) or list(EXPERIMENTS)
        raise ValueError(f"there is no figure {name!r}; did you mean {', '.join(near)}?")
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "Claim", "Experiment", "get"]
