"""train: what is recorded, sweeps, switches, tracking, refusals."""

import json

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import samdyn as sd  # noqa: E402
from samdyn.networks import curvature  # noqa: E402
from samdyn.networks.data.data import Data  # noqa: E402
from samdyn.networks.history import trained  # noqa: E402
from samdyn.networks.models import initialised, mlp  # noqa: E402
from samdyn.networks.order import Order  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402
from samdyn.networks.schedules import cosine  # noqa: E402
from samdyn.networks.scoring import score  # noqa: E402
from samdyn.networks.stepping import started, step  # noqa: E402
from samdyn.networks.training import train  # noqa: E402

SAM = sd.SAM(lr=0.1, rho=0.1, momentum=0.9)


def blobs(n, seed):
    """Three classes of points in the plane."""
    draw = torch.Generator().manual_seed(seed)
    targets = torch.randint(3, (n,), generator=draw)
    angle = 2.1 * targets
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    return Samples(centres + 0.3 * torch.randn(n, 2, generator=draw), targets)


DATA = Data(blobs(50, 0), blobs(30, 1), "blobs", 3)
NET = mlp(2, 8, 3)


EPOCHS = xr.DataArray([0.1, 0.2], dims="epoch")


@sd.algorithm
def PLAIN(grad, w):
    return w - 0.1 * grad(w)


def run(algorithm=SAM, model=NET, data=DATA, **options):
    given = {"epochs": 4, "batch_size": 16, "dtype": torch.float64, "progress": False}
    return train(model, data, algorithm, **{**given, **options})


def test_train_is_the_pure_step_repeated_and_records_what_score_says():
    result = run(seed=5, weights=True)
    data = Samples(DATA.train.inputs.double(), DATA.train.targets)
    problem = Problem(initialised(NET.double(), 5), data)
    NET.float()
    test = Problem(NET, Samples(DATA.test.inputs.double(), DATA.test.targets))
    order, state = Order(data, 16, 5), started(SAM, problem.start(), {})
    for epoch in range(5):
        here = result.sel(epoch=epoch)
        np.testing.assert_allclose(here.w, state.w, rtol=1e-12)
        assert (here.step, here.phase, here.learning_rate) == (4 * epoch, 0, 0.1)
        for name, of in (("train", problem), ("test", test)):
            loss, error = score(of, state.w)
            np.testing.assert_allclose(here[f"{name}_loss"], loss, rtol=1e-12)
            assert here[f"{name}_error"] == error
        for k in range(4 * epoch, 4 * epoch + 4):
            state = step(problem, SAM, SAM.numbers, state, iter([order.batch(k)]))
    assert result.steps == 16
    assert result.attrs["algorithm"] == repr(SAM)


def test_score_over_chunks_with_a_short_last_one_is_that_of_all_samples():
    whole, cut = (Problem(NET, DATA.train, "cross_entropy", chunk) for chunk in (100, 7))
    w = whole.start()
    assert score(cut, w).loss == pytest.approx(score(whole, w).loss, rel=1e-6)
    assert score(cut, w).error == score(whole, w).error
    outputs = NET(DATA.train.inputs)
    assert score(whole, w).error == (outputs.argmax(1) != DATA.train.targets).double().mean()


def test_seeds_and_arrays_are_dimensions_and_each_network_is_as_if_alone():
    sweep = run(sd.SAM(lr=[0.1, 0.2], rho=0.1), seed=[3, 8], batch_size=np.array([16, 50]))
    assert sweep.train_loss.dims == ("lr", "batch_size", "seed", "epoch")
    alone = run(sd.SAM(lr=0.2, rho=0.1), seed=8, batch_size=50)
    one = sweep.sel(lr=0.2, batch_size=50, seed=8)
    np.testing.assert_array_equal(one.final, alone.final)
    np.testing.assert_array_equal(one.train_loss, alone.train_loss)
    assert len(np.unique(sweep.final.values.reshape(8, -1)[:, 0])) == 8
    starts = sweep.train_loss.sel(epoch=0)
    assert (starts == starts.isel(lr=0, batch_size=0)).all()  # paired


def test_records_at_fractions_of_an_epoch_and_every_so_many_epochs():
    result = run(record=[0.25, 1, 2.5], track={"n": lambda p, w: p.samples.size}, every=2)
    assert result.epoch.values.tolist() == [0.25, 1, 2.5]
    assert result.step.values.tolist() == [1, 4, 10]
    assert result.n.values.tolist()[0::2] == [50, 50]
    assert np.isnan(result.n.values[1])
    assert run(record=3).epoch.values.tolist() == [0, 3, 4]
    assert run(epochs=0).epoch.values.tolist() == [0]


def test_a_switch_counts_epochs_or_steps():
    gd = sd.GD(lr=0.1, momentum=0.9)
    by_epoch = run(sd.Switch([(0, gd), (2, SAM)], unit="epoch"))
    by_step = run(sd.Switch([(0, gd), (8, SAM)]))
    np.testing.assert_array_equal(by_epoch.final, by_step.final)
    assert by_epoch.phase.values.tolist() == [0, 0, 1, 1, 1]
    assert by_epoch.switched.values.tolist() == [8]
    first = run(gd, epochs=2)
    np.testing.assert_array_equal(first.train_loss, by_epoch.train_loss[:3])
    # by hand, with the velocity kept or reset
    data = Samples(DATA.train.inputs.double(), DATA.train.targets)
    order = Order(data, 16, 0)
    for momentum in ("keep", "reset"):
        problem = Problem(initialised(mlp(2, 8, 3).double(), 0), data)
        state = started(gd, problem.start(), {})
        for k in range(16):
            if k == 8 and momentum == "reset":
                state = started(SAM, state.w, {})
            one = gd if k < 8 else SAM
            state = step(problem, one, one.numbers, state, iter([order.batch(k)]))
        found = run(sd.Switch([(0, gd), (2, SAM)], momentum=momentum, unit="epoch"))
        np.testing.assert_allclose(found.final, state.w, rtol=1e-10, atol=1e-12)


def test_a_switch_at_a_condition_is_looked_at_when_epochs_end():
    gd = run(sd.GD(lr=0.1), epochs=8)
    level = float(gd.train_loss[3:5].mean())
    when = sd.Switch([(0, sd.GD(lr=0.1)), (f"train_loss < {level!r}", sd.SAM(lr=0.1, rho=0.1))])
    found = run(when, epochs=8, record=[0.5, 3.5, 8])
    assert found.switched.values.tolist() == [16]
    never = run(sd.Switch([(0, sd.GD(lr=0.1)), ("test_error < 0", SAM)]), epochs=2)
    assert never.switched.values.tolist() == [-1]
    np.testing.assert_array_equal(never.final, run(sd.GD(lr=0.1), epochs=2).final)


def test_a_map_refuses_epochs():
    with pytest.raises(ValueError, match="unit='epoch' is for the training of networks"):
        sd.Map(sd.Loss("x**2"), sd.Switch([(0, SAM)], unit="epoch"))
    with pytest.raises(ValueError, match="unit must be 'step' or 'epoch', got 'epochs'"):
        sd.Switch([(0, SAM)], unit="epochs")


def test_lookahead_spends_k_batches_a_step():
    result = run(sd.Lookahead(sd.GD(lr=0.1), k=3))
    assert result.step.values.tolist() == [0, 2, 3, 4, 6]  # 6, 9, 12 and 18 batches


def test_a_schedule_multiplies_the_learning_rate():
    result = run(sd.GD(lr=0.2), schedule=cosine)
    shares = np.arange(5) / 4
    np.testing.assert_allclose(result.learning_rate, 0.1 * (1 + np.cos(np.pi * shares)), atol=1e-15)
    by_hand = run(sd.Switch([(0, sd.GD(lr=0.2)), (4, sd.GD(lr=0.1))]))
    halved = run(sd.GD(lr=0.2), schedule=lambda share: 1.0 if share < 0.25 else 0.5)
    np.testing.assert_array_equal(halved.final, by_hand.final)


def test_the_start_is_the_users():
    model = initialised(NET, 11)
    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    found = [run(start=s, epochs=1) for s in (model, flat, lambda seed: initialised(NET, 11))]
    for one in found[1:]:
        np.testing.assert_array_equal(one.final, found[0].final)
    assert found[0].train_loss[0] == pytest.approx(score(Problem(model, DATA.train), flat).loss)
    onward = run(start=found[0].final, epochs=0)
    np.testing.assert_array_equal(onward.final, found[0].final)


def test_a_trained_model_says_what_was_scored_with_its_running_statistics():
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    result = run(model=model, dtype=None, seed=[0, 1])
    one = trained(model, result.sel(seed=1)).eval()
    error = (one(DATA.test.inputs).argmax(1) != DATA.test.targets).double().mean()
    assert float(error) == result.test_error.sel(seed=1)[-1]
    assert one[1].num_batches_tracked == 16
    assert model[1].num_batches_tracked == 0
    measured = run(model=model, track={"again": lambda p, w: p.value(w)}, epochs=2)
    np.testing.assert_allclose(measured.again, measured.train_loss, rtol=1e-6)
    with pytest.raises(ValueError, match="run holds several networks"):
        trained(model, result)
    with pytest.raises(ValueError, match="run has no weights at epoch 2; train with weights=True"):
        trained(model, result.sel(seed=1), epoch=2)
    never = result.assign(final=result.final * np.nan)  # as of a network that was not reached
    with pytest.raises(ValueError, match="run has no weights there"):
        trained(model, never.sel(seed=1))


def test_a_start_in_another_precision_brings_its_running_statistics_along():
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    one, other = (run(model=model, start=start, epochs=1) for start in (model, model.double()))
    np.testing.assert_allclose(one.final_buffers, other.final_buffers, rtol=1e-12)


def test_augmentation_draws_from_the_seed_and_dropout_too():
    noisy = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.Linear(8, 3))

    def shake(inputs, generator):
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)

    before = torch.get_rng_state()
    first, same = (run(model=noisy, dtype=None, augment=shake, epochs=2) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(first.final, same.final)
    assert not np.array_equal(first.final, run(model=noisy, dtype=None, epochs=2).final)


def test_regression_has_no_error():
    x = torch.linspace(-1, 1, 20)[:, None]
    result = train(mlp(1, 8, 1), Samples(x, x**2), SAM, epochs=3, batch_size=7, loss="mse")
    assert "train_error" not in result
    assert "test_loss" not in result
    assert result.train_loss[-1] < result.train_loss[0]


def test_tracking_by_name_is_of_the_hessian():
    result = run(track=["top_eigenvalue", "grad_norm"], track_samples=40, record=4, weights=True)
    from samdyn.networks.order import subset

    few = subset(DATA.train, 40)
    problem = Problem(mlp(2, 8, 3).double(), Samples(few.inputs.double(), few.targets))
    w = torch.as_tensor(result.w.sel(epoch=4).values)
    hessian = torch.stack([problem.hvp(w, e) for e in torch.eye(len(w), dtype=w.dtype)])
    assert result.top_eigenvalue[-1] == pytest.approx(
        torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-5
    )
    assert result.top_eigenvalue_error[-1] < 1e-4 * result.top_eigenvalue[-1]
    assert result.grad_norm[-1] == pytest.approx(problem.grad(w).norm().item())


def test_a_run_that_diverges_stops_and_keeps_its_last_finite_state():
    x = torch.linspace(-1, 1, 16, dtype=torch.float64)[:, None]
    line = nn.Linear(1, 1).double()
    with pytest.warns(UserWarning, match=r"diverged \(lr=1e\+60\).*after epoch 0"):
        result = train(
            line, Samples(x, x), sd.GD(lr=[0.1, 1e60]), epochs=6, batch_size=4, loss="mse",
            weights=True,
        )  # fmt: skip
    bad = result.isel(lr=1)
    names = bad.reason.attrs["flag_meanings"].split()
    assert [names[k] for k in result.reason.values] == ["finished", "diverged"]
    assert np.isfinite(bad.final).all()
    assert (bad.steps, bad.step.values.tolist()) == (0, [0, -1, -1, -1, -1, -1, -1])
    assert np.isnan(bad.train_loss[1:]).all()


def test_a_hessian_that_is_not_finite_ends_no_training():
    def bent(outputs, targets):
        return outputs.sum(dim=1).clamp(min=0) ** 1.5

    x = torch.zeros(4, 1, dtype=torch.float64)  # the loss is 0, its second derivative infinite
    net = nn.Linear(1, 1).double()
    zero = torch.zeros(2, dtype=torch.float64)
    result = train(
        net, Samples(x, x), sd.GD(lr=0.1), epochs=2, batch_size=4, loss=bent, start=zero,
        track=["trace", "top_eigenvalue", "grad_norm"],
    )  # fmt: skip
    assert np.isnan(result.trace).all()
    assert np.isnan(result.top_eigenvalue).all()
    np.testing.assert_array_equal(result.grad_norm, 0)


def test_measures_of_the_top_eigenvector_share_it(monkeypatch):
    asked = []
    found = curvature.eigenpairs

    def counted(*arguments, **options):
        asked.append(arguments)
        return found(*arguments, **options)

    both = ["top_eigenvalue", "gradient_alignment"]
    alone = [run(SAM, track=[name], epochs=1) for name in both]
    monkeypatch.setattr(curvature, "eigenpairs", counted)
    together = run(SAM, track=both, epochs=1)
    assert len(asked) == together.sizes["epoch"] == 2
    for name, one in zip(both, alone, strict=True):
        np.testing.assert_array_equal(together[name], one[name])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": -1}, "epochs must be a whole number >= 0, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be whole numbers >= 1, got 2.5"),
        ({"batch_size": 51}, "from 1 to the 50 samples .the full batch., got 51"),
        ({"seed": [1, 1]}, r"seed must be one or more different whole numbers, got \[1, 1\]"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"record": 0}, "record must be a whole number >= 1, got 0"),
        ({"record": [1, 9]}, "epochs that increase from 0 to 4 at most"),
        ({"track": "sharpness"}, "track must name some of top_eigenvalue"),
        ({"track": {"phase": "trace"}}, "'phase': a result has that already"),
        ({"track": {"a": lambda p, w: (1, 2, 3)}}, "a number or a pair"),
        ({"track_samples": 99}, "track_samples must be from 1 to the 50 samples, got 99"),
        ({"loss": "hinge"}, "loss must be a function or one of"),
        ({"start": torch.zeros(3)}, "start must have the model's 51 weights, got shape"),
        ({"start": 3.0}, "start must be a module, flat weights or a function"),
        ({"data": 3}, "data must be such as nets.data.digits"),
        ({"model": 3}, "model must be a torch.nn.Module, got int"),
        ({"dtype": torch.int64}, "dtype must be a floating-point dtype"),
        ({"algorithm": 3}, "algorithm must be an algorithm such as"),
        ({"algorithm": sd.Switch([(0, SAM), ("w < 1", SAM)])}, "w is none of them"),
        ({"algorithm": sd.Switch([(0, SAM), (sd.Converged(tol=1), SAM)])}, "must begin at a step"),
        ({"algorithm": sd.GD(lr=EPOCHS)}, "a dimension called 'epoch' is in every result"),
        ({"schedule": cosine, "algorithm": PLAIN()}, "schedule multiplies lr"),
        ({"model": nn.ReLU()}, "model must have parameters that require gradients"),
        ({"model": mlp(5, 3)}, r"must go together, but inputs of shape \(50, 2\)"),
        ({"model": mlp(2, 2)}, "model, data and loss must go together"),
        ({"model": mlp(2, 2), "loss": "mse"}, "it has 2 and the targets are .* from 0 to 2"),
        ({"loss": nn.functional.cross_entropy}, r"one number for each sample.*got shape \(\)"),
        ({"record": "all"}, "record must be a number of epochs, or epochs"),
        ({"track": 3}, "track must be a name, names, or a mapping"),
        ({"track": ["trace", {"a": len}]}, "track must be names, or one mapping"),
        ({"schedule": "cosine"}, "schedule must be a function of the share"),
        ({"schedule": lambda share: -1.0}, "finite factors of at least 0, got -1.0 at 0"),
        ({"algorithm": sd.SAM(lr=0.1, rho=0.1, m=17)}, "m must be at most the batch_size, 16"),
        ({"record": -0.5}, "record must be"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",  # functions say where they are
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(options, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        run(**options)


def test_records_may_be_parts_of_an_epoch_apart():
    found = run(record=0.75, epochs=2)
    assert found.epoch.values.tolist() == [0, 0.75, 1.5, 2]
    assert found.step.values.tolist() == [0, 3, 6, 8]
    assert run(record=2.0).epoch.values.tolist() == [0, 2, 4]


def test_a_measure_may_give_an_estimate():
    track = {"mine": lambda problem, w: curvature.trace(problem, w, probes=20)}
    found = run(track=track, record=[4])
    assert np.isfinite(found.mine).all()
    assert (found.mine_error > 0).all()


def test_samples_and_weights_may_be_arrays():
    arrays = Samples(*(tensor.numpy() for tensor in DATA.train))
    found = run(data=arrays, epochs=1)
    np.testing.assert_array_equal(found.final, run(data=DATA.train, epochs=1).final)
    problem = Problem(NET, Samples(DATA.train.inputs.double().numpy(), arrays.targets))
    w = found.final
    pairs = [curvature.eigenpairs(problem, one).values for one in (w, torch.as_tensor(w.values))]
    assert torch.equal(*pairs)


def test_a_trained_module_has_the_precision_of_its_training():
    module = trained(NET, run(epochs=1))
    assert next(module.parameters()).dtype == torch.float64
    assert next(NET.parameters()).dtype == torch.float32


def test_a_batch_of_one_is_refused_where_batch_norm_would_fail():
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="batch_size=7 leaves a minibatch of 1 of 50"):
        run(model=model, batch_size=7)
    assert run(model=model, batch_size=7, drop_last=True, epochs=1).steps == 7
    with pytest.raises(ValueError, match="chunk must be at least the batch_size, 20"):
        run(model=model, batch_size=20, chunk=16)
    for algorithm in (
        sd.SAM(lr=0.1, rho=0.1, m=3),
        sd.Lookahead(sd.SAM(lr=0.1, rho=0.1, m=1)),
    ):
        with pytest.raises(ValueError, match="leaves a part of 1 sample of a minibatch of 16"):
            run(algorithm, model=model, batch_size=16, drop_last=True)


def test_a_condition_on_a_test_set_needs_one():
    late = sd.Switch([(0, SAM), ("test_loss < 1", SAM)])
    with pytest.raises(ValueError, match="test_loss is none of them"):
        run(late, data=DATA.train)


def test_a_minibatch_that_does_not_fit_in_memory_is_accumulated():
    whole, cut = (run(batch_size=30, chunk=chunk) for chunk in (4096, 8))
    np.testing.assert_allclose(cut.final, whole.final, rtol=1e-10, atol=1e-12)


def test_a_result_is_saved_and_found_again(tmp_path):
    result = run(sd.SAM(lr=[0.1, 0.2], rho=0.1), seed=[0, 1], track="trace", record=[0, 0.5, 4])
    result.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as again:
        xr.testing.assert_equal(again.load(), result)
        assert json.loads(again.attrs["recipe"])["algorithm"]["rho"] == 0.1


@pytest.mark.parametrize("options", [{"amp": True}, {"compile": True}], ids=str)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own
@pytest.mark.slow
def test_lower_precision_and_compilation_come_near(options):
    plain, other = run(dtype=None), run(dtype=None, **options)
    difference = abs(plain.final - other.final).max()
    assert difference < (0.1 if "amp" in options else 1e-5)
    assert difference > 0 or "compile" in options
