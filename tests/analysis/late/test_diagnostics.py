"""Diagnostics of runs against closed forms, plain loops, and what is computed while running."""

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.analysis.late.observed import diagnostics

LOSS = sd.losses.tanh_network()
LATE = sd.Switch([(0, sd.GD(lr=2.5)), (20, sd.SAM(lr=2.5, rho=0.05))])


@pytest.fixture(scope="module")
def run():
    start = np.array([[1.6, 0.3], [1.2, -0.2]])
    return sd.simulate(sd.Map(LOSS, LATE), start, 60, record=1, progress=False)


def test_the_example_by_hand(run):
    found = diagnostics(run)
    for particle in range(2):
        for step in (0, 19, 20, 47):
            u, v = run.w.values[particle, step]
            here = found.isel(particle=particle).sel(time=step)
            t, s = np.tanh(u), 1 / np.cosh(u) ** 2
            f = np.tanh(v * t)
            slope = f * (1 - f**2)
            gradient = np.array([slope * v * s, slope * t])
            curve = (1 - f**2) * (1 - 3 * f**2)
            h = curve * np.outer([v * s, t], [v * s, t])
            h += slope * np.array([[-2 * v * t * s, s], [s, 0.0]])
            values, vectors = np.linalg.eigh(h)
            cosine = abs(gradient @ vectors[:, 1]) / np.linalg.norm(gradient)
            assert float(here.loss) == pytest.approx(f**2 / 2, rel=1e-12)
            assert float(here.grad_norm) == pytest.approx(np.linalg.norm(gradient), rel=1e-11)
            assert float(here.top_eigenvalue) == pytest.approx(values[1], rel=1e-11)
            assert float(here.trace) == pytest.approx(np.trace(h), rel=1e-11)
            assert float(here.frobenius) == pytest.approx(np.linalg.norm(h), rel=1e-11)
            assert float(here.gradient_alignment) == pytest.approx(cosine, rel=1e-11)
            if step < 20:
                assert np.isnan(here.ascent_alignment)  # gradient descent does not ascend
            else:  # along the gradient
                assert float(here.ascent_alignment) == pytest.approx(cosine, rel=1e-9)
            assert float(here.edge) == pytest.approx(0.8)
            origin = run.w.values[particle, 0 if step < 20 else 20]
            assert float(here.switch_distance) == pytest.approx(
                np.hypot(u - origin[0], v - origin[1]), abs=1e-14
            )


def test_distances_along_and_across_the_minima(run):
    """Gradient flow of this loss goes to v = 0; far along it |w - Phi| is |v|."""
    found = diagnostics(run, manifold=True)
    u, v = run.w.values[..., 0], run.w.values[..., 1]
    late = slice(40, None)
    np.testing.assert_allclose(found.projection.values[..., 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.across.values[:, late], np.abs(v[:, late]), rtol=0.02)
    assert np.all(np.abs(found.along.values[:, 20]) == 0.0)
    assert np.all(found.along.values[:, :20] <= 0.0)
    assert np.all(np.diff(found.along.values) >= -1e-12)
    gone = np.abs(found.projection.values[:, -1, 0] - found.projection.values[:, 20, 0])
    np.testing.assert_allclose(found.along.values[:, -1], gone, rtol=1e-6)
    assert np.all(np.abs(found.projection.values[..., 0] - u) < 0.1)


def test_swept_numbers_and_constants_are_each_looked_at_with_their_own():
    loss = sd.Loss("a*x**2/2 + y**2/2 + x*y**2/4", "x y", a=np.array([1.0, 3.0, 5.0]))
    asam = sd.ASAM(lr=0.1, rho=np.array([0.05, 0.2]))
    start = np.array([[1.0, 0.5], [0.5, -1.0], [-0.3, 0.8], [0.2, 0.2]])
    run = sd.simulate(sd.Map(loss, asam), start, 6, record=3, progress=False)
    found = diagnostics(run)
    assert found.loss.dims == run.loss.dims
    np.testing.assert_allclose(found.loss, run.loss, rtol=1e-12)
    for a in loss.constants["a"]:
        for rho in (0.05, 0.2):
            one = run.sel(a=a, rho=rho)
            w = one.w.values
            x, y = w[..., 0], w[..., 1]
            g = np.stack([a * x + y**2 / 4, y + x * y / 2], axis=-1)
            h = np.array([[np.full_like(x, a), y / 2], [y / 2, 1 + x / 2]])
            values, vectors = np.linalg.eigh(np.moveaxis(h, (0, 1), (-2, -1)))
            top = vectors[..., 1]
            size = np.abs(w) + 0.01  # ASAM's own default
            ascent = size**2 * g
            here = found.sel(a=a, rho=rho).transpose(..., "time")
            np.testing.assert_allclose(here.top_eigenvalue, values[..., 1], rtol=1e-12)
            for name, along in (("gradient_alignment", g), ("ascent_alignment", ascent)):
                cosine = np.abs(np.sum(along * top, -1)) / np.linalg.norm(along, axis=-1)
                np.testing.assert_allclose(here[name], cosine, atol=1e-9)
    part = diagnostics(run.isel(rho=[1], particle=[2]))
    xr.testing.assert_allclose(part, found.isel(rho=[1], particle=[2]))
    single = diagnostics(run.isel(a=1, rho=0, particle=3))
    np.testing.assert_allclose(
        single.ascent_alignment, found.ascent_alignment.isel(a=1, rho=0, particle=3)
    )


def test_a_phase_may_be_skipped():
    """A step begins its phase whatever came before: phase 1 never acts on the first particle."""
    late = sd.Switch(
        [(0, sd.GD(lr=2.5)), ("u < 1.2", sd.SAM(lr=1.0, rho=0.05)), (12, sd.GD(lr=0.5))]
    )
    run = sd.simulate(sd.Map(LOSS, late), [[1.6, 0.3], [1.2, 0.5]], 20, record=1, progress=False)
    assert run.switched.values[0].tolist() == [-1, 12]
    first = int(run.switched[1, 0])
    assert 0 < first < 12
    found = diagnostics(run)
    edges = [[0.8] * 12 + [4.0] * 9, [0.8] * first + [2.0] * (12 - first) + [4.0] * 9]
    np.testing.assert_allclose(found.edge, edges)
    np.testing.assert_array_equal(found.switch_distance[:, [0, 12]], 0.0)
    ascends = found.ascent_alignment.notnull().values
    assert not ascends[0].any()
    assert ascends[1].nonzero()[0].tolist() == list(range(first, 12))


def test_where_gradient_flow_ends_at_no_minimum_distances_are_not_known():
    product = sd.losses.scalar_factorization()
    start = np.array([[1.0, -1.0], [2.0, 0.6]])  # the first flows to the saddle
    run = sd.simulate(sd.Map(product, sd.GD(lr=0.01)), start, 4, record=2, progress=False)
    found = diagnostics(run, manifold=True)
    for name in ("along", "across", "projection"):
        assert bool(found[name].isel(particle=0).isnull().all())
        assert bool(found[name].isel(particle=1).notnull().all())


@pytest.mark.parametrize(
    ("algorithm", "edge"),
    [
        (sd.GD(lr=0.1, momentum=0.5, nesterov=True), 15.0),
        (sd.SAM(lr=0.1, rho=0.1, weight_decay=0.5), 19.5),
        (sd.GD(lr=0.1, momentum=1.0), None),
        (sd.Lookahead(sd.GD(lr=0.1)), None),
    ],
)
def test_the_edge_of_stability(algorithm, edge):
    """Of gradient descent with the same numbers, or none."""
    loss = sd.Loss("x**2 + y**2/2")
    run = xr.Dataset(
        {"w": (("time", "coord"), [[1.0, 0.5]])},
        coords={"time": [0], "coord": ["x", "y"], "initial": ("coord", [1.0, 0.5])},
    )
    found = diagnostics(run, sd.Map(loss, algorithm))
    assert found.get("edge", xr.DataArray(None)).values.ravel().tolist() == [edge]


@pytest.mark.slow
def test_the_same_as_computed_while_running():
    names = ("top_eigenvalue", "trace", "frobenius", "gradient_alignment", "switch_distance")
    late = sd.Switch([(0, sd.GD(lr=2.5)), ("loss < 1e-3", sd.SAM(lr=2.5, rho=0.05))])
    run = sd.simulate(
        sd.Map(LOSS, late), np.array([[1.6, 0.3], [1.2, -0.2]]), 60, record=1,
        statistics={name: name for name in names}, progress=False,
    )  # fmt: skip
    found = diagnostics(run)
    assert len(set(run.switched.values.ravel())) == 2  # each at its own step
    for name in names:
        np.testing.assert_allclose(found[name].max("time"), run[f"{name}_max"], rtol=1e-9)
        np.testing.assert_allclose(found[name].mean("time"), run[f"{name}_mean"], rtol=1e-9)


@pytest.mark.slow
def test_flows_momentum_and_noise():
    flow = sd.simulate(
        sd.Flow(LOSS, sd.USAM(lr=0.1, rho=0.5), dt=0.1), [1.0, 0.2], 20, record=10, progress=False
    )
    assert diagnostics(flow).ascent_alignment.notnull().all()
    noisy = sd.Loss("x**2 + y**2/2 + 0.1*(xi1*x + xi2*y)", noise="xi1 xi2")
    system = sd.Map(noisy, sd.SAM(lr=0.1, rho=0.1, momentum=np.array([0.5, 0.9])))
    run = sd.simulate(system, [1.0, 1.0], 20, record=5, progress=False)
    found = diagnostics(run)
    np.testing.assert_allclose(found.top_eigenvalue, 2.0)
    np.testing.assert_allclose(found.edge.isel(time=0), [30.0, 38.0])
    x, y = run.w.values[..., 0], run.w.values[..., 1]
    np.testing.assert_allclose(found.loss, x**2 + y**2 / 2, rtol=1e-12)
    np.testing.assert_allclose(
        found.gradient_alignment, np.abs(2 * x) / np.hypot(2 * x, y), rtol=1e-10
    )


def test_what_is_refused(run):
    with pytest.raises(TypeError, match="run must be a result"):
        diagnostics(3)
    with pytest.raises(ValueError, match="nothing was recorded"):
        diagnostics(run.drop_vars(["w", "loss"]))
    bare = run.copy()
    bare.attrs = {}
    with pytest.raises(ValueError, match="no attribute 'recipe'"):
        diagnostics(bare)
    with pytest.raises(TypeError, match="has no loss"):
        diagnostics(bare, sd.FormulaMap({"u": "u*0.5", "v": "v*0.5"}))
    with pytest.raises(ValueError, match="system must have the coordinates"):
        diagnostics(run, sd.Map(sd.Loss("x**2 + y**2"), sd.GD(lr=0.1)))
    xr.testing.assert_identical(diagnostics(bare, sd.Map(LOSS, LATE)).trace, diagnostics(run).trace)


def test_lengths_along_the_manifold_count_from_the_switch_itself():
    late = sd.Switch([(0, sd.GD(lr=0.1)), (sd.Converged(tol=1e-6), sd.SAM(lr=0.1, rho=0.1))])
    system = sd.Map(sd.losses.scalar_factorization(), late)
    often, seldom = (
        sd.simulate(system, [2.0, 0.9], 200, record=every, progress=False) for every in (1, 10)
    )
    assert int(often.switched.item()) % 10
    every = sd.diagnostics(often, manifold=True)
    some = sd.diagnostics(seldom, manifold=True)
    same = every.sel(time=some.time)
    # a polygon through fewer points is shorter
    assert np.all(np.abs(some.along - same.along) < 0.02 * np.abs(same.along).max())
    assert abs(float(every.along.sel(time=int(often.switched.item())))) < 1e-12
    part = sd.diagnostics(seldom.isel(time=slice(5, None)), manifold=True)
    assert np.all(np.abs(part.along - some.along.isel(time=slice(5, None))) < 0.02)
