"""The loss along lines and planes of weights, with batch-norm statistics that belong there."""

from samdyn.networks.landscape.directions import filter_normalised, random_direction
from samdyn.networks.landscape.interpolation import barrier, interpolate
from samdyn.networks.landscape.slices import slice1d, slice2d
from samdyn.networks.landscape.statistics import reestimated

__all__ = [
    "barrier",
    "filter_normalised",
    "interpolate",
    "random_direction",
    "reestimated",
    "slice1d",
    "slice2d",
]
