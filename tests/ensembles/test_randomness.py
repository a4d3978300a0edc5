"""Random systems in the kernels: against NumPy, and the same bits however a run is carried out."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.ensembles import chunk
from samdyn.ensembles.plan import make_plan

RNG = np.random.default_rng(8)
TABLE = RNG.normal([1.0, 0.5, 0.0], 1.0, (9, 3))
FINITE = sd.Loss(
    "(a*x + c*y - b)**2/2 + k*a*x**4/8",
    "x y",
    data=dict(zip("acb", TABLE.T, strict=True)),
    k=0.5,
)
NOISY = sd.Loss("x**4/4 - y**2/2 + y**4/4 + s*(u*x*y + v*x + v*y)", noise="u v", s=0.6)
POINTS = RNG.uniform(-1.0, 1.0, (70, 2))
QUIET = {"progress": False}
WATCHED = {
    "until": sd.Escape("x**2 + y**2 > 1.7"),
    "statistics": {"r": "x + y**2"},
    "after": 3,
    "record": 1,
}


def same(a, b):
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=str(name))


def paths(system, run, seed):
    """By the NumPy reading: paths of shape (…, time, coord), in the order of the result."""
    dims = run.final.dims[:-1]
    shape = tuple(run.sizes[dim] for dim in dims)
    numbers = {}
    swept = {} if len(system.phases) > 1 else system.numbers
    for name, value in swept.items():
        if np.ndim(value):
            aligned = [-1 if dim == name else 1 for dim in dims]
            numbers[name] = np.reshape(value, aligned)
    laid_out = system.replace(**numbers) if numbers else system
    start = np.broadcast_to(run.initial.values, (*shape, 2))
    steps = range(run.sizes["time"])
    return np.stack([laid_out.apply(start, t, seed=seed) for t in steps], axis=-2)


def agrees(system, run, seed, rtol, after=3):
    path = paths(system, run, seed)
    last = path.shape[-2] - 1
    with np.errstate(all="ignore"):  # who has left may run off to infinity
        outside = np.sum(path**2, axis=-1) > 1.7
    ended = np.where(outside.any(axis=-1), outside.argmax(axis=-1), last)
    np.testing.assert_array_equal(run.steps, ended)
    np.testing.assert_array_equal(run.reason == 1, outside.any(axis=-1))
    for place in np.ndindex(*ended.shape):
        stop = ended[place]
        frozen = path[place][np.minimum(np.arange(last + 1), stop)]
        np.testing.assert_allclose(run.w.values[place], frozen, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(run.final.values[place], frozen[-1], rtol=rtol, atol=rtol)
        counted = path[place][after : stop + 1]
        if len(counted):
            r = counted[:, 0] + counted[:, 1] ** 2
            assert run.r_mean.values[place] == pytest.approx(r.mean(), rel=1e-11, abs=1e-12)
            assert run.r_variance.values[place] == pytest.approx(r.var(), rel=1e-9, abs=1e-12)
            np.testing.assert_allclose(run.r_max.values[place], r.max(), rtol=rtol, atol=rtol)
    return ended


BATCHES = sd.Map(
    FINITE,
    sd.SAM(lr=[0.05, 0.2], rho=0.4, momentum=0.5, weight_decay=0.1, m=2),
    batch_size=[1, 4, 9],
    sampling="epochs",
)


@pytest.fixture(scope="module")
def batches():
    return sd.simulate(BATCHES, POINTS, 14, seed=3, state=True, **WATCHED, **QUIET)


def test_minibatches_are_numpy_s_to_the_last_bit(batches):
    """Two numbers are swept; m does not divide the batches, the batches do not divide an epoch."""
    assert batches.final.dims[:-1] in (
        ("lr", "batch_size", "particle"),
        ("batch_size", "lr", "particle"),
    )
    ended = agrees(BATCHES, batches, 3, rtol=0)
    assert (ended < 14).mean() > 0.1
    assert (ended == 14).mean() > 0.1
    assert batches.stream.dims == batches.steps.dims
    np.testing.assert_array_equal(batches.stream.values.ravel(), np.arange(6 * 70))
    np.testing.assert_allclose(batches.loss, FINITE.value(batches.w.values), rtol=1e-12)


NOISE = sd.Map(NOISY, sd.SAM(lr=0.1, rho=[0.0, 0.3], momentum=0.4), fresh_noise=True)


@pytest.fixture(scope="module")
def noise():
    return sd.simulate(NOISE, POINTS, 16, seed=2**64 - 1, **WATCHED, **QUIET)


def test_noise_is_numpy_s(noise):
    ended = agrees(NOISE, noise, 2**64 - 1, rtol=1e-12)
    assert (ended < 16).any()
    assert (ended == 16).any()


SWITCHED = sd.Map(
    FINITE,
    sd.Switch([(0, sd.GD(lr=0.1)), (5, sd.SAM(lr=0.1, rho=0.3))]),
    batch_size=4,
    sampling="subset",
    fresh_noise=True,
)


def test_a_switch_between_one_draw_a_step_and_two():
    run = sd.simulate(SWITCHED, POINTS[:20], 12, seed=4, **WATCHED, **QUIET)
    assert [one.minibatches.draws for _, one in SWITCHED.phases] == [1, 2]
    agrees(SWITCHED, run, 4, rtol=0)


# Every kernel takes many seconds to compile: each algorithm, way of drawing, wrapper and option
# is in one of these cases or above, and no case is there for a single one of them.
MATRIX = {
    "switch, replacement": (
        FINITE,
        sd.Switch([(0, sd.GD(lr=0.1, momentum=0.5)), (7, sd.USAM(lr=0.1, rho=0.2, momentum=0.5))]),
        {"batch_size": 5},
    ),
    "nesterov, epochs": (
        FINITE,
        sd.SAM(lr=0.05, rho=[0.2, 0.4], momentum=0.6, nesterov=True, ascent_steps=2),
        {"batch_size": [4, 5], "sampling": "epochs", "fresh_noise": True},
    ),
    "ASAM, subset": (
        FINITE,
        sd.ASAM(lr=0.1, rho=0.5, eta=[0.01, 0.3], m=2, momentum=0.3),
        {"batch_size": 5, "sampling": "subset"},
    ),
    "DNSAM, epochs": (
        FINITE,
        sd.DNSAM(lr=0.1, rho=0.4, m=2),
        {"batch_size": [2, 5], "sampling": "epochs"},
    ),
    "Lookahead, subset": (
        FINITE,
        sd.Lookahead(
            sd.SAM(lr=0.1, rho=[0.1, 0.4], m=3, weight_decay=0.2, decay_in_ascent=True),
            k=3,
            alpha=[0.4, 0.9],
        ),
        {"batch_size": 7, "sampling": "subset"},
    ),
    "Lookahead of 1-SAM, epochs": (
        FINITE,
        sd.Lookahead(sd.SAM(lr=0.1, rho=0.3, m=1), k=2, alpha=0.4),
        {"batch_size": [3, 6], "sampling": "epochs"},
    ),
    "noise, DNSAM": (NOISY, sd.DNSAM(lr=0.1, rho=0.3, momentum=0.9, weight_decay=0.1), {}),
    "noise, Lookahead": (NOISY, sd.Lookahead(sd.SAM(lr=[0.05, 0.1], rho=[0.1, 0.5]), k=3), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRIX)
def test_kernels_are_numpy_s(case):
    loss, algorithm, drawn = MATRIX[case]
    system = sd.Map(loss, algorithm, **drawn)
    run = sd.simulate(system, POINTS[:25], 15, seed=6, **WATCHED, **QUIET)
    agrees(system, run, 6, rtol=1e-12 if loss is NOISY else 0)


@pytest.mark.slow
def test_losses_that_are_no_polynomials_agree_nearly():
    loss = sd.Loss(
        "(tanh(a*x + y) - b)**2/2 + log(1 + exp(c*x)) + abs(x - b)*exp(c)",
        "x y",
        data=dict(zip("acb", TABLE.T, strict=True)),
    )
    system = sd.Map(loss, sd.SAM(lr=0.2, rho=0.3, m=2), batch_size=[3, 6], sampling="subset")
    run = sd.simulate(system, POINTS[:25], 15, seed=6, **WATCHED, **QUIET)
    agrees(system, run, 6, rtol=1e-12)


# --- however it is carried out

WELL = sd.FormulaSDE({"x": "x - x**3"}, {"x": "s"}, dt=0.05, s=[0.6, 0.9])
RUNS = {
    "noise": (NOISE, POINTS, {"steps": 300, "record": [0, 7, 128, 300]}),
    "batches": (BATCHES, POINTS, {"steps": 300, "record": [0, 7, 128, 300], "state": True}),
    "well": (
        *(WELL, np.full((150, 1), -1.0)),
        {
            "steps": 3000,
            "record": 500,
            "until": sd.Escape("x > 0"),
            "statistics": {"x2": "x**2"},
            "seed": 5,
        },
    ),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == "noise" else pytest.mark.slow) for name in RUNS],
)
def carried_out(request):
    system, points, options = RUNS[request.param]
    options = {**WATCHED, "seed": 1, **QUIET, **options}
    return system, points, options, sd.simulate(system, points, threads=1, chunk=10**6, **options)


def test_threads_and_chunks_change_no_bit(carried_out, monkeypatch):
    system, points, options, reference = carried_out
    assert len(np.unique(reference.steps)) > 5
    for threads, size in ((2, 64), (7, 1), (7, 64), (1, 33), (2, None)):
        same(sd.simulate(system, points, threads=threads, chunk=size, **options), reference)
    monkeypatch.setattr(chunk, "_STRIDE", 20)  # others are packed together
    same(sd.simulate(system, points, chunk=100, **options), reference)


class Stopping(chunk.Watch):
    """Says stop at a later and later look."""

    looks = 0

    def __init__(self, allowed):
        super().__init__()
        self.left = allowed
        self.stopped = self

    def is_set(self):
        self.left -= 1
        return self.left < 0


def test_a_run_taken_up_again_and_again_changes_no_bit(carried_out, tmp_path, monkeypatch):
    system, points, options, reference = carried_out
    monkeypatch.setattr(chunk, "_STRIDE", 37)
    monkeypatch.setattr(chunk, "_SLICE", 0.0)
    given = {k: v for k, v in options.items() if k != "progress"}
    plan = make_plan(
        *(system, points, given["steps"], given["record"], given["until"]),
        *(given["statistics"], given.get("after", 0), given.get("state", False), 90),
        *(given["seed"], False, None),
    )
    stopped = 0
    for first, last, work in plan.chunks():
        for _ in range(1000):
            outcome = chunk.run(work, Stopping(2), tmp_path)
            if outcome.finished:
                break
            stopped += 1
        flat = reference.stack(all=reference.steps.dims).isel(all=slice(first, last))
        np.testing.assert_array_equal(outcome.ended, flat.steps)
        np.testing.assert_array_equal(
            outcome.z[: system_size(system)], flat.final.transpose("coord", "all")
        )
        np.testing.assert_array_equal(
            outcome.record[:, : system_size(system)], flat.w.transpose("time", "coord", "all")
        )
    assert stopped > 2
    # what the store holds now is the whole run
    same(sd.simulate(system, points, store=tmp_path, chunk=90, **options), reference)


def system_size(system):
    return len(system.coordinates)


def test_a_particle_of_a_run_replayed_alone(carried_out):
    system, points, options, reference = carried_out
    lengths = reference.steps.isel(particle=slice(0, 40))
    for k in (0, int(lengths.isel({lengths.dims[0]: 0}).values.ravel().argmax() % 40)):
        part = reference.isel(particle=[k])
        alone = sd.rerun(part, record=1, **QUIET)
        np.testing.assert_array_equal(alone.final.values, part.final.values)
        np.testing.assert_array_equal(alone.steps.values, part.steps.values)
        np.testing.assert_array_equal(alone.stream.values, part.stream.values)
        np.testing.assert_array_equal(alone.w.sel(time=part.time).values, part.w.values)
    given = {**options, "streams": reference.stream.isel(particle=slice(5, 9))}
    some = sd.simulate(system, points[5:9], **given)
    np.testing.assert_array_equal(some.final.values, reference.final.isel(particle=slice(5, 9)))


def test_one_value_of_a_swept_number_replayed_alone(carried_out):
    system, points, options, reference = carried_out
    name = reference.steps.dims[0]
    one = reference.isel({name: 1})
    alone = sd.simulate(
        system.replace(**{name: float(one[name])}),
        points,
        **options,
        streams=one.stream.reset_coords(drop=True),
    )
    np.testing.assert_array_equal(alone.final.values, one.final.values)
    np.testing.assert_array_equal(alone.steps.values, one.steps.values)


@pytest.mark.slow
@pytest.mark.parametrize("carried_out", ["batches"], indirect=True)
def test_other_processes_change_no_bit(carried_out):
    system, points, options, reference = carried_out
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        same(sd.simulate(system, points, executor=pool, chunk=64, **options), reference)


# --- seeds and streams


def test_seeds(noise):
    short = {**WATCHED, **QUIET}
    again = sd.simulate(NOISE, POINTS, 16, seed=2**64 - 1, **short)
    same(again, noise)
    for seed in (0, 1, 2**63):
        other = sd.simulate(NOISE, POINTS, 16, seed=seed, **short)
        moved = other.w.isel(time=1).values
        assert not np.isin(moved, noise.w.isel(time=1).values).any()
    default = sd.simulate(NOISE, POINTS, 16, **short)
    same(default, sd.simulate(NOISE, POINTS, 16, seed=0, **short))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"seed": -1}, "seed must be .*0"),
        ({"seed": 2**64}, r"seed must be below 2\*\*64, got 18446744073709551616"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": "one"}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
        ({"common_noise": 1}, "common_noise must be True or False, got 1"),
    ],
)
def test_refused(given, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        sd.simulate(NOISE, POINTS, 3, **given)


def test_common_noise_is_common_to_the_values_of_a_number_and_to_algorithms():
    """On a linear loss the path is the sum of the draws, whatever rho and the algorithm are."""
    slope = sd.Loss("u*x + v*y", noise="u v")
    sam = sd.Map(slope, sd.SAM(lr=0.1, rho=[0.0, 0.3, 2.0]))
    run = sd.simulate(sam, POINTS[:5], 20, seed=1, common_noise=True, record=1, **QUIET)
    assert run.stream.dims == ("particle",)
    np.testing.assert_array_equal(run.stream, np.arange(5))
    for k in (1, 2):
        np.testing.assert_array_equal(run.w.isel(rho=k), run.w.isel(rho=0))
    assert (
        len(np.unique((run.final - POINTS[:5, None].squeeze()).isel(rho=0, coord=0).round(9))) == 5
    )
    gd = sd.simulate(sd.Map(slope, sd.GD(lr=0.1)), POINTS[:5], 20, seed=1, record=1, **QUIET)
    np.testing.assert_array_equal(gd.w, run.w.isel(rho=0))
    apart = sd.simulate(sam, POINTS[:5], 20, seed=1, record=1, **QUIET)
    assert apart.stream.dims == ("rho", "particle")
    np.testing.assert_array_equal(apart.w.isel(rho=0), run.w.isel(rho=0))
    assert not np.isin(apart.final.isel(rho=1), run.final).any()


def test_common_noise_from_a_single_point():
    sam = sd.Map(sd.Loss("u*x + v*y", noise="u v"), sd.SAM(lr=0.1, rho=[0.0, 0.3, 2.0]))
    run = sd.simulate(sam, POINTS[0], 20, seed=1, common_noise=True, **QUIET)
    assert run.stream.dims == ()
    assert (run.final == run.final.isel(rho=0)).all()


def test_streams_follow_the_grid_of_initial_points():
    points = sd.grid(x=(-1, 1, 3), y=(-1, 1, 2))
    system = sd.Map(sd.Loss("u*x + v*y", noise="u v"), sd.SAM(lr=0.1, rho=[0.0, 0.3, 2.0]))
    run = sd.simulate(system, points, 2, common_noise=True, **QUIET)
    assert set(run.stream.dims) == {"x", "y"}
    assert sorted(run.stream.values.ravel()) == list(range(6))
    whole = sd.simulate(system, points, 2, **QUIET)
    assert sorted(whole.stream.values.ravel()) == list(range(18))
    part = sd.rerun(whole.isel(x=[1]), **QUIET)
    np.testing.assert_array_equal(part.final.values, whole.final.isel(x=[1]).values)


def test_a_common_number_that_particles_share_is_no_sweep():
    """A number given along ``particle`` makes no dimension: streams are the particles'."""
    sizes = xr.DataArray(np.linspace(0.1, 1.0, 4), dims="particle")
    system = sd.Map(sd.Loss("s*(u*x + v*y)", noise="u v", s=sizes), sd.GD(lr=0.1))
    run = sd.simulate(system, np.zeros((4, 2)), 1, common_noise=True, **QUIET)
    np.testing.assert_array_equal(run.stream, np.arange(4))
    unit = sd.simulate(system.replace(s=1.0), np.zeros((4, 2)), 1, **QUIET)
    np.testing.assert_allclose(run.final, unit.final * sizes, rtol=1e-14)
