"""What must come out."""

from __future__ import annotations

import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.networks.seeds import Interval, mean
from samdyn.experiments.networks.zhou_late.training import EPOCHS, closed, plan

_CURVATURES = "top_eigenvalue", "trace"


def claims(runs: Runs) -> list[Claim]:
    """SAM last against SAM first, in curvature and in error."""
    return [
        _counted(runs["mse"]),
        *_with_mse(runs["mse"]),
        *_with_decay(runs),
        *_with_noise(runs["noise"]),
    ]


def _counted(run: xr.Dataset) -> Claim:
    begun = run.switched.where(run.switched >= 0, run.steps)
    share = 100 * (begun.isel(later_phase=1) - begun.isel(later_phase=0)) / run.steps
    off = float(abs(share - 100 * run.share / EPOCHS).max())
    return Claim(
        "SAM takes the steps of just the epochs said, also where it comes first (the paper's "
        "released code counts one epoch more there)",
        "0 % of the steps too many or too few",
        f"{off:.3g} %",
        off < 1e-9,
    )


def _with_mse(run: xr.Dataset) -> list[Claim]:
    sharp, spread = (closed(run, plan(run, "last", 10), name) for name in _CURVATURES)
    early = closed(run, plan(run, "first", 10), "top_eigenvalue")
    ahead = _difference(run, "top_eigenvalue", ("first", 10), ("last", 10))
    one = closed(run, plan(run, "last", 1), "top_eigenvalue")
    above = _difference(run, "train_loss", ("last", 1), ("SAM", 100))
    stays, kept = (closed(run, plan(run, "first", 50), name) for name in _CURVATURES)
    worse = _difference(run, "test_error", ("SAM", 100), ("SGD", 0), 100)
    return [
        Claim(
            "MSE, constant lr: SAM in the last 10 % of epochs closes most of the gap to SAM alone, "
            "in lambda_1 and in the trace",
            "most (0.98 of the sharpness in the paper, WRN-16-8 on CIFAR-10)",
            f"lambda_1 {sharp.said('.2f')}, trace {spread.said('.2f')}",
            bool(sharp.low > 0.7 and spread.low > 0.7),
        ),
        Claim(
            "MSE: ten epochs of SAM at the end do more than ten at the start, then SGD",
            "lambda_1 lower by an interval that excludes 0",
            f"by {ahead.said('.2f')}; gap closed {sharp.said('.2f')} against {early.said('.2f')}",
            bool(ahead.low > 0),
        ),
        Claim(
            "MSE: one epoch of SAM at the end is too few: it ends amid the escape, where the "
            "training loss is higher",
            "a part of the gap in lambda_1; a training loss above that of SAM alone",
            f"gap closed {one.said('.2f')}; loss above by {above.said('.3f')}",
            bool(one.low > 0 and one.high < sharp.low and above.low > 0),
        ),
        Claim(
            "not as in the paper: with MSE SGD keeps much of what SAM did in the first half",
            "in the paper 0.05 of the gap in sharpness is left; here more than half of the trace's",
            f"gap closed: lambda_1 {stays.said('.2f')}, trace {kept.said('.2f')}",
            bool(kept.low > 0.5),
        ),
        Claim(
            "not as in the paper: with MSE and clean labels SAM throughout does not lower the test "
            "error, it raises it",
            "SAM's less SGD's, in points: by an interval above 0",
            f"{worse.said('.2f')}",
            bool(worse.low > 0),
        ),
    ]


def _with_decay(runs: Runs) -> list[Claim]:
    run = runs["decayed"]
    constant = runs["mse"]
    late, late_trace = (closed(run, plan(run, "last", 10), name) for name in _CURVATURES)
    before, before_trace = (
        closed(constant, plan(constant, "last", 10), name) for name in _CURVATURES
    )
    one, one_trace = (closed(constant, plan(constant, "last", 1), name) for name in _CURVATURES)
    early, early_trace = (closed(run, plan(run, "first", 50), name) for name in _CURVATURES)
    return [
        Claim(
            "MSE, lr/10 from half time: SAM in the last 10 % of epochs closes less than with "
            "constant lr; in lambda_1 about as much as one epoch of that, which has the same sum "
            "of learning rates",
            f"lambda_1 below {before.said('.2f')}, trace below {before_trace.said('.2f')}; "
            f"lambda_1 within 0.25 of {one.said('.2f')}",
            f"lambda_1 {late.said('.2f')}, trace {late_trace.said('.2f')}, of which one epoch of "
            f"constant lr closes {one_trace.said('.2f')}",
            bool(late.high < before.low and late_trace.high < before_trace.low)
            and bool(abs(late.value - one.value) < 0.25),
        ),
        Claim(
            "MSE, lr/10 from half time: SAM in the first half closes the gap",
            "most of it",
            f"lambda_1 {early.said('.2f')}, trace {early_trace.said('.2f')}",
            bool(early.low > 0.7 and early_trace.low > 0.7),
        ),
    ]


def _with_noise(run: xr.Dataset) -> list[Claim]:
    names = "test_error", *_CURVATURES
    last = [closed(run, plan(run, "last", 10), name) for name in names]
    error, sharp, spread = last
    first = [closed(run, plan(run, "first", 50), name) for name in names]
    behind = [_difference(run, name, ("first", 50), ("last", 10)) for name in names]
    said = "test error {}, lambda_1 {}, trace {}"
    gain = _difference(run, "test_error", ("SGD", 0), ("SAM", 100), 100)
    return [
        Claim(
            "cross-entropy, label noise: SAM in the last 10 % of epochs closes most of the gap in "
            "test error and trace, and of that in lambda_1, as far as the seeds tell",
            "most (0.86 of the error and 0.98 of the sharpness in the paper, CIFAR-10)",
            f"SGD's test error is above SAM's by {gain.said('.1f')} points; closed: "
            + said.format(*(one.said(".2f") for one in last)),
            bool(gain.low > 0 and error.value > 0.5 and spread.value > 0.5 and sharp.low > 0),
        ),
        Claim(
            "label noise: SGD undoes what SAM did in the first half",
            "as in the paper, where 0.05 of the gap in sharpness stays closed: below 0.4, and "
            "less than by SAM in the last 10 %",
            said.format(*(one.said(".2f") for one in first)),
            bool(all(one.value < 0.4 for one in first) and all(one.low > 0 for one in behind)),
        ),
    ]


def _difference(
    run: xr.Dataset, name: str, more: tuple[str, int], less: tuple[str, int], unit: float = 1
) -> Interval:
    """Of two plans, seed by seed."""
    return mean((plan(run, *more)[name] - plan(run, *less)[name]) * unit)
