"""The library: every loss described, checked and found by its name."""

import inspect

import numpy as np
import pytest

from samdyn import losses
from samdyn.losses import LIBRARY, get, names

HYPERPARAMETERS = {"lr", "rho", "momentum", "weight_decay", "dt", "batch_size"}
KINDS = {"minimum", "saddle", "maximum", "degenerate"}

every_loss = pytest.mark.parametrize("make", LIBRARY, ids=lambda f: f.__name__)


@every_loss
def test_derivatives_are_right(make):
    assert make().check().ok


@every_loss
def test_described(make):
    loss = make()
    assert loss.name == make.__name__
    assert loss.source
    assert len(loss.box) == loss.dimension
    assert loss.known
    for point, kind in loss.known:
        assert kind in KINDS
        assert len(point) == loss.dimension
        assert all(low <= x <= high for x, (low, high) in zip(point, loss.box, strict=True))


@every_loss
def test_constants_are_not_called_as_hyperparameters_are(make):
    loss = make()
    assert not HYPERPARAMETERS & {*loss.constants, *loss.variables}


@every_loss
def test_docstring_says_what_it_is_in_one_sentence(make):
    first, _, rest = inspect.getdoc(make).partition("\n")
    assert first.endswith(".")
    assert not rest or rest.startswith("\n")
    for name in inspect.signature(make).parameters:
        assert f"{name}" in rest


@every_loss
def test_every_number_may_be_an_array(make):
    for name, value in make().constants.items():
        swept = make().replace(**{name: np.array([value, value])})
        p = np.full(swept.dimension, 0.3)
        np.testing.assert_array_equal(swept.grad(p), [make().grad(p)] * 2)


@every_loss
def test_an_array_argument_becomes_an_array_constant(make):
    for name, parameter in inspect.signature(make).parameters.items():
        if isinstance(parameter.default, float) and name != "dimension":
            swept = make(**{name: np.array([1.0, 2.0, 3.0])})
            assert np.shape(swept.constants[name]) == (3,)


def test_names_are_those_of_the_functions_and_different():
    assert names() == tuple(function.__name__ for function in LIBRARY)
    assert len(set(names())) == len(LIBRARY)
    for name in names():
        assert get(name) is getattr(losses, name)
        assert name in losses.__all__


def test_every_function_of_the_library_is_listed():
    modules = ("saddles", "classic", "valleys", "manifolds", "models")
    written = {
        name
        for module in modules
        for name, function in vars(getattr(losses, module)).items()
        if inspect.isfunction(function)
        and function.__module__ == f"samdyn.losses.{module}"
        and not name.startswith("_")
    }
    assert written == set(names())


def test_an_unknown_name_is_refused_with_near_matches():
    with pytest.raises(ValueError, match=r"'beal' is no loss of the library; did you mean beale\?"):
        get("beal")
    with pytest.raises(ValueError, match="did you mean quadratic_saddle or "):
        get("quadratic-saddle")
    with pytest.raises(ValueError, match="is no loss of the library; there are quadratic, "):
        get("zzz")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.quartic_saddle(b=-1.0), "b must be above 0, got -1"),
        (lambda: losses.double_well(a=0.0), "a must be above 0, got 0"),
        (lambda: losses.log_cosh(a=-1.0), "a must be above 0"),
        (lambda: losses.gaussian_wells(flat_width=0.0), "flat_width must be above 0"),
        (lambda: losses.quadratic_saddle(()), "eigenvalues must have at least one entry"),
        (
            lambda: losses.styblinski_tang(0),
            "dimension must be a whole number of at least 1, got 0",
        ),
        (lambda: losses.rosenbrock(1), "dimension must be a whole number of at least 2, got 1"),
        (lambda: losses.rastrigin(2.0), "dimension must be a whole number of at least 1, got 2.0"),
        (lambda: losses.product_chain(1), "depth must be a whole number of at least 2, got 1"),
        (lambda: losses.least_squares([], []), "equally long row and one number a sample"),
        (lambda: losses.least_squares([[1.0], [2.0]], [1.0]), "2 rows .* and 1 targets"),
        (lambda: losses.diagonal_network([[1.0], [2.0, 3.0]], [1, 1]), r"lengths \[1, 2\]"),
        (lambda: losses.quadratic_neuron([1.0], [1.0, 2.0]), "1 rows .* 2 targets"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_values_at_published_minima():
    for make, point, value in [
        (losses.six_hump_camel, (0.0898, -0.7126), -1.0316),
        (losses.styblinski_tang, (-2.903534, -2.903534), -78.332331),
        (losses.goldstein_price, (0, -1), 3),
        (losses.mueller_brown, (-0.558, 1.442), -146.6995),
        (losses.himmelblau, (3, 2), 0),
        (losses.beale, (3, 0.5), 0),
        (losses.booth, (1, 3), 0),
    ]:
        assert float(make().value(point)) == pytest.approx(value, abs=1e-3)


def test_sharpness_on_the_hyperbola():
    loss = losses.scalar_factorization()
    for x in (0.5, 1.0, 2.0):
        top = np.linalg.eigvalsh(loss.hessian([x, 1 / x]))[-1]
        assert top == pytest.approx(2 * (x**2 + x**-2))


def test_sharpness_on_the_plane_of_the_four_dimensional_toy():
    loss = losses.crossed_sharpness()
    for a, b in [(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)]:
        f1, f2 = a**2 + 6 * b**2 + 8, 4 * (1 - a) ** 2 + (1 - b) ** 2 + 1
        expected = sorted([0, 0, 2 * f1, 2 * f2])
        np.testing.assert_allclose(
            np.linalg.eigvalsh(loss.hessian([a, b, 0, 0])), expected, atol=1e-13
        )


def test_models_are_the_mean_over_their_samples():
    x, y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.3, 0.7])
    w = np.array([0.2, -0.4])
    regression = losses.least_squares(x.tolist(), y.tolist())
    assert regression.value(w) == pytest.approx(np.mean((x @ w - y) ** 2) / 2)
    diagonal = losses.diagonal_network(x.tolist(), y.tolist())
    v = np.array([1.5, 0.5])
    assert diagonal.value([*w, *v]) == pytest.approx(np.mean((x @ (w * v) - y) ** 2) / 2)
    neuron = losses.quadratic_neuron([1.0, 2.0], [0.5, 1.0])
    residual = 0.7 * (0.3 * np.array([1.0, 2.0])) ** 2 - np.array([0.5, 1.0])
    assert neuron.value([0.3, 0.7]) == pytest.approx(np.mean(residual**2))
    auto = losses.linear_autoencoder()
    a, b = np.array([0.3, -0.2]), np.array([0.9, 0.4])
    error = np.eye(2) - np.outer(b, a)
    assert auto.value([*a, *b]) == pytest.approx(np.trace(error @ np.diag([2, 1]) @ error.T) / 2)


def test_an_unknown_loss_is_met_with_the_nearest_names():
    with pytest.raises(AttributeError, match="losses has no 'beal'; did you mean beale"):
        losses.beal  # noqa: B018
    assert not hasattr(losses, "__path_to_nowhere__")


@pytest.mark.parametrize("make", [losses.crossed_sharpness, losses.two_residuals])
def test_as_a_finite_sum(make):
    whole, sum_ = make(), make(samples=True)
    p = np.random.default_rng(0).normal(size=(5, whole.dimension))
    ratio = 2.0 if make is losses.crossed_sharpness else 1.0  # the paper's is the sum, not the mean
    np.testing.assert_allclose(ratio * sum_.value(p), whole.value(p), rtol=1e-12)
    np.testing.assert_allclose(sum_.samples.value(p).mean(axis=-1), sum_.value(p), rtol=1e-12)
