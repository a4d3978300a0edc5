"""How a step is taken: definitions that know nothing of losses or of who reads them."""

from samdyn.algorithms.base import Algorithm
from samdyn.algorithms.descent import ASAM, DNSAM, GD, SAM, USAM
from samdyn.algorithms.lookahead import Lookahead
from samdyn.algorithms.switch import Switch
from samdyn.algorithms.written import Written, algorithm

__all__ = [
    "ASAM",
    "DNSAM",
    "GD",
    "SAM",
    "USAM",
    "Algorithm",
    "Lookahead",
    "Switch",
    "Written",
    "algorithm",
]
