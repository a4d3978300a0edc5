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
    from samdyn.analysis.edges.ascent import ascent_contraction
    from samdyn.analysis.edges.cycle import (
        cycle_amplitude,
        cycle_loss,
        cycle_multipliers,
        drift_factor,
        saddle_window,
    )
    from samdyn.analysis.edges.stability import edge_of_stability
    from samdyn.analysis.escape.logrank import logrank
    from samdyn.analysis.escape.passage import first_passage
    from samdyn.analysis.escape.rates import escape_rate
    from samdyn.analysis.escape.survival import EscapeTimes
    from samdyn.analysis.escape.times import escape_times
    from samdyn.analysis.fixed.cycles import cycles, fixed_points
    from samdyn.analysis.fixed.stability import jacobian, multipliers, stability
    from samdyn.analysis.fixed.threshold import stability_threshold, stability_thresholds
    from samdyn.analysis.late.observed import diagnostics
    from samdyn.analysis.late.phases import two_phase
    from samdyn.analysis.mean_square.convergence import convergence_bound
    from samdyn.analysis.mean_square.linear_stability import linear_stability
    from samdyn.analysis.mean_square.noise import gradient_noise, noise_alignment
    from samdyn.analysis.mean_square.staying import stays_in_valley
    from samdyn.analysis.mean_square.threshold import mean_square_threshold, mean_square_thresholds
    from samdyn.analysis.mean_square.valley import valley
    from samdyn.analysis.minimizers.distances import along_and_across
    from samdyn.analysis.minimizers.limiting import limiting_flow
    from samdyn.analysis.minimizers.projection import project
    from samdyn.analysis.orbits.bifurcation import bifurcation
    from samdyn.analysis.orbits.lyapunov import lyapunov
    from samdyn.analysis.sharpness.finite import Sharpness, sharpness
    from samdyn.analysis.sharpness.limits import limiting_sharpness
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
    "ascent_contraction": "samdyn.analysis.edges.ascent",
    "cycle_amplitude": "samdyn.analysis.edges.cycle",
    "cycle_loss": "samdyn.analysis.edges.cycle",
    "cycle_multipliers": "samdyn.analysis.edges.cycle",
    "drift_factor": "samdyn.analysis.edges.cycle",
    "saddle_window": "samdyn.analysis.edges.cycle",
    "edge_of_stability": "samdyn.analysis.edges.stability",
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
    "diagnostics": "samdyn.analysis.late.observed",
    "two_phase": "samdyn.analysis.late.phases",
    "convergence_bound": "samdyn.analysis.mean_square.convergence",
    "linear_stability": "samdyn.analysis.mean_square.linear_stability",
    "gradient_noise": "samdyn.analysis.mean_square.noise",
    "noise_alignment": "samdyn.analysis.mean_square.noise",
    "stays_in_valley": "samdyn.analysis.mean_square.staying",
    "mean_square_threshold": "samdyn.analysis.mean_square.threshold",
    "mean_square_thresholds": "samdyn.analysis.mean_square.threshold",
    "valley": "samdyn.analysis.mean_square.valley",
    "along_and_across": "samdyn.analysis.minimizers.distances",
    "limiting_flow": "samdyn.analysis.minimizers.limiting",
    "project": "samdyn.analysis.minimizers.projection",
    "bifurcation": "samdyn.analysis.orbits.bifurcation",
    "lyapunov": "samdyn.analysis.orbits.lyapunov",
    "sharpness": "samdyn.analysis.sharpness.finite",
    "Sharpness": "samdyn.analysis.sharpness.finite",
    "limiting_sharpness": "samdyn.analysis.sharpness.limits",
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
    "absolute_hessian": "samdyn.systems.modified.covariance",
    "euler": "samdyn.systems.schemes",
    "heun": "samdyn.systems.schemes",
    "rk4": "samdyn.systems.schemes",
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
    "Sharpness",
    "StochasticScheme",
    "Switch",
    "__version__",
    "absolute_hessian",
    "algorithm",
    "alignment",
    "along_and_across",
    "ascent_contraction",
    "ball",
    "basin_entropy",
    "basins",
    "bifurcation",
    "continuation",
    "convergence_bound",
    "cycle_amplitude",
    "cycle_loss",
    "cycle_multipliers",
    "cycles",
    "diagnostics",
    "directions",
    "displacement",
    "drift_factor",
    "edge_of_stability",
    "escape_rate",
    "escape_times",
    "euler",
    "euler_maruyama",
    "first_passage",
    "fixed_points",
    "gradient_noise",
    "grid",
    "heun",
    "jacobian",
    "jacobian_formula",
    "limiting_flow",
    "limiting_sharpness",
    "linear_stability",
    "logrank",
    "losses",
    "lyapunov",
    "manifolds",
    "mean_square_growth",
    "mean_square_threshold",
    "mean_square_thresholds",
    "moments",
    "multipliers",
    "noise_alignment",
    "phase_diagram",
    "platen",
    "plot",
    "project",
    "rerun",
    "rk4",
    "saddle_window",
    "sharpness",
    "simulate",
    "stability",
    "stability_threshold",
    "stability_thresholds",
    "stationary_covariance",
    "stays_in_valley",
    "stochastic_heun",
    "trapping",
    "two_phase",
    "uncertainty_exponent",
    "uniform",
    "valley",
    "words",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES or name == "networks":  # which needs torch, so that it is in no list
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
