"""Gradients of single samples and their covariance, against loops, dense matrices and the toys."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import samdyn as sd  # noqa: E402
from samdyn.analysis.mean_square.noise import gradient_noise as toy_noise  # noqa: E402
from samdyn.analysis.mean_square.noise import noise_alignment  # noqa: E402
from samdyn.networks.noise import gradients  # noqa: E402
from samdyn.networks.noise.alignment import gauss_newton_product, gradient_noise  # noqa: E402
from samdyn.networks.noise.covariance import (  # noqa: E402
    batch_factor,
    covariance_product,
    gaussian_noise,
    noise_covariance,
    noise_trace,
)
from samdyn.networks.problem import Problem, Samples  # noqa: E402

N = 7


def made(loss="cross_entropy", chunk=3, norm=False, seed=0, n=N):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)]
        if norm:
            layers.insert(1, torch.nn.BatchNorm1d(4))
        net = torch.nn.Sequential(*layers).double()
        if norm:
            net(3 * torch.randn(20, 3, dtype=torch.float64))  # statistics that are not 0 and 1
        samples = Samples(torch.randn(n, 3, dtype=torch.float64), torch.arange(n) % 3)
    problem = Problem(net, samples, loss, chunk)
    return problem, problem.start()


def looped(problem, w):
    one = [problem.samples.take(slice(i, i + 1)) for i in range(problem.samples.size)]
    return torch.stack([problem.batch_grad(w, some) for some in one])


def dense_covariance(problem, w):
    return np.cov(looped(problem, w).numpy().T, bias=True)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("norm", [False, True])
def test_sample_gradients_are_those_of_a_loop(loss, norm):
    problem, w = made(loss, norm=norm)
    wanted = looped(problem, w)
    for rows in (None, 1, 4, 100):
        blocks = list(gradients.sample_gradients(problem, w, rows))
        assert [len(b) for b in blocks] == {None: [3, 3, 1], 1: [1] * 7, 4: [4, 3], 100: [7]}[rows]
        torch.testing.assert_close(torch.cat(blocks), wanted, rtol=1e-12, atol=1e-14)
    tail = torch.cat(list(gradients.sample_gradients(problem, w, 2, first=4)))
    torch.testing.assert_close(tail, wanted[4:], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(wanted.mean(dim=0), problem.grad(w), rtol=1e-10, atol=1e-13)


def test_slopes_and_weighted_gradients_are_products_with_them():
    problem, w = made()
    each = looped(problem, w)
    v, weights = torch.randn_like(w), torch.arange(N, dtype=w.dtype) - 2
    torch.testing.assert_close(gradients.sample_slopes(problem, w, v), each @ v)
    torch.testing.assert_close(
        gradients.weighted_gradient(problem, w, weights), weights @ each, rtol=1e-10, atol=1e-13
    )


def test_memory_is_bounded_by_the_block(monkeypatch):
    monkeypatch.setattr(gradients, "_ENTRIES", 2 * 31)
    problem, w = made()
    assert problem.dimension == 31
    assert [len(b) for b in gradients.sample_gradients(problem, w)] == [2, 2, 2, 1]


@pytest.mark.parametrize("rows", [None, 2, 7])
def test_the_covariance_is_the_dense_one(rows):
    problem, w = made()
    dense = dense_covariance(problem, w)
    found = noise_covariance(problem, w, k=3, rows=rows)
    values, columns = np.linalg.eigh(dense)
    np.testing.assert_allclose(found.eigenvalues, values[::-1][:N], rtol=1e-10, atol=1e-14)
    for j in range(3):
        assert abs(found.vectors[j].numpy() @ columns[:, -1 - j]) == pytest.approx(1, abs=1e-9)
    assert found.trace == pytest.approx(np.trace(dense), rel=1e-12)
    assert noise_trace(problem, w, rows=rows) == pytest.approx(np.trace(dense), rel=1e-12)
    assert found.frobenius == pytest.approx(np.linalg.norm(dense), rel=1e-12)
    share = np.cumsum(values[::-1]) / np.sum(values)
    assert found.rank(0.9) == 1 + np.flatnonzero(share >= 0.9)[0]
    assert (found.rank(0.0), found.rank(1e-9)) == (0, 1)
    v = torch.randn_like(w)
    np.testing.assert_allclose(
        covariance_product(problem, w, v), dense @ v.numpy(), rtol=1e-9, atol=1e-13
    )


def test_batches_have_the_covariance_of_all_batches_enumerated():
    from itertools import combinations, product

    problem, w = made(n=5)
    each = looped(problem, w).numpy()
    found = noise_covariance(problem, w, k=0)
    for sampling, drawn in (
        ("replacement", product(range(5), repeat=2)),
        ("subset", combinations(range(5), 2)),
    ):
        means = np.array([each[list(which)].mean(axis=0) for which in drawn])
        spread = np.trace(np.cov(means.T, bias=True))
        assert found.batch_trace(2, sampling) == pytest.approx(spread, rel=1e-12)
    assert found.batch_trace(5, "subset") == 0
    assert batch_factor(1, 1, "subset") == 0


def test_drawn_noise_has_the_covariance_exactly():
    problem, w = made()
    each = looped(problem, w).numpy()
    away = (each - each.mean(axis=0)) / np.sqrt(N)
    z = torch.randn(5, N, generator=torch.Generator().manual_seed(3), dtype=w.dtype).numpy()
    several = gaussian_noise(problem, w, 5, seed=3)
    np.testing.assert_allclose(several, z @ away, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(away.T @ away, dense_covariance(problem, w), rtol=1e-10, atol=1e-14)
    going_on, again = (torch.Generator().manual_seed(3) for _ in range(2))
    for _ in range(2):  # one backward pass each
        one = gaussian_noise(problem, w, seed=going_on)[0]
        z = torch.randn(1, N, generator=again, dtype=w.dtype)[0].numpy()
        np.testing.assert_allclose(one, z @ away, rtol=1e-9, atol=1e-13)
    batch = gaussian_noise(problem, w, 5, seed=3, batch_size=4, sampling="subset")
    np.testing.assert_allclose(batch, several * (3 / 6 / 4) ** 0.5, rtol=1e-9, atol=1e-13)


def test_random_state_is_left_alone():
    problem, w = made()
    state = torch.random.get_rng_state()
    gaussian_noise(problem, w, 2, seed=0)
    gradient_noise(problem, w, probes=2)
    assert torch.equal(torch.random.get_rng_state(), state)


def dense_parts(problem, w):
    d = problem.dimension
    hessian = torch.stack([problem.hvp(w, e) for e in torch.eye(d, dtype=w.dtype)]).numpy()
    jacobian = torch.autograd.functional.jacobian(
        lambda at: problem.outputs(at, problem.samples.inputs), w
    )
    out = problem.outputs(w, problem.samples.inputs)
    newton = 0.0
    for i in range(problem.samples.size):
        target = problem.samples.targets[i][None]
        curved = torch.autograd.functional.hessian(
            lambda f, y=target: problem.loss(f[None], y).sum(), out[i]
        )
        newton = newton + jacobian[i].T @ curved @ jacobian[i] / problem.samples.size
    return hessian, newton.detach().numpy(), dense_covariance(problem, w)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_alignment_against_dense_matrices(loss):
    problem, w = made(loss, chunk=4)
    hessian, newton, noise = dense_parts(problem, w)
    v = torch.randn_like(w)
    np.testing.assert_allclose(
        gauss_newton_product(problem, w, v), newton @ v.numpy(), rtol=1e-9, atol=1e-12
    )
    value = float(problem.value(w))
    for gauss_newton, curved in ((True, newton), (False, hessian)):
        common, square = np.trace(noise @ curved), np.sum(curved**2)
        wanted = {
            "loss": value,
            "trace": np.trace(noise),
            "frobenius": np.linalg.norm(noise),
            "curvature": np.sqrt(square),
            "common": common,
            "alignment": common / (2 * value * square),
            "cosine": common / np.linalg.norm(noise) / np.sqrt(square),
            "size": np.linalg.norm(noise) / (2 * value * np.sqrt(square)),
        }
        exact = gradient_noise(problem, w, probes=None, gauss_newton=gauss_newton)
        drawn = [
            gradient_noise(problem, w, probes=9, gauss_newton=gauss_newton, seed=s)
            for s in range(6)
        ]
        for name, right in wanted.items():
            assert getattr(exact, name) == pytest.approx(right, rel=1e-9), name
            if name not in exact.errors:
                continue
            assert exact.errors[name] == 0
            off = [abs(getattr(one, name) - right) for one in drawn]
            said = [one.errors[name] for one in drawn]
            assert max(off) > 0
            # standard errors of 9 draws: within a factor of two of what is seen, on the whole
            assert np.sqrt(np.mean(np.square(off))) < 2 * np.sqrt(np.mean(np.square(said))), name
            assert np.mean(off) < 0.05 * abs(right), name


def test_a_linear_network_is_the_toy_regression():
    rng = np.random.default_rng(4)
    inputs, best = rng.standard_normal((6, 3)), np.array([1.0, -0.5, 2.0])
    data = {f"a{k}": inputs[:, k] for k in range(3)} | {"b": inputs @ best}
    loss = sd.Loss("(a0*x + a1*y + a2*z - b)**2/2", "x y z", data=data)
    x = torch.tensor(inputs)
    line = torch.nn.Linear(3, 1, bias=False).double()
    problem = Problem(line, Samples(x, x @ torch.tensor(best)[:, None]), "mse")
    found = noise_alignment(loss, best)
    for point in best + rng.standard_normal((3, 3)), best[None] + found.direction:
        for p in point:
            seen, toy = gradient_noise(problem, torch.tensor(p)), toy_noise(loss, p)
            for name in ("alignment", "cosine"):
                assert getattr(seen, name) == pytest.approx(float(toy[name]), rel=1e-9)
            assert seen.size == pytest.approx(float(toy["size"]), rel=1e-9)
            assert seen.alignment >= found.gamma * (1 - 1e-9)
            assert seen.trace == pytest.approx(4 * np.trace(toy.covariance), rel=1e-9)
    assert seen.alignment == pytest.approx(found.gamma, rel=1e-9)


def test_without_noise_the_ratios_are_nothing():
    problem, w = made(n=1)
    seen = gradient_noise(problem, w)
    assert (seen.trace, seen.frobenius, seen.common) == (0, 0, 0)
    assert np.isnan(seen.cosine)


def test_a_convolution_with_batch_norm_and_pooling():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 2, 3),
            torch.nn.BatchNorm2d(2),
            torch.nn.ReLU(inplace=True),
            torch.nn.MaxPool2d(2),
            torch.nn.Dropout(0.5),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 3),
        ).double()
        problem = Problem(net, Samples(torch.randn(5, 1, 6, 6).double(), torch.arange(5) % 3))
    w = problem.start()
    each = torch.cat(list(gradients.sample_gradients(problem, w)))
    torch.testing.assert_close(each, looped(problem, w), rtol=1e-10, atol=1e-13)
    v = torch.randn_like(w)
    dense = dense_covariance(problem, w)
    np.testing.assert_allclose(
        covariance_product(problem, w, v), dense @ v.numpy(), rtol=1e-8, atol=1e-12
    )


def test_refusals():
    problem, w = made()
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3, track_running_stats=0))
    batchy = Problem(net.double(), problem.samples)
    for call, words in (
        (lambda: gradients.sample_gradients(batchy, batchy.start()), "batch norm 1 uses"),
        (lambda: covariance_product(batchy, batchy.start(), batchy.start()), "batch norm 1 uses"),
        (lambda: gradients.sample_gradients(problem, w[1:]), r"w must be .*\(31,\).* \(30,\)"),
        (lambda: gradients.sample_gradients(problem, w, rows=0), "rows must be"),
        (lambda: noise_covariance(problem, w, k=8), "k must be at most 7"),
        (lambda: noise_covariance(problem, w, k=7), "rank, 6"),
        (lambda: noise_covariance(problem, w).rank(2.0), "share must be"),
        (lambda: batch_factor(7, 8, "subset"), "at most the 7 samples"),
        (lambda: batch_factor(7, 2, "epochs"), "sampling must be"),
        (lambda: gaussian_noise(problem, w, 0, seed=0), "draws must be"),
        (lambda: gaussian_noise(problem, w, seed=-1), "seed must be"),
        (lambda: gradient_noise(problem, w, probes=1), "probes must be"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(
        TypeError, match="problem must be a samdyn.networks Problem, got Sequential"
    ):
        gradient_noise(net, w)
    with pytest.raises(ValueError, match=r"v must be .*\(31,\).* \(30,\)"):
        covariance_product(problem, w, w[1:])
