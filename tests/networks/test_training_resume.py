"""Checkpoints: a training that was cut off ends at the same bits as one that was not."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import samdyn as sd  # noqa: E402
from samdyn.networks.losses import CrossEntropy  # noqa: E402
from samdyn.networks.problem import Samples  # noqa: E402
from samdyn.networks.training import train  # noqa: E402

DATA = Samples(torch.randn(22, 4, generator=torch.Generator().manual_seed(0)), torch.arange(22) % 3)
LATE = sd.Switch(
    [(0, sd.GD(lr=0.1, momentum=0.9)), (3, sd.SAM(lr=0.1, rho=0.1, momentum=0.9))], unit="epoch"
)
STEPS = 3  # an epoch


def network():
    """With running statistics, dropout and momentum: everything that has to come back."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3)
        )


def plug(at, how):
    for _ in itertools.count() if at is None else range(at):
        yield
    raise how


class Pulled:
    """An augmentation during which somebody pulls the plug, at a batch.

    When, stands in a generator: that does not count as what the augmentation does.
    """

    def __init__(self, at=None, how=KeyboardInterrupt):
        self.plug = plug(at, how)

    def __call__(self, inputs, generator):
        next(self.plug)
        return inputs + 0.01 * torch.randn(inputs.shape, generator=generator)

    def __repr__(self):
        return "noise"


def run(**options):
    given = {"epochs": 6, "batch_size": 8, "progress": False, "weights": True, "seed": [4, 5]}
    given |= {"track": ["grad_norm"], "every": 2, "augment": Pulled(), "algorithm": LATE}
    return train(network(), DATA, **{**given, **options})


def same(one, other):
    """Bit for bit."""
    xr.testing.assert_identical(one.drop_attrs(deep=False), other.drop_attrs(deep=False))


@pytest.fixture(scope="module")
def unbroken():
    return run()


@pytest.mark.parametrize("at", [0, 1, 7, 9, 15, 18, 20, 33])
def test_a_training_that_is_interrupted_goes_on_bit_for_bit(at, unbroken, tmp_path):
    with pytest.warns(UserWarning, match=f"interrupted: {at // 18} of 2 networks finished"):
        part = run(checkpoint=tmp_path, augment=Pulled(at))
    names = part.reason.attrs["flag_meanings"].split()
    assert names[int(part.reason[-1])] == "interrupted"
    assert part.steps.sum() == at
    done = int(part.steps[0]) // STEPS + 1
    np.testing.assert_array_equal(part.train_loss[0, :done], unbroken.train_loss[0, :done])
    same(run(checkpoint=tmp_path), unbroken)
    same(run(checkpoint=tmp_path, augment=Pulled(0)), unbroken)  # all is there


def test_an_error_in_a_function_of_the_users_loses_nothing(unbroken, tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(checkpoint=tmp_path, augment=Pulled(10, ZeroDivisionError))
    kept = torch.load(tmp_path / "seed=4.pt", weights_only=True)["kept"]
    assert kept["batches"] == 10
    same(run(checkpoint=tmp_path), unbroken)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_how_often_it_is_written_does_not_matter(seconds, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr("samdyn.networks.checkpoint.Keeper.seconds", seconds)
    same(run(checkpoint=tmp_path), unbroken)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["seed=4.pt", "seed=5.pt"]


@pytest.mark.parametrize("epochs", [3, 4])  # of the first, the end is tracked, and only there
def test_more_epochs_and_more_seeds_go_on_from_what_is_there(epochs, unbroken, tmp_path):
    run(checkpoint=tmp_path, epochs=epochs, seed=[4])
    same(run(checkpoint=tmp_path), unbroken)


def test_the_mean_gradient_of_a_network_with_dropout_is_of_the_seed_alone(tmp_path):
    dnsam = sd.DNSAM(lr=0.1, rho=0.1)
    whole = run(algorithm=dnsam, epochs=2)
    run(algorithm=dnsam, epochs=1, checkpoint=tmp_path)
    same(run(algorithm=dnsam, epochs=2, checkpoint=tmp_path), whole)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 11}, "its batch_size is 8, this one's is 11"),
        ({"loss": CrossEntropy(0.1)}, "its loss is"),
        ({"algorithm": sd.GD(lr=0.2)}, "phase 0"),
        ({"start": network()}, "its start is"),
        ({"dtype": torch.float64}, "its dtype is float32, this one's is float64"),
        ({"track": ["weight_norm"]}, "its track"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_run_is_refused(change, sentence, tmp_path):
    run(checkpoint=tmp_path, epochs=1, seed=[4])
    with pytest.raises(ValueError, match=f"is of another run: .*{sentence}.*choose another folder"):
        run(checkpoint=tmp_path, epochs=1, seed=[4], **change)


def test_a_file_that_is_broken_is_refused(tmp_path):
    (tmp_path / "seed=4.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="cannot be read .*; remove it to begin anew"):
        run(checkpoint=tmp_path)


def test_a_diverged_training_stays_so(tmp_path):
    options = {"algorithm": sd.GD(lr=1e30), "checkpoint": tmp_path, "seed": 1}
    with pytest.warns(UserWarning, match="diverged"):
        one = run(**options)
    with pytest.warns(UserWarning, match="diverged"):
        same(run(**options, augment=Pulled(0)), one)


def test_what_a_batch_norm_of_the_start_knew_is_where_it_begins():
    first = run(seed=4, epochs=1, augment=None)
    from samdyn.networks.history import trained

    again = run(seed=4, epochs=0, augment=None, start=trained(network(), first))
    np.testing.assert_array_equal(again.final_buffers, first.final_buffers)
    assert again.train_loss[0] == first.train_loss[-1]


@pytest.mark.slow
def test_a_process_that_is_killed_loses_only_what_was_not_yet_written(tmp_path):
    program = """
        import os, signal, sys, torch
        torch.set_num_threads(1)
        from samdyn.networks import checkpoint
        import test_training_resume as here
        checkpoint.Keeper.seconds = 0.0
        class Killed(Exception):
            def __init__(self):
                os.kill(os.getpid(), signal.SIGKILL)
        here.run(checkpoint=sys.argv[1], augment=here.Pulled(25, Killed))
    """
    code = textwrap.dedent(program)
    folder = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "seed=5.pt", weights_only=True)["kept"]["batches"] == 7
    same(run(checkpoint=tmp_path), run())
