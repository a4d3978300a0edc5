"""Pictures of losses and results. Functions take ``ax=`` and return Axes; none simulates."""

from samdyn.plot.landscape import contours, critical_points
from samdyn.plot.style import COLORS, STYLE
from samdyn.plot.trajectory import series, trajectory

__all__ = ["COLORS", "STYLE", "contours", "critical_points", "series", "trajectory"]
