"""Manifolds against closed forms, against invariance, and a flow against its map."""

import numpy as np
import pytest

from samdyn import GD, SAM, FormulaMap, Loss, Map, losses
from samdyn.analysis.curves.manifolds import manifolds
from samdyn.systems.flow import Flow

HENON = FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)
X = (-0.7 + np.sqrt(0.49 + 5.6)) / 2.8
BEALE = losses.beale()


def branch(curves, k=0):
    return curves.w.isel(branch=k).dropna("place").values


def distances(points, line):
    """Of each point to a polyline."""
    a, d = line[:-1], np.diff(line, axis=0)
    t = np.einsum("pnk,nk->pn", points[:, None] - a, d) / np.sum(d * d, axis=1)
    feet = a + np.clip(t, 0, 1)[..., None] * d
    return np.min(np.linalg.norm(points[:, None] - feet, axis=-1), axis=1)


@pytest.mark.parametrize(("kind", "axis"), [("unstable", 0), ("stable", 1)])
def test_axes_of_a_linear_saddle(kind, axis):
    curves = manifolds(FormulaMap({"x": "2*x", "y": "-y/3"}), [0, 0], kind=kind, length=5)
    for k, sign in enumerate((1, -1)):
        line = branch(curves, k)
        assert np.all(line[:, 1 - axis] == 0)
        assert 4.98 < sign * line[-1, axis] <= 5.0
        assert np.all(np.diff(sign * line[:, axis]) > 0)
        assert np.max(np.abs(np.diff(line[:, axis]))) <= 0.01 * (1 + 1e-9)
    assert curves.eigenvalue == pytest.approx(2.0 if kind == "unstable" else -1 / 3)
    assert curves.stopped_0 == "its length is reached"


@pytest.mark.parametrize(
    ("formulas", "kind"),
    [
        ({"x": "2*x", "y": "y/2 + 7*x**2/2"}, "unstable"),
        ({"x": "-2*x", "y": "y/2 + 7*x**2/2"}, "unstable"),
        ({"x": "x/2", "y": "2*y - 7*x**2/4"}, "stable"),
    ],
)
def test_parabolas(formulas, kind):
    curves = manifolds(FormulaMap(formulas), [0, 0], kind=kind, length=6, spacing=0.05)
    for k in (0, 1):
        line = branch(curves, k)
        np.testing.assert_allclose(line[:, 1], line[:, 0] ** 2, atol=1e-12)
        assert abs(line[-1, 0]) > 2


def test_unstable_manifold_of_henon_is_invariant():
    curves = manifolds(HENON, [X, 0.3 * X], length=20, spacing=0.02)
    line = np.concatenate([branch(curves, 0)[:0:-1], branch(curves, 1)])
    first = np.concatenate(
        [branch(curves, k)[curves.arclength[k, : len(branch(curves, k))] < 8] for k in (0, 1)]
    )
    assert np.max(distances(HENON.apply(first), line)) < 5e-4  # the polyline's own chords
    orbit = np.array([HENON.apply([0.1, 0.1], n) for n in range(50, 70)])
    assert np.max(distances(orbit, line)) < 0.05  # the attractor is its closure
    assert np.all(np.abs(line[:, 0]) < 1.3)


def test_stable_manifold_of_henon_tends_to_the_saddle():
    box = [(-3, 3), (-3, 3)]
    curves = manifolds(HENON, [X, 0.3 * X], kind="stable", length=20, box=box, spacing=0.1)
    for k in (0, 1):
        end = HENON.apply(branch(curves, k), 12)
        assert np.max(np.linalg.norm(end - [X, 0.3 * X], axis=1)) < 1e-7
    assert curves.stopped_0 == curves.stopped_1 == "it leaves the box"


def test_double_well():
    wells = Map(Loss("(x**2 - 1)**2/4 + y**2/2"), GD(lr=0.05))
    unstable = manifolds(wells, [0, 0])
    for k, sign in enumerate((1, -1)):
        line = branch(unstable, k)
        np.testing.assert_allclose(line[-1], [sign, 0], atol=1e-12)
        assert np.all(line[:, 1] == 0)
    stable = branch(manifolds(wells, [0, 0], kind="stable", length=3, spacing=0.1))
    assert np.all(stable[:, 0] == 0)
    assert stable[-1, 1] > 2.9


def test_beale_map_and_flow_follow_the_same_curve():
    options = {"box": [(-5, 5), (-5, 5)], "spacing": 0.05}
    flow = manifolds(Flow(BEALE, GD(lr=1e-4)), [0, 1], **options)
    map_ = manifolds(Map(BEALE, GD(lr=2e-3)), [0, 1], length=2, **options)
    ends = [branch(flow, k)[-1] for k in (0, 1)]
    k = int(np.argmin([np.linalg.norm(end - [3, 0.5]) for end in ends]))
    np.testing.assert_allclose(ends[k], [3, 0.5], atol=1e-9)
    assert flow.attrs[f"stopped_{k}"] == "it tends to [3.0, 0.5]"
    assert flow.attrs[f"stopped_{1 - k}"] == "it leaves the box"
    assert np.max(distances(branch(map_, k), branch(flow, k))) < 2e-2


def test_momentum_has_one_unstable_direction():
    system = Map(Loss("x**2/2 - y**2/2 + y**4/4"), GD(lr=0.1, momentum=0.5))
    curves = manifolds(system, [0, 0], spacing=0.05)
    assert curves.z.sizes["row"] == 4
    np.testing.assert_allclose(branch(curves, 0)[-1], [0, 1], atol=1e-9)
    m = np.roots([1, -(1 + 0.5 + 0.1), 0.5]).max()  # lambda = -1
    assert curves.eigenvalue == pytest.approx(m, abs=1e-12)
    with pytest.raises(ValueError, match="there are 3"):
        manifolds(system, [0, 0], kind="stable")


def test_a_map_without_inverse_stops_where_it_folds():
    # x' = x/2 - x^3/3 folds at x = sqrt(1/2)
    system = FormulaMap({"x": "0.5*x - x**3/3", "y": "2*y"})
    curves = manifolds(system, [0, 0], kind="stable", length=3, spacing=0.05)
    assert "Jacobian becomes singular" in curves.stopped_0
    assert branch(curves)[-1, 0] == pytest.approx(np.sqrt(0.5), abs=0.06)
    assert branch(curves)[-1, 0] < np.sqrt(0.5)


@pytest.mark.parametrize(
    ("system", "point", "options", "said"),
    [
        (HENON, [1, 1], {}, "point must be a fixed point; .* residual is"),
        (HENON, [X, 0.3 * X], {"kind": "both"}, "kind must be"),
        (HENON, [X, 0.3 * X], {"box": [(0, 1)]}, "box must be 2 intervals"),
        (HENON, [X, 0.3 * X], {"length": 0}, "length must be above 0"),
        (Map(BEALE, GD(lr=1e-3)), [3, 0.5], {}, "must be a saddle; .* 'attractor'"),
        (Map(BEALE, SAM(lr=1e-3, rho=0.1)), [0, 1], {}, "jumps"),
        (FormulaMap({"x": "2*x", "y": "3*y", "z": "z/2"}), [0, 0, 0], {}, "there are 2"),
    ],
)
def test_refusals(system, point, options, said):
    with pytest.raises(ValueError, match=said):
        manifolds(system, point, **options)
