"""Limiting flows against closed forms, and against the algorithms themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import samdyn as sd
from samdyn.analysis.minimizers.limiting import limiting_flow
from samdyn.analysis.minimizers.projection import project

PRODUCT = sd.losses.scalar_factorization()
TOY = sd.losses.crossed_sharpness()
F1, F2 = "(x1**2 + 6*x2**2 + 8)", "(4*(1 - x1)**2 + (1 - x2)**2 + 1)"
PAIR = sd.Loss(
    f"s*{F1}*x3**2 + (1 - s)*{F2}*x4**2", variables="x1 x2 x3 x4", data={"s": [1.0, 0.0]}
)
TAU = np.linspace(0.0, 1.0, 6)


@settings(max_examples=4)
@given(st.floats(0.4, 3.0), st.floats(0.4, 3.0))
def test_the_hyperbola_in_closed_form(x, y):
    """Sinh(2 log x) falls as exp(-4 tau)."""
    flow = limiting_flow(PRODUCT, [x, y], TAU)
    s = np.log(flow.w.values[:, 0])
    np.testing.assert_allclose(np.sinh(2 * s), np.sinh(2 * s[0]) * np.exp(-4 * TAU), atol=1e-9)
    assert flow.attrs["drift"] < 1e-10
    np.testing.assert_allclose(PRODUCT.value(flow.w.values), 0, atol=1e-28)
    np.testing.assert_allclose(flow.top_eigenvalue, 4 * np.cosh(2 * s), rtol=1e-12)


def test_a_finite_lr_on_the_hyperbola():
    """S' = -2 tanh(2 s)/(1 - 2 lr cosh(2 s))**2, by a general integrator; many lr at once."""
    lrs = [0.0, 0.02, 0.05]
    flow = limiting_flow(PRODUCT, [2.0, 0.5], TAU, lr=lrs)
    assert flow.w.dims == ("lr", "time", "coord")
    for lr in lrs:
        exact = solve_ivp(
            lambda _, s, lr=lr: -2 * np.tanh(2 * s) / (1 - 2 * lr * np.cosh(2 * s)) ** 2,
            (0, 1), [np.log(2.0)], t_eval=TAU, rtol=1e-12, atol=1e-14, method="DOP853",
        ).y[0]  # fmt: skip
        found = np.log(flow.w.sel(lr=lr).values[:, 0])
        np.testing.assert_allclose(found, exact, atol=1e-9)


def test_a_neuron_drifts_exponentially():
    flow = limiting_flow(sd.losses.single_neuron(), [[0.1, 2.0], [0.0, -1.0]], 3 * TAU)
    y = flow.w.values[..., 1]
    assert flow.w.dims == ("particle", "time", "coord")
    np.testing.assert_allclose(y, y[:, :1] * np.exp(-3 * TAU), rtol=1e-9)


def test_the_toy_in_closed_form():
    start, tau = [0.35, 0.8, 0.0, 0.0], TAU
    planes = {
        "worst": (limiting_flow(TOY, start, tau), [0, 0], [2, 12]),
        "ascent": (limiting_flow(TOY, start, tau, kind="ascent"), [1, 1], [8, 2]),
        "average": (limiting_flow(TOY, start, tau, kind="average"), [0.8, 1 / 7], [2.5, 3.5]),
        "single": (limiting_flow(PAIR, start, tau, per_sample=True), [0.8, 1 / 7], [5, 7]),
    }
    for flow, goal, rates in planes.values():
        goal = np.array(goal)
        exact = goal + (start[:2] - goal) * np.exp(-np.outer(tau, rates))
        np.testing.assert_allclose(flow.w.values[:, :2], exact, atol=1e-10)
    sharp = planes["worst"][0]
    x1, x2 = sharp.w.values[:, :2].T
    low = 2 * (4 * (1 - x1) ** 2 + (1 - x2) ** 2 + 1)
    np.testing.assert_allclose(sharp.smallest_eigenvalue, low, rtol=1e-10)
    np.testing.assert_allclose(sharp.trace, low + 2 * (x1**2 + 6 * x2**2 + 8), rtol=1e-10)


@pytest.mark.slow
def test_one_sample_ends_where_its_factors_balance():
    """(1 - lr F1)^-2 grad F1 + (1 - lr F2)^-2 grad F2 = 0."""
    lr = 0.05
    end = limiting_flow(PAIR, [0.35, 0.8, 0, 0], [8.0], per_sample=True, lr=lr).w.values[0]
    x1, x2 = end[:2]
    f1, f2 = x1**2 + 6 * x2**2 + 8, 4 * (1 - x1) ** 2 + (1 - x2) ** 2 + 1
    g1, g2 = np.array([2 * x1, 12 * x2]), np.array([-8 * (1 - x1), -2 * (1 - x2)])
    np.testing.assert_allclose(g1 / (1 - lr * f1) ** 2 + g2 / (1 - lr * f2) ** 2, 0, atol=1e-9)
    assert np.linalg.norm(end[:2] - [0.8, 1 / 7]) > 0.1


def test_sam_follows_the_flow():
    """To first order in lr, and with the factor to rounding and rho."""
    rho, last, start = 0.01, 0.2, np.array([2.0, 0.5 + 1e-4])
    away = []
    for lr in (0.02, 0.01):
        steps = round(last / (lr * rho**2))
        run = sd.simulate(sd.Map(PRODUCT, sd.SAM(lr=lr, rho=rho)), start, steps, progress=False)
        flows = limiting_flow(PRODUCT, start, [last], lr=[0.0, lr]).w.values[:, 0]
        away.append(np.linalg.norm(project(PRODUCT, run.final.values).point - flows, axis=-1))
    plain, factored = np.array(away).T
    assert plain[0] / plain[1] == pytest.approx(2.0, abs=0.1)
    assert factored.max() < 1e-5
    assert plain.min() > 1e-2


def test_crossings_and_lost_ranks_are_refused():
    crossing = sd.Loss("(2 + x)*y**2/2 + 3*z**2/4")
    assert limiting_flow(crossing, [0.0, 0.0, 0.0], [0.9]).w.values[0, 0] == pytest.approx(-0.45)
    with pytest.raises(ValueError, match="largest eigenvalue must be simple along the flow"):
        limiting_flow(crossing, [0.0, 0.0, 0.0], [2.0])
    double = sd.Loss("(1 + x**2)*(y**2 + z**2)")
    with pytest.raises(ValueError, match="must be simple .* at the start"):
        limiting_flow(double, [1.0, 0.0, 0.0], [1.0])
    sinking = sd.Loss("(2 + x)*y**2/2 + z**2", variables="x y z")
    with pytest.raises(ValueError, match="must keep its rank along the flow"):
        limiting_flow(sinking, [-1.0, 0.0, 0.0], [3.0], kind="ascent")


def test_the_flow_refuses():
    start = [2.0, 0.5]
    with pytest.raises(ValueError, match='kind must be "worst", "ascent" or "average"'):
        limiting_flow(PRODUCT, start, TAU, kind="trace")
    with pytest.raises(ValueError, match='lr goes with kind="worst"'):
        limiting_flow(PRODUCT, start, TAU, kind="average", lr=0.1)
    with pytest.raises(ValueError, match="lr must be below 2 over the largest eigenvalue, 0.2353"):
        limiting_flow(PRODUCT, start, TAU, lr=0.25)
    with pytest.raises(ValueError, match="per_sample needs a loss with data"):
        limiting_flow(PRODUCT, start, TAU, per_sample=True)
    with pytest.raises(ValueError, match="times must be ascending slow times"):
        limiting_flow(PRODUCT, start, [1.0, 0.5])
    with pytest.raises(ValueError, match="ends at a saddle"):
        limiting_flow(PRODUCT, [1.0, -1.0], TAU)
    with pytest.raises(ValueError, match="ends at an isolated one"):
        limiting_flow(sd.losses.rotated_bowls(), [1.0, -1.0], TAU)
    with pytest.raises(ValueError, match=r"start must be one point or several"):
        limiting_flow(PRODUCT, np.ones((2, 2, 2)), TAU)


def test_samples_that_the_theory_does_not_cover_are_refused():
    unfit = sd.Loss("(x*y - a)**2", variables="x y", data={"a": [0.5, 1.5]})
    with pytest.raises(ValueError, match="per_sample needs minimisers of every sample"):
        limiting_flow(unfit, [2.0, 0.5], TAU, per_sample=True)
    both = sd.Loss(
        "a*(x**2 + y**2) + (2 - a)*(x**2 + y**2)*(1 + z**2)", "x y z", data={"a": [0.5, 1]}
    )
    with pytest.raises(ValueError, match="samples whose Hessians have rank 1"):
        limiting_flow(both, [0.0, 0.0, 1.0], TAU, per_sample=True)
