"""A loss: values, derivatives, constants, functions and refusals."""

import pickle

import mpmath
import numpy as np
import pytest
import sympy
from scipy.optimize import rosen, rosen_der, rosen_hess

from samdyn import losses, words
from samdyn.losses import FormulaError, Loss
from samdyn.tracer import DefinitionError
from samdyn.words import Point

BEALE = losses.beale()


def test_closed_forms():
    loss = Loss("a*x**2/2 - b*y**2/2 + x*y**3", variables="x y", a=2.0, b=3.0)
    x, y = 0.7, -1.3
    p = [x, y]
    assert loss.value(p) == pytest.approx(x**2 - 1.5 * y**2 + x * y**3)
    np.testing.assert_allclose(loss.grad(p), [2 * x + y**3, -3 * y + 3 * x * y**2])
    np.testing.assert_allclose(loss.hessian(p), [[2, 3 * y**2], [3 * y**2, -3 + 6 * x * y]])
    u, v = np.array([1.0, 2.0]), np.array([-0.5, 3.0])
    # D^3: xyy = 6y, yyy = 6x
    expected = [6 * y * u[1] * v[1], 6 * y * (u[0] * v[1] + u[1] * v[0]) + 6 * x * u[1] * v[1]]
    np.testing.assert_allclose(loss.third(p, u, v), expected)


def test_rosenbrock_agrees_with_scipy():
    points = np.random.default_rng(1).uniform(-2, 2, (6, 4))
    loss = losses.rosenbrock(4)
    np.testing.assert_allclose(loss.value(points), [rosen(p) for p in points], rtol=1e-13)
    np.testing.assert_allclose(loss.grad(points), [rosen_der(p) for p in points], rtol=1e-11)
    np.testing.assert_allclose(loss.hessian(points), [rosen_hess(p) for p in points], rtol=1e-12)


def test_derivatives_agree_with_mpmath():
    f = lambda x, y: mpmath.tanh(y * mpmath.tanh(x)) ** 2 / 2  # noqa: E731
    loss = losses.tanh_network()
    u, v = 0.9, -0.4
    with mpmath.workdps(40):
        orders = {
            n: float(mpmath.diff(f, (u, v), n)) for n in [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
        }
        third = float(mpmath.diff(f, (u, v), (2, 1)))
    np.testing.assert_allclose(loss.grad([u, v]), [orders[1, 0], orders[0, 1]], rtol=1e-13)
    hessian = [[orders[2, 0], orders[1, 1]], [orders[1, 1], orders[0, 2]]]
    np.testing.assert_allclose(loss.hessian([u, v]), hessian, rtol=1e-13)
    assert loss.third([u, v], [1, 0], [1, 0])[1] == pytest.approx(third, rel=1e-12)


def test_third_is_the_gradient_of_an_eigenvalue():
    p, h = np.array([0.5, -0.8]), 1e-5
    _, vectors = np.linalg.eigh(BEALE.hessian(p))
    top = vectors[:, -1]
    slope = [
        (
            np.linalg.eigvalsh(BEALE.hessian(p + e))[-1]
            - np.linalg.eigvalsh(BEALE.hessian(p - e))[-1]
        )
        / (2 * h)
        for e in h * np.eye(2)
    ]
    np.testing.assert_allclose(BEALE.third(p, top, top), slope, rtol=1e-7)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 0)])
def test_shapes(shape):
    p = np.random.default_rng(0).standard_normal((*shape, 2))
    assert BEALE.value(p).shape == shape
    assert BEALE.grad(p).shape == (*shape, 2)
    assert BEALE.hessian(p).shape == (*shape, 2, 2)
    assert BEALE.third(p, [1, 0], p).shape == (*shape, 2)
    if shape == (3, 4):
        np.testing.assert_array_equal(BEALE.hessian(p)[1, 2], BEALE.hessian(p[1, 2]))
        np.testing.assert_array_equal(
            BEALE.third(p, [1, 0], p)[2, 1], BEALE.third(p[2, 1], [1, 0], p[2, 1])
        )


def test_array_constants_broadcast():
    loss = losses.quartic_saddle(a=[1.0, 2.0, 4.0])
    p = [1.0, 0.5]
    np.testing.assert_array_equal(loss.grad(p)[:, 0], [1, 2, 4])
    assert loss.value(p).shape == (3,)
    assert loss.hessian(p).shape == (3, 2, 2)
    assert loss.third(p, [1, 0], [0, 1]).shape == (3, 2)
    assert loss.known == ()
    with pytest.raises(ValueError, match="critical_points needs one value of constant a"):
        loss.critical_points()
    with pytest.raises(ValueError, match="check needs one value of constant a"):
        loss.check()
    assert len(loss.replace(a=2.0).critical_points()) == 3


def test_a_constant_derivative_fills_its_shape():
    loss = Loss("2*x + 0*y", variables="x y")
    np.testing.assert_array_equal(loss.grad(np.zeros((3, 2))), [[2, 0]] * 3)
    assert not loss.hessian(np.zeros((3, 2))).any()


def test_overflow_and_undefined_values_are_silent():
    assert Loss("exp(x)").value([1000.0]) == np.inf
    assert np.isnan(Loss("log(x)").value([-1.0]))


def test_variables_in_natural_order():
    assert Loss("x10 + x2 + x1 + a", a=1.0).variables == ("x1", "x2", "x10")
    assert Loss("y + x", variables=["y", "x"]).variables == ("y", "x")
    assert Loss("x", variables="x y").dimension == 2


def test_replace():
    loss = Loss("a*x**2", variables="x", a=1.0)
    twin = loss.replace(a=5.0)
    assert twin.value([2.0]) == 20.0
    assert loss.value([2.0]) == 4.0
    with pytest.raises(ValueError, match="c is no constant of this loss; it has a"):
        loss.replace(c=1.0)
    with pytest.raises(ValueError, match="it has none"):
        BEALE.replace(c=1.0)
    with pytest.raises(ValueError, match="constant a must be finite"):
        loss.replace(a=np.nan)


def test_known_points_move_with_the_constants_so_replace_drops_them():
    assert len(losses.quartic_saddle(b=4.0).known) == 3
    assert losses.quartic_saddle().replace(b=4.0).known == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Loss("x + b", variables="x"), "names b, which is neither a variable"),
        (lambda: Loss("a*x", variables="a x", a=1.0), "both as a variable and as a constant"),
        (lambda: Loss("x", variables="x x"), "variables must be different names"),
        (lambda: Loss("x", variables=""), "variables must be different names"),
        (lambda: Loss("a", a=1.0), "has no variables"),
        (lambda: Loss("x", sin=1.0), "name 'sin' is taken"),
        (lambda: Loss("x", variables="x 2y"), "name '2y' must be letters"),
    ],
)
def test_bad_names(make, message):
    with pytest.raises(FormulaError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Loss(3.0), "formula must be text"),
        (lambda: Loss("x", grad=lambda w: w), "grad goes with a function"),
        (lambda: Loss(lambda w: w[0]), "variables must be given with a function"),
        (lambda: Loss("a*x", a="1"), "constant a must be a number"),
        (lambda: Loss("a*x", a=None), "constant a must be a number"),
        (lambda: Loss(lambda w: w[0] if w[0] > 0 else 0.0, "x"), "cannot branch on a value"),
        (lambda: Loss(lambda w: "x", "x"), "must return and combine scalars, got str"),
        (lambda: Loss(lambda w: w, "x y"), "must return and combine scalars, got Point"),
    ],
)
def test_bad_definitions(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_bad_points():
    with pytest.raises(
        ValueError, match=r"shape \(…, 2\), one entry for each of x, y; got .*\(3,\)"
    ):
        BEALE.value([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        BEALE.grad(1.0)


def test_a_sympy_expression_is_a_formula():
    a, b = sympy.symbols("x y")
    loss = Loss(a**2 - a * b)
    np.testing.assert_array_equal(loss.grad([1.0, 3.0]), [-1, -1])
    with pytest.raises(FormulaError, match="must be letters"):
        Loss(sympy.Symbol("x y") ** 2)


def test_a_function_is_differentiated():
    loss = Loss(lambda w, a: a * words.sin(w[0]) * words.exp(w[1]), variables="x y", a=2.0)
    text = Loss("a*sin(x)*exp(y)", variables="x y", a=2.0)
    p = np.random.default_rng(0).standard_normal((4, 2))
    for name in ("value", "grad", "hessian"):
        np.testing.assert_allclose(getattr(loss, name)(p), getattr(text, name)(p), rtol=1e-14)
    assert loss.check().ok


def test_a_function_may_choose_with_where():
    loss = Loss(lambda w: words.where(w[0] < 0.0, w[0] ** 2, 3.0 * w[0] ** 2), variables="x")
    np.testing.assert_array_equal(loss.grad([[-1.0], [1.0]]), [[-2], [6]])


def test_a_written_gradient_is_used_as_it_is():
    loss = losses.log_cosh()
    np.testing.assert_array_equal(loss.grad([[1000.0], [-1000.0]]), [[1], [-1]])
    assert [line.operation for line in loss.program(1).lines] == ["tanh", "multiply"]
    assert loss.hessian([0.5])[0, 0] == pytest.approx(np.cosh(0.5) ** -2)
    assert loss.check().ok


def test_check_catches_a_wrong_written_gradient():
    wrong = Loss(lambda w: w[0] ** 2, variables="x", grad=lambda w: Point([2.001 * w[0]]))
    check = wrong.check()
    assert not check.ok
    assert check.value < 1e-15
    assert check.grad == pytest.approx(5e-4, rel=1e-6)
    nan = Loss(
        lambda w: w[0] ** 2,
        variables="x",
        grad=lambda w: Point([2 * w[0] + 0 * words.log(-(w[0] ** 2))]),
    )
    assert not nan.check([[1.0]]).ok


def test_a_written_gradient_of_the_wrong_size_is_refused():
    with pytest.raises(
        ValueError, match="grad must return 2 components, one for each of x, y; got 1"
    ):
        Loss(lambda w: w[0] * w[1], variables="x y", grad=lambda w: Point([w[1]]))


def test_description():
    loss = Loss("a*x**2", variables="x", a=1.0).described(
        "bowl", "here", [(-1, 1)], lambda a: [((0,), "minimum")]
    )
    assert (loss.name, loss.source, loss.box) == ("bowl", "here", ((-1.0, 1.0),))
    assert loss.known == (((0.0,), "minimum"),)
    assert repr(loss) == "Loss(bowl: 'a*x**2', variables='x', a=1.0)"
    assert "x^{2}" in loss._repr_latex_()


def test_bad_boxes():
    with pytest.raises(ValueError, match="box must be given for this loss"):
        Loss("x**2").critical_points()
    for box in ([(0, 1)], [(0, 1), (1, 0)], [(0, 1), (2, 2)]):
        with pytest.raises(
            ValueError, match=r"2 intervals .* with low < high, one for each of x, y"
        ):
            BEALE.critical_points(box)


def test_a_loss_can_be_pickled():
    for loss in (BEALE, losses.log_cosh(), losses.gaussian_wells()):
        twin = pickle.loads(pickle.dumps(loss))
        p = np.full(loss.dimension, 0.3)
        assert twin.value(p) == loss.value(p)
        assert twin.known == loss.known


@pytest.mark.parametrize(
    "formula", ["abs(log(x))", "abs(sqrt(x) - 2)", "abs(x**0.3)", "abs(abs(log(x))*sqrt(x) - 1)"]
)
def test_derivatives_of_absolute_values_of_what_may_be_complex(formula):
    assert Loss(formula).check([[0.7], [2.0]]).ok


def test_signs_and_kinks_are_differentiated_almost_everywhere():
    loss = Loss("sign(log(x))*x + max(log(x), y)**2", variables="x y")
    np.testing.assert_array_equal(loss.grad([0.5, 3.0]), [-1, 6])
    np.testing.assert_array_equal(loss.hessian([0.5, 3.0]), [[0, 0], [0, 2]])
    assert np.isfinite(loss.third([0.5, 3.0], [1, 1], [1, 1])).all()


_X = sympy.Symbol("x")


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (sympy.gamma(_X), "gamma"),
        (sympy.Function("f")(_X), "f"),
        (sympy.I * _X, "ImaginaryUnit"),
        (sympy.Derivative(sympy.Function("f")(_X), _X), "Derivative"),
        (sympy.oo * _X, "Infinity"),
    ],
)
def test_sympy_functions_without_a_word_are_refused(expression, name):
    with pytest.raises(FormulaError, match=f"{name} has no counterpart .* known are sqrt, exp"):
        Loss(expression)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Loss("x**2", A=1.0),
        lambda: Loss("x**2", variables="x y", A=1.0),
        lambda: Loss(_X**2, A=1.0),
        lambda: Loss(lambda w, A: w[0] ** 2, variables="x", A=1.0),
    ],
)
def test_a_constant_that_does_not_occur_is_refused(make):
    with pytest.raises(FormulaError, match="constant A does not occur .* whose names are x"):
        make()


def test_a_constant_that_cancels_does_occur():
    assert Loss("a*x - a*x + x**2", a=1.0).grad([1.0]) == 2.0


def test_a_long_sum():
    loss = losses.quadratic((1.0,) * 400)
    assert loss.dimension == 400
    assert loss.value(np.ones(400)) == 200.0
    np.testing.assert_array_equal(loss.grad(np.ones(400)), np.ones(400))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (lambda w: np.sqrt(w[0]), "in <lambda>: operand 'Traced' does not support ufuncs"),
        (lambda w: w.sum(), "'Point' object has no attribute 'sum'"),
        (lambda w: w[3], "tuple index out of range"),
        (lambda w: w[0] % 2, "unsupported operand"),
        (lambda w: w + Point([1.0]), "as many components as each other"),
    ],
)
def test_errors_in_a_definition_say_what_to_use(definition, message):
    with pytest.raises(DefinitionError, match=message + ".* the words of samdyn.words") as refusal:
        Loss(definition, variables="x y")
    assert "\n" not in str(refusal.value)


def test_variables_may_be_separated_by_commas():
    assert Loss("x*y", variables="x, y").variables == ("x", "y")
    for variables in (3, [1, 2]):
        with pytest.raises(TypeError, match="variables must be names such as 'x y'"):
            Loss("x*y", variables=variables)
