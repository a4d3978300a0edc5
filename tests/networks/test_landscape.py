"""Interpolation, slices and batch-norm statistics, against hand-made ones."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from samdyn.networks.landscape.directions import filter_normalised, random_direction  # noqa: E402
from samdyn.networks.landscape.interpolation import barrier, interpolate  # noqa: E402
from samdyn.networks.landscape.slices import slice1d, slice2d  # noqa: E402
from samdyn.networks.landscape.statistics import reestimated  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402


def made(norm=True, dropout=0.0, n=11, chunk=4, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Linear(3, 5, bias=not norm), nn.ReLU(), nn.Dropout(dropout), nn.Linear(5, 3)]
        if norm:
            layers.insert(1, nn.BatchNorm1d(5))
        net = nn.Sequential(*layers).double()
        samples = Samples(torch.randn(n, 3).double() + 2, torch.arange(n) % 3)
        points = torch.randn(3, sum(p.numel() for p in net.parameters())).double()
    return Problem(net, samples, "cross_entropy", chunk), points


def by_hand(problem, w, buffers=None):
    """Loss and error at weights put into a copy of the module, all samples at once."""
    import copy

    net = copy.deepcopy(problem.model).eval()
    nn.utils.vector_to_parameters(w, net.parameters())
    if buffers is not None:
        net.load_state_dict({**net.state_dict(), **buffers})
    with torch.no_grad():
        out = net(problem.samples.inputs)
    wrong = (out.argmax(dim=1) != problem.samples.targets).double().mean()
    return float(nn.functional.cross_entropy(out, problem.samples.targets)), float(wrong)


def test_statistics_of_one_batch_are_those_of_the_data():
    problem, (w, *_) = made(dropout=0.9)
    there = reestimated(problem, w, batch_size=100)
    inside = problem.samples.inputs @ problem.parts(w)["0.weight"].T
    torch.testing.assert_close(there["1.running_mean"], inside.mean(dim=0))
    torch.testing.assert_close(there["1.running_var"], inside.var(dim=0))
    assert there["1.num_batches_tracked"] == 1


def test_statistics_of_several_batches_are_averaged_by_their_shares():
    problem, (w, *_) = made()
    there = reestimated(problem, w, batch_size=4, seed=7)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(7))
    inside = (problem.samples.inputs @ problem.parts(w)["0.weight"].T)[order]
    batches = [inside[:4], inside[4:8], inside[8:]]
    torch.testing.assert_close(there["1.running_mean"], inside.mean(dim=0))
    variance = sum(len(b) / 11 * b.var(dim=0) for b in batches)
    torch.testing.assert_close(there["1.running_var"], variance)
    assert there["1.num_batches_tracked"] == 3


def test_equal_batches_are_torchs_own_cumulative_average():
    """Against a module with ``momentum=None`` that sees the same batches; two layers deep."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12, 4),
            nn.BatchNorm1d(4, momentum=0.3),
        ).double()
        samples = Samples(torch.randn(8, 1, 4, 4).double(), torch.arange(8) % 4)
        w = torch.randn(sum(p.numel() for p in net.parameters())).double()
    import copy

    problem = Problem(net, samples)
    problem.buffers["1.running_var"].fill_(torch.inf)  # a run that had gone wrong
    there = reestimated(problem, w, batch_size=4)
    other = copy.deepcopy(net).train()
    nn.utils.vector_to_parameters(w, other.parameters())
    for module in (other[1], other[5]):
        module.reset_running_stats()
        module.momentum = None
    for which in torch.randperm(8, generator=torch.Generator().manual_seed(0)).split(4):
        other(samples.inputs[which])
    for name, buffer in other.named_buffers():
        torch.testing.assert_close(there[name], buffer, rtol=1e-12, atol=1e-14)


def test_nothing_is_written_but_the_result():
    problem, (w, *_) = made(dropout=0.5)
    problem.model.train()
    problem.model[2].eval()
    before = {name: b.clone() for name, b in problem.model.state_dict().items()}
    kept = {name: b.clone() for name, b in problem.buffers.items()}
    state = torch.random.get_rng_state()
    there = reestimated(problem, w)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert problem.model.training
    assert not problem.model[2].training
    assert problem.model[1].momentum == 0.1
    for name, value in problem.model.state_dict().items():
        assert torch.equal(value, before[name])
    for name, value in problem.buffers.items():
        assert torch.equal(value, kept[name])
        assert value is not there[name]


def test_interpolation_is_a_loop_over_copies_of_the_module():
    problem, (a, b, _) = made()
    test, _ = made(n=6, seed=5)
    test = Problem(problem.model, test.samples)
    seen = interpolate(problem, a, b, [0.0, 0.3, 1.0], test=test, batch_size=5)
    for t in (0.0, 0.3, 1.0):
        w = (1 - t) * a + t * b
        buffers = reestimated(problem, w, batch_size=5)
        for of, name in ((problem, "train"), (test, "test")):
            loss, error = by_hand(of, w, buffers)
            assert float(seen[f"{name}_loss"].sel(t=t)) == pytest.approx(loss, rel=1e-10)
            assert float(seen[f"{name}_error"].sel(t=t)) == pytest.approx(error, abs=1e-12)
    assert seen.distance == pytest.approx(float(torch.linalg.vector_norm(b - a)))
    stale = interpolate(problem, a, b, [0.3], reestimate=False)
    loss, _ = by_hand(problem, 0.7 * a + 0.3 * b)
    assert stale.train_loss.item() == pytest.approx(loss, rel=1e-10)
    assert loss != pytest.approx(seen.train_loss.sel(t=0.3).item(), rel=1e-3)
    assert "test_loss" not in stale
    seen = interpolate(problem, a, b)
    assert seen.sizes == {"t": 43}
    np.testing.assert_allclose(seen.t, np.linspace(-0.2, 1.2, 43), atol=1e-15)
    assert {0.0, 1.0} <= set(seen.t.values)


def test_the_barrier_of_a_factorisation_between_its_two_minima():
    """(u v - 1)^2 from (1, 1) to (-1, -1): along it ((1 - 2t)^2 - 1)^2, of height 1."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    one = torch.ones(1, 1).double()
    problem, a = Problem(net, Samples(one, one), "mse"), torch.ones(2).double()
    seen = interpolate(problem, a, -a)
    t = seen.t.values
    np.testing.assert_allclose(seen.train_loss, ((1 - 2 * t) ** 2 - 1) ** 2, atol=1e-14)
    assert "train_error" not in seen
    assert barrier(seen) == pytest.approx(1.0)
    tilted = xr.Dataset({"f": ("t", [3.0, 2.5, 2.0, 9.0])}, {"t": [0.0, 0.5, 1.0, 1.2]})
    assert barrier(tilted, "f") == 0.0


def test_filters_have_the_norms_of_the_weights():
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)
    ).double()
    x = torch.zeros(1, 2, 4, 4).double()
    problem = Problem(net, Samples(x, torch.zeros(1, dtype=torch.long)))
    w = problem.start()
    d = random_direction(problem, w, seed=1)
    assert torch.equal(d, random_direction(problem, w, seed=1))
    assert not torch.equal(d, random_direction(problem, w, seed=2))
    weights = problem.parts(w)
    for name, part in problem.parts(d).items():
        if part.dim() == 1:
            assert not part.any()
            continue
        for row, filters in zip(part, weights[name], strict=True):
            assert float(row.norm()) == pytest.approx(float(filters.norm()), rel=1e-12)
    scaled = w.clone()
    problem.parts(scaled)["0.weight"][1] *= 5
    ratio = problem.parts(random_direction(problem, scaled, seed=1))["0.weight"]
    torch.testing.assert_close(ratio[1], 5 * problem.parts(d)["0.weight"][1])
    torch.testing.assert_close(ratio[0], problem.parts(d)["0.weight"][0])
    assert not filter_normalised(problem, w, torch.zeros_like(w)).any()


@pytest.mark.parametrize("norm", [False, True])
def test_slices_are_loops(norm):
    problem, (w, u, v) = made(norm)
    line = slice1d(problem, w, u, [-0.5, 0.0, 0.25])
    plane = slice2d(problem, w, (u, v), [-0.5, 0.25], [0.0, 1.0, 2.0], test=problem)
    for s in line.x.values:
        p = w + s * u
        loss, error = by_hand(problem, p, reestimated(problem, p))
        assert line.train_loss.sel(x=s).item() == pytest.approx(loss, rel=1e-9)
        assert line.train_error.sel(x=s).item() == pytest.approx(error, abs=1e-12)
    assert plane.train_loss.dims == ("x", "y")
    for s in plane.x.values:
        for t in plane.y.values:
            p = w + s * u + t * v
            loss, _ = by_hand(problem, p, reestimated(problem, p))
            assert plane.train_loss.sel(x=s, y=t).item() == pytest.approx(loss, rel=1e-9)
    np.testing.assert_array_equal(plane.train_loss, plane.test_loss)
    assert line.length == pytest.approx(float(u.norm()))
    assert plane.cosine == pytest.approx(float(u @ v / u.norm() / v.norm()))
    assert slice1d(problem, w, u).sizes == {"x": 51}


def test_refusals():
    problem, (a, b, _) = made()
    small, _ = made(n=1)
    other, _ = made(norm=False)
    for call, words in (
        (lambda: interpolate(problem, a[1:], b), r"a must be a tensor of shape \(43,\)"),
        (lambda: interpolate(problem, a, b, at=[0.0, np.nan]), "at must be a row of finite"),
        (lambda: interpolate(problem, a, b, at=[]), "at must be a row"),
        (lambda: interpolate(problem, a, b, test=other), "test must be of the same network"),
        (lambda: barrier(interpolate(problem, a, b, at=[0.0, 0.5])), "t = 0 and t = 1"),
        (lambda: barrier(interpolate(problem, a, b, at=[0.0]), "height"), "of must be one of"),
        (lambda: slice1d(problem, a, b[1:]), "direction must be"),
        (lambda: slice2d(problem, a, (b,)), "directions must be two"),
        (lambda: slice2d(problem, a, (b, a), x="up"), "x must be a row"),
        (lambda: reestimated(small, a), "at least 2 samples"),
        (lambda: reestimated(problem, a, batch_size=1), "batch_size must be"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="test must be a Problem"):
        interpolate(problem, a, b, test=problem.samples)
