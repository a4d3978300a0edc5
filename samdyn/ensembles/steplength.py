"""Whether the step of a flow or an SDE is short enough for its scheme, where a run begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.ensembles.axes import Axes
from samdyn.forward import differentiated
from samdyn.systems.base import System
from samdyn.systems.diffusion import Diffusion
from samdyn.systems.flow import Flow
from samdyn.systems.schemes import Scheme
from samdyn.systems.stochastic import StochasticScheme

_SAMPLE = 64
_HALVINGS = 60
_ROUNDING = 1e-9


def too_long(system: System, axes: Axes) -> str | None:
    """What is to be said of a step beyond the scheme's stability limit, if it is.

    Where the field's Jacobian has an eigenvalue mu with negative real part, the flow contracts.
    An explicit scheme of step dt amplifies there if |R(mu dt)| > 1, R being its stability function
    (Hairer and Wanner, Solving Ordinary Differential Equations II, section IV.2).

    Parameters
    ----------
    system : System
        Only a `Flow` or an SDE, of which the drift is looked at, has a scheme.
    axes : Axes
        The run's numbers and initial points; at most 64 particles are looked at.
    """
    if not isinstance(system, Flow | Diffusion):
        return None
    scheme = _without_noise(system.scheme) if isinstance(system, Diffusion) else system.scheme
    chosen = np.unique(np.linspace(0, axes.particles - 1, _SAMPLE).astype(int))
    index = np.unravel_index(chosen, axes.shape) if axes.dims else ()
    places = dict(zip(axes.dims, index, strict=True))

    def values(name: str) -> np.ndarray:
        dims, array = axes.arrays[name]
        return np.broadcast_to(array[tuple(places[dim] for dim in dims)], len(chosen))

    known = [f"x0:{name}" for name in system.rows if f"x0:{name}" in axes.arrays]
    z = [values(name) for name in known]
    z += [np.zeros(len(chosen))] * (len(system.rows) - len(known))
    rates, dt = _contraction(system, [*z, *(values(f"0:{name}") for name in system.numbers)])
    grown = _amplification(scheme, rates, values("0:dt")[:, None])
    beyond = grown > 1.0 + _ROUNDING
    if not np.any(beyond):
        return None
    limit = _limit(scheme, rates[beyond], np.broadcast_to(dt[:, None], rates.shape)[beyond])
    starts = int(np.sum(np.any(beyond, axis=1)))
    return (
        f"dt is beyond the stability limit of {system.about['scheme']} at {starts} of the "
        f"{len(chosen)} initial points looked at: what contracts there, a step multiplies "
        f"by up to {np.nanmax(grown[beyond]):.3g}; take dt below {limit:.3g}"
    )


def _without_noise(scheme: StochasticScheme) -> Scheme:
    return lambda field, z, dt: scheme(field, lambda y: [[0.0] for _ in y], z, dt, [0.0])


def _contraction(system: System, values: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues with negative real part, others set to 0, and dt; a row each start."""
    n, count = len(system.rows), len(values[0])
    with np.errstate(all="ignore"):
        outputs = differentiated(system.law, system.rows)(*values)
    flat = np.stack([np.broadcast_to(out, count) for out in outputs[n:]], axis=-1)
    jacobians = np.where(np.isfinite(flat).all(axis=1, keepdims=True), flat, 0.0)
    rates = np.linalg.eigvals(jacobians.reshape(count, n, n)).astype(complex)
    contracts = rates.real < -_ROUNDING * np.abs(rates)
    return np.where(contracts, rates, 0.0), values[-1]


def _amplification(scheme: Scheme, rates: np.ndarray, dt: np.ndarray) -> np.ndarray:
    """|R(rate dt)|, from a step of the scheme itself on dz/dt = rate z."""
    a, b = rates.real, rates.imag
    start = [np.ones_like(a), np.zeros_like(a)]
    with np.errstate(all="ignore"):
        x, y = scheme(lambda z: [a * z[0] - b * z[1], b * z[0] + a * z[1]], start, dt)
        return np.hypot(x, y)


def _limit(scheme: Scheme, rates: np.ndarray, dt: np.ndarray) -> float:
    """The shortest step at which one of the rates begins to be amplified, by bisection."""
    low, high = np.zeros_like(dt), dt.copy()
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        stable = _amplification(scheme, rates, middle) <= 1.0
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    return float(np.min(low))
