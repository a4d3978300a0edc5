"""Eigenpairs against those of the dense Hessian, and of matrices made to be hard."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from samdyn.networks.curvature import (  # noqa: E402
    NotConverged,
    dense,
    eigenpairs,
    gradient_alignment,
)

ORDER = {"largest": lambda x: -x, "smallest": lambda x: x, "magnitude": lambda x: -np.abs(x)}


def truth(matrix, which, k):
    values = np.linalg.eigvalsh(matrix.double().numpy())
    return values[np.argsort(ORDER[which](values), kind="stable")][:k]


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("which", ORDER)
@pytest.mark.parametrize("k", [1, 4])
def test_against_the_dense_hessian(network, loss, which, k):
    sizes = (10, 20, 8) if loss == "mse" else (6, 9, 5)  # 388 weights, or 113
    problem, w = network(loss, sizes)
    found, matrix = eigenpairs(problem, w, k, which), dense(problem, w)
    expected = truth(matrix, which, k)
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)
    true = torch.linalg.vector_norm(
        found.vectors @ matrix - found.values[:, None] * found.vectors, dim=1
    )
    assert found.converged
    assert torch.allclose(found.residuals, true, rtol=1e-3, atol=1e-12)
    assert torch.all(found.residuals <= 1e-6 * found.values.abs())
    assert torch.allclose(
        found.vectors @ found.vectors.T, torch.eye(k, dtype=w.dtype), rtol=0, atol=1e-12
    )


def test_a_looser_tolerance_costs_less_and_holds(network):
    problem, w = network(sizes=(10, 20, 8))
    fine, coarse = eigenpairs(problem, w), eigenpairs(problem, w, tol=1e-2)
    assert coarse.products < fine.products
    assert abs(coarse.values / fine.values - 1) < 1e-2
    assert coarse.residuals <= 1e-2 * coarse.values


def test_chunks_make_no_difference(network):
    whole = eigenpairs(*network(), 3)
    short = eigenpairs(*network(chunk=17), 3)  # 40 samples: 17, 17 and 6
    assert torch.allclose(whole.values, short.values, rtol=1e-12, atol=0)
    assert torch.allclose(whole.vectors, short.vectors, rtol=0, atol=1e-9)


def test_float32(network):
    problem, w = network(sizes=(10, 20, 8), dtype=torch.float32)
    found = eigenpairs(problem, w, 3)
    double, _ = network(sizes=(10, 20, 8))
    expected = truth(dense(double, w.double()), "largest", 3)
    assert found.values.dtype == found.vectors.dtype == torch.float32
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert found.converged
    assert found.residuals.max() <= 4e-6 * expected[0]


def test_restarts_hold_few_vectors_and_find_the_same(quadratic):
    problem, w, *_ = quadratic(np.linspace(0, 1, 200))
    found = eigenpairs(problem, w, 2, basis=12, most=2000)
    np.testing.assert_allclose(found.values, [1, 198 / 199], rtol=1e-9)
    assert found.products > eigenpairs(problem, w, 2).products


@pytest.mark.parametrize("k", [2, 3, 6])
def test_every_copy_of_a_multiple_eigenvalue_is_found(quadratic, k):
    problem, w, _, _ = quadratic([5.0] * 4 + [3.0] * 3 + [1.0] * 60 + [0.0] * 60)
    for seed in range(3):
        found = eigenpairs(problem, w, k, seed=seed)
        np.testing.assert_allclose(found.values, ([5.0] * 4 + [3.0] * 3)[:k], rtol=1e-9)


def test_the_saddle_of_a_matrix_factorisation():
    """At 0 the Hessian of |U V - M|^2 has -2 s and 2 s, each once for a column of U."""
    from samdyn.networks.problem import Problem, Samples

    m = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))

    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.u = torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
            self.v = torch.nn.Parameter(torch.zeros(4, 3, dtype=torch.float64))

        def forward(self, x):
            return x @ self.u @ self.v

    problem = Problem(Product(), Samples(torch.eye(3, dtype=torch.float64), m), "mse")
    found = eigenpairs(problem, problem.start(), 5, "smallest")
    np.testing.assert_allclose(found.values, 2 / 3 * np.array([-3, -3, -3, -3, -2]), rtol=1e-9)


@pytest.mark.parametrize(
    ("values", "k"), [([0.0] * 8, 1), ([0.0] * 8, 8), ([2.0] * 9, 4), ([3.0, 1.0, 0, 0, 0], 5)]
)
def test_where_lanczos_breaks_down(quadratic, values, k):
    problem, w, _, _ = quadratic(values)
    found = eigenpairs(problem, w, k)
    np.testing.assert_allclose(found.values, values[:k], atol=1e-13)
    assert found.converged


def test_the_whole_spectrum(network):
    problem, w = network()
    found = eigenpairs(problem, w, problem.dimension)
    matrix = dense(problem, w)
    np.testing.assert_allclose(found.values, truth(matrix, "largest", 92), atol=1e-12)


def test_a_warm_start_saves_products_and_keeps_the_sign(network):
    problem, w = network(sizes=(10, 20, 8))
    before = eigenpairs(problem, w)
    moved = w + 1e-4
    cold, warm = (eigenpairs(problem, moved, start=s) for s in (None, before.vectors))
    opposite = eigenpairs(problem, moved, start=-before.vectors[0])
    assert warm.products <= 0.8 * cold.products
    assert torch.allclose(warm.values, cold.values, rtol=1e-10, atol=0)
    assert warm.vectors[0] @ before.vectors[0] > 0.99
    assert opposite.vectors[0] @ before.vectors[0] < -0.99


def test_a_warm_start_sees_an_eigenvalue_that_has_overtaken(quadratic):
    problem, w, _, turn = quadratic([5.0, 4.9, *np.linspace(0, 3, 300)])
    found = eigenpairs(problem, w, start=turn[:, 1])  # the eigenvector of 4.9, to the last digit
    assert found.values.item() == pytest.approx(5, rel=1e-9)


def test_too_few_products_raise_with_what_was_found(network):
    problem, w = network(sizes=(10, 20, 8))
    with pytest.raises(NotConverged, match=r"1 eigenpairs did not converge in 5 products") as out:
        eigenpairs(problem, w, most=5)
    best, asked = out.value.best, eigenpairs(problem, w, most=5, strict=False)
    assert not best.converged
    assert not asked.converged
    assert torch.equal(best.values, asked.values)
    matrix = dense(problem, w)
    wrong = torch.linalg.vector_norm(matrix @ best.vectors[0] - best.values * best.vectors[0])
    assert best.residuals.item() == pytest.approx(wrong.item(), rel=1e-9)
    distance = np.abs(np.linalg.eigvalsh(matrix.numpy()) - best.values.item()).min()
    assert distance <= wrong


def test_seeds_repeat_and_leave_torch_alone(network):
    problem, w = network()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again, other = (eigenpairs(problem, w, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)


def test_gradient_alignment(network, quadratic):
    problem, w = network()
    vector = torch.linalg.eigh(dense(problem, w)).eigenvectors[:, -1]
    slope = problem.grad(w)
    expected = abs(slope @ vector).item() / slope.norm().item()
    assert gradient_alignment(problem, w) == pytest.approx(expected, rel=1e-6)
    assert gradient_alignment(problem, w, eigenpairs(problem, w)) == pytest.approx(expected, 1e-6)
    bowl, at, _, turn = quadratic([2.0, 1.0, 0.5])
    assert gradient_alignment(bowl, turn[:, 0]) == pytest.approx(1, rel=1e-12)
    assert gradient_alignment(bowl, turn[:, 1]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(gradient_alignment(bowl, 0 * at))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"k": 0}, "k must be a whole number >= 1, got 0"),
        ({"k": 93}, "k must be at most the number of weights, 92, got 93"),
        ({"which": "LA"}, "which must be one of largest, smallest, magnitude, got 'LA'"),
        ({"tol": 0}, "tol must be above 0"),
        ({"most": 0}, "most must be a whole number >= 1, got 0"),
        ({"k": 3, "basis": 4}, "basis must be a whole number >= 5, got 4"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"start": torch.ones(91)}, r"start must be a tensor of shape \(92,\) or \(any, 92\)"),
        ({"start": torch.zeros(92)}, "start must be finite and not all 0"),
        ({"start": torch.full((92,), torch.nan)}, "start must be finite and not all 0"),
    ],
)
def test_what_is_refused(network, arguments, said):
    with pytest.raises(ValueError, match=said):
        eigenpairs(*network(), **arguments)
