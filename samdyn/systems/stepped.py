"""A flow seen as what is computed of it: the map of one step of its scheme."""

from __future__ import annotations

from samdyn.systems.around import Around


class Stepped(Around):
    """Any system as a map: of a flow, the step of its scheme.

    Examples
    --------
    >>> from samdyn import GD, Flow, Loss
    >>> Stepped(Flow(Loss("x**2"), GD(lr=0.1), dt=0.5)).continuous
    False
    """
