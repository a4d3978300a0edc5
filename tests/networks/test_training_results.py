"""What reads results of simulate, given a result of train: two phases, and refusals."""

from copy import deepcopy

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

import samdyn as sd  # noqa: E402
from samdyn.networks import curvature, landscape  # noqa: E402
from samdyn.networks.training import train  # noqa: E402

N, ASIDE = 20, 1e-6


@pytest.fixture(scope="module")
def taught(self_taught):
    return self_taught(8, N)


def trained(taught, phases, seeds=(0, 1, 2), **options):
    """Networks beside the minimum, each at its own distance from it."""
    problem, _, v = taught

    def beside(seed):
        module = deepcopy(problem.model)
        w = problem.start() + (seed + 1) * ASIDE * v
        torch.nn.utils.vector_to_parameters(w, module.parameters())
        return module

    return train(
        problem.model, problem.samples, phases, batch_size=N, loss="mse", seed=list(seeds),
        start=beside, progress=False, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def escaping(taught):
    """Gradient descent, which stays, then un-normalised SAM at 1.2 of the critical rho."""
    _, top, _ = taught
    lr, rho = 1.9 / top, 1.2 * (2.0 / 1.9 - 1.0) / top
    switch = sd.Switch([(0, sd.GD(lr=0.05 * lr)), (10, sd.USAM(lr=lr, rho=rho))])
    return trained(taught, switch, epochs=250), abs(1.0 - lr * top * (1.0 + rho * top))


def test_the_multiplier_after_the_switch_is_that_of_theory(escaping):
    run, multiplier = escaping
    found = sd.two_phase(run)
    assert found.sizes["seed"] == 3
    assert (found.start == 10).all()
    assert found.escapes.all()
    assert not found.diverged.any()
    np.testing.assert_allclose(found.multiplier, multiplier, rtol=2e-3)
    np.testing.assert_array_equal(found.time, np.arange(251))
    np.testing.assert_array_equal(found.epoch, run.epoch)


def test_networks_are_averaged_over_seeds(escaping):
    run, multiplier = escaping
    found = sd.two_phase(run, over="seed")
    assert found.escapes.ndim == 0
    assert int(found.averaged) == 3
    assert int(found.diverged) == 0
    assert float(found.multiplier) == pytest.approx(multiplier, rel=2e-3)
    plain = sd.two_phase(
        xr.DataArray(run.train_loss.values, {"time": np.arange(251)}, ("seed", "time")),
        after=10, over="seed",
    )  # fmt: skip
    assert float(found.escape_rate) == float(plain.escape_rate)


def test_another_beginning_may_be_asked_for(escaping):
    run, _ = escaping
    found = sd.two_phase(run, after=240)
    assert (found.start == 240).all()
    assert not found.escapes.any()


def test_a_floor_is_needed_where_the_minimum_has_a_loss(escaping):
    run, multiplier = escaping
    raised = run.assign(train_loss=run.train_loss + 0.08)
    told = sd.two_phase(raised.isel(epoch=slice(0, 101)), floor=0.08)
    untold = sd.two_phase(raised.isel(epoch=slice(0, 101)))
    assert told.escapes.all()
    np.testing.assert_allclose(told.multiplier, multiplier, rtol=2e-3)
    assert not untold.escapes.any()


def test_batches_of_other_sizes_are_other_steps(taught):
    problem = taught[0]
    run = train(
        problem.model, problem.samples, sd.GD(lr=0.01), epochs=3, batch_size=np.array([5, 10]),
        loss="mse", seed=[0, 1], progress=False,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"differ along batch_size; choose with run\.sel\(batch_size=…\)"
    ):
        sd.two_phase(run)
    one = sd.two_phase(run.sel(batch_size=5))
    np.testing.assert_array_equal(one.time, [0, 4, 8, 12])


def test_one_epoch_is_no_series(escaping):
    for read in (sd.two_phase, sd.plot.training):
        with pytest.raises(ValueError, match="run must have the epochs of its training, got one"):
            read(escaping[0].sel(epoch=5))


def test_conditions_that_switch_networks_apart_are_aligned(taught):
    """Each network is switched when its own loss is low enough, and averaged from there."""
    _, top, _ = taught
    lr, rho = 1.9 / top, 1.2 * (2.0 / 1.9 - 1.0) / top
    switch = sd.Switch([(0, sd.GD(lr=0.05 * lr)), ("train_loss < 1e-12", sd.USAM(lr=lr, rho=rho))])
    run = trained(taught, switch, epochs=220)
    starts = run.switched.isel(later_phase=0).values
    assert len(set(starts)) == 3
    found = sd.two_phase(run, over="seed")
    assert int(found.start) == -1
    assert int(found.time[0]) == 0
    assert "epoch" not in found.coords
    assert float(found.multiplier) == pytest.approx(
        abs(1.0 - lr * top * (1.0 + rho * top)), rel=2e-3
    )


def test_a_network_that_diverged_has_no_phases(taught):
    lr = xr.DataArray([0.01, 50.0], dims="lr", coords={"lr": [0.01, 50.0]})
    with pytest.warns(UserWarning, match="training diverged"):
        run = train(
            taught[0].model, taught[0].samples, sd.GD(lr=lr, weight_decay=1.0), epochs=300,
            batch_size=N, loss="mse", seed=[0, 1, 2], progress=False,
        )  # fmt: skip
    assert np.nanmax(run.train_loss.sel(lr=50.0)) > 1e3  # which would be an escape
    found = sd.two_phase(run)
    np.testing.assert_array_equal(found.diverged.transpose("lr", "seed"), [[0] * 3, [1] * 3])
    gone = found.sel(lr=50.0)
    assert not gone.escapes.any()
    assert not gone.converges.any()
    assert gone.escape_rate.isnull().all()
    assert (gone.start == -1).all()
    assert (found.sel(lr=0.01).start == 0).all()
    mean = sd.two_phase(run, over="seed")
    np.testing.assert_array_equal(mean.diverged, [0, 3])
    np.testing.assert_array_equal(mean.averaged, [3, 0])
    assert not mean.sel(lr=50.0).escapes
    alone = sd.two_phase(run.sel(lr=50.0, seed=1), after=5)
    assert bool(alone.diverged)
    assert int(alone.start) == -1


@pytest.mark.parametrize(
    ("read", "instead"),
    [
        (sd.diagnostics, "track="),
        (sd.escape_times, "samdyn.two_phase"),
        (sd.rerun, "call train again"),
        (sd.plot.late, "plot.training"),
        (sd.plot.series, "plot.training"),
        (sd.plot.trajectory, "plot.training"),
    ],
)
def test_others_say_what_to_use_instead(escaping, read, instead):
    for run in (escaping[0], escaping[0].isel(seed=0)):
        with pytest.raises(ValueError, match=r"run|found") as refusal:
            read(run)
        said = str(refusal.value)
        assert "is a result of samdyn.networks.train" in said
        assert instead in said
        assert "\n" not in said


def test_records_within_a_cycle_of_lookahead_are_one_step(taught):
    run = train(
        taught[0].model, taught[0].samples, sd.Lookahead(sd.GD(lr=0.01), alpha=0.5, k=3),
        epochs=8, batch_size=N, loss="mse", progress=False,
    )  # fmt: skip
    found = sd.two_phase(run)
    assert len(found.time) == len(np.unique(run.step))
    for step, epoch in zip(found.time.values, found.epoch.values, strict=True):
        assert int(run.step.sel(epoch=epoch)) == step


def test_pictures_of_what_networks_give(taught, escaping):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("agg")
    from matplotlib import pyplot as plt

    problem, top, v = taught
    w = problem.start()
    _, axes = plt.subplots(4, figsize=(4, 12), layout="constrained")
    sd.plot.training(escaping[0], "train_loss", x="step", log=True, ax=axes[0])
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), escaping[0].train_loss.mean("seed"))
    seen = curvature.density(problem, w, probes=4)
    sd.plot.density(seen, ax=axes[1], dimension=len(w))
    x, y = axes[1].lines[0].get_data()
    np.testing.assert_allclose(y, seen.curve(x, 0.01 * np.ptp(seen.nodes)).density)
    assert x[-1] > top
    curve = landscape.interpolate(problem, w, w + v)
    sd.plot.slices(curve, ax=axes[2])
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), curve.train_loss)
    plane = landscape.slice2d(problem, w, (v, v.flip(0)), x=[-1, 0, 1], y=[-1, 0, 1])
    sd.plot.slices(plane, ax=axes[3])
    axes[0].figure.canvas.draw()
    plt.close("all")


def test_a_result_read_from_a_file_is_known(escaping, tmp_path):
    escaping[0].to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"result of samdyn\.networks\.train"):
        sd.rerun(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as run:
        assert sd.two_phase(run).escapes.all()
