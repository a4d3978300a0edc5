"""Fixed points and cycles against closed forms, and against plain loops."""

import math

import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.fixed.cycles import cycles, fixed_points

UNIT = [(-0.5, 1.5)]
SQUARE = [(-1.0, 1.0), (-1.0, 1.0)]
BEALE = sd.losses.beale()
BOX = [(-1, 4), (-1, 2)]  # without the third critical point


def logistic(r):
    return sd.FormulaMap({"x": "r*x*(1 - x)"}, r=r)


HENON = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)


def kinds(found):
    return [one.kind for one in found]


# --- maps by formula ----------------------------------------------------------------------


def test_logistic_closed_forms():
    r = 3.2
    zero, other = fixed_points(logistic(r), UNIT)
    np.testing.assert_allclose([zero.point[0], other.point[0]], [0, 1 - 1 / r], atol=1e-15)
    np.testing.assert_allclose([zero.eigenvalues[0], other.eigenvalues[0]], [r, 2 - r], rtol=1e-13)
    (two,) = cycles(logistic(r), 2, UNIT)
    root = math.sqrt((r + 1) * (r - 3))
    expected = [(r + 1 - root) / (2 * r), (r + 1 + root) / (2 * r)]
    np.testing.assert_allclose(two.points[:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(two.eigenvalues, [4 + 2 * r - r * r], rtol=1e-12)
    assert (two.kind, two.period, two.isolated) == ("attractor", 2, True)


def test_logistic_window_of_period_three():
    assert cycles(logistic(3.82), 3, UNIT) == []
    assert sorted(kinds(cycles(logistic(3.83), 3, UNIT))) == ["attractor", "repeller"]


@pytest.mark.parametrize(("period", "number"), [*enumerate([2, 1, 2, 3, 6, 9, 18, 30], 1)])
def test_numbers_of_cycles_of_the_full_logistic_map(period, number):
    """Of 2^p points that p steps return, those of minimal period p; each multiplier is +-2^p."""
    found = cycles(logistic(4.0), period, UNIT)
    assert len(found) == number
    # the fixed point 0 sits at an end, where the slope is 4
    sizes = [abs(one.eigenvalues[0]) for one in found if one.point[0] > 1e-9]
    np.testing.assert_allclose(sizes, 2.0**period, rtol=1e-9)


@pytest.mark.parametrize(("period", "number"), [*enumerate([2, 1, 0, 1, 0, 2, 4, 7], 1)])
def test_numbers_of_cycles_of_the_henon_map(period, number):
    """The known counts at a = 1.4, b = 0.3 (Biham and Wenzel, PRL 63, 819, 1989)."""
    found = cycles(HENON, period, [(-2, 2), (-2, 2)])
    assert len(found) == number
    for one in found:  # the map shrinks areas by b a step
        np.testing.assert_allclose(np.prod(one.eigenvalues), (-0.3) ** period, rtol=1e-8)


def test_henon_closed_forms():
    a, b = 1.4, 0.3
    root = math.sqrt((1 - b) ** 2 + 4 * a)
    found = [one.point[0] for one in fixed_points(HENON, [(-2, 2), (-2, 2)])]
    np.testing.assert_allclose(found, [(b - 1 - root) / (2 * a), (b - 1 + root) / (2 * a)])
    (two,) = cycles(HENON, 2, [(-2, 2), (-2, 2)])
    total = (1 - b) / a
    root = math.sqrt(total**2 - 4 * ((1 - b) ** 2 / a**2 - 1 / a))
    np.testing.assert_allclose(two.points[:, 0], [(total - root) / 2, (total + root) / 2])


def test_where_a_cycle_is_born_there_is_none_yet():
    assert cycles(logistic(3.0), 2, UNIT) == []
    (young,) = cycles(logistic(3.0 + 1e-5), 2, UNIT)
    assert young.kind == "attractor"
    assert [one.kind for one in fixed_points(logistic(3.0), UNIT)] == ["repeller", "neutral"]


def test_no_fixed_point_no_answer():
    assert fixed_points(sd.FormulaMap({"x": "x + 1"}), UNIT) == []
    assert [one.point[0] for one in fixed_points(sd.FormulaMap({"x": "0.5"}), UNIT)] == [0.5]


# --- normalised SAM on quadratics ---------------------------------------------------------


def quadratic(eigenvalues, seed=0):
    d = len(eigenvalues)
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    hessian = q @ np.diag(eigenvalues) @ q.T
    names = [f"x{i}" for i in range(d)]
    terms = (
        f"({float(hessian[i, j] + hessian[j, i]) / 4!r})*{names[i]}*{names[j]}"
        for i in range(d)
        for j in range(d)
    )
    return sd.Loss(" + ".join(terms), variables=names), q


def expected_cycle(eigenvalues, j, lr, rho):
    """Half-width and multipliers of the 2-cycle along the j-th eigenvector.

    F is odd, so that -F has the fixed point r v; the cycle's multipliers are the squares.
    """
    top = eigenvalues[j]
    multipliers = [
        -(1 - lr * x) if i == j else 1 - lr * x - (2 - lr * top) * (x / top) ** 2
        for i, x in enumerate(eigenvalues)
    ]
    return lr * rho * abs(top) / (2 - lr * top), np.array(multipliers)


SPECTRA = [
    ((4.0, 1.0), 0.01),
    ((4.0, 2.5, 1.0), 0.3),
    ((3.0, 2.0, 1.5, 0.5), 0.6),
    ((3.0, 2.7, 2.0, 1.5, 0.5), 0.01),
    ((5.0, 4.0, 3.0, 2.0, 1.0, 0.5), 0.01),
]


@pytest.mark.parametrize(
    ("eigenvalues", "lr"),
    [pytest.param(*one, marks=pytest.mark.slow if len(one[0]) > 3 else ()) for one in SPECTRA],
)
def test_a_cycle_along_every_eigenvector_of_a_quadratic(eigenvalues, lr):
    rho, d = 0.05, len(eigenvalues)
    loss, q = quadratic(eigenvalues)
    found = cycles(sd.Map(loss, sd.SAM(lr=lr, rho=rho)), 2, [(-2, 2)] * d, starts=64)
    assert len(found) == d
    seen = set()
    for one in found:
        r = np.linalg.norm(one.point)
        j = int(np.argmax(np.abs(q.T @ one.point)))
        seen.add(j)
        radius, multipliers = expected_cycle(eigenvalues, j, lr, rho)
        np.testing.assert_allclose(r, radius, rtol=1e-10)
        np.testing.assert_allclose(np.abs(q[:, j] @ one.point), r, rtol=1e-12)
        np.testing.assert_allclose(one.points[1], -one.points[0], atol=1e-12 * r)
        size = sorted(multipliers**2, reverse=True)
        np.testing.assert_allclose(one.eigenvalues, size, rtol=1e-10, atol=1e-10)
        assert one.kind == ("attractor" if j == 0 else "repeller" if size[-1] > 1 else "saddle")
        assert one.isolated
    assert seen == set(range(d))


@pytest.mark.parametrize(("edge", "factor"), [(0, 0.99), (0, 1.01), (1, 0.99), (1, 1.01)])
def test_the_cycle_across_a_saddle_is_stable_in_a_window(edge, factor):
    """On diag(l, -m): stable where lr l^2/(2 - lr l) < m < 2 l/(2 - lr l)."""
    lr, top = 0.35, 1.4
    m = factor * (lr * top**2 / (2 - lr * top), 2 * top / (2 - lr * top))[edge]
    stable = (factor > 1) == (edge == 0)
    loss = sd.losses.quadratic_saddle([top, -m])
    found = cycles(sd.Map(loss, sd.SAM(lr=lr, rho=0.05)), 2, SQUARE, starts=256)
    radius, multipliers = expected_cycle((top, -m), 0, lr, 0.05)
    (one,) = (c for c in found if abs(c.point[1]) < 1e-12)
    np.testing.assert_allclose(-one.point[0], radius, rtol=1e-10)
    np.testing.assert_allclose(sorted(one.eigenvalues.real), sorted(multipliers**2), rtol=1e-10)
    assert one.kind == ("attractor" if stable else "saddle")


def test_equal_curvatures_make_a_circle_of_cycles():
    sam = sd.Map(sd.losses.quadratic([1.0, 1.0]), sd.SAM(lr=0.1, rho=0.05))
    found = cycles(sam, 2, SQUARE)
    assert found
    for one in found:
        assert (one.kind, one.isolated) == ("neutral", False)
        np.testing.assert_allclose(np.linalg.norm(one.point), 0.1 * 0.05 / 1.9, rtol=1e-10)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_cycles_with_momentum(momentum):
    """From -w = w - lr v', v' = momentum v + g and v' = -v: r = lr rho l/(2(1+momentum) - lr l)."""
    lr, rho = 0.05, 0.05
    loss = sd.losses.quadratic([4.0, 1.0])
    found = cycles(sd.Map(loss, sd.SAM(lr=lr, rho=rho, momentum=momentum)), 2, SQUARE)
    radii = [lr * rho * x / (2 * (1 + momentum) - lr * x) for x in (4.0, 1.0)]
    np.testing.assert_allclose([np.linalg.norm(one.point) for one in found], radii, rtol=1e-10)
    for one, r in zip(found, radii, strict=True):
        assert one.points.shape == (2, 4)
        np.testing.assert_allclose(np.linalg.norm(one.points[:, 2:], axis=1), 2 * r / lr)
    assert kinds(found) == ["attractor", "saddle"]


# --- losses of the library ----------------------------------------------------------------


def test_critical_points_of_beale_are_the_fixed_points_of_gradient_descent():
    lr = 1e-3
    found = fixed_points(sd.Map(BEALE, sd.GD(lr=lr)))
    expected = sorted(BEALE.critical_points(), key=lambda c: tuple(c.point))
    assert kinds(found) == ["saddle", "saddle", "attractor"]
    for one, c in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.point, c.point, atol=1e-13)
        np.testing.assert_allclose(np.sort(one.eigenvalues.real), np.sort(1 - lr * c.eigenvalues))


def test_large_rho_makes_the_saddle_of_beale_an_attractor():
    """Kim et al. (arXiv 2301.06308), Theorem 1: above rho = 1/27.75 for the saddle (0, 1)."""
    for rho, kind in ((0.03, "saddle"), (0.04, "attractor")):
        usam = sd.USAM(lr=1e-4, rho=rho)
        for system in (sd.Map(BEALE, usam), sd.Flow(BEALE, usam)):
            found = fixed_points(system, BOX, starts=64)
            (one,) = (c for c in found if np.max(np.abs(c.point - [0, 1])) < 1e-12)
            assert one.kind == kind
            (minimum,) = (c for c in found if np.max(np.abs(c.point - [3, 0.5])) < 1e-9)
            assert minimum.kind == "attractor"


def test_momentum_keeps_fixed_points_at_rest():
    found = fixed_points(sd.Map(BEALE, sd.GD(lr=1e-3, momentum=0.9)), starts=256)
    assert kinds(found) == ["saddle", "saddle", "attractor"]
    for one in found:
        assert one.points.shape == (1, 4)
        np.testing.assert_allclose(one.points[0, 2:], 0, atol=1e-12)


def test_normalised_sam_rests_at_critical_points_unless_weights_decay():
    loss = sd.losses.quartic_saddle()
    found = fixed_points(sd.Map(loss, sd.SAM(lr=0.05, rho=0.1)))
    jumping = [one.point for one in found if one.kind == "discontinuous"]
    np.testing.assert_allclose(jumping, [[0, -1], [0, 0], [0, 1]], atol=1e-15)
    assert all(np.all(np.isnan(c.eigenvalues)) for c in found if c.kind == "discontinuous")
    # where the ascent from below ends on the saddle itself
    saddles = [one.point for one in found if one.kind == "saddle"]
    np.testing.assert_allclose(saddles, [[0, -0.1], [0, 0.1]], atol=1e-14)
    # gradients at these floats are not exactly 0, and yet they are critical points
    sam = sd.SAM(lr=1e-3, rho=0.05)
    assert kinds(fixed_points(sd.Map(BEALE, sam), starts=128)).count("discontinuous") == 3
    decayed = fixed_points(sd.Map(loss, sd.SAM(lr=0.05, rho=0.1, weight_decay=0.1)))
    jumping = [one.point for one in decayed if one.kind == "discontinuous"]
    np.testing.assert_allclose(jumping, [[0, 0]], atol=1e-15)


def test_sam_rests_on_the_flattest_of_a_curve_of_minima():
    """On (xy - 1)^2 SAM descends the largest eigenvalue 2(x^2 + y^2) by lr rho^2/2 a step.

    With s = ln x the slope is ds/dt = -4 tanh(2s) lr rho^2/2 / (1 - lr l/2)^2, so that a cycle at
    x = y = 1 has the multiplier 1 - 8 lr rho^2/2 / (1 - 2 lr)^2 a step (to higher order in rho).
    """
    lr, rho = 0.05, 0.01
    found = cycles(sd.Map(sd.losses.scalar_factorization(), sd.SAM(lr=lr, rho=rho)), 2)
    flattest = [one for one in found if np.max(np.abs(np.abs(one.point) - 1)) < 0.01]
    assert kinds(flattest) == ["attractor", "attractor"]
    for one in flattest:
        np.testing.assert_allclose(one.point[0], one.point[1], rtol=1e-9)
        rate = 2 * 4 * lr * rho**2 / (1 - 2 * lr) ** 2
        np.testing.assert_allclose(1 - one.eigenvalues[0].real, rate, rtol=0.01)


def test_a_curve_of_minima_is_a_continuum_of_fixed_points():
    loss = sd.losses.scalar_factorization()
    for algorithm, kind in (
        (sd.GD(lr=0.05), "neutral"),
        (sd.SAM(lr=0.05, rho=0.1), "discontinuous"),
    ):
        found = fixed_points(sd.Map(loss, algorithm))
        curve = [one for one in found if not one.isolated]
        assert len(curve) >= 10
        for one in curve:
            assert abs(one.point[0] * one.point[1] - 1) < 1e-12
            assert one.kind == kind
        alone = [one.point for one in found if one.isolated]
        # SAM also rests where its ascent ends on the saddle at 0
        sides = np.array([[-0.1, -0.1], [0.1, 0.1]]) / np.sqrt(2) if kind == "discontinuous" else []
        expected = sorted([[0.0, 0.0], *map(list, sides)])
        np.testing.assert_allclose(alone, expected, atol=1e-12)


def test_a_degenerate_minimum_is_one_fixed_point():
    loss = sd.Loss("x**4 + y**2")
    for system in (sd.Map(loss, sd.GD(lr=0.01)), sd.Flow(loss, sd.GD(lr=0.01))):
        (one,) = fixed_points(system, [(-1, 2), (-1, 1)], starts=256)
        assert (one.kind, one.isolated) == ("neutral", True)
        np.testing.assert_allclose(one.point, 0, atol=1e-12)


# --- of all -------------------------------------------------------------------------------


def sam_loop(gradient, lr, rho, momentum, z):
    """One step of SAM in plain NumPy, on weights and velocity."""
    d = len(z) // 2
    w, v = z[:d], z[d:]
    g = gradient(w)
    v = momentum * v + gradient(w + rho * g / np.linalg.norm(g))
    return np.concatenate([w - lr * v, v])


@pytest.mark.parametrize(("period", "momentum"), [(2, 0.0), (3, 0.0), (2, 0.9)])
def test_cycles_close_in_a_plain_loop(period, momentum):
    lr, rho = 1e-3, 0.05
    system = sd.Map(BEALE, sd.SAM(lr=lr, rho=rho, momentum=momentum))
    found = cycles(system, period, starts=64)
    assert found

    def gradient(w):
        x, y = w
        a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
        return 2 * np.array(
            [
                a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1),
                a * x + b * 2 * x * y + c * 3 * x * y**2,
            ]
        )

    for one in found:
        points = one.points if momentum else np.hstack([one.points, np.zeros_like(one.points)])
        rows = slice(None) if momentum else slice(2)
        for k in range(period):
            moved = sam_loop(gradient, lr, rho, momentum, points[k])[rows]
            following = points[(k + 1) % period][rows]
            np.testing.assert_allclose(moved, following, atol=1e-11 * np.max(np.abs(points)))
        gaps = np.linalg.norm(one.path[1:] - one.path[0], axis=1)
        assert np.min(gaps) > 1e-6
        low, high = np.transpose(BEALE.box)
        assert np.all((one.path >= low) & (one.path <= high))
        assert one.residual < 1e-11 * np.max(np.abs(points))
        assert one.error < 1e-8


def test_a_line_of_cycles_and_a_rotation():
    edge = sd.Map(sd.losses.quadratic([1.0, 0.1]), sd.GD(lr=2.0))
    found = cycles(edge, 2, SQUARE)
    assert found
    assert all(not one.isolated and abs(one.point[1]) < 1e-12 for one in found)
    turn = sd.FormulaMap({"x": "-y", "y": "x"})
    (centre,) = fixed_points(turn, SQUARE)
    assert centre.kind == "centre"
    assert cycles(turn, 2, SQUARE) == []
    assert all(not one.isolated for one in cycles(turn, 4, SQUARE))


def test_what_is_said():
    (one,) = cycles(logistic(3.2), 2, UNIT)
    assert "cycle of period 2, attractor: (x) = (0.513045) -> (0.799455); eigenvalues 0.16" in repr(
        one
    )
    with pytest.raises(AttributeError):
        one.kind = "saddle"


def test_refusals():
    system = logistic(3.2)
    for period in (0, 1.5, True):
        with pytest.raises(ValueError, match="period must be a whole number >= 1"):
            cycles(system, period, UNIT)
    with pytest.raises(ValueError, match="period must be at most 8, got 9"):
        cycles(system, 9, UNIT)
    with pytest.raises(ValueError, match="box must be given, one .* for each of x"):
        fixed_points(system)
    for box in ([(1, 0)], [(0, 1), (0, 1)], [(0, 1), (2,)], "x"):
        with pytest.raises(ValueError, match="box must be 1 intervals"):
            fixed_points(system, box)
    with pytest.raises(ValueError, match="box must be finite"):
        fixed_points(system, [(0, np.inf)])
    with pytest.raises(ValueError, match="starts must be a whole number"):
        fixed_points(system, UNIT, starts=0)
    flow = sd.Flow(BEALE, sd.GD(lr=0.1))
    with pytest.raises(ValueError, match="period must be 1 for a flow"):
        cycles(flow, 2)
    with pytest.raises(TypeError, match="a Switch is several maps"):
        fixed_points(sd.Map(BEALE, sd.Switch([(0, sd.GD(lr=0.1)), (9, sd.SAM(lr=0.1, rho=0.1))])))
    with pytest.raises(TypeError, match=r"system must be a samdyn\.Map"):
        fixed_points(BEALE)
    with pytest.raises(ValueError, match="one value of lr"):
        fixed_points(sd.Map(BEALE, sd.GD(lr=[0.1, 0.2])))


def test_sam_ends_far_from_the_minimum_beside_which_it_drifts():
    """On Beale at rho = 0.1 the cycle by the minimum is 0.03 away from it; a run ends there."""
    lr, rho = 1e-4, 0.1
    found = sd.cycles(sd.Map(sd.losses.beale(), sd.SAM(lr=lr, rho=rho)), 2)
    (one,) = [c for c in found if c.kind == "attractor" and c.point[0] > 2]
    x, y = 2.972, 0.493

    def slope(x, y):
        a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
        gx = 2 * (a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1))
        return gx, 2 * x * (a + 2 * b * y + 3 * c * y**2)

    for _ in range(40_000):
        gx, gy = slope(x, y)
        size = np.hypot(gx, gy)
        gx, gy = slope(x + rho * gx / size, y + rho * gy / size)
        x, y = x - lr * gx, y - lr * gy
    assert np.min(np.linalg.norm(one.points - [x, y], axis=1)) < 1e-9
