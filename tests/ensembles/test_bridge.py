"""Crossings between two steps of an SDE: the condition itself, and exact first-passage laws.

Every run is at a fixed seed; a mean is within 4 standard errors of the exact one, or where the
scheme has an error of its own, within what the comment says.
"""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import erfc

import samdyn as sd
from samdyn.ensembles.moment import Moment
from samdyn.words import Point

LEAST = 1e-4
EXACT = 5.90499591443841
"""Mean time of dx = (x - x^3) dt + 0.7 dW from -1 to 0, by quadrature in mpmath."""


def condition(system, event, now, then, uniform=0.5):
    """Whether the event holds for arrays of points now and one step later."""
    numbers = {name: np.asarray(value, float) for name, value in system.numbers.items()}
    moment = Moment(system, Point(np.transpose(now)), Point(np.transpose(then)), numbers)
    thresholds = {**event.numbers(), "exponential": -np.log(uniform), "going": True}
    with np.errstate(all="ignore"):
        return event.prepare(system)(moment, thresholds)


def probability(system, event, now, then):
    """With which probability it holds: the largest uniform for which it does."""
    low, high = np.zeros(len(now)), np.ones(len(now))
    for _ in range(50):
        middle = (low + high) / 2
        holds = condition(system, event, now, then, middle)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return low


PLANE = sd.FormulaSDE(
    {"x": "0", "y": "0"}, {"x": ["s", "0"], "y": ["k*x", "1"]}, dt=0.1, s=0.8, k=0.5
)
RNG = np.random.default_rng(1)
NOW, THEN = RNG.uniform(-0.6, 0.6, (2, 60, 2))


def bridged(a, b, slope, now):
    """Gobet's formula with the variance across the boundary by matrices."""
    rows = np.array([[[0.8, 0.0], [0.5 * x, 1.0]] for x, _ in now])
    across = np.einsum("ni,nij->nj", slope, rows)
    return np.exp(-2 * a * b / (np.sum(across**2, axis=1) * 0.1))


def test_a_half_plane():
    got = probability(PLANE, sd.Escape("x + 2*y > 1.9"), NOW, THEN)
    a, b = (1.9 - p[:, 0] - 2 * p[:, 1] for p in (NOW, THEN))
    expected = bridged(a, b, np.tile([1.0, 2.0], (60, 1)), NOW)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert expected.max() > 0.01
    np.testing.assert_allclose(
        probability(PLANE, sd.Escape("1.9 < x + 2*y"), NOW, THEN), got, atol=1e-12
    )
    np.testing.assert_allclose(
        probability(PLANE, sd.Escape("not x + 2*y < 1.9"), NOW, THEN), got, atol=1e-12
    )
    below = probability(PLANE, sd.Escape("-x - 2*y <= -1.9"), NOW, THEN)
    np.testing.assert_allclose(below, got, atol=1e-12)


def test_a_disc():
    center = np.array([0.1, -0.2])
    got = probability(PLANE, sd.Escape(center=(0.1, -0.2), radius=1.1), NOW, THEN)
    away = NOW - center
    lengths = [np.hypot(*(p - center).T) for p in (NOW, THEN)]
    slope = -away / lengths[0][:, None]
    expected = bridged(1.1 - lengths[0], 1.1 - lengths[1], slope, NOW)
    np.testing.assert_allclose(got, np.minimum(expected, 1), rtol=1e-9, atol=1e-12)


def test_a_box_looks_at_its_nearest_side():
    got = probability(PLANE, sd.Escape(box=((-0.7, 0.8), (-0.9, 0.75))), NOW, THEN)
    sides = [
        lambda p: p[0] + 0.7,
        lambda p: 0.8 - p[0],
        lambda p: p[1] + 0.9,
        lambda p: 0.75 - p[1],
    ]
    slopes = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    nearest = [min(range(4), key=lambda k: sides[k](p)) for p in NOW]
    a = np.array([min(side(p) for side in sides) for p in NOW])
    b = np.array([min(side(p) for side in sides) for p in THEN])
    expected = bridged(a, b, slopes[nearest], NOW)
    np.testing.assert_allclose(got, np.minimum(expected, 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("region", "nearest"), [("x > 0.8 or y > 0.9", min), ("x > 0.8 and y > 0.9", max)]
)
def test_conditions_joined(region, nearest):
    got = probability(PLANE, sd.Escape(region), NOW, THEN)
    pairs = [np.stack([0.8 - p[:, 0], 0.9 - p[:, 1]], axis=1) for p in (NOW, THEN)]
    a, b = (np.array([nearest(pair) for pair in one]) for one in pairs)
    chosen = np.array([list(pair).index(nearest(pair)) for pair in pairs[0]])
    expected = bridged(a, b, np.array([[-1.0, 0.0], [0.0, -1.0]])[chosen], NOW)
    np.testing.assert_allclose(got, np.minimum(expected, 1), rtol=1e-9, atol=1e-12)


def test_a_step_to_the_other_side_has_crossed():
    event = sd.Escape("x > 0.3")
    now, then = (
        np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.0]]),
        np.array([[0.5, 0], [0.0, 0], [0, 0]]),
    )
    for uniform in (1e-16, 0.5, 1 - 1e-16):
        crossed = condition(PLANE, event, now, then, uniform)
        assert crossed[:2].tolist() == [True, True]
    assert not condition(PLANE, event, now, then, 1 - 1e-16)[2]


def test_no_noise_across_the_boundary_means_no_crossing():
    system = sd.FormulaSDE({"x": "1", "y": "0"}, {"y": "1"}, dt=0.1)
    inside, over = np.array([[0.0, 0.0]]), np.array([[0.5, 0.0]])
    event = sd.Escape("x > 0.3")
    assert not condition(system, event, inside, inside, 1e-16)[0]
    assert condition(system, event, inside, over, 1 - 1e-16)[0]


def test_a_region_may_name_the_loss_and_its_gradient():
    loss = sd.Loss("x**2/2 + y**2 + s*(u*x + v*y)", "x y", noise="u v", s=0.6)
    system = sd.SDE(loss, sd.GD(lr=2.0), dt=0.5)
    rows = np.sqrt(2.0) * 0.6 * np.eye(2)
    for region, inside, slope in (
        (
            "loss > 0.9",
            lambda p: 0.9 - p[:, 0] ** 2 / 2 - p[:, 1] ** 2,
            lambda p: np.stack([-p[:, 0], -2 * p[:, 1]], axis=1),
        ),
        (
            "grad_norm > 1.9",
            lambda p: 1.9 - np.hypot(p[:, 0], 2 * p[:, 1]),
            lambda p: (
                -np.stack([p[:, 0], 4 * p[:, 1]], axis=1) / np.hypot(p[:, 0], 2 * p[:, 1])[:, None]
            ),
        ),
        (
            "x > s + 0.3",
            lambda p: 0.9 - p[:, 0],
            lambda p: np.tile([-1.0, 0.0], (len(p), 1)),
        ),
    ):
        got = probability(system, sd.Escape(region), NOW, THEN)
        variance = np.sum((slope(NOW) @ rows) ** 2, axis=1)
        expected = np.exp(-2 * inside(NOW) * inside(THEN) / (variance * 0.5))
        assert expected.max() > 1e-6
        np.testing.assert_allclose(got, np.minimum(expected, 1), rtol=1e-8, atol=1e-12)


def test_the_bridge_is_for_sdes():
    flow = sd.Flow(sd.Loss("x**2/2"), sd.GD(lr=0.1), dt=0.1)
    random = sd.Map(sd.Loss("x**2/2 + x*u", noise="u"), sd.GD(lr=0.1))
    for system in (random, flow):
        with pytest.raises(ValueError, match="bridge goes with an SDE, whose path runs on between"):
            sd.simulate(system, [0.1], 10, until=sd.Escape("x > 1", bridge=True))
        assert not sd.Escape("x > 1").bridges(system)
    for given, expected in ((None, True), (True, True), (False, False)):
        assert sd.Escape("x > 1", bridge=given).bridges(PLANE) is expected


# --- Brownian motion, for which the bridge is exact at any step length

BROWNIAN = sd.FormulaSDE({"x": "0"}, {"x": "s"}, dt=0.25, s=0.8)
LEVEL, MANY, STEPS = 1.3, 20_000, 60


def hit_by(time, level=LEVEL):
    """P(T <= t) by the reflection principle."""
    return erfc(level / (0.8 * np.sqrt(2 * np.maximum(time, 1e-300))))


def passage(bridge, seed=1):
    start = np.zeros((MANY, 1))
    return sd.simulate(
        *(BROWNIAN, start, STEPS),
        until=sd.Escape("x > 1.3", bridge=bridge),
        seed=seed,
        progress=False,
    )


def test_the_law_of_brownian_motion_s_first_passage():
    """Step by step, although a step is long."""
    run = passage(None)
    assert run.attrs["bridge"] == "True"
    law = np.diff([*hit_by(0.25 * np.arange(STEPS + 1)), 1.0])
    assert run.steps.max() == STEPS
    counts = np.bincount(run.steps.values, minlength=STEPS + 1)
    first = 2  # the first two steps are one class: few are expected
    observed = np.array([counts[:first].sum(), *counts[first:]])
    expected = np.array([law[:first].sum(), *law[first:]]) * MANY
    assert expected.min() > 5
    assert stats.chisquare(observed, expected).pvalue > LEAST
    assert (run.final < LEVEL).all()  # each stands where it was before it crossed
    # who has not crossed is distributed as the reflection principle says
    rest = run.final.values[run.steps.values == STEPS, 0]
    end = 0.8 * np.sqrt(0.25 * STEPS)

    def cumulative(x):
        inside = stats.norm.cdf(x / end) - stats.norm.cdf((x - 2 * LEVEL) / end)
        return inside / (1 - hit_by(0.25 * STEPS))

    assert stats.kstest(rest, cumulative).pvalue > LEAST


def test_a_crossing_after_the_last_step_is_not_looked_for():
    """Else it would come later than the time at which all others are censored."""
    run = passage(None)
    assert (run.reason[run.steps == STEPS] == 0).all()
    curve = sd.escape_times(run).survival
    exact = 1 - hit_by(0.25 * STEPS)
    error = np.sqrt(exact * (1 - exact) / MANY)
    assert curve.S[-1] == pytest.approx(exact, abs=4 * error)


@pytest.mark.slow
def test_without_the_bridge_passages_are_late():
    """As if the level were 0.5826 sqrt(s^2 dt) higher (Broadie, Glasserman and Kou, 1997)."""
    run = passage(False)
    assert run.attrs["bridge"] == "False"
    for steps in (8, 20, STEPS):
        seen = float((run.steps <= steps).where(run.reason != 0, False).mean())
        error = np.sqrt(seen * (1 - seen) / MANY)
        time = 0.25 * steps
        assert seen < hit_by(time) - 10 * error
        assert seen == pytest.approx(hit_by(time, LEVEL + 0.5826 * 0.4), abs=4 * error + 0.004)
    assert (run.final.values[run.reason.values != 0] > LEVEL).all()


# --- other regions


def mean_time(run, dt):
    assert (run.reason == 1).all()
    times = (run.steps.values + 0.5) * dt
    return times.mean(), times.std() / np.sqrt(times.size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "exact"),
    [
        # the mean time is R^2/(2 s^2) in the plane
        (sd.Escape(center=(0.0, 0.0), radius=1.0), 0.5),
        (sd.Escape("x**2 + y**2 > 1"), 0.5),
        # a strip whose sides are as far as 0.6 and 1.0
        (sd.Escape("x > 1 or x < -0.6"), 0.6),
        (sd.Escape(box=((-0.6, 1.0), (-50.0, 50.0))), 0.6),
        # the square: Timoshenko's series
        (
            sd.Escape(box=((-1.0, 1.0), (-1.0, 1.0))),
            1.0
            - 32
            / np.pi**3
            * sum(
                (-1) ** k / ((2 * k + 1) ** 3 * np.cosh((2 * k + 1) * np.pi / 2)) for k in range(20)
            ),
        ),
    ],
)
def test_mean_times_of_planar_brownian_motion(event, exact):
    dt = 2e-3
    plane = sd.FormulaSDE({"x": "0", "y": "0"}, {"x": "1", "y": "1"}, dt=dt)
    run = sd.simulate(plane, np.zeros((20_000, 2)), 20_000, until=event, seed=3, progress=False)
    mean, error = mean_time(run, dt)
    assert error < 0.007 * exact
    # the bridge is a half-plane's and one side's: an error of the order of dt, below 0.5 %
    assert mean == pytest.approx(exact, abs=4 * error + 0.005 * exact)


@pytest.mark.slow
def test_an_ornstein_uhlenbeck_process_against_quadrature():
    dt = 5e-3
    system = sd.FormulaSDE({"x": "k*(0.3 - x)"}, {"x": "s"}, dt=dt, k=1.2, s=0.8)
    event = sd.Escape("x > 1.2 or x < -1")
    run = sd.simulate(system, np.zeros((20_000, 1)), 20_000, until=event, seed=5, progress=False)
    mean, error = mean_time(run, dt)
    exact = float(sd.first_passage(system, event)(np.array([[0.0]])).item())
    assert mean == pytest.approx(exact, abs=4 * error + 0.004 * exact)
    late = sd.simulate(
        *(system, np.zeros((20_000, 1)), 20_000),
        until=sd.Escape("x > 1.2 or x < -1", bridge=False),
        seed=5,
        progress=False,
    )
    assert late.steps.mean() * dt > exact + 4 * error


# --- the double well

WELL = sd.FormulaSDE({"x": "x - x**3"}, {"x": "s"}, dt=0.01, s=0.7)


@pytest.mark.slow
def test_the_double_well_s_mean_time():
    """The bridge leaves less than 1 %; without it the time is 7 % too long."""
    start = np.full((150_000, 1), -1.0)
    means = {}
    for bridge in (True, False):
        event = sd.Escape("x > 0", bridge=bridge)
        run = sd.simulate(WELL, start, 20_000, until=event, seed=99, progress=False)
        assert (run.reason == 1).all()
        times = (run.steps.values + 0.5 * bridge) * 0.01
        means[bridge] = times.mean() / EXACT - 1
        error = times.std() / np.sqrt(times.size) / EXACT
        assert error < 0.003  # 0.25 %
    assert abs(means[True]) < 0.01
    assert 0.055 < means[False] < 0.085


@pytest.mark.slow
def test_intervals_cover_the_exact_mean_as_often_as_they_say():
    """400 repeats of 400 particles, 95 % intervals of the mean: 93 to 97 % of them cover it."""
    points = xr.DataArray(
        np.full((400, 400, 1), -1.0),
        dims=("repeat", "particle", "coord"),
        coords={"coord": ["x"]},
    )
    run = sd.simulate(WELL, points, 30_000, until=sd.Escape("x > 0"), seed=12, progress=False)
    covered = 0
    for k in range(400):
        low, high = sd.escape_times(run.isel(repeat=k)).mean_interval
        covered += low <= EXACT <= high
    assert 0.93 * 400 <= covered <= 0.97 * 400
