"""Pictures of losses, systems and results. Functions take ``ax=`` and return Axes.

None simulates.
"""

from samdyn.plot.basins import basins
from samdyn.plot.density import density
from samdyn.plot.landscape import contours, critical_points
from samdyn.plot.late import late
from samdyn.plot.manifolds import manifolds
from samdyn.plot.parameters import bifurcation, branches
from samdyn.plot.phases import phase_diagram
from samdyn.plot.portrait import portrait
from samdyn.plot.slices import slices
from samdyn.plot.style import COLORS, STYLE
from samdyn.plot.surface import surface
from samdyn.plot.survival import survival
from samdyn.plot.training import training
from samdyn.plot.trajectory import series, trajectory

__all__ = [
    "COLORS",
    "STYLE",
    "basins",
    "bifurcation",
    "branches",
    "contours",
    "critical_points",
    "density",
    "late",
    "manifolds",
    "phase_diagram",
    "portrait",
    "series",
    "slices",
    "surface",
    "survival",
    "training",
    "trajectory",
]
