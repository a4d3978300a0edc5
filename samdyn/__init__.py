"""samdyn: a dynamical-systems simulator for Sharpness-Aware Minimization.

An algorithm is written once, as a map; every reading of it (NumPy, a compiled kernel, SymPy,
torch) follows from that definition. Names are imported when they are first used, so that
``import samdyn`` is quick.

Examples
--------
>>> import samdyn as sd
>>> loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
>>> run = sd.simulate(sd.Map(loss, sd.SAM(lr=0.05, rho=0.1)), x0=[0.3, 0.01], steps=100)
>>> str(run.reason.attrs["flag_meanings"])
'running escaped converged diverged interrupted reached'
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from samdyn.version import VERSION as __version__

if TYPE_CHECKING:
    from samdyn import losses, plot, words
    from samdyn.algorithms import (
        ASAM,
        GD,
        SAM,
        USAM,
        Algorithm,
        Lookahead,
        Switch,
        algorithm,
    )
    from samdyn.analysis.alignment import alignment
    from samdyn.analysis.attraction.basins import basins
    from samdyn.analysis.attraction.geometry import basin_entropy, uncertainty_exponent
    from samdyn.analysis.attraction.phase_diagram import phase_diagram
    from samdyn.analysis.attraction.trapping import trapping
    from samdyn.analysis.curves.continuation import continuation
    from samdyn.analysis.curves.manifolds import manifolds
    from samdyn.analysis.fixed.cycles import cycles, fixed_points
    from samdyn.analysis.fixed.stability import jacobian, multipliers, stability
    from samdyn.analysis.fixed.threshold import stability_threshold, stability_thresholds
    from samdyn.analysis.orbits.bifurcation import bifurcation
    from samdyn.analysis.orbits.lyapunov import lyapunov
    from samdyn.ensembles.events import Converged, Diverged, Escape, Reached
    from samdyn.ensembles.points import ball, grid, uniform
    from samdyn.ensembles.run import rerun, simulate
    from samdyn.losses.loss import Loss
    from samdyn.readings.symbolic import jacobian_formula
    from samdyn.systems.flow import Flow
    from samdyn.systems.formula_map import FormulaMap
    from samdyn.systems.map import Map
    from samdyn.systems.schemes import euler, heun, rk4

_HOME = {
    "ASAM": "samdyn.algorithms",
    "GD": "samdyn.algorithms",
    "SAM": "samdyn.algorithms",
    "USAM": "samdyn.algorithms",
    "Algorithm": "samdyn.algorithms",
    "Lookahead": "samdyn.algorithms",
    "Switch": "samdyn.algorithms",
    "algorithm": "samdyn.algorithms",
    "alignment": "samdyn.analysis.alignment",
    "basin_entropy": "samdyn.analysis.attraction.geometry",
    "basins": "samdyn.analysis.attraction.basins",
    "bifurcation": "samdyn.analysis.orbits.bifurcation",
    "continuation": "samdyn.analysis.curves.continuation",
    "cycles": "samdyn.analysis.fixed.cycles",
    "fixed_points": "samdyn.analysis.fixed.cycles",
    "jacobian": "samdyn.analysis.fixed.stability",
    "lyapunov": "samdyn.analysis.orbits.lyapunov",
    "manifolds": "samdyn.analysis.curves.manifolds",
    "multipliers": "samdyn.analysis.fixed.stability",
    "phase_diagram": "samdyn.analysis.attraction.phase_diagram",
    "stability": "samdyn.analysis.fixed.stability",
    "stability_threshold": "samdyn.analysis.fixed.threshold",
    "stability_thresholds": "samdyn.analysis.fixed.threshold",
    "trapping": "samdyn.analysis.attraction.trapping",
    "uncertainty_exponent": "samdyn.analysis.attraction.geometry",
    "jacobian_formula": "samdyn.readings.symbolic",
    "Loss": "samdyn.losses.loss",
    "Converged": "samdyn.ensembles.events",
    "Diverged": "samdyn.ensembles.events",
    "Escape": "samdyn.ensembles.events",
    "Reached": "samdyn.ensembles.events",
    "ball": "samdyn.ensembles.points",
    "grid": "samdyn.ensembles.points",
    "uniform": "samdyn.ensembles.points",
    "rerun": "samdyn.ensembles.run",
    "simulate": "samdyn.ensembles.run",
    "Flow": "samdyn.systems.flow",
    "FormulaMap": "samdyn.systems.formula_map",
    "Map": "samdyn.systems.map",
    "euler": "samdyn.systems.schemes",
    "heun": "samdyn.systems.schemes",
    "rk4": "samdyn.systems.schemes",
}
_MODULES = ("losses", "plot", "words")

__all__ = [
    "ASAM",
    "GD",
    "SAM",
    "USAM",
    "Algorithm",
    "Converged",
    "Diverged",
    "Escape",
    "Flow",
    "FormulaMap",
    "Lookahead",
    "Loss",
    "Map",
    "Reached",
    "Switch",
    "__version__",
    "algorithm",
    "alignment",
    "ball",
    "basin_entropy",
    "basins",
    "bifurcation",
    "continuation",
    "cycles",
    "euler",
    "fixed_points",
    "grid",
    "heun",
    "jacobian",
    "jacobian_formula",
    "losses",
    "lyapunov",
    "manifolds",
    "multipliers",
    "phase_diagram",
    "plot",
    "rerun",
    "rk4",
    "simulate",
    "stability",
    "stability_threshold",
    "stability_thresholds",
    "trapping",
    "uncertainty_exponent",
    "uniform",
    "words",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"samdyn.{name}")
    if name not in _HOME:
        folded = {known.casefold(): known for known in __all__}
        near = difflib.get_close_matches(name.casefold(), folded, cutoff=0.5)
        hint = f"; did you mean {' or '.join(folded[one] for one in near)}?" if near else ""
        raise AttributeError(f"module 'samdyn' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
