import json

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.analysis.escape.logrank import logrank
from samdyn.analysis.escape.survival import EscapeTimes
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.analysis.escape.times import escape_times

RUNNING, ESCAPED, CONVERGED, DIVERGED, INTERRUPTED, REACHED = range(6)
UNTIL = [{"event": "Escape"}, {"event": "Reached"}, {"event": "Converged"}]


def made(reason, steps, last=100, dims=("particle",), coords=None, bridge=None, clock=None):
    """A result such as simulate gives, as far as escape times look at it."""
    reason = np.asarray(reason, np.int8)
    recipe = {"simulate": {"steps": last, "until": UNTIL}}
    run = xr.Dataset(
        {"reason": (dims, reason), "steps": (dims, np.asarray(steps))},
        coords={
            "initial": (("particle", "coord"), np.zeros((reason.shape[-1], 1))),
            **(coords or {}),
        },
        attrs={"recipe": json.dumps(recipe), **({"clock": clock} if clock else {})},
    )
    return run if bridge is None else run.assign_attrs(bridge=bridge)


ENDINGS = made([ESCAPED, RUNNING, CONVERGED, DIVERGED, REACHED, ESCAPED], [7, 100, 30, 40, 50, 90])


def test_who_converged_never_escapes_and_other_endings_are_censored():
    found = escape_times(ENDINGS)
    assert found.discrete
    np.testing.assert_array_equal(found.times, [7, 100, 100, 40, 50, 90])
    np.testing.assert_array_equal(found.escaped, [True, False, False, False, False, True])


@pytest.mark.parametrize(
    ("never", "times"),
    [((), [7, 100, 30, 40, 50, 90]), (("diverged", "reached"), [7, 100, 30, 100, 100, 90])],
)
def test_what_another_ending_counts_as_is_asked(never, times):
    np.testing.assert_array_equal(escape_times(ENDINGS, never=never).times, times)


def test_with_all_endings_as_never_the_curve_is_the_share_that_has_not_escaped():
    random = np.random.default_rng(0)
    reason = random.choice([RUNNING, ESCAPED, CONVERGED, DIVERGED, REACHED], 400)
    steps = np.where(reason == RUNNING, 100, random.integers(1, 100, 400))
    found = escape_times(made(reason, steps), never=("converged", "diverged", "reached"))
    for t in (1, 10, 50, 99):
        share = np.mean(~((reason == ESCAPED) & (steps <= t)))
        at = found.survival.S[np.searchsorted(found.survival.time, t, "right") - 1]
        assert at == pytest.approx(share, abs=1e-12)


def test_another_event_can_be_timed():
    np.testing.assert_array_equal(
        escape_times(ENDINGS, event="reached").escaped, [0, 0, 0, 0, 1, 0]
    )


def test_time_of_a_flow_is_steps_times_dt():
    flow = escape_times(made([ESCAPED, RUNNING], [7, 100], coords={"dt": 0.1}, clock="dt"))
    assert not flow.discrete
    np.testing.assert_allclose(flow.times, [0.7, 10.0])


def test_a_bridge_puts_an_escape_at_the_middle_of_its_step():
    sde = {"coords": {"dt": 0.1}, "clock": "dt"}
    run = made([ESCAPED, RUNNING, ESCAPED], [7, 100, 0], bridge="True", **sde)
    np.testing.assert_allclose(escape_times(run).times, [0.75, 10.0, 0.05])
    plain = made([ESCAPED, RUNNING], [7, 100], bridge="False", **sde)
    np.testing.assert_allclose(escape_times(plain).times, [0.7, 10.0])


def test_a_constant_called_dt_is_no_step_length():
    run = made([ESCAPED], [7], coords={"dt": 0.1})
    assert escape_times(run).times == [7]


def swept():
    random = np.random.default_rng(1)
    steps = random.integers(1, 100, (2, 3, 5))
    return made(
        np.full((2, 3, 5), ESCAPED),
        steps,
        dims=("dt", "rho", "particle"),
        coords={"dt": [0.1, 0.2], "rho": [0.0, 0.5, 1.0]},
        clock="dt",
    )


def test_a_sweep_has_times_for_each_value():
    run = swept()
    found = escape_times(run)
    assert isinstance(found, EscapeSweep)
    assert len(found) == 6
    assert found.each.dims == ("dt", "rho")
    one = found.sel(dt=0.2, rho=0.5)
    np.testing.assert_allclose(one.times, 0.2 * run.steps.sel(dt=0.2, rho=0.5))
    assert found.sel(rho=0.5).isel(dt=1) is one
    assert found.sel(rho=0.49, dt=0.21, method="nearest") is one
    values, last = list(found.items())[-1]
    assert values == {"dt": 0.2, "rho": 1.0}
    assert last is list(found)[-1]
    for array, name in ((found.median, "median"), (found.mean, "mean"), (found.rate, "rate")):
        assert array.dims == ("dt", "rho")
        assert array.sel(dt=0.2, rho=0.5) == getattr(one, name)
    assert found.summary["mean_high"].sel(dt=0.2, rho=0.5) == one.mean_interval[1]


def test_dimensions_to_pool_are_chosen():
    run = swept()
    over = escape_times(run, dim=("particle", "rho"))
    np.testing.assert_allclose(over.sel(dt=0.1).times, 0.1 * run.steps.sel(dt=0.1).values.ravel())
    assert escape_times(run, dim=["dt", "rho", "particle"]).n == 30
    assert len(escape_times(run, dim="rho").each.particle) == 5
    assert escape_times(run.sel(dt=0.1, rho=0.5)).n == 5
    np.testing.assert_allclose(
        escape_times(run.sel(dt=0.2, rho=0.5)).times, 0.2 * run.steps[1, 1].values
    )


def test_who_was_outside_from_the_start_is_left_out():
    with pytest.warns(UserWarning, match="1 of 3 particles escaped at step 0"):
        found = escape_times(made([ESCAPED, ESCAPED, RUNNING], [0, 3, 100]))
    np.testing.assert_array_equal(found.times, [3, 100])


def test_a_linear_saddle_is_left_at_the_step_that_its_multiplier_says():
    lr, radius = 0.1, 1.0
    x0 = sd.ball(200, center=(0, 0), radius=0.1, seed=3)
    system = sd.Map(sd.Loss("x**2/2 - y**2/2"), sd.GD(lr=lr))
    run = sd.simulate(system, x0, 60, until=sd.Escape(center=(0, 0), radius=radius), progress=False)
    found = escape_times(run)
    k = np.arange(61)[:, None]
    x, y = x0.values.T
    away = np.hypot(x * (1 - lr) ** k, y * (1 + lr) ** k) > radius
    first = np.argmax(away, axis=0)
    escaped = away.any(axis=0)
    assert 0 < found.censored < 40
    np.testing.assert_array_equal(found.escaped, escaped)
    np.testing.assert_array_equal(found.times, np.where(escaped, first, 60))
    assert found.median == np.sort(np.where(escaped, first, 61))[99]
    flow = sd.Flow(sd.Loss("-y**2/2"), sd.GD(lr=lr), dt=[0.05, 0.1])
    until = sd.Escape("y**2 > 1")
    late = escape_times(sd.simulate(flow, y[:, None], 200, until=until, progress=False))
    for dt in (0.05, 0.1):
        exact = np.log(1 / np.abs(y))
        one = late.sel(dt=dt)
        np.testing.assert_array_equal(one.escaped, exact <= 200 * dt)
        lag = one.times[one.escaped] - exact[one.escaped]
        assert np.all((lag > -1e-5) & (lag < dt + 1e-5))


REFUSALS = {
    "no run": (lambda: escape_times([1, 2]), TypeError, "run must be a result of samdyn.simulate"),
    "other data": (lambda: escape_times(ENDINGS.drop_vars("steps")), ValueError, "it lacks steps"),
    "dim": (lambda: escape_times(ENDINGS, "rho"), ValueError, "dim must be among particle"),
    "event": (lambda: escape_times(ENDINGS, event="left"), ValueError, "event must be one of"),
    "never": (lambda: escape_times(ENDINGS, never="converged"), TypeError, "must be a sequence"),
    "never what": (lambda: escape_times(ENDINGS, never=["x"]), ValueError, "never must name"),
    "not watched": (
        lambda: escape_times(
            ENDINGS.assign_attrs(recipe=json.dumps({"simulate": {"steps": 9, "until": []}}))
        ),
        ValueError,
        "no particle can have escaped",
    ),
    "interrupted": (
        lambda: escape_times(made([INTERRUPTED, ESCAPED], [3, 4])),
        ValueError,
        "interrupted, with 1 of 2 particles unfinished",
    ),
    "lost dt": (
        lambda: escape_times(made([ESCAPED], [3], clock="dt")),
        ValueError,
        "lost its coordinate dt",
    ),
    "empty": (lambda: EscapeTimes([]), ValueError, "at least one value"),
    "negative": (lambda: EscapeTimes([-1.0]), ValueError, "at least 0"),
    "nan": (lambda: EscapeTimes([np.nan]), ValueError, "finite"),
    "at once": (lambda: EscapeTimes([0.0]), ValueError, "must be above 0"),
    "shape": (lambda: EscapeTimes([1.0, 2.0], [True]), ValueError, "one shape"),
    "not bool": (lambda: EscapeTimes([1.0], [1]), TypeError, "True or False"),
    "not whole": (lambda: EscapeTimes([1.5], discrete=True), ValueError, "whole steps"),
    "level": (lambda: EscapeTimes([1.5], level=95), ValueError, "between 0 and 1, got 95"),
    "share": (lambda: EscapeTimes([1.0]).quantile(1.0), ValueError, "share must be between"),
    "edges": (lambda: EscapeTimes([1.0]).hazard([1.0, 1.0]), ValueError, "edges must increase"),
    "no edges": (lambda: EscapeTimes([1.0], [False]).hazard(3), ValueError, "give the edges"),
    "half edges": (
        lambda: EscapeTimes([1.0], discrete=True).hazard([0, 0.5]),
        ValueError,
        "whole steps",
    ),
    "until": (
        lambda: EscapeTimes([1.0], [False]).restricted_mean(2.0),
        ValueError,
        "until must be at most 1",
    ),
    "nobody": (lambda: EscapeTimes([1.0], [False]).exponential(), ValueError, "nobody escaped"),
    "few": (lambda: EscapeTimes([1.0]).two_phase(), ValueError, "at least 10 escapes, got 1"),
    "one": (lambda: logrank(EscapeTimes([1.0]), [1.0]), TypeError, "b must be EscapeTimes"),
    "units": (
        lambda: logrank(EscapeTimes([1.0]), EscapeTimes([1.0], discrete=True)),
        ValueError,
        "one unit of time",
    ),
    "none": (
        lambda: logrank(EscapeTimes([1.0], [False]), EscapeTimes([1.0], [False])),
        ValueError,
        "nobody escaped in either",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()
