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
        DNSAM,
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
    from samdyn.analysis.escape.logrank import logrank
    from samdyn.analysis.escape.passage import first_passage
    from samdyn.analysis.escape.rates import escape_rate
    from samdyn.analysis.escape.survival import EscapeTimes
    from samdyn.analysis.escape.times import escape_times
    from samdyn.analysis.fixed.cycles import cycles, fixed_points
    from samdyn.analysis.fixed.stability import jacobian, multipliers, stability
    from samdyn.analysis.fixed.threshold import stability_threshold, stability_thresholds
    from samdyn.analysis.orbits.bifurcation import bifurcation
    from samdyn.analysis.orbits.lyapunov import lyapunov
    from samdyn.analysis.spread.displacement import directions, displacement
    from samdyn.analysis.spread.moments import mean_square_growth, moments, stationary_covariance
    from samdyn.ensembles.events import Converged, Diverged, Escape, Reached
    from samdyn.ensembles.points import ball, grid, uniform
    from samdyn.ensembles.run import rerun, simulate
    from samdyn.losses.loss import Loss
    from samdyn.readings.symbolic import jacobian_formula
    from samdyn.systems.flow import Flow
    from samdyn.systems.formula_map import FormulaMap
    from samdyn.systems.formula_sde import FormulaSDE
    from samdyn.systems.map import Map
    from samdyn.systems.modified.covariance import absolute_hessian
    from samdyn.systems.schemes import euler, heun, rk4
    from samdyn.systems.sde import SDE
    from samdyn.systems.stochastic import StochasticScheme, euler_maruyama, platen, stochastic_heun

_HOME = {
    "Algorithm": "samdyn.algorithms",
    "algorithm": "samdyn.algorithms",
    "ASAM": "samdyn.algorithms",
    "DNSAM": "samdyn.algorithms",
    "GD": "samdyn.algorithms",
    "Lookahead": "samdyn.algorithms",
    "SAM": "samdyn.algorithms",
    "Switch": "samdyn.algorithms",
    "USAM": "samdyn.algorithms",
    "alignment": "samdyn.analysis.alignment",
    "basins": "samdyn.analysis.attraction.basins",
    "basin_entropy": "samdyn.analysis.attraction.geometry",
    "uncertainty_exponent": "samdyn.analysis.attraction.geometry",
    "phase_diagram": "samdyn.analysis.attraction.phase_diagram",
    "trapping": "samdyn.analysis.attraction.trapping",
    "continuation": "samdyn.analysis.curves.continuation",
    "manifolds": "samdyn.analysis.curves.manifolds",
    "logrank": "samdyn.analysis.escape.logrank",
    "first_passage": "samdyn.analysis.escape.passage",
    "escape_rate": "samdyn.analysis.escape.rates",
    "EscapeTimes": "samdyn.analysis.escape.survival",
    "escape_times": "samdyn.analysis.escape.times",
    "cycles": "samdyn.analysis.fixed.cycles",
    "fixed_points": "samdyn.analysis.fixed.cycles",
    "jacobian": "samdyn.analysis.fixed.stability",
    "multipliers": "samdyn.analysis.fixed.stability",
    "stability": "samdyn.analysis.fixed.stability",
    "stability_threshold": "samdyn.analysis.fixed.threshold",
    "stability_thresholds": "samdyn.analysis.fixed.threshold",
    "bifurcation": "samdyn.analysis.orbits.bifurcation",
    "lyapunov": "samdyn.analysis.orbits.lyapunov",
    "directions": "samdyn.analysis.spread.displacement",
    "displacement": "samdyn.analysis.spread.displacement",
    "mean_square_growth": "samdyn.analysis.spread.moments",
    "moments": "samdyn.analysis.spread.moments",
    "stationary_covariance": "samdyn.analysis.spread.moments",
    "Converged": "samdyn.ensembles.events",
    "Diverged": "samdyn.ensembles.events",
    "Escape": "samdyn.ensembles.events",
    "Reached": "samdyn.ensembles.events",
    "ball": "samdyn.ensembles.points",
    "grid": "samdyn.ensembles.points",
    "uniform": "samdyn.ensembles.points",
    "rerun": "samdyn.ensembles.run",
    "simulate": "samdyn.ensembles.run",
    "Loss": "samdyn.losses.loss",
    "jacobian_formula": "samdyn.readings.symbolic",
    "Flow": "samdyn.systems.flow",
    "FormulaMap": "samdyn.systems.formula_map",
    "FormulaSDE": "samdyn.systems.formula_sde",
    "Map": "samdyn.systems.map",
    "euler": "samdyn.systems.schemes",
    "heun": "samdyn.systems.schemes",
    "rk4": "samdyn.systems.schemes",
    "absolute_hessian": "samdyn.systems.modified.covariance",
    "SDE": "samdyn.systems.sde",
    "euler_maruyama": "samdyn.systems.stochastic",
    "platen": "samdyn.systems.stochastic",
    "stochastic_heun": "samdyn.systems.stochastic",
    "StochasticScheme": "samdyn.systems.stochastic",
}
_MODULES = ("losses", "plot", "words")

__all__ = [
    "ASAM",
    "DNSAM",
    "GD",
    "SAM",
    "SDE",
    "USAM",
    "Algorithm",
    "Converged",
    "Diverged",
    "Escape",
    "EscapeTimes",
    "Flow",
    "FormulaMap",
    "FormulaSDE",
    "Lookahead",
    "Loss",
    "Map",
    "Reached",
    "StochasticScheme",
    "Switch",
    "__version__",
    "absolute_hessian",
    "algorithm",
    "alignment",
    "ball",
    "basin_entropy",
    "basins",
    "bifurcation",
    "continuation",
    "cycles",
    "directions",
    "displacement",
    "escape_rate",
    "escape_times",
    "euler",
    "euler_maruyama",
    "first_passage",
    "fixed_points",
    "grid",
    "heun",
    "jacobian",
    "jacobian_formula",
    "logrank",
    "losses",
    "lyapunov",
    "manifolds",
    "mean_square_growth",
    "moments",
    "multipliers",
    "phase_diagram",
    "platen",
    "plot",
    "rerun",
    "rk4",
    "simulate",
    "stability",
    "stability_threshold",
    "stability_thresholds",
    "stationary_covariance",
    "stochastic_heun",
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
