"""Two phases of series whose rates are known, of runs, and what is absent."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import samdyn as sd
from samdyn.analysis.late.phases import two_phase
from samdyn.analysis.late.pooled import _jackknifed

RATE, DECAY, PLATEAU, PEAK = 0.2, 0.1, 1e-5, 1e-2


def series(values):
    values = np.atleast_2d(values)
    time = np.arange(values.shape[-1])
    return xr.DataArray(values, dims=("particle", "time"), coords={"time": time})


def simulated(rng, n, noise=0.0, walk=0.0, jump=0.0, steps=300):
    """Growth to PEAK, then decay to PLATEAU; noise is independent, or adds up while growing."""
    t = np.arange(steps)
    rows = []
    for _ in range(n):
        summed = np.concatenate([[0.0], np.cumsum(walk * rng.standard_normal(steps - 1))])
        rise = 1e-8 * np.exp(RATE * t + summed + jump * (t > 0))
        end = int(np.argmax(rise > PEAK))
        fall = PEAK * np.exp(-DECAY * (t - end)) + PLATEAU
        rows.append(np.where(t < end, rise, fall) * np.exp(noise * rng.standard_normal(steps)))
    return series(rows)


def held(found, name, truth):
    low, high = found[f"{name}_interval"].values.T
    return np.mean((low <= truth) & (truth <= high))


def test_without_noise_the_rates_are_exact():
    found = two_phase(simulated(np.random.default_rng(0), 1)).isel(particle=0)
    assert bool(found.escapes)
    assert bool(found.converges)
    assert float(found.escape_rate) == pytest.approx(RATE, abs=1e-9)
    assert float(found.multiplier) == pytest.approx(np.exp(RATE / 2), abs=1e-9)
    assert float(found.convergence_rate) == pytest.approx(DECAY, abs=1e-6)
    assert float(found.plateau) == pytest.approx(PLATEAU, rel=1e-4)
    assert int(found.end) == int(np.ceil(np.log(PEAK / 1e-8) / RATE))


@pytest.mark.parametrize(
    "kind", [{"noise": 0.3}, {"walk": 0.2}, pytest.param({"noise": 0.1, "walk": 0.2, "jump": 5.0})]
)
def test_intervals_hold_the_rates(kind):
    n = 70
    found = two_phase(simulated(np.random.default_rng(7), n, **kind))
    assert bool(found.escapes.all())
    assert bool(found.converges.all())
    assert held(found, "escape", RATE) >= 0.85
    assert held(found, "convergence", DECAY) >= 0.88
    assert abs(float(found.escape_rate.mean()) - RATE) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", [{"noise": 0.3}, {"walk": 0.2}, {"walk": 0.2, "jump": 5.0}])
def test_coverage_of_two_hundred_series(kind):
    found = two_phase(simulated(np.random.default_rng(8), 200, **kind))
    for name, truth in (("escape", RATE), ("convergence", DECAY)):
        assert 0.9 <= held(found, name, truth) <= 1.0


@pytest.mark.slow
def test_the_mean_loss_grows_as_theory_says_and_its_interval_holds_that():
    """Of exp of a Gaussian walk, E L grows by walk^2/2 more than a typical L."""
    hits, typical = [], []
    for seed in range(40):
        data = simulated(np.random.default_rng(seed), 60, walk=0.2).isel(time=slice(0, 40))
        found = two_phase(data, over="particle")
        low, high = found.escape_interval.values
        hits.append(low <= RATE + 0.02 <= high)
        low, high = found.typical_interval.values
        typical.append(low <= RATE <= high)
    assert np.mean(hits) >= 0.8
    assert np.mean(typical) >= 0.85


def test_phases_that_are_absent_are_said_to_be():
    rng = np.random.default_rng(9)
    t = np.arange(200)
    shown = {
        "noise": np.exp(0.5 * rng.standard_normal((25, 200))),
        "squares of noise": rng.standard_normal((25, 200)) ** 2,
        "decay": np.exp(-0.05 * t + 0.2 * rng.standard_normal((25, 200))),
        "growth": np.exp(0.05 * t + 0.2 * rng.standard_normal((25, 200))),
        "constant": np.ones((1, 200)),
    }
    share = {}
    for name, values in shown.items():
        found = two_phase(series(values))
        share[name] = float(found.escapes.mean()), float(found.converges.mean())
        absent = found.where(~found.escapes)
        assert bool(absent.escape_rate.isnull().all())
        assert set(found.end.values[~found.escapes.values]) <= {-1}
    assert share["constant"] == (0.0, 0.0)
    assert max(share["noise"] + share["squares of noise"]) <= 0.08
    assert share["decay"] == (0.0, 1.0)
    assert share["growth"] == (1.0, 0.0)
    single = two_phase(series(shown["decay"]))
    assert float(single.convergence_rate.mean()) == pytest.approx(0.05, abs=5e-4)


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-12, 1e12), st.integers(0, 3))
def test_scaling_the_loss_changes_no_rate(factor, seed):
    data = simulated(np.random.default_rng(seed), 1, noise=0.1)
    plain, scaled = two_phase(data), two_phase(factor * data)
    for name in ("escapes", "end", "escape_stretch", "converges"):
        np.testing.assert_array_equal(plain[name], scaled[name])
    for name in ("escape_rate", "escape_interval", "convergence_rate", "convergence_interval"):
        np.testing.assert_allclose(plain[name], scaled[name], rtol=1e-4)
    np.testing.assert_allclose(scaled.fit, factor * plain.fit, rtol=1e-3)


def test_a_floor_and_a_later_beginning():
    data = simulated(np.random.default_rng(0), 1)
    late = xr.concat([data.isel(time=slice(0, 1)).assign_coords(time=[k]) for k in range(20)]
                     + [data.assign_coords(time=data.time + 20)], "time")  # fmt: skip
    found = two_phase(late - 3.0, after=20, floor=-3.0)
    assert float(found.escape_rate.item()) == pytest.approx(RATE, abs=1e-6)
    assert int(found.start.item()) == 20
    assert float(found.plateau.item()) == pytest.approx(PLATEAU - 3.0, abs=1e-7)


def test_a_fall_within_the_scatter_is_no_convergence():
    t = np.arange(200)
    noise = np.random.default_rng(10).standard_normal((20, 200))
    hidden, seen = (two_phase(series(np.exp(-fall * t / 200 + 0.8 * noise))) for fall in (1.1, 2.5))
    assert float(hidden.converges.mean()) <= 0.1
    assert float(seen.converges.mean()) >= 0.9


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(2).standard_normal((12, 1))
    found = _jackknifed(values, lambda mean: float(mean[0]), 0.9)
    reach = stats.t.ppf(0.95, 11) * np.std(values, ddof=1) / np.sqrt(12)
    mean = np.mean(values)
    np.testing.assert_allclose(found, [mean, mean - reach, mean + reach], rtol=1e-12)


def test_a_particle_that_switches_after_the_record_has_no_phases():
    run = simulated(np.random.default_rng(0), 3).to_dataset(name="loss")
    run["switched"] = (("particle", "phase"), [[0], [400], [-1]])
    found = two_phase(run)
    assert found.start.values.tolist() == [0, 400, -1]
    assert found.escapes.values.tolist() == [True, False, False]
    assert found.converges.values.tolist() == [True, False, False]
    never = two_phase(run.assign(switched=run.switched * 0 - 1), over="particle")
    assert not bool(never.escapes)


@pytest.mark.parametrize("onset", [(0.8, 0.98, 0.999), (1.0, 1.0, 1.0)])
def test_a_jump_alone_is_an_escape_without_a_rate(onset):
    before = 1e-2 * np.exp(-4.2 * np.arange(7))
    after = 1.74e-3 * np.concatenate([onset, np.exp(-0.01 * np.arange(400))])
    found = two_phase(series(np.concatenate([before, after])), after=6).isel(particle=0)
    assert bool(found.escapes)
    assert int(found.end) == 7
    assert np.isnan(found.escape_rate)
    assert found.escape_stretch.values.tolist() == [-1, -1]
    assert bool(found.converges)
    assert float(found.convergence_rate) == pytest.approx(0.01, rel=1e-6)
    later = two_phase(series(np.concatenate([before, after])), after=7).isel(particle=0)
    assert not bool(later.escapes)
    assert float(later.convergence_rate) == pytest.approx(0.01, rel=0.01)


def test_a_jump_to_a_cycle_that_falls_or_to_noise_is_an_escape():
    """A cycle of two steps is no noise, whatever its size; noise alone is no escape."""
    t, rng = np.arange(200), np.random.default_rng(11)
    level = np.where(t > 0, 1.0, 1e-6)
    cycle = two_phase(series(level * np.exp(-0.05 * t + 1.7 * (-1.0) ** t))).isel(particle=0)
    assert bool(cycle.escapes)
    assert int(cycle.end) == 2
    assert float(cycle.convergence_rate) == pytest.approx(0.05, rel=0.01)
    noise = np.exp(0.5 * rng.standard_normal((25, 200)))
    assert float(two_phase(series(level * noise)).escapes.mean()) == 1.0
    assert float(two_phase(series(noise)).escapes.mean()) <= 0.08


@pytest.mark.slow
def test_normalised_sam_jumps_off_the_minimum():
    """From a minimum that an event finds, to a cycle about a minimum where it stays."""
    late = sd.Switch(
        [(0, sd.GD(lr=0.1)), (sd.Converged(1e-6), sd.SAM(lr=0.1, rho=np.array([0.05, 0.1])))]
    )
    run = sd.simulate(
        sd.Map(sd.Loss("(x*y - 1)**2"), late), [0.3, 0.4], 300, record=1, progress=False
    )
    found = two_phase(run)
    assert found.escapes.values.tolist() == [True, True]
    assert found.end.values.tolist() == [36, 36]
    assert found.converges.values.tolist() == [False, False]


@pytest.mark.slow
def test_a_run_that_settles_where_its_loss_is_lost_in_rounding():
    """The loss is a mean over data, a polynomial whose terms cancel."""
    data = {"a": [1, 1.2, 0.8, 1.1], "b": [1, 1.2, 0.8, 1.1]}
    loss = sd.Loss("(a*x*y - b)**2/2", variables="x y", data=data)
    late = sd.Switch([(0, sd.GD(lr=0.2)), (200, sd.USAM(lr=0.2, rho=0.2))])
    run = sd.simulate(sd.Map(loss, late), [2.0, 0.6], 500, record=1, progress=False)
    assert -1e-14 < float(run.loss.min()) < 0
    found = two_phase(run)
    assert not bool(found.escapes)
    assert not bool(found.converges)
    gd = two_phase(run.loss, after=0)
    assert bool(gd.converges)


def test_what_is_within_rounding_of_the_floor_is_not_known():
    noise = 2e-16 * np.resize([1.0, -1.0, 0.5, 3.0, 0.0], 100)
    decay = np.concatenate([1e-2 * np.exp(-0.5 * np.arange(60)), noise])
    alone = two_phase(series(np.where(decay > 8e-16, decay, 0.0))).isel(particle=0)
    noisy = two_phase(series(decay)).isel(particle=0)
    for one in (alone, noisy):
        assert float(one.convergence_rate) == pytest.approx(0.5, rel=1e-9)
        assert float(one.plateau) == 0.0
    with pytest.raises(ValueError, match="floor must be the least value"):
        two_phase(series(decay - 1e-6))


def test_a_jump_from_within_rounding_is_an_escape():
    """Of the loss at the switch it is known that it is no larger than rounding."""
    rounded = np.resize([2e-16, -2e-16, 0.0], 20)
    fall = 1e-3 * np.exp(-0.02 * np.arange(300))
    found = two_phase(series(np.concatenate([rounded, fall]))).isel(particle=0)
    assert bool(found.escapes)
    assert int(found.end) == 20
    assert float(found.convergence_rate) == pytest.approx(0.02, rel=1e-9)


def test_a_decay_that_is_not_exponential_shows_in_the_misfit():
    t = np.arange(1000)
    noise = np.exp(0.1 * np.random.default_rng(3).standard_normal(1000))
    powers = [0.01 / (1 + 0.01 * t), 0.01 / (1 + 0.01 * t) ** 0.5]
    for found in (two_phase(series(powers)), two_phase(series(powers).isel(time=slice(0, 400)))):
        assert bool(found.converges.all())
        assert float(found.convergence_misfit.min()) > 0.25
    level = 0.01 * np.exp(-0.02 * t)
    moving = level + 1e-3 * np.exp(-0.001 * t)
    sound = two_phase(series([0.01 * np.exp(-0.01 * t), level + 1e-4, moving]))
    assert float(sound.convergence_misfit.max()) < 1e-3
    noisy = two_phase(series([0.01 * np.exp(-0.01 * t) * noise, (level + 1e-4) * noise]))
    assert float(noisy.convergence_misfit.max()) < 0.1


def test_particles_are_averaged_from_their_own_switches():
    """Cut so that each begins at its own switch, they have the same mean."""
    data = simulated(np.random.default_rng(4), 5, walk=0.2)
    starts = np.array([0, 7, 3, 11, -1])
    moved = np.ones((5, 320))
    for row, begun, values in zip(moved, np.maximum(starts, 0), data.values, strict=True):
        row[begun : begun + 300] = values
    run = series(moved).to_dataset(name="loss")
    run["switched"] = (("particle", "phase"), starts[:, None])
    same = data.isel(particle=slice(0, 4))
    run = run.isel(time=slice(0, 311))
    found, plain = two_phase(run, over="particle"), two_phase(same, over="particle")
    assert int(found.start) == -1
    assert int(found.averaged) == 4
    for name in ("escapes", "end", "escape_stretch", "escape_interval", "typical_rate"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-12)
    np.testing.assert_allclose(found.fit[:300], plain.fit, rtol=1e-9)
    # those that were switched at one step keep it
    one = run.assign(switched=run.switched.copy(data=[[7], [7], [7], [-1], [-1]]))
    kept = two_phase(one, over="particle")
    assert int(kept.start) == 7
    assert int(kept.averaged) == 3
    assert int(kept.time[0]) == 0
    few = run.assign(switched=run.switched.copy(data=[[7], [9], [-1], [-1], [-1]]))
    assert not bool(two_phase(few, over="particle").escapes)
    with pytest.raises(ValueError, match="record=1"):
        two_phase(run.isel(time=slice(0, None, 2)), over="particle")


def test_what_is_refused():
    data = simulated(np.random.default_rng(0), 4)
    for refused, said in (
        (lambda: two_phase([1.0, 2.0]), "run must be a result"),
        (lambda: two_phase(data - 1.0), "floor must be the least value"),
        (lambda: two_phase(data, after=299), "after must be a step before"),
        (lambda: two_phase(data, factor=1.0), "factor must be above 1"),
        (lambda: two_phase(data, level=95), "level must be between 0 and 1"),
        (lambda: two_phase(data, over="rho"), "over must be among the dimensions"),
        (lambda: two_phase(data.isel(particle=[0]), over="particle"), "at least 3 particles"),
        (lambda: two_phase(data.rename(time="t")), "run must hold the loss over time"),
        (lambda: two_phase(xr.Dataset({"w": 0})), "nothing was recorded"),
    ):
        with pytest.raises((TypeError, ValueError), match=said):
            refused()


def test_un_normalised_sam_escapes_and_converges_at_the_local_multipliers():
    loss, rho = sd.losses.tanh_network(), np.array([0.05, 0.1, 0.5, 2.0])
    late = sd.Switch([(0, sd.GD(lr=2.5)), (100, sd.USAM(lr=2.5, rho=rho))])
    run = sd.simulate(sd.Map(loss, late), [1.6, 0.3], 1_100, record=1, progress=False)
    found = two_phase(run)
    assert found.start.values.tolist() == [100] * 4
    assert found.escapes.values.tolist() == [False, True, True, True]
    u = run.w.sel(time=100, coord="u").values, run.final.sel(coord="u").values
    sharpness = np.tanh(u) ** 2
    out, back = 2 * np.log(np.abs(1 - 2.5 * sharpness * (1 + rho * sharpness)))
    assert np.all(np.abs(found.escape_rate.values / out - 1)[1:] < [0.01, 0.01, 0.04])
    np.testing.assert_allclose(found.convergence_rate, -back, rtol=0.02)
