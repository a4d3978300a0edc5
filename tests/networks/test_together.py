"""Networks trained together: the same as one after the other, but for rounding."""

import json
import random
import sys

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import samdyn as sd  # noqa: E402
from samdyn.networks import checkpoint, choice, traced  # noqa: E402
from samdyn.networks.data.data import Data  # noqa: E402
from samdyn.networks.models import mlp  # noqa: E402
from samdyn.networks.problem import Samples  # noqa: E402
from samdyn.networks.schedules import cosine  # noqa: E402
from samdyn.networks.training import train  # noqa: E402


@pytest.fixture
def _written_down_soon(monkeypatch):
    """Steps are called at first and then read off even in short trainings."""
    monkeypatch.setattr(traced, "_WORTHWHILE", 4)


def blobs(n, seed):
    """Three classes of points in the plane."""
    draw = torch.Generator().manual_seed(seed)
    targets = torch.randint(3, (n,), generator=draw)
    angle = 2.1 * targets
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    return Samples(centres + 0.3 * torch.randn(n, 2, generator=draw), targets)


DATA = Data(blobs(42, 0), blobs(30, 1), "blobs", 3)  # batches of 16, 16 and 10
NET = mlp(2, 6, 3, activation="tanh")
NORMED = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
LRS = np.array([0.05, 0.2])
RHOS = np.array([0.0, 0.1, 0.3])


def run(algorithm, model=NET, **options):
    given = {"epochs": 10, "batch_size": 16, "dtype": torch.float64, "progress": False}
    return train(model, DATA, algorithm, **{**given, "seed": [1, 7], **options})


def both(algorithm, **options):
    """Together and one by one."""
    several = run(algorithm, together=True, **options)
    assert [one["together"] for one in json.loads(several.attrs["together"])] == [True]
    return several, run(algorithm, together=False, **options)


def assert_close(several, each, tolerance=1e-10):
    xr.testing.assert_allclose(several, each, rtol=tolerance, atol=tolerance)
    assert several.reason.identical(each.reason)
    assert several.steps.identical(each.steps)


@sd.algorithm
def WRITTEN(grad, w, v, *, lr, rho):
    g = grad(w + rho * sd.words.along(grad(w), 1.0))
    return w - lr * g, v + g * g


ALGORITHMS = {
    "gd": sd.GD(lr=LRS),
    "heavy ball": sd.GD(lr=LRS, momentum=0.9, weight_decay=np.array([1e-3, 1e-2])),
    "sam": sd.SAM(lr=LRS, rho=RHOS, momentum=0.8, nesterov=True, weight_decay=1e-3),
    "steps": sd.SAM(lr=0.1, rho=RHOS, ascent_steps=2, decay_in_ascent=True, weight_decay=1e-2),
    "m": sd.SAM(lr=0.1, rho=RHOS, m=2, momentum=0.5),
    "asam": sd.ASAM(lr=0.1, rho=RHOS[1:], eta=np.array([0.01, 0.3])),
    "usam": sd.USAM(lr=LRS, rho=0.1),
    "dnsam": sd.DNSAM(lr=0.1, rho=RHOS),
    "lookahead": sd.Lookahead(sd.SAM(lr=0.1, rho=RHOS, momentum=0.5), k=3, alpha=0.5),
}


@pytest.mark.usefixtures("_written_down_soon")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_network_is_as_if_alone(name):
    several, each = both(ALGORITHMS[name], weights=True)
    assert_close(several, each)
    flat = several.final.values.reshape(-1, several.sizes["weight"])
    assert len(np.unique(flat[:, 0])) == len(flat)  # all of them differ


def test_an_algorithm_of_ones_own_too():
    algorithm = WRITTEN(lr=LRS, rho=0.1)
    assert_close(*both(algorithm))


@pytest.mark.parametrize("algorithm", ["sam", "m", "lookahead"])
def test_batch_norm_keeps_running_statistics_of_each(algorithm):
    several, each = both(ALGORITHMS[algorithm], model=NORMED, epochs=5, batch_size=12)
    assert_close(several, each)
    counted = several.final_buffers.values.reshape(-1, 13)[:, -1]
    cycles = 21 if algorithm == "lookahead" else 20  # of three batches
    np.testing.assert_array_equal(counted, cycles)


@pytest.mark.usefixtures("_written_down_soon")
def test_switches_schedules_augmentation_records_and_tracking():
    late = sd.Switch(
        [(0, sd.GD(lr=0.1, momentum=0.9)), (7, sd.SAM(lr=0.1, rho=RHOS, momentum=0.9))]
    )

    def noisy(inputs, generator):
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)

    options = {"schedule": cosine, "augment": noisy, "track": ["grad_norm"], "every": 2}
    several, each = both(late, record=[0, 0.5, 2.7, 3, 10], drop_last=True, **options)
    assert_close(several, each)
    assert (several.switched == 7).all()
    by_epoch = sd.Switch([(0, sd.GD(lr=0.1)), (2, sd.SAM(lr=0.1, rho=RHOS))], unit="epoch")
    assert_close(*both(by_epoch, epochs=4))


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_an_array_of_switches_is_a_dimension(unit):
    sgd, sam = sd.GD(lr=0.1, momentum=0.9), sd.SAM(lr=0.1, rho=RHOS[1:], momentum=0.9)
    at = [0, 3, 4, 10, 99] if unit == "epoch" else [0, 4, 5, 29, 30]
    several, each = both(sd.Switch([(0, sgd), (at, sam)], unit=unit))
    assert_close(several, each)
    assert several.final.dims == ("rho", "switch", "seed", "weight")
    assert several.switch.values.tolist() == at
    for when in at[1:]:
        alone = run(sd.Switch([(0, sgd), (when, sam)], unit=unit), together=False)
        np.testing.assert_array_equal(alone.final, each.final.sel(switch=when))
        np.testing.assert_array_equal(alone.switched, each.switched.sel(switch=when))
    always = run(sam, together=False)
    np.testing.assert_array_equal(always.final, each.final.sel(switch=0))


class Remembers(nn.Module):
    """A running mean that each pass replaces by a new tensor."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 3)
        self.register_buffer("seen", torch.ones(3))

    def forward(self, x):
        said = self.line(x)
        if self.training:
            self.seen = 0.9 * self.seen + 0.1 * said.detach().abs().mean(dim=0)
        return said / (0.1 + self.seen)


def test_buffers_that_a_pass_replaces_are_kept():
    several, each = both(sd.SAM(lr=0.1, rho=RHOS), model=Remembers(), epochs=4)
    assert_close(several, each)
    assert (abs(each.final_buffers - 1) > 0.01).all()
    alone = run(sd.SAM(lr=0.1, rho=RHOS[1]), model=Remembers(), epochs=4, seed=7, together=False)
    np.testing.assert_array_equal(alone.final, each.final.sel(seed=7, rho=RHOS[1]))
    # by hand, with one pass a step that counts
    net, gd = Remembers().double(), sd.GD(lr=0.1)
    start = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    found = run(gd, model=net, epochs=3, seed=1, start=start, batch_size=42, together=False)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(DATA.train.inputs.double()), DATA.train.targets)
        loss.backward()
        optimiser.step()
    np.testing.assert_allclose(found.final_buffers, net.seen, rtol=1e-12)


def test_modes_of_modules_are_one_policy():
    """All are in training mode, unless ``train`` itself is overridden."""

    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    mixed = nn.Sequential(*NORMED)
    mixed[1].eval()
    for model, moves in ((mixed, True), (Frozen(*NORMED), False)):
        several, each = both(sd.SAM(lr=0.1, rho=RHOS), model=model, epochs=3, batch_size=14)
        assert_close(several, each)
        assert bool((each.final_buffers[..., -1] > 0).all()) == moves


def test_an_algorithm_that_looks_at_a_swept_number_is_trained_one_by_one(monkeypatch):
    @sd.algorithm
    def branching(grad, w, *, lr, clip):
        g = grad(w)
        return w - lr * (2 * g if clip > 0.05 else g)

    monkeypatch.setattr(choice, "WORTHWHILE", 0.0)
    monkeypatch.setattr(choice, "_FIRST_USE", 0.0)
    algorithm = branching(lr=0.1, clip=np.array([0.01, 0.1]))
    found = run(algorithm, seed=[0, 1, 2, 3], together=None)
    (chosen,) = json.loads(found.attrs["together"])
    assert not chosen["together"]
    assert "vmap cannot take a step" in chosen["because"]
    with pytest.raises(ValueError, match="together=True is not possible: vmap cannot"):
        run(algorithm, seed=[0, 1, 2, 3], together=True)


def test_long_trainings_are_written_down(monkeypatch):
    written = []
    line = traced.Traced._line

    def watched(self, given):
        made = line(self, given)
        written.append(made is not self._function)
        return made

    monkeypatch.setattr(traced.Traced, "_line", watched)
    run(sd.SAM(lr=0.1, rho=RHOS), epochs=120, batch_size=21, together=True)
    assert written == [True]


def test_batch_norm_has_the_same_bits_with_a_checkpoint_and_an_array_of_switches(
    tmp_path, monkeypatch
):
    late = sd.Switch([(0, sd.GD(lr=0.1)), ([7, 33, 50], sd.SAM(lr=0.1, rho=0.1))])
    options = {"model": NORMED, "epochs": 20, "batch_size": 12, "together": True, "drop_last": True}
    plain = run(late, **options)
    monkeypatch.setattr(checkpoint.Keeper, "seconds", 0.0)
    kept = run(late, **options, checkpoint=tmp_path)
    xr.testing.assert_equal(plain, kept)


def test_random_numbers_of_others_are_refused():
    class Shaken(nn.Module):
        def __init__(self, draw):
            super().__init__()
            self.line, self.draw = nn.Linear(2, 3), draw

        def forward(self, x):
            return self.line(x) * self.draw()

    for draw in (lambda: random.random(), lambda: np.random.rand()):  # noqa: NPY002
        with pytest.raises(ValueError, match="model must draw its random numbers from torch"):
            run(sd.GD(lr=0.1), model=Shaken(draw))


def test_epochs_of_one_minibatch_are_switched_recorded_and_counted_like_others():
    gd, sam = sd.GD(lr=0.1, momentum=0.9), sd.SAM(lr=0.1, rho=RHOS, momentum=0.9)
    late = sd.Switch([(0, gd), ([3, 40, 71], sam)], unit="epoch")
    several, each = both(late, batch_size=42, epochs=70, record=[0, 1, 39, 41, 66, 70])
    assert_close(several, each)
    assert each.switched.isel(rho=0, seed=0).values.ravel().tolist() == [3, 40, -1]
    assert each.phase.isel(rho=0, seed=0).sel(switch=40).values.tolist() == [0, 0, 0, 1, 1, 1]


def test_steps_are_counted_for_each_network():
    """A step of look-ahead takes several minibatches, so that networks count apart."""
    gd = sd.GD(lr=0.1)
    late = sd.Switch([(0, gd), ([1, 2, 3], sd.Lookahead(gd, k=3)), (5, gd)], unit="epoch")
    several, each = both(late, seed=[0])
    assert_close(several, each)
    assert several.steps.values.tolist() == [[22], [24], [26]]  # of 30 minibatches


def test_switches_with_a_dimension_of_their_own():
    """Windows of SAM in the middle, of one length: two arrays along one dimension."""
    begins = xr.DataArray([2, 5], {"window": ["early", "late"]}, "window")
    gd, sam = sd.GD(lr=0.1), sd.SAM(lr=0.1, rho=0.1)
    several, each = both(
        sd.Switch([(0, gd), (begins, sam), (begins + 3, gd)], unit="epoch"), seed=[0, 1, 2]
    )
    assert_close(several, each)
    phases = each.phase.sel(seed=0, window="late").values
    assert phases.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match=r"must increase, got \[0, 5, 4\]"):
        run(sd.Switch([(0, gd), (begins, sam), (4, gd)], unit="epoch"))


def test_one_that_diverges_leaves_the_others_alone():
    lrs = np.array([0.1, 1e8, 0.2])
    with pytest.warns(UserWarning, match="diverged"):
        several, each = both(sd.GD(lr=lrs), loss="mse")
    assert several.reason.values.tolist() == [[1, 1], [2, 2], [1, 1]]
    assert_close(several, each)
    calm = run(sd.GD(lr=lrs[[0, 2]]), loss="mse", together=True)
    np.testing.assert_allclose(several.final[::2], calm.final, rtol=1e-13, atol=1e-15)
    assert np.isfinite(several.final).all()


def test_batch_sizes_are_kinds_of_their_own_and_small_pieces_are_enough():
    algorithm = sd.SAM(lr=LRS, rho=0.1)
    options = {"batch_size": xr.DataArray([16, 42], dims="batch_size"), "chunk": 50, "epochs": 4}
    several = run(algorithm, together=True, **options)  # 3 and 1 at once
    each = run(algorithm, together=False, **options)
    assert_close(several, each)
    chosen = json.loads(several.attrs["together"])
    assert [(one["networks"], one["batch_size"]) for one in chosen] == [(4, 16), (4, 42)]


class Pulled:
    """An augmentation during which somebody presses Ctrl-C."""

    def __init__(self, at=None):
        self.left = iter(range(sys.maxsize if at is None else at))  # not part of what it does

    def __call__(self, inputs, generator):
        if next(self.left, None) is None:
            raise KeyboardInterrupt
        return inputs

    def __repr__(self):
        return "nothing"


@pytest.mark.parametrize("at", [9, 25])
def test_an_interrupted_training_goes_on_bit_for_bit(at, tmp_path):
    algorithm = sd.SAM(lr=0.1, rho=RHOS, momentum=0.9)
    options = {"augment": Pulled(), "model": NORMED, "epochs": 6}
    unbroken = run(algorithm, together=True, **options)
    with pytest.warns(UserWarning, match="interrupted: 0 of 6 networks finished"):
        part = run(
            algorithm, together=True, checkpoint=tmp_path, **options | {"augment": Pulled(at)}
        )
    assert (part.reason == 3).all()
    assert 0 < part.steps.values.max() < 18
    resumed = run(algorithm, checkpoint=tmp_path, **options)  # keeps to the choice
    chosen = json.loads(resumed.attrs["together"])
    assert [(one["together"], one["because"]) for one in chosen] == [(True, "as in the checkpoint")]
    xr.testing.assert_equal(resumed, unbroken)


def test_those_that_a_kill_left_behind_catch_up(tmp_path):
    algorithm = sd.SAM(lr=0.1, rho=RHOS)
    run(algorithm, together=True, checkpoint=tmp_path, epochs=3)
    for label in ("rho=0,seed=1", "rho=0.3,seed=7"):
        (tmp_path / f"{label}.pt").unlink()
    resumed = run(algorithm, together=True, checkpoint=tmp_path, epochs=6)
    assert_close(resumed, run(algorithm, together=False, epochs=6))


def test_what_cannot_be_together_is_said_and_trained_one_by_one():
    drops = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.5), nn.Linear(6, 3))

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(2, 3)

        def forward(self, x):
            y = self.line(x)
            return y if y.sum() > 0 else -y

    waits = sd.Switch([(0, sd.GD(lr=0.1)), ("train_loss < 0.5", sd.SAM(lr=0.1, rho=RHOS))])
    for algorithm, model, why in (
        (sd.GD(lr=LRS), drops, "draws random numbers"),
        (sd.GD(lr=LRS), Branches(), "vmap cannot take a step"),
        (waits, NET, "a condition"),
    ):
        with pytest.raises(ValueError, match=f"together=True is not possible: .*{why}"):
            run(algorithm, model=model, together=True)
        assert run(algorithm, model=model, epochs=1).reason.values.max() == 1
    with pytest.raises(TypeError, match="together must be True, False or None"):
        run(sd.GD(lr=0.1), together="yes")


def test_the_choice_follows_the_clock(monkeypatch):
    algorithm = sd.SAM(lr=LRS, rho=0.1)
    said = json.loads(run(algorithm, epochs=1).attrs["together"])
    assert not said[0]["together"]
    assert said[0]["because"].endswith("s of work")
    monkeypatch.setattr(choice, "WORTHWHILE", 0.0)
    many = list(range(24))
    said = json.loads(run(algorithm, seed=many, epochs=1).attrs["together"])
    assert said[0]["together"]
    assert "ms together and" in said[0]["because"]
    said = json.loads(run(algorithm, seed=[0], epochs=1).attrs["together"])
    assert (said[0]["together"], said[0]["because"]) == (False, "fewer than 4 networks")
