"""The two phases of SAM late in training: it escapes exponentially fast, then it converges."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from samdyn.analysis.late.gathering import gathered, phases_of
from samdyn.analysis.late.pooled import pooled
from samdyn.analysis.late.series import series_of
from samdyn.numbers import checked_number


def two_phase(
    run: xr.Dataset | xr.DataArray,
    *,
    after: int | None = None,
    over: str | Sequence[str] | None = None,
    floor: float = 0.0,
    factor: float = 2.0,
    level: float = 0.95,
) -> xr.Dataset:
    """The escape and the convergence of the loss after a switch, with their rates.

    Zhou et al. (arXiv 2410.10373) describe SAM late in training so: it leaves the minimum that
    it is given exponentially fast, and then converges to a flatter one in the same valley. Here
    each phase is found in the recorded losses, fitted, or said to be absent.

    Escape ends at the largest loss after the switch, less what rises there at under a tenth of
    the exponential rate. The exponential stretch is found, not set: log L from the switch to its
    maximum is cut into straight pieces by change-point regression, and the piece of three points
    or more that rises most is it, so that the jump with which normalised SAM begins is left out,
    and so is saturation. Convergence is L = A exp(-k s) + P exp(-c s) from where the loss has
    halved: the plateau P, as SAM ends in a cycle, and its drift c, as it moves along the minima,
    are fitted along and left out where the information criterion does without them.

    Parameters
    ----------
    run : Dataset or DataArray
        A result of `samdyn.simulate` with ``record=``, or any losses over ``time``. Each particle
        is looked at by itself, as far as it ran.
    after : int, optional
        The step after which the phases are looked for. Default: the last switch, else 0.
    over : str or sequence of str, optional
        Dimensions, as a rule "particle", over which the loss is averaged first: the rates are
        those of E L, which the theorems are on, and intervals come from how the particles
        differ (jackknife; of at least 3). The rate of E L is above that of a typical particle,
        ``typical_rate``, the mean of the particles' own.
    floor : float, default 0
        The least value that the loss can have, above which it grows exponentially.
    factor : float, default 2
        A phase counts as absent if the loss rises, or falls, by less.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    xarray.Dataset
        Over the dimensions of the particles: ``start`` (the switch; -1 where it never came),
        ``escapes``, ``end``, ``escape_rate`` of log L per step, ``multiplier`` = exp(rate/2), by
        which the distance from the minimum grows as L ~ m^(2t); ``converges``,
        ``convergence_rate``, ``plateau``, ``drift``; with a dimension ``bound`` (low, high)
        ``escape_interval``, ``multiplier_interval``, ``convergence_interval`` and
        ``escape_stretch``; over ``time`` the fitted loss, ``fit``. What belongs to an absent
        phase is NaN, ``end`` -1. With ``over`` also ``typical_rate`` and ``typical_interval``.

    Raises
    ------
    TypeError, ValueError
        If nothing was recorded, a loss is below the floor, or an argument is out of range.

    Notes
    -----
    A phase is absent unless the loss changes by ``factor``, and by 4 (convergence: 2) standard
    deviations about the fit; and unless 0 is outside the interval of the rate (for an escape of
    fewer than 8 recorded steps the interval is too wide to ask that of it). An escape on fewer
    than 3 recorded steps has no rate. Without ``over`` intervals allow for errors that are
    correlated, up to a random walk; of a deterministic run, they say how far from a line the
    logarithm is. As the stretch is looked for, 95 % intervals of simulated noisy series held the
    rate in 89 to 99 % of cases, and of minibatch runs that escape within 15 steps in 84 %. A
    logarithm of the loss that is a random walk without drift is taken for an escape in a fifth
    of cases; average over particles then.

    Examples
    --------
    >>> import samdyn as sd
    >>> late = sd.Switch([(0, sd.GD(lr=2.5)), (100, sd.USAM(lr=2.5, rho=0.5))])
    >>> system = sd.Map(sd.losses.tanh_network(), late)
    >>> run = sd.simulate(system, [1.6, 0.3], 200, record=1)
    >>> phases = two_phase(run, after=100)
    >>> bool(phases.escapes), bool(phases.converges), round(float(phases.multiplier), 2)
    (True, True, 1.62)
    """
    checked_number("floor", floor)
    if not checked_number("factor", factor) > 1:
        raise ValueError(f"factor must be above 1, got {factor}")
    if not 0 < checked_number("level", level) < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    series = series_of(run, after, floor)
    if over is None:
        found = [phases_of(t, y, factor, level) for _, t, y in series.each()]
        return gathered(series.loss, series.start, found, floor, level, factor)
    return pooled(series, over, floor, factor, level)
