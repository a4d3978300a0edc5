import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samdyn as sd

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
MEANINGS = "running escaped converged diverged interrupted reached".split()


def reason(run):
    return np.vectorize(MEANINGS.__getitem__)(run.reason.values)


def first(path, holds):
    """The first step at which a condition on the path holds, in plain Python."""
    for step, w in enumerate(path):
        if holds(w):
            return step
    return None


EVENTS = {
    "ball": (sd.Escape(center=(0.1, 0.0), radius=0.6), lambda w: np.hypot(w[0] - 0.1, w[1]) > 0.6),
    "box": (sd.Escape(box=[(-1, 1), (-0.5, 0.5)]), lambda w: abs(w[0]) > 1 or abs(w[1]) > 0.5),
    "region": (sd.Escape("y > 0.7 or x**2 + y**2 > 0.8"), lambda w: w[1] > 0.7 or w @ w > 0.8),
    "loss": (sd.Escape("loss < -0.1"), lambda w: SADDLE.value(w) < -0.1),
    "gradient": (sd.Converged(tol=1e-3), lambda w: np.linalg.norm(SADDLE.grad(w)) <= 1e-3),
    "step": (
        sd.Converged(tol=None, step=1e-4),
        lambda w: 0.05 * np.linalg.norm(SADDLE.grad(w)) <= 1e-4,
    ),
    "both": (
        sd.Converged(tol=1e-3, step=1e-5),
        lambda w: np.linalg.norm(SADDLE.grad(w)) <= min(1e-3, 1e-5 / 0.05),
    ),
    "limit": (sd.Diverged(0.9), lambda w: np.max(np.abs(w)) > 0.9),
}


@pytest.mark.parametrize("name", EVENTS)
def test_the_step_and_the_state_of_an_event(name):
    event, holds = EVENTS[name]
    starts = np.array([[0.3, 0.01], [-0.2, 0.4], [0.0, -1e-3], [0.5, 0.0]])
    system = sd.Map(SADDLE, sd.GD(lr=0.05))
    run = sd.simulate(system, starts, 400, record=1, until=event)
    free = sd.simulate(system, starts, 400, record=1)
    for i in range(len(starts)):
        path = free.w.values[i]
        step = first(path, holds)
        if step is None:
            assert reason(run)[i] == "running"
            assert run.which[i] == -1
            assert run.steps[i] == 400
            np.testing.assert_array_equal(run.w[i], path)
        else:
            assert reason(run)[i] == event.reason
            assert run.which[i] == 0
            assert run.steps[i] == step
            np.testing.assert_array_equal(run.final[i], path[step])
            np.testing.assert_array_equal(run.w[i, : step + 1], path[: step + 1])
            assert (run.w[i, step:] == run.final[i]).all()


def test_an_event_at_the_start_and_one_at_the_last_step_count():
    system = sd.Map(sd.Loss("-x**2/2"), sd.GD(lr=1.0))  # doubles
    run = sd.simulate(system, [[1.0], [16.0]], 4, until=sd.Escape("x >= 16"))
    assert list(run.steps.values) == [4, 0]
    assert list(reason(run)) == ["escaped", "escaped"]


def test_the_first_event_given_wins_a_tie():
    system = sd.Map(sd.Loss("-x**2/2"), sd.GD(lr=1.0))
    events = [sd.Diverged(10.0), sd.Escape("x > 5"), sd.Escape("x > 10")]
    run = sd.simulate(system, [[1.0], [6.0], [11.0]], 10, until=events)
    assert list(run.which.values) == [1, 1, 0]
    assert list(reason(run)) == ["escaped", "escaped", "diverged"]


def test_overflow_is_flagged_at_its_step_without_being_asked():
    system = sd.Map(sd.Loss("x**4/4"), sd.GD(lr=1.0))
    run = sd.simulate(system, [[0.5], [100.0]], 50, record=1)
    path = sd.simulate(system, [100.0], 50, record=1).w.values[:, 0]
    gone = int(run.steps[1])
    assert list(reason(run)) == ["running", "diverged"]
    assert list(run.which.values) == [-1, -1]
    assert np.all(np.isfinite(path[:gone]))
    assert not np.isfinite(path[gone])


def test_reasons_carry_cf_flags():
    run = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), [0.1, 0.1], 1)
    assert run.reason.attrs["flag_meanings"].split() == MEANINGS
    np.testing.assert_array_equal(run.reason.attrs["flag_values"], range(len(MEANINGS)))


def test_the_numbers_of_a_region_travel_as_data():
    system = sd.Map(SADDLE, sd.GD(lr=0.1))
    runs = {
        level: sd.simulate(system, [0.3, 0.01], 200, record=1, until=sd.Escape(text))
        for level, text in ((0.5, "y > 0.5 or y < -0.5"), (0.81, "y > 0.81 or y < -0.81"))
    }
    assert runs[0.5].kernels == runs[0.81].kernels
    for level, run in runs.items():
        assert abs(run.final[1]) > level
        assert np.all(np.abs(run.w[: int(run.steps), 1]) <= level)


def test_thresholds_do_not_change_the_kernel():
    system = sd.Map(SADDLE, sd.GD(lr=0.1))
    near = sd.simulate(system, [0.1, 0.1], 1, until=sd.Escape(center=(0, 0), radius=1.0))
    far = sd.simulate(system, [0.1, 0.1], 1, until=sd.Escape(center=(1, 2), radius=5.0))
    assert near.kernels == far.kernels


@settings(max_examples=30, deadline=None)
@given(radius=st.floats(0.01, 2.0), start=st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_escaped_particles_are_outside_and_were_inside(radius, start):
    run = sd.simulate(
        sd.Map(SADDLE, sd.GD(lr=0.05)),
        np.array(start),
        60,
        record=1,
        until=sd.Escape(center=(0, 0), radius=radius),
    )
    distance = np.sqrt(np.sum(run.w.values**2, axis=-1))
    if run.reason == 1:
        assert distance[int(run.steps)] >= radius * (1 - 1e-15)
        assert np.all(distance[: int(run.steps)] <= radius * (1 + 1e-15))
    else:
        assert np.all(distance <= radius * (1 + 1e-15))
