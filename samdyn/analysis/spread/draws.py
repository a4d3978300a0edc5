"""A random map linearised at a point."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.spread.batches import additive, averaged, enumerated
from samdyn.analysis.spread.rules import Draws, evaluated, gaussian
from samdyn.forward import differentiated
from samdyn.systems.base import System
from samdyn.systems.map import Map


def draws_at(system: System, z: np.ndarray) -> Draws:
    """All that a step may draw at a state of shape (n,), or a rule exact for its moments.

    Raises
    ------
    ValueError
        If there are too many batches to enumerate, the steps are not independent (batches by
        epochs), or the step is no polynomial of its Gaussian noise.
    """
    if not system.random:
        return evaluated(differentiated(system.program, system.rows), system, z, (), np.ones(1))
    if system.minibatches is None:
        program = differentiated(system.program, system.rows)
        return gaussian(program, system, z, len(system.noise))
    assert isinstance(system, Map)  # nothing else takes batches
    if system.sampling == "epochs":
        raise ValueError(
            "sampling must be 'replacement' or 'subset' here, got 'epochs', whose batches depend "
            "on each other; compare with a simulation instead"
        )
    for rule in (additive, averaged):
        known = rule(system, z)
        if known is not None:
            return known
    return enumerated(system, z)
