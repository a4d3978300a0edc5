"""The named experiments behind the figures."""

from __future__ import annotations

from difflib import get_close_matches

from samdyn.experiments import (
    agarwala_eigenvalue,
    bartlett_drift,
    compagnoni_order,
    compagnoni_saddle,
    compagnoni_stationary,
    dai_normalization,
    kim_ascent,
    kim_basins,
    kim_beale,
    kim_diffusion,
    kim_escape,
    kim_phase_diagram,
    kim_toy_network,
    kim_transition,
    long_edge,
    si_convergence,
    wen_alignment,
    wen_flow,
    wen_sharpness,
    wen_toy,
    zhou_escape,
    zhou_example,
    zhou_stability,
    zhou_valley,
)
from samdyn.experiments.base import Claim, Experiment
from samdyn.experiments.networks import (
    kim_factorization,
    kim_network,
    kim_table,
    wen_one_sam,
    zhou_adversarial,
    zhou_late,
    zhou_network_escape,
)

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
        zhou_example,
        zhou_escape,
        zhou_stability,
        zhou_valley,
        wen_sharpness,
        wen_toy,
        wen_flow,
        wen_alignment,
        bartlett_drift,
        long_edge,
        agarwala_eigenvalue,
        si_convergence,
        dai_normalization,
        kim_ascent,
        kim_toy_network,
        kim_factorization,
        kim_network,
        kim_table,
        zhou_late,
        zhou_network_escape,
        zhou_adversarial,
        wen_one_sam,
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
