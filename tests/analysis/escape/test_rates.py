"""Kramers' and Eyring's rates against exact quadrature and the two-dimensional equation."""

import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.escape.passage import first_passage
from samdyn.analysis.escape.rates import escape_rate
from samdyn.systems.formula_sde import FormulaSDE

WELL = sd.Loss("x**4/4 - x**2/2")


def test_kramers_is_the_limit_of_the_exact_time():
    """The relative error falls like T: the factor is 1 + 3 T/2 + ... for this well."""
    wrong = []
    temperatures = np.array([0.02, 0.01, 0.005, 0.0025])
    for temperature in temperatures:
        system = FormulaSDE({"x": "x - x**3"}, {"x": "s"}, s=float(np.sqrt(2 * temperature)))
        # all the way across, where it does not come back from
        exact = first_passage(system, sd.Escape("x > 1"))(-1.0)
        wrong.append(float(exact) / escape_rate(WELL, [-1.0], [0.0], temperature).time - 1)
    slope = np.polyfit(np.log(temperatures), np.log(wrong), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.05)
    assert wrong[-1] == pytest.approx(1.5 * 0.0025, rel=0.05)


def test_an_array_of_temperatures_and_its_parts():
    found = escape_rate(WELL, [1.0], [0.0], [0.05, 0.1])
    assert found.barrier == pytest.approx(0.25)
    assert found.prefactor == pytest.approx(np.sqrt(2) / (2 * np.pi))
    np.testing.assert_allclose(found.rate, found.prefactor * np.exp(-0.25 / np.array([0.05, 0.1])))
    np.testing.assert_allclose(found.rate * found.time, 1.0)


def test_eyring_in_two_dimensions_agrees_with_the_backward_equation():
    """A tilted double well that is wider at the saddle: the determinants count."""
    loss = sd.Loss("x**4/4 - x**2/2 + (1 + x**2)*y**2/2 + 0.3*x*y")
    points = loss.critical_points([(-2, 2), (-1, 1)])
    saddle = next(c for c in points if c.kind == "saddle")
    minimum = min((c for c in points if c.kind == "minimum"), key=lambda c: c.point[0])
    grad = {"x": "-(x**3 - x + x*y**2 + 0.3*y)", "y": "-((1 + x**2)*y + 0.3*x)"}
    box, wrong = [(-2.2, 2.2), (-2.0, 2.0)], []
    for temperature in (0.05, 0.025):
        system = FormulaSDE(grad, dict.fromkeys("xy", "s"), s=float(np.sqrt(2 * temperature)))
        # well across the saddle, from where hardly a particle comes back
        exact = first_passage(system, sd.Escape("x > 0.7"), box=box)(minimum.point)
        time = escape_rate(loss, minimum.point, saddle.point, temperature).time
        wrong.append(float(exact) / time - 1)
    assert wrong[1] == pytest.approx(0.063, abs=0.005)
    assert wrong[1] / wrong[0] == pytest.approx(0.5, abs=0.08)  # it falls like T
    # without the directions across, the prefactor would be off by a factor of sqrt(2)
    assert np.sqrt(minimum.eigenvalues[-1] / saddle.eigenvalues[-1]) > 1.3


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="Loss"):
        escape_rate("x**2", [0.0], [1.0], 0.1)
    with pytest.raises(ValueError, match="no critical point"):
        escape_rate(WELL, [-0.9], [0.0], 0.1)
    with pytest.raises(ValueError, match="minimum .* is none"):
        escape_rate(WELL, [0.0], [0.0], 0.1)
    with pytest.raises(ValueError, match="one negative eigenvalue"):
        escape_rate(WELL, [-1.0], [1.0], 0.1)
    with pytest.raises(ValueError, match="above 0"):
        escape_rate(WELL, [-1.0], [0.0], 0.0)
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        escape_rate(WELL, [-1.0, 0.0], [0.0], 0.1)
    with pytest.raises(ValueError, match="constant a"):
        escape_rate(sd.Loss("a*x**4/4 - x**2/2", a=[1.0, 2.0], variables="x"), [-1.0], [0.0], 0.1)
