"""Branches against closed forms: folds, flips, branch points, Neimark-Sacker and Hopf."""

import numpy as np
import pytest

from samdyn import GD, SAM, FormulaMap, Loss, Map
from samdyn.analysis.curves.continuation import continuation
from samdyn.systems.flow import Flow

LOGISTIC = "r*x*(1 - x)"
SADDLE = Loss("x**2/2 - y**2/4", variables="x y")
PITCHFORK = Loss("a*x**2/2 + x**4/4 + y**2/2", variables="x y", a=0.5)


def special(branch):
    return [
        (str(kind), float(value))
        for kind, value in zip(branch.special_kind.values, branch.special_value.values, strict=True)
    ]


def expect(branch, *wanted, tol=1e-12):
    found = special(branch)
    assert [kind for kind, _ in found] == [kind for kind, _ in wanted]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in wanted], atol=tol, rtol=tol)


def test_logistic_fixed_point():
    branch = continuation(FormulaMap({"x": LOGISTIC}, r=2.5), "r", 0.6, (0.5, 3.5))
    expect(branch, ("branch point", 1.0), ("flip", 3.0))
    r, x = branch.r.values, branch.z.values[:, 0]
    np.testing.assert_allclose(x, 1 - 1 / r, atol=1e-13)
    np.testing.assert_allclose(branch.multiplier_real.values[:, 0], 2 - r, atol=1e-11)
    assert r[0] == 0.5
    assert r[-1] == 3.5
    beside = (np.abs(r - 1) > 1e-6) & (np.abs(r - 3) > 1e-6)
    np.testing.assert_array_equal(branch.stable.values[beside], ((r > 1) & (r < 3))[beside])
    places = branch.special_place.values
    np.testing.assert_array_equal(r[places], branch.special_value.values)


def test_period_two_ends_where_it_was_born():
    system = FormulaMap({"x": LOGISTIC}, r=3.2)
    branch = continuation(system, "r", system.apply([0.8], 1000), (2.5, 3.9), period=2)
    expect(branch, ("branch point", 3.0), ("flip", 1 + np.sqrt(6)))
    assert branch.first_end == "the cycle shrinks to one of period 1"
    r = branch.r.values
    x = branch.orbit.values[..., 0]
    np.testing.assert_allclose(x.sum(axis=1), (r + 1) / r, atol=1e-9)  # closed form of the cycle
    np.testing.assert_allclose(x.prod(axis=1), (r + 1) / r**2, atol=1e-9)


def test_period_three_turns_at_its_fold():
    system = FormulaMap({"x": LOGISTIC}, r=3.84)
    branch = continuation(system, "r", system.apply([0.8], 1000), (3.5, 4.0), period=3)
    expect(branch, ("fold", 1 + np.sqrt(8)), ("flip", 3.841499007543508))
    at = int(branch.special_place[0])
    assert not branch.stable.values[at - 1]
    assert branch.stable.values[at + 1]
    assert branch.r.values[0] == branch.r.values[-1] == 4.0


def test_saddle_node(tmp_path):
    system = FormulaMap({"x": "x + mu - x**2"}, mu=0.5)
    branch = continuation(system, "mu", np.sqrt(0.5), (-1, 1))
    expect(branch, ("fold", 0.0))
    np.testing.assert_allclose(branch.z.values[:, 0] ** 2, branch.mu.values, atol=1e-13)
    branch.to_netcdf(tmp_path / "branch.nc", engine="h5netcdf")


def test_henon():
    system = FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=0.3, b=0.3)
    branch = continuation(system, "a", [1.0, 0.3], (-1, 2))
    expect(branch, ("fold", -(0.7**2) / 4), ("flip", 3 * 0.7**2 / 4))


def test_neimark_sacker_of_the_delayed_logistic_map():
    system = FormulaMap({"x": "r*x*(1 - y)", "y": "x"}, r=1.7)
    branch = continuation(system, "r", [1 - 1 / 1.7] * 2, (1.5, 2.3))
    expect(branch, ("Neimark-Sacker", 2.0))
    m = complex(branch.special_multiplier_real[0], branch.special_multiplier_imag[0])
    assert abs(m - np.exp(1j * np.pi / 3)) < 1e-12


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_unnormalised_sam_at_a_saddle(momentum):
    lr = 0.1
    system = Map(SADDLE, SAM(lr=lr, rho=1.0, normalize=False, momentum=momentum))
    branch = continuation(system, "rho", [0, 0], (0, 50))
    # Kim et al., arXiv 2301.06308, Theorem 1; the upper limit l(1 + rho l) = 2(1 + momentum)/lr
    upper = 2 * (1 + momentum) / lr - 1
    low = (2 * (1 + momentum) / lr / 0.5 + 1) / 0.5  # of the direction of negative curvature
    wanted = [("branch point", 2.0), ("flip", upper), ("flip", low)]
    expect(branch, *[one for one in wanted if one[1] < 50], tol=1e-11)
    assert branch.sizes["row"] == (4 if momentum else 2)


def test_small_learning_rates():
    system = Map(Loss("x**2/2 + y**2"), GD(lr=1e-3))
    branch = continuation(system, "lr", [0, 0], (1e-4, 3))
    expect(branch, ("flip", 1.0), ("flip", 2.0))
    scaled = Map(Loss("1000*x**2/2"), GD(lr=1e-3))
    expect(continuation(scaled, "lr", [0], (1e-4, 3e-3)), ("flip", 2e-3), tol=1e-14)


@pytest.mark.parametrize(
    "make", [lambda loss: Map(loss, GD(lr=0.1)), lambda x: Flow(x, GD(lr=0.1))]
)
def test_pitchfork_from_both_of_its_branches(make):
    trivial = continuation(make(PITCHFORK), "a", [0, 0], (-1, 1))
    expect(trivial, ("branch point", 0.0))
    outer = continuation(make(PITCHFORK.replace(a=-0.5)), "a", [np.sqrt(0.5), 0], (-1, 1))
    expect(outer, ("branch point", 0.0))
    assert outer.a.values[0] == outer.a.values[-1] == -1
    assert outer.z.values[0, 0] * outer.z.values[-1, 0] == pytest.approx(-1)


def test_hopf_of_the_heavy_ball_flow():
    flow = Flow(Loss("x**2/2 + y**2"), GD(lr=0.1, momentum=0.9))
    branch = continuation(flow, "momentum", [0, 0], (0.1, 1.5))
    expect(branch, ("Hopf", 1.1), ("Hopf", 1.2))  # trace 0: momentum = 1 + lr lambda


def test_cycle_of_normalised_sam():
    lr, curvature, rho = 0.01, 2.0, 0.3
    system = Map(Loss("x**2"), SAM(lr=lr, rho=rho))
    start = lr * curvature * rho / (2 - lr * curvature)
    branch = continuation(system, "rho", [start], (0.0, 1.0), period=2)
    amplitude = lr * curvature * branch.rho.values / (2 - lr * curvature)
    np.testing.assert_allclose(np.abs(branch.z.values[:, 0]), amplitude, atol=1e-15)
    assert branch.sizes["special"] == 0


def test_a_branch_that_closes():
    system = FormulaMap({"x": "x + (x**2 + mu**2 - 1)/10"}, mu=0.5)
    branch = continuation(system, "mu", -np.sqrt(0.75), (-2, 2))
    assert branch.first_end == branch.last_end == "the branch closes"
    assert sorted(special(branch)) == [
        ("fold", pytest.approx(-1, abs=1e-12)),
        ("fold", pytest.approx(1, abs=1e-12)),
    ]
    np.testing.assert_array_equal(branch.z.values[0], branch.z.values[-1])


def test_all_directions_at_once():
    system = Map(Loss("-x**2/2 - y**2/2"), SAM(lr=0.1, rho=0.5, normalize=False))
    branch = continuation(system, "rho", [0, 0], (0, 30))
    expect(branch, ("branch point", 1.0), ("flip", 21.0))


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("q", 0.6, (2, 3)), {}, "q is no number"),
        (("r", 0.6, (3, 4)), {}, "between must be"),
        (("r", 0.6, 3), {}, "between must be two numbers"),
        (("r", 0.6, (2, 3)), {"period": 2}, "start must have period 2"),
        (("r", [0.6, 0.1], (2, 3)), {}, "start must have 1 entries"),
        (("r", 0.6, (2, 3)), {"step": 0}, "step must be above 0"),
    ],
)
def test_refusals(arguments, options, said):
    with pytest.raises(ValueError, match=said):
        continuation(FormulaMap({"x": LOGISTIC}, r=2.5), *arguments, **options)


def test_refusals_of_systems():
    valley = Map(Loss("(x*y - 1)**2"), GD(lr=0.1))
    with pytest.raises(ValueError, match="isolated fixed point"):
        continuation(valley, "lr", [1, 1], (0.01, 1))
    jumping = Map(SADDLE, SAM(lr=0.1, rho=0.1))
    with pytest.raises(ValueError, match="jumps"):
        continuation(jumping, "rho", [0, 0], (0.0, 1))
    with pytest.raises(ValueError, match="rho must be at least 0"):
        continuation(jumping, "rho", [0, 0], (-1.0, 1))
    with pytest.raises(ValueError, match="near a fixed point"):
        continuation(FormulaMap({"x": "x + c + x**2"}, c=1.0), "c", [0], (0.5, 2))
