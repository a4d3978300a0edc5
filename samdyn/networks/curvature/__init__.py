"""Curvature of a network's loss on all its samples, with bounded memory and known errors."""

from samdyn.networks.curvature.alignment import gradient_alignment
from samdyn.networks.curvature.convergence import NotConverged, NotFinite
from samdyn.networks.curvature.eigen import Eigenpairs, eigenpairs
from samdyn.networks.curvature.elsewhere import Parts, module_parts
from samdyn.networks.curvature.hessian import Hessian, dense, linear_operator
from samdyn.networks.curvature.probing import Estimate, frobenius, trace
from samdyn.networks.curvature.quadrature import Curve, Density, density

__all__ = [
    "Curve",
    "Density",
    "Eigenpairs",
    "Estimate",
    "Hessian",
    "NotConverged",
    "NotFinite",
    "Parts",
    "dense",
    "density",
    "eigenpairs",
    "frobenius",
    "gradient_alignment",
    "linear_operator",
    "module_parts",
    "trace",
]
