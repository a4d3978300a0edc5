"""Laws that hold for any numbers: symmetries, limits, scalings, and that particles are alone."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import samdyn as sd

STEPS = 8
angles = st.floats(0.0, 6.25)
radii = st.floats(0.3, 1.5)
curvatures = st.floats(0.2, 2.0)
rhos = st.floats(0.01, 0.5)
factors = st.floats(0.1, 10.0)

ALGORITHMS = {
    "gd": lambda lr=0.05, rho=0.1: sd.GD(lr=lr),
    "momentum": lambda lr=0.05, rho=0.1: sd.GD(lr=lr, momentum=0.8),
    "sam": lambda lr=0.05, rho=0.1: sd.SAM(lr=lr, rho=rho),
    "sam momentum": lambda lr=0.05, rho=0.1: sd.SAM(lr=lr, rho=rho, momentum=0.8),
    "usam": lambda lr=0.05, rho=0.1: sd.USAM(lr=lr, rho=rho),
}
every = pytest.mark.parametrize("make", ALGORITHMS.values(), ids=ALGORITHMS)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def around(angle, radius):
    return radius * np.array([np.cos(angle), np.sin(angle)])


# --- rotations ----------------------------------------------------------------------------

_U, _V = "(c*x + s*y)", "(c*y - s*x)"
TURNED = sd.Loss(
    f"a*{_U}**2/2 + b*{_V}**2/2 + q*({_U}**4 + {_V}**4)",
    variables="x y",
    **{"a": 1.0, "b": 1.0, "q": 0.0, "c": 1.0, "s": 0.0},
)


def turn_gap(algorithm, turn, start, **constants):
    """How far apart it makes to turn the loss and the start, or to turn the outcome."""
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s], [s, c]])
    straight = sd.Map(TURNED.replace(**constants), algorithm).apply(start, STEPS)
    turned = sd.Map(TURNED.replace(c=c, s=s, **constants), algorithm)
    return turned.apply(rotation @ start, STEPS) - rotation @ straight


@every
@given(turn=angles, angle=angles, radius=radii, a=curvatures, b=curvatures, q=st.floats(0, 0.2))
def test_rotation_equivariance(make, turn, angle, radius, a, b, q):
    close(turn_gap(make(), turn, around(angle, radius), a=a, b=b, q=q), 0.0)


def test_adaptive_sam_is_not_rotation_equivariant():
    gap = turn_gap(sd.ASAM(lr=0.05, rho=0.5), 0.7, np.array([1.0, 0.3]), a=2.0, b=0.5)
    assert np.abs(gap).max() > 1e-3


# --- limits -------------------------------------------------------------------------------

CURVED = sd.Loss("x**2*y/2 + cos(x) + y**4/4 - x*y")


@pytest.mark.parametrize("sharpness_aware", [sd.SAM, sd.USAM, sd.ASAM])
@given(angle=angles, radius=radii, momentum=st.sampled_from([0.0, 0.8]))
def test_rho_zero_is_gd_exactly(sharpness_aware, angle, radius, momentum):
    start = around(angle, radius)
    found = sd.Map(CURVED, sharpness_aware(lr=0.05, rho=0.0, momentum=momentum))
    gd = sd.Map(CURVED, sd.GD(lr=0.05, momentum=momentum))
    np.testing.assert_array_equal(found.apply(start, STEPS), gd.apply(start, STEPS))


@given(angle=angles, radius=radii)
def test_first_order_in_rho_is_the_hessian_times_the_ascent(angle, radius):
    start, lr = around(angle, radius), 0.1
    g, hessian = CURVED.grad(start), CURVED.hessian(start)
    assume(np.linalg.norm(g) > 0.1)
    gd = sd.Map(CURVED, sd.GD(lr=lr)).apply(start)
    for normalize, ascent in ((True, g / np.linalg.norm(g)), (False, g)):
        errors = []
        for rho in (1e-3, 5e-4):
            sam = sd.Map(CURVED, sd.SAM(lr=lr, rho=rho, normalize=normalize)).apply(start)
            errors.append(np.abs((sam - gd) / (-lr * rho) - hessian @ ascent).max())
        assert errors[0] <= 0.1  # third derivatives here are below 10, steps below 10 rho
        assert errors[1] <= 0.51 * errors[0] + 1e-9


# --- scalings -----------------------------------------------------------------------------

SCALED = sd.Loss(
    "k*m**2*(a*(x/m)**2/2 - (y/m)**2/2 + (y/m)**4/4 + (x/m)*(y/m)**2)",
    variables="x y",
    **{"a": 1.0, "k": 1.0, "m": 1.0},
)


@every
@given(angle=angles, radius=radii, a=curvatures, rho=rhos, k=factors)
def test_a_steeper_loss_is_a_longer_step(make, angle, radius, a, rho, k):
    start, loss = around(angle, radius), SCALED.replace(a=a)
    assume(np.linalg.norm(loss.grad(start)) > 0.05)
    plain = make(rho=rho)
    # the ascent of USAM grows with the gradient, that of SAM does not
    scaled = make(lr=0.05 / k, rho=rho if getattr(plain, "normalize", True) else rho / k)
    expected = sd.Map(loss, plain).apply(start, 3)
    close(sd.Map(loss.replace(k=k), scaled).apply(start, 3), expected)


@every
@given(angle=angles, radius=radii, a=curvatures, rho=rhos, m=factors)
def test_larger_weights_are_a_larger_radius(make, angle, radius, a, rho, m):
    start, loss = around(angle, radius), SCALED.replace(a=a)
    assume(np.linalg.norm(loss.grad(start)) > 0.05)
    plain = make(rho=rho)
    # here USAM's ascent grows with the gradient by itself
    scaled = make(rho=rho * m if getattr(plain, "normalize", True) else rho)
    expected = sd.Map(loss, plain).apply(start, 3)
    close(sd.Map(loss.replace(m=m), scaled).apply(m * start, 3) / m, expected)


# --- particles are alone ------------------------------------------------------------------

SADDLE = sd.Map(sd.losses.beale(), sd.SAM(lr=0.001, rho=0.1))


@given(
    lanes=st.sets(st.integers(0, 129), max_size=20),
    far=st.sampled_from([1e2, 1e60, 1e154, 1e300]),
    steps=st.integers(0, 40),
)
def test_a_particle_that_diverges_changes_nobody_else(lanes, far, steps):
    x0 = np.random.default_rng(0).uniform(-2, 2, (130, 2))
    quiet = sd.simulate(SADDLE, x0, steps, progress=False)
    lanes = sorted(lanes)
    x0[lanes] = far
    loud = sd.simulate(SADDLE, x0, steps, progress=False)
    others = np.setdiff1d(np.arange(130), lanes)
    for name in ("final", "steps", "reason"):
        np.testing.assert_array_equal(loud[name][others], quiet[name][others])
    if steps >= 10:
        assert (loud.reason[lanes] == 3).all()


def test_a_sweep_equals_separate_runs():
    loss = sd.losses.quartic_saddle()
    lrs, rhos = np.array([0.01, 0.05]), np.array([0.0, 0.1, 0.3])
    x0 = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    swept = sd.simulate(sd.Map(loss, sd.SAM(lr=lrs, rho=rhos)), x0, 100, progress=False)
    assert swept.final.dims == ("lr", "rho", "particle", "coord")
    for lr in lrs:
        for rho in rhos:
            one = sd.Map(loss, sd.SAM(lr=float(lr), rho=float(rho)))
            for k, start in enumerate(x0[:2]):
                alone = sd.simulate(one, start, 100, progress=False)
                here = swept.sel(lr=lr, rho=rho).isel(particle=k)
                np.testing.assert_array_equal(here.final, alone.final)
                assert here.final_loss == alone.final_loss


def test_the_order_of_dimensions_does_not_matter():
    lrs, rhos = np.array([0.01, 0.05]), np.array([0.0, 0.1, 0.3])
    grid = sd.grid(x=(-1, 1, 3), y=(-1, 1, 4))
    loss = sd.losses.quartic_saddle()
    algorithm = sd.SAM(lr=lrs, rho=rhos)
    run = sd.simulate(sd.Map(loss, algorithm), grid, 50, progress=False)
    turned = sd.simulate(sd.Map(loss, algorithm), grid.transpose("y", "coord", "x"), 50)
    xr.testing.assert_equal(run.final, turned.final.transpose(*run.final.dims))

    both = xr.DataArray([[0.01, 0.05]] * 3, dims=("rho", "lr"), coords={"rho": rhos, "lr": lrs})
    named = sd.simulate(sd.Map(loss, sd.SAM(lr=both, rho=rhos)), grid, 50, progress=False)
    np.testing.assert_array_equal(run.final, named.final.transpose("lr", "rho", "x", "y", "coord"))


def test_numbers_may_vary_together():
    pairs = {"lr": [0.01, 0.05], "rho": [0.0, 0.3]}
    together = {name: xr.DataArray(values, dims="pair") for name, values in pairs.items()}
    loss = sd.losses.quartic_saddle()
    run = sd.simulate(sd.Map(loss, sd.SAM(**together)), [0.5, 0.1], 50, progress=False)
    assert run.final.dims == ("pair", "coord")
    for k in range(2):
        one = sd.SAM(lr=pairs["lr"][k], rho=pairs["rho"][k])
        alone = sd.simulate(sd.Map(loss, one), [0.5, 0.1], 50, progress=False)
        np.testing.assert_array_equal(run.final[k], alone.final)


@given(angle=angles, radius=radii)
def test_a_momentum_of_zeros_is_no_momentum(angle, radius):
    start = around(angle, radius)
    for momentum in ([0.0], [0.0, 0.0]):
        with_velocity = sd.Map(CURVED, sd.GD(lr=0.05, momentum=momentum))
        without = sd.Map(CURVED, sd.GD(lr=0.05, momentum=0.0))
        assert with_velocity.vectors == ("velocity",)
        found, expected = (one.apply(start[None], STEPS) for one in (with_velocity, without))
        np.testing.assert_array_equal(found, expected.repeat(len(momentum), axis=0))


@every
@given(angle=angles, radius=radii)
def test_lookahead_of_one_step_all_the_way_is_the_algorithm(make, angle, radius):
    start = around(angle, radius)
    inner = sd.Map(CURVED, make())
    ahead = sd.Map(CURVED, sd.Lookahead(make(), k=1, alpha=1.0))
    close(ahead.apply(start, STEPS), inner.apply(start, STEPS))


@every
@given(angle=angles, radius=radii)
def test_lookahead_that_keeps_nothing_stays(make, angle, radius):
    start = around(angle, radius)
    ahead = sd.Map(CURVED, sd.Lookahead(make(), k=2, alpha=0.0))
    np.testing.assert_array_equal(ahead.apply(start, STEPS), start)
