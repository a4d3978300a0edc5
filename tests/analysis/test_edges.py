"""Closed forms of edges, cycles and ascents against multipliers, cycles found, and runs."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import samdyn as sd
from samdyn.analysis.edges.ascent import ascent_contraction
from samdyn.analysis.edges.cycle import (
    cycle_amplitude,
    cycle_loss,
    cycle_multipliers,
    drift_factor,
    saddle_window,
)
from samdyn.analysis.edges.stability import edge_of_stability, sam_edge, usam_edge

LINE = sd.Loss("l*x**2/2", "x", l=1.0)
NAMES = ("x", "y", "z")


def bowl(eigenvalues):
    return sd.Loss(
        " + ".join(f"({l!r})*{name}**2/2" for name, l in zip(NAMES, eigenvalues, strict=False)),
        NAMES[: len(eigenvalues)],
    )


def radius(algorithm, curvature):
    """The spectral radius at the minimum of a line of this curvature."""
    return np.abs(sd.multipliers(sd.Map(LINE.replace(l=curvature), algorithm), [0.0])).max()


@pytest.mark.parametrize(
    "algorithm",
    [
        sd.GD(lr=0.1),
        sd.GD(lr=0.1, momentum=0.9),
        sd.GD(lr=0.1, momentum=0.9, nesterov=True),
        sd.GD(lr=0.1, weight_decay=3.0),
        sd.USAM(lr=0.1, rho=0.3),
        sd.USAM(lr=0.1, rho=0.3, momentum=0.5, weight_decay=2.0),
        sd.USAM(lr=0.1, rho=0.3, momentum=0.5, nesterov=True, weight_decay=2.0),
        sd.USAM(lr=0.1, rho=0.3, weight_decay=2.0, decay_in_ascent=True),
        sd.USAM(lr=0.1, rho=0.3, ascent_steps=2),
        sd.USAM(lr=0.1, rho=0.3, ascent_steps=7, momentum=0.9),
    ],
    ids=repr,
)
def test_the_minimum_loses_stability_at_the_edge(algorithm):
    edge = edge_of_stability(algorithm)
    # at the edge a multiplier is -1: the radius is 1 to rounding, below it less, above it more
    assert radius(algorithm, edge) == pytest.approx(1.0, abs=1e-10)
    assert radius(algorithm, 0.999 * edge) < 1 < radius(algorithm, 1.001 * edge)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.6},
        {"momentum": 0.6, "nesterov": True},
        {"ascent_steps": 3},
        {"weight_decay": 0.7},
        {"weight_decay": 0.7, "decay_in_ascent": True, "momentum": 0.3},
    ],
    ids=str,
)
def test_normalised_sam_cycles_at_its_edge(options):
    system = sd.Map(LINE.replace(l=4.0), sd.SAM(lr=0.15, rho=0.2, **options))
    end = system.apply([1.0], steps=3_000)
    curvature = 4.0 + (0.7 if "decay_in_ascent" in options else 0.0)
    edge = edge_of_stability(system.single, grad_norm=curvature * abs(float(end[0])))
    assert edge == pytest.approx(4.0, rel=1e-10)
    if "weight_decay" not in options and "nesterov" not in options:
        amplitude = cycle_amplitude(4.0, 0.15, 0.2, options.get("momentum", 0.0))
        assert abs(end[0]) == pytest.approx(float(amplitude), rel=1e-10)


numbers = st.floats(1e-3, 1e3)


@settings(deadline=None)
@given(lr=numbers, rho=numbers, norm=numbers, steps=st.integers(1, 20))
def test_edges_solve_their_equations(lr, rho, norm, steps):
    l = float(usam_edge(lr, rho, steps))
    assert lr * l * (1 + rho * l / steps) ** steps == pytest.approx(2, rel=1e-10)
    l = float(sam_edge(lr, rho, norm))
    assert lr * l * (1 + rho * l / norm) == pytest.approx(2, rel=1e-12)
    assert l < 2 / lr
    assert l == pytest.approx(norm / (2 * rho) * (np.sqrt(1 + 8 * rho / (lr * norm)) - 1), rel=1e-4)


@settings(deadline=None)
@given(lr=st.floats(1e-3, 1.0), rho=numbers, strength=st.floats(0.01, 1.99))
def test_the_cycle_is_at_the_sam_edge(lr, rho, strength):
    l = strength / lr
    edge = sam_edge(lr, rho, l * cycle_amplitude(l, lr, rho))
    assert float(edge) == pytest.approx(l, rel=1e-10)


def test_edges_without_perturbation_or_gradient():
    assert sam_edge(0.1, [1e-300, 1e-17, 0.0], 1.0) == pytest.approx([20.0] * 3, rel=1e-15)
    assert usam_edge(0.1, [1e-300, 0.0], 3) == pytest.approx([20.0, 20.0], rel=1e-14)
    assert float(sam_edge(0.1, 0.0, 0.0)) == pytest.approx(20.0)
    assert float(sam_edge(0.1, 0.2, 0.0)) == 0.0
    assert edge_of_stability(sd.SAM(lr=0.1, rho=0.2), grad_norm=0.0) == 0.0
    assert np.isnan(edge_of_stability(sd.GD(lr=0.1, weight_decay=21.0)))


def test_sweeps_of_the_edge_keep_their_names():
    sam = sd.SAM(lr=[0.1, 0.2], rho=[0.0, 0.1, 0.2])
    norm = xr.DataArray([1.0, 2.0, 3.0, 4.0], dims="time")
    edge = edge_of_stability(sam, norm)
    assert dict(edge.sizes) == {"lr": 2, "rho": 3, "time": 4}
    one = edge_of_stability(sd.SAM(lr=0.2, rho=0.1), 3.0)
    assert float(edge.sel(lr=0.2, rho=0.1).isel(time=2)) == one
    plain = edge_of_stability(sd.SAM(lr=0.2, rho=0.1), norm.values)
    assert isinstance(plain, np.ndarray)
    assert plain[2] == one
    assert edge_of_stability(sd.USAM(lr=[0.1, 0.2], rho=0.1)).dims == ("lr",)


@pytest.mark.parametrize(
    ("algorithm", "norm", "error", "said"),
    [
        (sd.ASAM(lr=0.1, rho=0.1), 1.0, TypeError, "algorithm must be GD"),
        (sd.Switch([(0, sd.GD(lr=0.1)), (5, sd.GD(lr=0.2))]), None, TypeError, "algorithm must be"),
        (sd.SAM(lr=0.1, rho=0.1, m=1), 1.0, TypeError, "m must be None"),
        (sd.SAM(lr=0.1, rho=0.1), None, ValueError, "grad_norm must be given"),
        (sd.GD(lr=0.1), 1.0, ValueError, "grad_norm must be None"),
        (sd.SAM(lr=0.1, rho=0.1), -1.0, ValueError, "grad_norm must be at least 0"),
        (sd.SAM(lr=[0.1, 0.2], rho=0.1), [1.0, 2.0], ValueError, "must be one value or a Data"),
        (sd.GD(lr=0.1, momentum=1.0), None, ValueError, "momentum must be below 1"),
    ],
)
def test_edges_that_do_not_exist_are_refused(algorithm, norm, error, said):
    with pytest.raises(error, match=said):
        edge_of_stability(algorithm, norm)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("eigenvalues", [(0.5, 1.2, 2.0), (-0.7, 0.9, 2.0)])
def test_multipliers_of_the_cycle(eigenvalues, steps):
    lr, rho = 0.45, 0.3
    top = float(cycle_amplitude(2.0, lr, rho))
    system = sd.Map(bowl(eigenvalues), sd.SAM(lr=lr, rho=rho, ascent_steps=steps))
    found = sd.multipliers(system, [[0.0, 0.0, top], [0.0, 0.0, -top]])
    said = cycle_multipliers(eigenvalues, lr, steps) ** 2
    assert np.sort(found.real) == pytest.approx(np.sort(said), abs=1e-10)
    assert cycle_loss(2.0, lr, rho) == pytest.approx(
        float(system.loss.value([0.0, 0.0, top])), rel=1e-12
    )


def test_the_cycles_found_are_those_of_the_closed_form():
    eigenvalues, lr = np.array([1.0, 3.0]), 0.4
    system = sd.Map(bowl(eigenvalues.tolist()), sd.SAM(lr=lr, rho=0.1))
    found = sd.cycles(system, 2, box=[(-1, 1), (-1, 1)], starts=16)
    assert len(found) == 2
    for cycle in found:
        along = int(np.argmax(np.abs(cycle.point)))
        said = cycle_multipliers(eigenvalues, lr, along=along) ** 2
        assert np.sort(cycle.eigenvalues.real) == pytest.approx(np.sort(said), abs=1e-10)
        amplitude = float(cycle_amplitude(eigenvalues[along], lr, 0.1))
        assert np.abs(cycle.point[along]) == pytest.approx(amplitude, abs=1e-10)
        assert cycle.kind == ("attractor" if along == 1 else "saddle")


@settings(deadline=None)
@given(
    strength=st.floats(0.01, 1.99),
    ratio=st.floats(0.001, 0.98),
    steps=st.integers(1, 12),
)
def test_the_cycle_along_the_top_eigenvector_attracts(strength, ratio, steps):
    across, along = cycle_multipliers([ratio, 1.0], strength, steps)
    assert abs(across) < 1
    assert abs(along) < 1
    assert abs(cycle_multipliers([ratio, 1.0], strength, steps, along=0)[1]) > 1


def test_no_cycle_beyond_the_edge_of_gradient_descent():
    assert np.isnan(cycle_amplitude(2.0, 1.0, 0.1))
    assert np.isnan(drift_factor(2.0, 1.5))
    assert np.isnan(cycle_multipliers([1.0, 2.0], 1.2)).all()
    assert np.isnan(saddle_window(-1.0, 0.1)).all()
    with pytest.raises(ValueError, match="must be above 0"):
        cycle_multipliers([-2.0, -1.0], 0.1)


@pytest.mark.parametrize(("share", "stable"), [(0.9, False), (1.1, True)])
def test_the_window_of_a_saddle(share, stable):
    lr, rho, top = 0.3, 0.1, 2.0
    low, high = saddle_window(top, lr)
    r = float(cycle_amplitude(top, lr, rho))
    for m in (float(low) * share, float(high) / share):
        system = sd.Map(bowl([-m, top]), sd.SAM(lr=lr, rho=rho))
        kind = sd.stability(system, [[0.0, r], [0.0, -r]]).kind
        assert (kind == "attractor") == stable


def test_a_saddle_holds_a_run_inside_the_window():
    low, high = saddle_window(2.0, 0.3)
    system = sd.Map(bowl([-float(low + high) / 2, 2.0]), sd.SAM(lr=0.3, rho=0.1))
    end = system.apply([0.001, 0.3], steps=2_000)
    assert end[0] == pytest.approx(0.0, abs=1e-10)
    assert abs(end[1]) == pytest.approx(float(cycle_amplitude(2.0, 0.3, 0.1)), abs=1e-10)


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_the_drift_along_minima_has_the_finite_lr_factor(strength):
    loss, rho = sd.losses.scalar_factorization(), 0.003
    w = np.array([1.5, 1 / 1.5 + 1e-3])
    top = float(2 * np.sum(w**2))
    lr = strength / top
    system = sd.Map(loss, sd.SAM(lr=lr, rho=rho))
    start = system.apply(w, steps=400)  # on its cycle
    end = system.apply(start, steps=400)
    u, moved = (p[0] ** 2 - p[1] ** 2 for p in (start, end))
    # gradient flow keeps u; along the minima d log u/d tau = -4 in the flow of the top eigenvalue
    speed = np.log(moved / u) / (400 * lr * rho**2)
    between = 2 * np.hypot((u + moved) / 2, 2.0)
    assert speed == pytest.approx(-4 * float(drift_factor(between, lr)), rel=2e-3)


@pytest.mark.parametrize("normalize", [True, False])
def test_ascent_turns_the_gradient(normalize):
    loss = bowl([0.6, 2.0])
    w = np.array([1e-7 / 0.6, 0.5])  # gradient (1e-7, 1)
    for steps in (1, 2, 5):
        for rho in (0.01, 0.5, 20.0):
            system = sd.Map(loss, sd.SAM(lr=0.1, rho=rho, normalize=normalize, ascent_steps=steps))
            g = system.descent_gradient(w)
            said = ascent_contraction(0.3, 2.0 * rho, steps, normalize=normalize)
            assert g[0] / g[1] / 1e-7 == pytest.approx(float(said), rel=1e-10)
    many = ascent_contraction(0.3, 3.0, 20_000, normalize=normalize)
    limit = ascent_contraction(0.3, 3.0, None, normalize=normalize)
    assert float(many) == pytest.approx(float(limit), rel=1e-3)


def test_closed_forms_match_labelled_arrays_by_name():
    lr = xr.DataArray([0.1, 0.2], dims="lr")
    rho = xr.DataArray([0.1, 0.2, 0.3], dims="rho")
    amplitude = cycle_amplitude(2.0, lr, rho)
    assert amplitude.dims == ("lr", "rho")
    assert float(amplitude[1, 2]) == float(cycle_amplitude(2.0, 0.2, 0.3))
    assert cycle_loss(2.0, lr, rho).dims == ("lr", "rho")
    assert saddle_window(2.0, lr)[0].dims == ("lr",)


def test_flat_and_double_directions_are_on_the_unit_circle():
    flat, double, along = cycle_multipliers([0.0, 2.0, 2.0], 0.4, ascent_steps=2)
    assert (flat, abs(double)) == pytest.approx((1.0, 1.0), rel=1e-14)
    assert abs(along) < 1


def test_a_run_that_diverged_has_no_edge_from_there_on():
    edge = edge_of_stability(sd.SAM(lr=0.1, rho=0.5), grad_norm=[1.0, np.nan, np.inf])
    assert edge == pytest.approx([5.403124237, np.nan, 20.0], nan_ok=True)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: cycle_amplitude(2.0, -0.1, 0.1), ValueError, "lr must be at least 0, got -0.1"),
        (lambda: cycle_loss(2.0, 0.1, [0.1, -2.0]), ValueError, "rho must be at least 0, got -2"),
        (lambda: drift_factor(2.0, "fast"), TypeError, "lr must be a number"),
        (lambda: usam_edge(0.1, xr.DataArray([0.1, -1.0])), ValueError, "rho must be at least 0"),
        (lambda: ascent_contraction(0.5, -3.0), ValueError, "reach must be at least 0"),
        (lambda: cycle_multipliers(2.0, 0.1), ValueError, "eigenvalues must have shape"),
        (lambda: cycle_multipliers([1.0, 2.0], 0.1, along=2), ValueError, "along be a place"),
    ],
)
def test_what_closed_forms_do_not_take_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()
