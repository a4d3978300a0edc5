"""Lyapunov exponents: how fast neighbouring orbits part."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.ensembles.points import relabelled, whole_states
from samdyn.ensembles.result import finished
from samdyn.ensembles.run import simulate
from samdyn.numbers import checked_whole
from samdyn.systems.base import System
from samdyn.systems.tangent import COLLAPSED, Tangent

BLOCKS = 16
"""Blocks of a run, from whose spread the standard error is estimated."""

_NEAR, _NEARER = 1e-8, 1e-10


def lyapunov(
    system: System,
    x0: Any,
    steps: int,
    *,
    after: int = 0,
    k: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """The Lyapunov exponents along orbits, by tangent vectors made orthonormal at every step.

    Over a finite number of steps these are finite-time exponents. Along an orbit that stays at a
    fixed point they tend to log|multipliers| (a flow: to the real parts of the eigenvalues): at a
    saddle, the largest is the rate at which a small distance from it grows.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Arrays among its numbers become dimensions of the result, as in `samdyn.simulate`.
    x0 : array_like, shape (d,) or (n, d), or DataArray
        Initial points as in `samdyn.simulate`: one, several, a `samdyn.grid`; coordinates, or
        whole states in the order of ``system.rows``.
    steps : int
        Steps over which the growth of the tangents is averaged, at least 1.
    after : int, default 0
        Steps taken first that do not count. The orbit comes to its attractor meanwhile, and the
        tangents, which begin in random directions, turn to their own: without them both leave an
        error of the order of 1/steps.
    k : int, optional
        How many of the exponents, from the largest. Default: all, one for each scalar of the
        state. Fewer cost less.
    seed : int, default 0
        Of the first tangents' directions.
    threads : int, optional
        As in `samdyn.simulate`. The result does not depend on it.
    progress : bool, default True

    Returns
    -------
    xarray.Dataset
        Dimensions: those of the sweep and of x0, then ``exponent`` (1 to k) or ``coord``.
        ``exponents``, the largest first, per step for a map and per unit of time for a flow;
        ``standard_error`` of each, from the means of 16 blocks of the run, which must be long
        beside the time over which the orbit forgets (NaN with fewer than 16 steps);
        ``final`` (…, coord), the whole state at the end, which may be given as x0 again; and
        ``reason``, as in `samdyn.simulate`.

        -inf is the exponent of a direction that a step takes to 0, as at a superstable orbit or
        where the momentum is 0. (Rounding may keep an orbit from its superstable point: then it is
        a large negative number, about -36 over the period.) Exponents are NaN if the run diverged,
        and if it ends where the system jumps and so has no derivative: on a critical point, for
        normalised SAM.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused; one sentence says why and what would be right.

    Notes
    -----
    The method is that of Benettin, Galgani, Giorgilli and Strelcyn (Meccanica 15, 1980). The
    derivatives are exact. Beside a kink or a jump they are those of the branch taken, so that
    what jumps add to the parting of orbits is not seen.

    Examples
    --------
    >>> import samdyn as sd
    >>> logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=4.0)
    >>> found = lyapunov(logistic, 0.3, 100_000)
    >>> bool(abs(found.exponents[0] - np.log(2)) < 1e-3)
    True
    """
    steps, after = checked_whole("steps", steps, 1), checked_whole("after", after, 0)
    tangent = Tangent(system, k)
    points = whole_states(x0, system)
    taken = {"exponent", "exponents", "standard_error"} & {*map(str, points.dims), *system.numbers}
    if taken:
        raise ValueError(f"{min(taken)!r} is the name of something in the result; choose another")
    frame = tangent.frame(seed)
    start = _beside(points, frame, tangent)
    options: dict[str, Any] = {"threads": threads, "progress": progress}
    size, count = len(system.rows), tangent.count
    early, lost = np.int8(0), np.nan
    if after:
        first = finished(simulate(tangent, start, after, **options))
        early, lost = first.reason.values, first.final.values[..., :size]
        start = _renewed(first, frame, tangent)
    ends = np.round(np.linspace(0, steps, BLOCKS + 1)).astype(int)
    run = simulate(tangent, start, steps, record=np.unique(ends), **options)
    reason = run.reason.copy(data=np.where(early, early, run.reason.values))
    final = np.where(np.asarray(early)[..., None], lost, run.final.values[..., :size])
    known = (reason.values == 0) & ~_jumps(system, final, reason)
    growths = run.w.values[..., -count:]
    growths = np.where(known[..., None, None], growths, np.nan)
    unit = np.asarray(_number("dt", system.duration, reason))[..., None]
    exponents = np.where(
        growths[..., -1, :] < COLLAPSED / 2, -np.inf, growths[..., -1, :] / (steps * unit)
    )
    growths = np.where(np.isfinite(exponents)[..., None, :], growths, np.nan)
    error = _error(growths, run.time.values) / unit
    order = np.argsort(-exponents, axis=-1, kind="stable")
    dims = (*run.reason.dims, "exponent")
    per = "1/time" if system.continuous else "1/step"
    result = xr.Dataset(
        {
            "exponents": (
                dims,
                np.take_along_axis(exponents, order, -1),
                {"long_name": "Lyapunov exponents", "units": per, "latex": r"\Lambda"},
            ),
            "standard_error": (
                dims,
                np.take_along_axis(error, order, -1),
                {"long_name": "standard error of the exponents", "units": per},
            ),
            "final": ((*run.reason.dims, "coord"), final, {"long_name": "state at the end"}),
            "reason": reason.variable,
        },
        coords={
            name: value.variable for name, value in run.coords.items() if set(value.dims) <= {*dims}
        },
    )
    result = result.assign_coords(exponent=np.arange(1, count + 1), coord=list(system.rows))
    result.attrs = {"title": f"Lyapunov exponents of {system.title}", **system.about}
    result.attrs |= {"steps": steps, "after": after, "seed": seed}
    return result


def _beside(points: xr.DataArray, frame: np.ndarray, tangent: Tangent) -> xr.DataArray:
    """States with their tangents, of shape (k, n) or (…, k, n), which have not grown yet."""
    states = points.values
    shape, k = states.shape[:-1], tangent.count
    tangents = np.broadcast_to(frame, (*shape, *frame.shape[-2:]))
    whole = np.concatenate([states, tangents.reshape(*shape, -1), np.zeros((*shape, k))], axis=-1)
    return relabelled(whole, points, tangent.rows)


def _renewed(run: xr.Dataset, frame: np.ndarray, tangent: Tangent) -> xr.DataArray:
    """Where a transient has led, with tangents that a step took to 0 in new directions."""
    (k, n), states = frame.shape, run.final.values
    ended = run.reason.values != 0  # these are not looked at any more, but must be finite
    states = np.where(ended[..., None], 0.0, states)
    tangents = states[..., n : n * (k + 1)].reshape(*states.shape[:-1], k, n)
    lost = np.all(tangents == 0.0, axis=-1, keepdims=True)
    columns, _ = np.linalg.qr(np.swapaxes(np.where(lost, frame, tangents), -1, -2))
    points = relabelled(states[..., :n], run.final, tangent.system.rows)
    return _beside(points, np.swapaxes(columns, -1, -2), tangent)


def _number(name: str, value: Any, like: xr.DataArray) -> Any:
    """A number of a system, an array of them in the shape of the runs."""
    if not np.ndim(value):
        return float(value)
    named = value if isinstance(value, xr.DataArray) else xr.DataArray(np.asarray(value), dims=name)
    plain = xr.DataArray(named.values, dims=named.dims)
    sizes = {dim: like.sizes[dim] for dim in like.dims}
    spread = plain.expand_dims({d: s for d, s in sizes.items() if d not in plain.dims})
    return np.asarray(spread.transpose(*like.dims).values, float)


def _jumps(system: System, z: np.ndarray, like: xr.DataArray) -> np.ndarray:
    """Whether the step does not tend to its value at a state as states beside it come near."""
    numbers = [_number(name, value, like) for name, value in system.numbers.items()]
    direction: np.ndarray = np.random.default_rng(0).standard_normal(z.shape[-1:])
    direction = direction / np.linalg.norm(direction)

    def moved(distance: float) -> np.ndarray:
        rows = np.moveaxis(z + distance * direction, -1, 0)
        steps = system.program(*rows, *numbers)
        return np.stack([np.broadcast_to(row, z.shape[:-1]) for row in steps], axis=-1)

    with np.errstate(all="ignore"):
        here = moved(0.0)
        near, nearer = (np.linalg.norm(moved(h) - here, axis=-1) for h in (_NEAR, _NEARER))
        rounding = 1e-12 * (1.0 + np.linalg.norm(here, axis=-1))
        return np.asarray((nearer > rounding) & (nearer > 0.5 * near))


def _error(growths: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The standard error of the rate of growth, from blocks that end at ``times``."""
    if len(times) <= BLOCKS:
        return np.full(growths[..., 0, :].shape, np.nan)
    lengths = np.diff(times)[:, None]
    rates = np.diff(growths, axis=-2) / lengths
    mean = (growths[..., -1:, :] - growths[..., :1, :]) / times[-1]
    squares = np.sum(lengths * (rates - mean) ** 2, axis=-2)
    return np.sqrt(squares / ((len(lengths) - 1) * times[-1]))
