"""Mean and covariance of particles about a point, exactly, for the linearised dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from samdyn.analysis.linear import Linear
from samdyn.analysis.spread.draws import draws_at
from samdyn.numbers import check_single, checked_whole
from samdyn.systems.base import System, checked_system
from samdyn.systems.diffusion import Diffusion

if TYPE_CHECKING:
    import xarray as xr


def moments(system: System, point: Any, steps: int, start: Any = None) -> xr.Dataset:
    """Mean and covariance of the state over time, of the dynamics linearised at a point.

    A step of a random map near the point is d' = A d + b with A and b drawn together; its first
    two moments follow exactly, S' = E[A S A^T] + E[A m b^T + b m^T A^T] + E[b b^T], with the
    expectations over every batch, or by a Gauss-Hermite rule. On a quadratic loss that is the
    algorithm itself, but for normalised SAM: its jump where a sample's gradient vanishes is no
    part of the linear dynamics, however near. For an SDE it is the linear noise approximation:
    drift linearised, noise as at the point.

    Parameters
    ----------
    system : Map, FormulaMap or Diffusion
        Each of its numbers being one value.
    point : array_like, shape (d,) or (rows,)
        Where to linearise: a critical point as a rule. Velocities are 0 unless given.
    steps : int
        Number of steps (of length dt, for an SDE).
    start : array_like, shape (d,) or (rows,), optional
        Where the particles begin, all in one place. Default: at the point.

    Returns
    -------
    xarray.Dataset
        ``mean`` (time, row) and ``covariance`` (time, row, other), time being the step number, or
        for an SDE the time.

    Raises
    ------
    TypeError
        If the system is none, a `Switch` or a flow.
    ValueError
        If a number is an array, or the moments have no exact recursion (normalised SAM, batches
        by epochs, too many batches): the sentence says which.

    Examples
    --------
    >>> import samdyn as sd
    >>> noisy = sd.Loss("x**2/2 + 0.5*xi*x", noise="xi")
    >>> about = moments(sd.Map(noisy, sd.USAM(lr=0.1, rho=0.5)), 0.0, 2)
    >>> about.covariance.values[:, 0, 0].round(6)
    array([0.      , 0.005625, 0.009689])
    """
    import xarray as xr
    from scipy.linalg import expm

    steps = checked_whole("steps", steps, 0)
    z = _checked(system, point)
    laws = _laws(system, z)
    begin = z if start is None else _state(system, start, "start")
    away = begin - z
    n = len(z)
    state = np.concatenate([[1.0], away, np.outer(away, away).ravel()])
    advance = laws.whole
    times: np.ndarray = np.arange(steps + 1)
    if system.continuous:
        dt = float(np.asarray(system.duration))
        advance, times = expm(dt * advance), times * dt
    path = np.empty((steps + 1, len(state)))
    path[0] = state
    for k in range(steps):
        path[k + 1] = advance @ path[k]
    mean = path[:, 1 : n + 1]
    covariance = path[:, n + 1 :].reshape(-1, n, n) - mean[:, :, None] * mean[:, None, :]
    rows = list(system.rows)
    return xr.Dataset(
        {
            "mean": (("time", "row"), z + mean),
            "covariance": (("time", "row", "other"), covariance),
        },
        {"time": times, "row": rows, "other": rows},
        {"system": system.title},
    )


def stationary_covariance(system: System, point: Any) -> np.ndarray:
    """The covariance in which particles settle about a point, of the linearised dynamics.

    Of a map the fixed point of the recursion of `moments`; of an SDE the solution of Lyapunov's
    equation J C + C J^T + b b^T = 0.

    Parameters
    ----------
    system, point
        As in `moments`.

    Returns
    -------
    ndarray, shape (rows, rows)

    Raises
    ------
    ValueError
        If there is none: the second moments grow.

    Examples
    --------
    >>> import samdyn as sd
    >>> noisy = sd.Loss("x**2/2 + 0.5*xi*x", noise="xi")
    >>> system = sd.Map(noisy, sd.USAM(lr=0.1, rho=0.5))
    >>> stationary_covariance(system, 0.0).round(6)  # lr s^2 (1 + rho l)/(l (2 - lr l (1 + rho l)))
    array([[0.02027]])
    """
    from scipy.linalg import solve_continuous_lyapunov

    z = _checked(system, point)
    laws = _laws(system, z)
    radius = laws.growth
    if not radius < (0.0 if system.continuous else 1.0):
        what = "grow at a rate of" if system.continuous else "are multiplied in the long run by"
        raise ValueError(
            f"there is no stationary covariance at {z.tolist()}: there the second moments {what} "
            f"{radius:.6g} a {'unit of time' if system.continuous else 'step'}"
        )
    n = len(z)
    if system.continuous:
        return solve_continuous_lyapunov(laws.first, -laws.square.reshape(n, n))
    mean = np.linalg.solve(np.eye(n) - laws.first, laws.offset)
    second = np.linalg.solve(np.eye(n * n) - laws.second, laws.mixed @ mean + laws.square)
    return second.reshape(n, n) - np.outer(mean, mean)


def mean_square_growth(system: System, point: Any) -> float:
    """What second moments about a point are multiplied by in the long run, a step.

    The spectral radius of S -> E[A S A^T]. The point is linearly stable in mean square (Wu, Wang
    and Su, arXiv 2207.02628) where it is below 1. For an SDE the rate at which they grow, twice the
    largest real part of the drift's eigenvalues: stable where it is below 0.

    Along a manifold of minimisers nothing moves, so that there it is at least 1;
    `samdyn.mean_square_threshold` leaves such directions out.

    Parameters
    ----------
    system, point
        As in `moments`.

    Examples
    --------
    >>> import samdyn as sd
    >>> data = {"a": [1.0, 3.0], "b": [0.0, 0.0]}
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data=data)
    >>> round(mean_square_growth(sd.Map(loss, sd.GD(lr=0.2), batch_size=1), 0.0), 6)
    0.64
    """
    z = _checked(system, point)
    return _laws(system, z).growth


class _Laws(NamedTuple):
    """How mean and second moment of the deviation change, as matrices on vectors.

    The mean by ``first`` m + ``offset``; the second moment, written out row after row, by
    ``second`` S + ``mixed`` m + ``square``.
    """

    first: np.ndarray
    offset: np.ndarray
    second: np.ndarray
    mixed: np.ndarray
    square: np.ndarray
    continuous: bool

    @property
    def whole(self) -> np.ndarray:
        """All at once, on (1, m, S)."""
        n, zero = len(self.offset), np.zeros
        return np.block(
            [
                [np.full((1, 1), float(not self.continuous)), zero((1, n)), zero((1, n * n))],
                [self.offset[:, None], self.first, zero((n, n * n))],
                [self.square[:, None], self.mixed, self.second],
            ]
        )

    @property
    def growth(self) -> float:
        if self.continuous:
            return 2.0 * float(np.max(np.linalg.eigvals(self.first).real))
        return float(np.max(np.abs(np.linalg.eigvals(self.second))))


def _laws(system: System, z: np.ndarray) -> _Laws:
    n = len(z)
    eye = np.eye(n)
    if isinstance(system, Diffusion):
        drift, jacobian = Linear(system).law(z)
        square = np.asarray(system.covariance(z), float)
        if not (np.all(np.isfinite(jacobian)) and np.all(np.isfinite(square))):
            raise ValueError(f"drift or noise of the SDE is not smooth at {z.tolist()}")
        second = np.kron(jacobian, eye) + np.kron(eye, jacobian)
        mixed = np.kron(drift[:, None], eye) + np.kron(eye, drift[:, None])
        return _Laws(jacobian, drift, second, mixed, square.ravel(), True)
    weights, a, b = draws_at(system, z)
    second = np.einsum("k,kij,klm->iljm", weights, a, a).reshape(n * n, n * n)
    mixed = np.einsum("k,kij,kl->ilj", weights, a, b) + np.einsum("k,kij,kl->lij", weights, a, b)
    square = np.einsum("k,ki,kl->il", weights, b, b).ravel()
    return _Laws(
        np.einsum("k,kij->ij", weights, a),
        weights @ b,
        second,
        mixed.reshape(n * n, n),
        square,
        False,
    )


def _checked(system: System, point: Any) -> np.ndarray:
    """The state at a point, of a system that has moments."""
    if len(checked_system(system).phases) > 1:
        raise TypeError("system is a Switch, which is several maps; take one from .phases")
    if system.continuous and not isinstance(system, Diffusion):
        raise TypeError(f"system must be a map or an SDE, got {system.title}, which has no noise")
    check_single("this", system.numbers)
    return _state(system, point, "point")


def _state(system: System, point: Any, name: str) -> np.ndarray:
    z = np.atleast_1d(np.asarray(point, float))
    d, rows = len(system.coordinates), system.rows
    if z.ndim != 1 or len(z) not in (d, len(rows)) or not np.all(np.isfinite(z)):
        whole = f", or {len(rows)} for the whole state" if len(rows) > d else ""
        raise ValueError(
            f"{name} must be finite and have {d} entries ({', '.join(rows[:d])}){whole}, "
            f"got {point}"
        )
    return np.concatenate([z, np.zeros(len(rows) - len(z))])
