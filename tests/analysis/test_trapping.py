"""In which sense a point traps, and how fast what is not trapped leaves."""

import numpy as np
import pytest

import samdyn as sd

TENT = {"x": "1.5 - 3*abs(x - 0.5)"}
"""Slope 3: a third of [0, 1] leaves at each step, whatever the step."""


def trapping(*given, **options):
    return sd.trapping(*given, progress=False, **options)


@pytest.mark.slow
def test_the_escape_rate_of_a_tent_map_is_within_its_interval():
    rates, covered = [], 0
    for seed in range(20):
        found = trapping(
            sd.FormulaMap(TENT),
            [0.5],
            radius=0.5,
            spread=0.499999,
            steps=10,
            particles=4000,
            seed=seed,
        )
        low, high = found.escape_interval
        # escapes per particle and step present: of those present a third leaves
        covered += low <= 1 / 3 <= high
        rates.append(found.escape_rate)
        assert low < found.escape_rate < high
    assert covered >= 16
    assert abs(np.mean(rates) - 1 / 3) < 0.01


@pytest.mark.slow
def test_attractor_repelling_and_undecided():
    saddle = sd.Loss("x**2 - y**2/2")
    found = trapping(sd.Map(saddle, sd.SAM(lr=0.1, rho=0.3)), [0, 0], radius=1.0, steps=5000)
    assert (found.kind, found.share, found.attractors[0].period) == ("attractor", 1.0, 2)
    assert found.escape_rate == 0
    assert 0 < found.escape_interval[1] < 1e-5
    found = trapping(sd.Map(saddle, sd.GD(lr=0.1)), [0, 0], radius=1.0, steps=5000)
    assert (found.kind, found.share) == ("repelling", 0.0)
    assert np.all(found.escaped)
    usam = sd.Map(saddle, sd.USAM(lr=0.1, rho=0.9999))  # leaves at 1e-5 a step
    assert trapping(usam, [0, 0], radius=1.0, steps=1000).kind == "undecided"
    usam = sd.Map(saddle, sd.USAM(lr=0.1, rho=1.1))
    found = trapping(usam, [0, 0], radius=1.0, steps=1000)
    assert found.kind == "attractor"
    assert found.attractors[0].rate == pytest.approx(np.log(0.99))


@pytest.mark.slow
def test_chaos_and_a_long_transient_are_told_apart():
    logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.9)
    found = trapping(logistic, [0.5], radius=0.49, spread=0.3, particles=200, steps=20_000)
    assert found.kind == "chaotic"
    assert found.exponent == pytest.approx(0.496, abs=0.02)
    leaky = logistic.replace(r=4.001)  # a hole of width about 1/sqrt(4001)
    found = trapping(leaky, [0.5], radius=0.5, spread=0.3, particles=2000, steps=120)
    assert found.kind == "transient"
    assert found.escape_interval[0] < found.escape_rate < found.escape_interval[1]


def test_threads_play_no_part():
    system = sd.Map(sd.Loss("x**2 - y**2/2"), sd.SAM(lr=0.1, rho=0.3))
    one, two = (trapping(system, [0, 0], radius=1.0, steps=5000, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one.steps, two.steps)
    assert repr(one) == repr(two)


@pytest.mark.parametrize(
    ("point", "options", "said"),
    [
        ([0, 0], {"radius": -1.0}, "radius"),
        ([0, 0], {"radius": 1.0, "spread": 2.0}, "spread must be below radius"),
        ([[0, 0]], {"radius": 1.0}, "point must be one point"),
        ([0, 0], {"radius": 1.0, "steps": 3}, "steps"),
    ],
)
def test_refusals(point, options, said):
    with pytest.raises(ValueError, match=said):
        trapping(sd.Map(sd.Loss("x**2 - y**2"), sd.GD(lr=0.1)), point, **options)


def test_a_slow_saddle_has_its_rate():
    """It is too slow for the run, but its multiplier is known."""
    saddle = sd.Map(sd.Loss("x**2 - y**2/2"), sd.GD(lr=1e-4))
    found = sd.trapping(saddle, [0, 0], radius=1.0, steps=2000, progress=False)
    assert found.kind == "undecided"
    assert found.exponent == pytest.approx(np.log1p(1e-4), rel=1e-12)
