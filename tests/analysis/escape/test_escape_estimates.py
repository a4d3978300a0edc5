"""What is estimated, against plain loops, exact laws, and repeated experiments."""

import numpy as np
import pytest

from samdyn.analysis.escape.logrank import logrank
from samdyn.analysis.escape.phase_likelihood import condensed, log_likelihood
from samdyn.analysis.escape.survival import EscapeTimes

REPEATS = 400
BAND = (0.95 - 3 * np.sqrt(0.95 * 0.05 / REPEATS), 0.95 + 3 * np.sqrt(0.95 * 0.05 / REPEATS))


def cut(times, last, discrete=False):
    return EscapeTimes(np.minimum(times, last), times <= last, discrete=discrete)


def coverage(make, get, truth):
    random = np.random.default_rng(2)
    ends = np.array([get(make(random)) for _ in range(REPEATS)])
    return np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))


@pytest.mark.parametrize(
    ("make", "get", "truth"),
    [
        (lambda r: cut(r.exponential(2, 80), 3.0), lambda e: e.rate_interval, 0.5),
        (lambda r: cut(r.exponential(2, 80), 3.0), lambda e: e.mean_interval, 2.0),
        (lambda r: cut(r.exponential(2, 30), 1e9), lambda e: e.rate_interval, 0.5),
        (lambda r: cut(r.gamma(2, 1, 80), 1e9), lambda e: e.mean_interval, 2.0),
        (lambda r: cut(r.geometric(0.3, 60), 5, True), lambda e: e.rate_interval, 0.3),
        (lambda r: cut(r.geometric(0.3, 30), 1e9, True), lambda e: e.rate_interval, 0.3),
        (lambda r: cut(r.exponential(2, 80), 3.0), lambda e: e.median_interval, 2 * np.log(2)),
        (
            lambda r: cut(r.exponential(2, 80), 3.0),
            lambda e: e.restricted_mean(2.0)[2:],
            2 * (1 - np.exp(-1)),
        ),
    ],
    ids=["rate", "mean", "all seen", "any law", "steps", "all steps", "median", "restricted"],
)
def test_intervals_cover(make, get, truth):
    assert BAND[0] <= coverage(make, get, truth) <= BAND[1]


def test_a_geometric_law_is_not_taken_for_an_exponential_one():
    """At p = 0.8 the Poisson interval is more than twice as wide as the binomial one."""
    steps = np.random.default_rng(0).geometric(0.8, 400)
    whole, smooth = EscapeTimes(steps, discrete=True), EscapeTimes(steps)
    assert whole.rate == smooth.rate
    width = [np.subtract(*one.rate_interval[::-1]) for one in (whole, smooth)]
    assert width[0] / width[1] == pytest.approx(np.sqrt(1 - whole.rate), rel=0.03)


def kaplan_meier(times, escaped, level_z=1.959963984540054):
    """A plain loop over the distinct times."""
    S, variance, rows = 1.0, 0.0, [(0.0, 1.0, 1.0, 1.0)]
    for t in sorted(set(times[escaped])):
        risk = sum(times >= t)
        died = sum((times == t) & escaped)
        S *= 1 - died / risk
        if S == 0:
            rows.append((t, 0.0, 0.0, rows[-1][3]))
            continue
        variance += died / (risk * (risk - died))
        reach = level_z * np.sqrt(variance) / np.log(S)
        rows.append((t, S, S ** np.exp(-reach), S ** np.exp(reach)))
    if times.max() > rows[-1][0]:
        rows.append((times.max(), *rows[-1][1:]))
    return np.array(rows).T


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("last", [2.0, 100.0])
def test_kaplan_meier_is_that_of_a_plain_loop(ties, last):
    random = np.random.default_rng(4)
    times = np.minimum(random.exponential(2, 60), random.uniform(0.1, 2 * last, 60))
    escaped = random.uniform(size=60) < 0.8
    if ties:
        times = np.ceil(3 * times)
    found = EscapeTimes(times, escaped, discrete=ties).survival
    time, S, low, high = kaplan_meier(times, escaped)
    np.testing.assert_array_equal(found.time, time)
    np.testing.assert_allclose(found.S, S, rtol=1e-12, atol=1e-15)
    bounds = sorted([low[1], high[1]])
    assert found.low[1] == pytest.approx(bounds[0])
    np.testing.assert_allclose(found.low, np.minimum(low, high), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.high, np.maximum(low, high), rtol=1e-9, atol=1e-12)


def test_small_ensembles_are_told_honestly():
    none = EscapeTimes([3.0, 4.0], [False, False])
    assert (none.rate, none.mean, none.median) == (0.0, np.inf, np.inf)
    assert none.rate_interval == pytest.approx((0.0, -np.log(0.025) / 7))
    assert none.mean_interval[1] == np.inf
    np.testing.assert_array_equal(none.survival.S, [1, 1])
    one = EscapeTimes([2.0])
    assert one.mean_interval == (0.0, np.inf)
    np.testing.assert_array_equal(one.survival[:2], [[0, 2], [1, 0]])
    assert EscapeTimes([1, 1], discrete=True).rate_interval[1] == 1.0
    assert np.isnan(EscapeTimes([0.0], [False]).rate)


def test_the_hazard_is_escapes_over_exposure():
    times, escaped = np.array([1.0, 2.0, 2.5, 4.0]), np.array([True, True, False, True])
    found = EscapeTimes(times, escaped).hazard([0, 2, 3, 6, 8])
    np.testing.assert_array_equal(found.escapes, [2, 0, 1, 0])
    np.testing.assert_allclose(found.exposure, [7.0, 1.5, 1.0, 0.0])
    np.testing.assert_allclose(found.rate, [2 / 7, 0, 1, np.nan])
    assert (found.low[1], found.low[3], found.high[3]) == (0, 0, np.inf)
    # Garwood's interval of 2 events: 0.2422 to 7.2247
    np.testing.assert_allclose([7 * found.low[0], 7 * found.high[0]], [0.2422, 7.2247], rtol=1e-4)
    random = np.random.default_rng(0)
    smooth = cut(3 * random.weibull(2, 100_000), 3.0).hazard(np.linspace(0, 3, 31))
    middle = (smooth.edges[1:] + smooth.edges[:-1]) / 2
    exact = 2 * middle / 9
    assert np.mean((smooth.low <= exact) & (exact <= smooth.high)) > 0.8


def test_the_restricted_mean_is_the_mean_where_all_escaped():
    times = np.random.default_rng(0).exponential(2, 50)
    found = EscapeTimes(times).restricted_mean()
    assert found.value == pytest.approx(times.mean())
    assert found.standard_error == pytest.approx(times.std() / np.sqrt(50), rel=1e-9)


def test_the_exponential_fit_tells_its_law_from_another():
    random = np.random.default_rng(5)
    right = [cut(random.exponential(2, 400), 3.0).exponential().p_value for _ in range(200)]
    assert 0.005 <= np.mean(np.array(right) < 0.05) <= 0.1
    assert cut(2 * random.weibull(1.5, 400), 3.0).exponential().p_value < 1e-3
    fit = EscapeTimes(random.geometric(0.4, 2000), discrete=True).exponential()
    assert fit.p_value > 1e-3
    np.testing.assert_allclose(fit.survival([0, 1, 2.5]), [1, 1 - fit.rate, (1 - fit.rate) ** 2])
    assert np.isnan(EscapeTimes([1.0, 2.0]).exponential().p_value)
    smooth = EscapeTimes([1.0, 3.0]).exponential()
    assert smooth.log_likelihood == pytest.approx(2 * np.log(0.5) - 2)
    np.testing.assert_allclose(smooth.survival(2.0), np.exp(-1))


@pytest.mark.parametrize("discrete", [False, True])
def test_the_slope_of_the_two_phase_likelihood(discrete):
    random = np.random.default_rng(6)
    times = np.ceil(10 * random.exponential(1, 200)) if discrete else random.exponential(1, 200)
    data = condensed(cut(times, np.quantile(times, 0.8), discrete), times.mean())
    for z in ([-0.5, 0.7, 0.3], [0.2, -1.0, 0.9], [-1.0, 3.0, 0.01]):
        slope = log_likelihood(np.array(z), data)[1]
        for k in range(3):
            step = np.eye(3)[k] * 1e-5
            ahead, behind = (log_likelihood(z + sign * step, data)[0] for sign in (1, -1))
            assert slope[k] == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-4)


def two_rates(random, n, delay):
    """A sum of two waiting times, or one of two."""
    if delay:
        return random.exponential(0.5, n) + random.exponential(3, n)
    return np.where(random.uniform(size=n) < 0.3, 1, 15) * random.exponential(0.2, n)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [None, 20], ids=["time", "steps"])
@pytest.mark.parametrize(
    ("delay", "fast", "weight"), [(False, 5.0, 0.3), (True, 2.0, -0.2)], ids=["rush", "delay"]
)
def test_two_phases_are_found_again(delay, fast, weight, steps):
    random = np.random.default_rng(7)
    pulls, warranted = [], 0
    for _ in range(15):
        times = two_rates(random, 3000, delay)
        whole = times if steps is None else np.ceil(steps * times)
        unit = steps or 1.0
        fit = cut(whole, 6.0 * unit, steps is not None).two_phase()
        warranted += fit.warranted
        estimates = (fit.slow, 1 / 3 / unit), (fit.fast, fast / unit), (fit.weight, weight)
        pulls.append([(one.value - truth) / one.standard_error for one, truth in estimates])
    assert warranted == 15
    assert np.max(np.abs(pulls)) < 4.5
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 1.1)  # 15 pulls have a mean of 0 +- 0.26
    assert np.mean(np.abs(pulls) < 1.96) > 0.8
    t = np.linspace(0, 5 * unit, 50)
    exact = weight * np.exp(-fast * t / unit) + (1 - weight) * np.exp(-t / (3 * unit))
    np.testing.assert_allclose(fit.survival(t), exact, atol=0.04)
    slope = (fit.survival(t + 1e-6) - fit.survival(t - 1e-6)) / 2e-6
    np.testing.assert_allclose(fit.hazard(t), -slope / fit.survival(t), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_one_phase_does_not_warrant_two():
    random = np.random.default_rng(8)
    found = [cut(random.exponential(2, 300), 4.0).two_phase().warranted for _ in range(30)]
    assert np.mean(found) < 0.25
    whole = [EscapeTimes(random.geometric(0.3, 300), discrete=True).two_phase() for _ in range(20)]
    assert np.mean([fit.warranted for fit in whole]) < 0.3


@pytest.mark.slow
def test_logrank_has_its_size_power_and_coverage():
    random = np.random.default_rng(9)
    same = [logrank(*(cut(random.exponential(2, 60), 3.0) for _ in "ab")) for _ in range(REPEATS)]
    assert BAND[0] <= np.mean([one.p_value > 0.05 for one in same]) <= BAND[1]
    other = [
        logrank(cut(random.exponential(2, 200), 3.0), cut(random.exponential(4, 200), 3.0))
        for _ in range(REPEATS)
    ]
    assert np.mean([one.p_value < 0.05 for one in other]) > 0.99
    assert np.mean([one.statistic for one in other]) > 3
    inside = [one.hazard_ratio_interval[0] <= 2 <= one.hazard_ratio_interval[1] for one in other]
    assert BAND[0] <= np.mean(inside) <= BAND[1]
    assert np.median([one.hazard_ratio for one in other]) == pytest.approx(2, rel=0.03)


def test_logrank_by_a_plain_loop_with_ties():
    random = np.random.default_rng(10)
    a = cut(random.geometric(0.3, 40), 6, True)
    b = cut(random.geometric(0.2, 50), 6, True)
    excess = variance = 0.0
    for t in range(1, 7):
        risk = np.array([np.sum(one.times >= t) for one in (a, b)])
        died = np.array([np.sum((one.times == t) & one.escaped) for one in (a, b)])
        share = risk[0] / risk.sum()
        excess += died[0] - died.sum() * share
        left = (risk.sum() - died.sum()) / (risk.sum() - 1)
        variance += died.sum() * share * (1 - share) * left
    found = logrank(a, b)
    assert found.statistic == pytest.approx(excess / np.sqrt(variance))
    back = logrank(b, a)
    assert back.hazard_ratio == pytest.approx(1 / found.hazard_ratio)
    assert back.hazard_ratio_interval[0] == pytest.approx(1 / found.hazard_ratio_interval[1])


def test_an_ensemble_without_escapes_has_hazard_ratio_0():
    still = EscapeTimes(np.full(20, 5.0), np.zeros(20, bool))
    moving = EscapeTimes(np.linspace(1, 4, 20))
    assert logrank(still, moving).hazard_ratio == 0
    low, high = logrank(still, moving).hazard_ratio_interval
    assert low == 0
    assert 0 < high < 0.2
    assert logrank(moving, still).hazard_ratio == np.inf


@pytest.mark.slow
def test_a_million_times_are_quick():
    import time

    random = np.random.default_rng(11)
    began = time.perf_counter()
    seen = cut(two_rates(random, 10**6, True), 6.0)
    assert seen.two_phase().fast.value == pytest.approx(2, rel=0.05)
    assert seen.median == pytest.approx(2.63, rel=0.02)
    logrank(seen, seen)
    assert time.perf_counter() - began < 60
