"""The two phases of SAM late in training: it escapes exponentially fast, then it converges."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from samdyn.analysis.late.gathering import gathered, phases_of
from samdyn.analysis.late.pooled import pooled
from samdyn.analysis.late.series import Series, series_of
from samdyn.analysis.late.training import over_steps, without_loss
from samdyn.ensembles.networks import is_training
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

    Whether SAM escapes is decided by the whole rise of the loss, from the switch to its maximum;
    a jump counts. Escape ends at the largest loss after the switch, less what rises there at
    under a tenth of the exponential rate. The exponential stretch is found, not set: log L from
    the switch to its maximum is cut into straight pieces by change-point regression, and the
    piece of three points or more that rises most is it, so that the jump with which normalised
    SAM begins is left out, and so is saturation. An escape by a jump alone, after which no such
    piece rises by ``factor``, has no rate; it ends where the loss comes within ``factor`` of its
    maximum. Convergence is L = A exp(-k s) + P exp(-c s) after the end, from where the loss has
    halved, or from the switch on if there is no escape: the plateau P, as SAM ends in a cycle,
    and its drift c, as it moves along the minima, are fitted along and left out where the
    information criterion does without them.

    Parameters
    ----------
    run : Dataset or DataArray
        A result of `samdyn.simulate` with ``record=``, of `samdyn.networks.train`, or any losses
        over ``time``. Each particle is looked at by itself, as far as it ran. Of networks the
        loss is ``train_loss``, and ``time`` counts steps, of which all must have taken the same
        number by each epoch; one that diverged has no phases.
    after : int, optional
        The step after which the phases are looked for. Default: the last switch, else 0.
    over : str or sequence of str, optional
        Dimensions, as a rule "particle" (of networks "seed"), over which the loss is averaged
        first: the rates are those of E L, which the theorems are on, and intervals come from how
        the particles differ (jackknife; of at least 3). The rate of E L is above that of a typical
        particle, ``typical_rate``, the mean of the particles' own. Particles that were never
        switched are left out, and so are networks that diverged. If an event switched the others
        at different steps, each is averaged from its own switch on: ``time``, ``end`` and the
        stretch then count from there, ``start`` is -1, and the mean goes as far as the record of
        the last that was switched.
    floor : float, default 0
        The least value that the loss can have, above which it grows exponentially. A loss may
        be below by 1e-9 of the largest recorded, which is rounding. To be given where the
        minimum that is left has a loss that is not 0, as most of a network's; see Notes.
    factor : float, default 2
        A phase counts as absent if the loss rises, or falls, by less.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    xarray.Dataset
        Over the dimensions of the particles: ``start`` (the switch; -1 where it never came, not at
        one step, or the network diverged), ``escapes``, ``end``, ``escape_rate`` of log L per
        step, ``multiplier`` = exp(rate/2), by which the distance from the minimum grows as
        L ~ m^(2t); ``converges``,
        ``convergence_rate``, ``convergence_misfit``, ``plateau``, ``drift``; with a
        dimension ``bound`` (low, high) ``escape_interval``, ``multiplier_interval``,
        ``convergence_interval`` and ``escape_stretch``; over ``time`` the fitted loss,
        ``fit``. What belongs to an absent phase is NaN, ``end`` -1. With ``over`` also
        ``typical_rate``, ``typical_interval`` and ``averaged``, the number of particles. Of
        networks also ``diverged``, whether each did, with ``over`` how many, and the coordinate
        ``epoch`` beside ``time``.

    Raises
    ------
    TypeError, ValueError
        If nothing was recorded, a loss is below the floor by more than rounding, an argument is
        out of range, particles switched at different steps were not recorded at even steps
        and at each switch, or networks took different numbers of steps by an epoch.

    Notes
    -----
    A phase is absent unless the loss changes by ``factor``, and by 4 (convergence: 2) standard
    deviations about the fit; and unless 0 is outside the interval of the rate (for an escape of
    fewer than 8 recorded steps the interval is too wide to ask that of it). Without ``over``
    intervals allow for errors that are correlated, up to a random walk; of a deterministic run,
    they say how far from a line the logarithm is. As the stretch is looked for, 95 %
    intervals of simulated noisy series held the rate in 89 to 99 % of cases, and of minibatch
    runs that escape within 15 steps in 84 %. A logarithm of the loss that is a random walk
    without drift is taken for an escape in a fifth of cases; average over particles then.

    A decay need not be exponential: that of normalised SAM moving along the minima is like a
    power of time, and then rate, plateau and drift depend on how long the run is.
    ``convergence_misfit`` is by how much: the logarithm of the ratio of the rate fitted to the
    first half of the steps of the decay to that of the whole, or, if it is more, of how far
    apart the two drifts lead in the second half. It is 0 for an exponential, with a plateau or
    not, and 0.25 and more for 1/(1 + s/100) from 400 to 4,000 steps. Above 0.2 do not trust the
    rate, unless its interval is as wide: noise makes the halves differ too.

    What grows exponentially is the loss above that of the minimum, L - L*. If L* is not 0, as
    that of a network with squared errors of 0.08, log L hardly rises until L - L* is as large
    as L*: the rate is then too low, by the factor (L - L*)/L, and an escape that ends below
    ``factor`` times L* is not seen. Give ``floor=`` the loss L* before the switch. If the loss
    falls below that afterwards, as it does in a better minimum, cut the run at the loss's maximum
    (``run.isel(epoch=slice(0, k))``) for the escape, and look at convergence with a lower floor.
    Minibatch noise that is no smaller than L - L* hides a rate whatever the floor is.

    A mean loss over data is a difference of larger numbers and known to some 1e-16 of these, no
    better. Where recorded losses are at the floor, or below it, rounding is taken to reach four
    times as far above it as they go below it, or as the smallest is above it if that is at most
    1e-9 of the largest loss. Losses within it are not known and left out; of such a loss at the
    switch it counts only that it is no larger.

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
    if not is_training(run):
        return _phases(series_of(run, after, floor), over, floor, factor, level)
    losses = over_steps(run)
    series = series_of(losses, after, floor, without_loss(losses))
    found = _phases(series, over, floor, factor, level)
    diverged = losses["diverged"]
    if over is not None:
        diverged = diverged.sum(over).assign_attrs(long_name="networks that diverged", units="1")
    return found.assign(diverged=diverged)


def _phases(
    series: Series, over: str | Sequence[str] | None, floor: float, factor: float, level: float
) -> xr.Dataset:
    if over is not None:
        return pooled(series, over, floor, factor, level)
    found = [phases_of(known, factor, level) for known in series.each()]
    return gathered(series.loss, series.start, found, floor, level, factor)
