"""The named experiments behind the figures."""

from __future__ import annotations

from difflib import get_close_matches

from samdyn.experiments import kim_beale
from samdyn.experiments.base import Claim, Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT for module in (kim_beale,)
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
