"""Critical points: found, polished, classified, and no others."""

import numpy as np
import pytest

from samdyn import losses
from samdyn.losses import Loss
from samdyn.losses.critical import classify

PARTLY_LISTED = {"rastrigin"}
BOX = [(-2, 2), (-2, 2)]


def agrees(found, point):
    return np.max(np.abs(found.point - point)) <= 1e-12 * (1 + np.max(np.abs(point)))


SLOW = {"two_residuals"}  # a 3-surface in 5 dimensions


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(f, id=f.__name__, marks=[pytest.mark.slow] if f.__name__ in SLOW else [])
        for f in losses.LIBRARY
    ],
)
def test_known_points_are_found_and_no_others(make):
    loss = make()
    found = loss.critical_points()
    isolated = [c for c in found if c.isolated]
    continua = [c for c in found if not c.isolated]
    for point, kind in loss.known:
        size = max(1.0, np.max(np.abs(loss.hessian(point))))
        assert np.max(np.abs(loss.grad(point))) <= 1e-14 * size
        assert classify(np.linalg.eigvalsh(loss.hessian(point))) == kind
        if kind != "degenerate" or not continua:
            assert [c.kind for c in isolated if agrees(c, point)] == [kind]
    if make.__name__ not in PARTLY_LISTED:
        for c in isolated:
            assert any(agrees(c, point) for point, _ in loss.known), c
    for c in continua:
        assert c.kind == "degenerate"
        assert np.max(np.abs(loss.grad(c.point))) < 1e-10
    assert bool(continua) == (make.__module__ in CONTINUA and make.__name__ != "least_squares")


CONTINUA = {"samdyn.losses.manifolds", "samdyn.losses.models"}


@pytest.mark.parametrize("d", [1, 2, 3])
def test_families_in_other_dimensions(d):
    for loss in (
        losses.styblinski_tang(d),
        losses.quadratic_saddle(np.linspace(-1, 1, 2 * d)[:d]),
        losses.embedded_saddle([-1.0] * d),
    ):
        found = loss.critical_points()
        assert len(found) == len(loss.known)
        for point, kind in loss.known:
            assert [c.kind for c in found if agrees(c, point)] == [kind]


@pytest.mark.parametrize("tilt", [-0.3, -0.1, 0.2, 0.38])
def test_tilted_double_well(tilt):
    loss = losses.double_well(tilt=tilt)
    found = loss.critical_points()
    assert len(found) == len(loss.known) == 3
    for point, kind in loss.known:
        assert [c.kind for c in found if agrees(c, point)] == [kind]
    steep = losses.double_well(tilt=0.5)
    assert steep.known == ()
    assert [c.kind for c in steep.critical_points()] == ["minimum"]


def test_rastrigin_has_all_its_ripples():
    kinds = [c.kind for c in losses.rastrigin().critical_points()]
    assert {k: kinds.count(k) for k in kinds} == {"minimum": 121, "saddle": 220, "maximum": 100}


def test_points_are_sorted_by_value_and_carry_their_eigenvalues():
    found = losses.beale().critical_points()
    assert [c.value for c in found] == sorted(c.value for c in found)
    saddle = found[-1]
    assert saddle.value == 909 / 64
    np.testing.assert_array_equal(saddle.eigenvalues, [-27.75, 27.75])
    assert saddle.index == 1
    assert found[0].index == 0
    np.testing.assert_allclose(found[0].eigenvalues, [0.30146, 48.97979], rtol=2e-5)


@pytest.mark.parametrize(
    "formula", ["x**4 + y**2", "x**3 - 3*x*y**2", "x**4 + y**4", "x**6 + y**2"]
)
def test_an_isolated_degenerate_point(formula):
    (only,) = Loss(formula).critical_points(BOX)
    assert only.kind == "degenerate"
    assert only.isolated
    np.testing.assert_allclose(only.point, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "distance"),
    [
        ("(x*y - 1)**2", lambda p: abs(p[0] * p[1] - 1)),
        ("(x**2 + y**2 - 1)**2", lambda p: abs(np.hypot(*p) - 1)),
        ("y**2 + 0*x", lambda p: abs(p[1])),
        ("sqrt(1 + x**2*y**2)", lambda p: min(abs(p))),
        ("(x**2 - y**2)**2", lambda p: abs(abs(p[0]) - abs(p[1]))),
    ],
)
def test_a_curve_of_critical_points_is_sampled(formula, distance):
    found = Loss(formula, variables="x y").critical_points(BOX)
    curve = [c for c in found if not c.isolated]
    assert len(curve) >= 8
    for c in curve:
        assert c.kind == "degenerate"
        assert distance(c.point) < 1e-7
    assert len({tuple(np.round(c.point, 3)) for c in curve}) == len(curve)


def test_a_large_manifold_is_sampled_in_bounded_number():
    found = losses.product_chain(4).critical_points()
    assert 50 < len(found) <= 100


def test_points_outside_the_box_are_left_out_and_on_its_edge_kept():
    wells = losses.symmetric_wells()
    assert [c.kind for c in wells.critical_points([(0.5, 2), (-1, 1)])] == ["minimum"]
    assert [c.kind for c in wells.critical_points([(0, 2), (-1, 1)])] == ["minimum", "saddle"]
    assert wells.critical_points([(3, 4), (-1, 1)]) == []


def test_a_loss_without_critical_points():
    assert Loss("x + y").critical_points(BOX) == []
    assert Loss("exp(x)").critical_points([(-3, 3)]) == []


def test_a_well_far_narrower_than_the_box_is_found_with_more_starts():
    loss = Loss("-exp(-1000*((x - 0.3)**2 + (y + 0.4)**2)) + x**2/1000 + y**2/1000")
    kinds = [c.kind for c in loss.critical_points(BOX, starts=2**14)]
    assert sorted(kinds) == ["minimum", "minimum", "saddle"]


def test_few_starts_suffice_for_a_bowl():
    assert len(losses.booth().critical_points(starts=1)) == 1


def test_the_search_is_deterministic():
    first, second = (losses.himmelblau().critical_points() for _ in range(2))
    assert all((a.point == b.point).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("eigenvalues", "kind"),
    [
        ([1, 2], "minimum"),
        ([-1, 2], "saddle"),
        ([-2, -1], "maximum"),
        ([0, 1], "degenerate"),
        ([-1e-9, 1], "degenerate"),
        ([1e-7, 1], "minimum"),
        ([0, 0], "degenerate"),
    ],
)
def test_classify(eigenvalues, kind):
    assert classify(np.array(eigenvalues, float)) == kind


def test_losses_with_kinks():
    found = Loss("abs(x**2 - 1) + y**2").critical_points(BOX)
    assert [0.0, 0.0] in [c.point.tolist() for c in found]
    (only,) = Loss("max(x, 3*x)*x + min(y, 2)**2 - abs(x)*0.1*x").critical_points(
        [(-1, 3), (-1, 1)]
    )
    np.testing.assert_allclose(only.point, 0, atol=1e-12)


def test_where_everything_decays_there_is_no_critical_point():
    assert Loss("exp(-x) + y**2").critical_points([(-10, 40), (-1, 1)]) == []
    assert Loss("tanh(x) + y**2").critical_points([(-30, 30), (-1, 1)]) == []


def test_far_out_on_a_plateau_nothing_is_found():
    # there the Hessian is so small that its square underflows
    wells = losses.gaussian_wells()
    found = wells.critical_points([(-30, 30), (-1, 1)])
    assert [c.kind for c in found] == ["minimum", "minimum", "saddle"]
    assert all(any(agrees(c, point) for point, _ in wells.known) for c in found)


def test_a_constant_may_have_a_name_of_the_generated_code():
    for name in ("mpf", "mpmath", "exp1"):
        loss = Loss(f"{name}*(x - 1)**2", variables="x", **{name: 2.0})
        assert [c.point[0] for c in loss.critical_points([(-2, 2)])] == [1.0]
        assert loss.check().ok


def test_few_starts_and_endless_boxes_are_refused():
    loss = losses.booth()
    for starts in (0, -3, 1.5):
        with pytest.raises(ValueError, match="starts must be a whole number >= 1"):
            loss.critical_points(starts=starts)
    with pytest.raises(ValueError, match="box must be finite"):
        loss.critical_points([(-np.inf, 1), (0, 1)])
