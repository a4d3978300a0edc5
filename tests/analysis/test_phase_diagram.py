"""Phase diagrams against linear theory and exact cycles."""

import numpy as np
import pytest

import samdyn as sd

QUARTIC = sd.Loss("x**2/2 - y**2/2 + y**4/4")


def diagram(*given, **options):
    return sd.phase_diagram(*given, progress=False, **options)


def words(found):
    said = np.array(found.label.attrs["flag_meanings"].split())
    return said[found.label.values]


@pytest.mark.slow
def test_usam_is_trapped_where_the_multiplier_says():
    values = {"lr": np.linspace(0.05, 0.4, 8), "rho": np.linspace(0.2, 2.4, 23)}
    system = sd.Map(QUARTIC, sd.USAM(lr=0.1, rho=0.1))
    found = diagram(system, values, [0.05, 0.01], about=(0, 0), radius=0.8, steps=5000)
    lr, rho = np.meshgrid(*values.values(), indexing="ij")
    # one for each eigenvalue h = 1, -1 of the Hessian: 1 - lr h (1 + rho h)
    theory = np.maximum(np.abs(1 - lr * (1 + rho)), np.abs(1 + lr * (1 - rho)))
    np.testing.assert_allclose(found.spectral_radius, theory, atol=1e-12)
    away = np.abs(theory - 1) > 1e-3
    assert np.sum(away) > 0.9 * away.size
    np.testing.assert_array_equal((words(found) == "trapped")[away], (theory < 1)[away])
    assert np.all(words(found)[away & (theory > 1)] == "escapes")
    inside = theory < 0.999
    np.testing.assert_allclose(found.rate.values[inside], np.log(theory)[inside], atol=1e-3)
    assert np.all(found.period.values[inside] == 1)


def test_a_slow_escape_is_none_that_is_trapped():
    values = {"lr": [0.05, 0.1], "rho": [0.9999, 1.0001]}
    system = sd.Map(QUARTIC, sd.USAM(lr=0.1, rho=0.1))
    found = diagram(system, values, [0.05, 1e-4], about=(0, 0), radius=0.8, steps=20_000)
    assert np.all(found.steps == 20_000)  # none has left yet
    assert [*words(found)[:, 0]] == ["escapes"] * 2
    assert [*words(found)[:, 1]] == ["trapped"] * 2


def test_normalised_sam_on_a_saddle_has_its_window_of_two_cycles():
    """On a x^2/2 - b y^2/2: stable iff lr a^2/(2 - lr a) < b < 2 a/(2 - lr a); chaos above."""
    saddle = sd.Loss("a*x**2/2 - b*y**2/2", variables="x y", a=2.0, b=1.0)
    values = {"b": np.linspace(0.15, 3.9, 16), "lr": np.linspace(0.1, 0.5, 5)}
    found = diagram(
        sd.Map(saddle, sd.SAM(lr=0.1, rho=0.5)),
        values,
        [0.05, 0.01],
        about=(0, 0),
        radius=5.0,
        steps=10_000,
    )
    b, lr = np.meshgrid(*values.values(), indexing="ij")
    low, high = lr * 4 / (2 - 2 * lr), 4 / (2 - 2 * lr)
    inside = (b > low + 0.02) & (b < high - 0.02)
    above = (b > high + 0.1) & (lr <= 0.2)
    assert np.sum(inside) > 20
    assert np.sum(above) > 5
    assert np.all(words(found)[inside] == "trapped")
    assert np.all(found.period.values[inside] == 2)
    assert np.all(found.rate.values[inside] < 0)
    assert np.all(words(found)[above] == "trapped")
    assert np.all(found.period.values[above] == 0)
    assert np.all(found.rate.values[above] > 0)
    # who leaves, and when: as a plain loop has it
    x, y, left = np.full(b.shape, 0.05), np.full(b.shape, 0.01), np.full(b.shape, 10_000)
    for step in range(10_000):
        left = np.where((np.hypot(x, y) > 5.0) & (left == 10_000), step, left)
        gx, gy = 2.0 * x, -b * y
        size = np.hypot(gx, gy)
        ax, ay = x + 0.5 * gx / size, y + 0.5 * gy / size
        here = left == 10_000
        x, y = np.where(here, x - lr * 2.0 * ax, x), np.where(here, y + lr * b * ay, y)
    np.testing.assert_array_equal(words(found)[left < 10_000], "escapes")
    assert np.mean(np.abs(found.steps.values - left) <= 1) > 0.9  # chaos parts some
    assert "spectral_radius" not in found  # it jumps at the saddle


@pytest.mark.slow
def test_the_logistic_map_converges_cycles_and_is_chaotic():
    logistic = sd.FormulaMap({"x": "r*x*(1 - x) + c"}, r=3.0, c=0.0)
    r = np.array([2.0, 2.8, 3.2, 3.5, 3.55, 3.7, 3.83, 3.9, 4.1])
    found = diagram(logistic, {"r": r, "c": [0.0, 1e-12]}, [0.3], steps=20_000)
    wanted = ["converges"] * 2 + ["cycle"] * 3 + ["chaotic", "cycle", "chaotic", "diverges"]
    for column in (0, 1):
        assert [*words(found)[:, column]] == wanted
        assert [*found.period.values[2:5, column], found.period.values[6, column]] == [2, 4, 8, 3]
    # |2 - r| at the fixed point 1 - 1/r
    np.testing.assert_allclose(found.rate[1], np.log(0.8), atol=1e-3)
    assert found.rate.values[0, 0] < -20  # superstable
    np.testing.assert_allclose(found.rate[2], np.log(abs(4 + 2 * 3.2 - 3.2**2)) / 2, atol=1e-3)


@pytest.mark.slow
def test_momentum_and_a_flow_at_a_minimum():
    """Heavy ball on h w^2/2: m^2 - (1 + momentum - lr h) m + momentum = 0."""
    bowl = sd.Loss("x**2/2")
    values = {"lr": [0.1, 0.5, 4.5], "momentum": [0.0, 0.5, 0.8]}
    found = diagram(sd.Map(bowl, sd.GD(lr=0.1, momentum=0.5)), values, [1.0], steps=4000)
    for i, lr in enumerate(values["lr"]):
        for j, momentum in enumerate(values["momentum"]):
            m = np.max(np.abs(np.roots([1, -(1 + momentum - lr), momentum])))
            assert words(found)[i, j] == ("converges" if m < 1 else "diverges")
            if m < 1:
                assert found.rate.values[i, j] == pytest.approx(np.log(m), abs=2e-3)
    flow = sd.Flow(QUARTIC, sd.USAM(lr=0.1, rho=0.5), dt=0.05)
    found = diagram(
        flow, {"rho": [0.5, 1.5], "dt": [0.02, 0.05]}, [0.1, 0.01], about=(0, 0), radius=0.5
    )
    assert [*words(found)[:, 0]] == ["escapes", "trapped"]
    np.testing.assert_allclose(found.rate[1], -0.5, atol=1e-3)  # 1 - rho
    np.testing.assert_allclose(found.spectral_radius[0], np.exp(0.5), rtol=1e-9)


def test_refinement_adds_cells_where_the_label_changes():
    system = sd.Map(QUARTIC, sd.USAM(lr=0.1, rho=0.1))
    about = {"about": (0, 0), "radius": 0.8, "steps": 2000}
    coarse = {"lr": np.geomspace(0.05, 0.4, 4), "rho": np.linspace(0.2, 1.8, 9)}
    found = diagram(system, coarse, [0.05, 0.01], refine=2, **about)
    fine = {"lr": np.geomspace(0.05, 0.4, 13), "rho": np.linspace(0.2, 1.8, 33)}
    full = diagram(system, fine, [0.05, 0.01], **about)
    np.testing.assert_allclose(found.lr, full.lr, rtol=1e-12)
    np.testing.assert_array_equal(found.label, full.label)
    assert found.attrs["points_run"] == int(found.ran.sum()) < 0.7 * found.ran.size


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ({"lr": [0.1, 0.2]}, {}, "two"),
        ({"lr": [0.2, 0.1], "rho": [0.1, 0.2]}, {}, "values of lr must be at least two increasing"),
        ({"lr": [0.1, 0.2], "tau": [0.1, 0.2]}, {}, "tau"),
        ({"lr": [0.1, 0.2], "rho": [0.1, 0.2]}, {"about": (0, 0)}, "about and radius go together"),
        (
            {"lr": [0.1, 0.2], "rho": [0.1, 0.2]},
            {"about": (0, 0), "radius": 0.01},
            "x0 must be within radius",
        ),
    ],
)
def test_refusals(values, options, said):
    with pytest.raises(ValueError, match=said):
        diagram(sd.Map(QUARTIC, sd.USAM(lr=0.1, rho=0.1)), values, [0.1, 0.1], **options)
