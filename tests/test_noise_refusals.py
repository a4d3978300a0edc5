"""What has no meaning under noise is refused before anything runs, and what is odd is said."""

import numpy as np
import pytest

import samdyn as sd

NOISY = sd.Loss("x**4/4 - x**2/2 + 0.8*xi*x", noise="xi")
FINITE = sd.Loss("a*x**2/2 - b*x", variables="x", data={"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 2.0]})
PLANE = sd.FormulaSDE({"x": "-x", "y": "y - y**3"}, {"x": "1", "y": "0.5"})
SDE = sd.SDE(NOISY, sd.USAM(lr=0.1, rho=0.2))
STEP = sd.Map(NOISY, sd.GD(lr=0.1))


@pytest.mark.parametrize(
    "asked",
    [
        lambda: sd.fixed_points(PLANE, [(-1, 1)] * 2),
        lambda: sd.plot.portrait(PLANE, box=[(-1, 1)] * 2),
        lambda: sd.basins(SDE, sd.grid(x=(-1, 1, 5))),
        lambda: sd.basins(STEP, sd.grid(x=(-1, 1, 5))),
        lambda: sd.trapping(SDE, [0.0], radius=0.1),
        lambda: sd.phase_diagram(SDE, {"lr": [0.1, 0.2], "rho": [0.1, 0.2]}, [0.1]),
        lambda: sd.lyapunov(SDE, [0.1], 10),
        lambda: sd.stability(STEP, [0.0]),
    ],
)
def test_what_is_of_deterministic_systems_refuses_noise(asked):
    with pytest.raises(TypeError, match="must not be random here"):
        asked()


def test_the_drift_of_an_sde_has_a_stability():
    assert sd.stability(SDE, [0.0]).kind == "repeller"


def test_draws_that_cannot_be_made_are_refused_with_the_map():
    with pytest.raises(ValueError, match="m does not go with fresh_noise"):
        sd.Map(FINITE, sd.SAM(lr=0.1, rho=0.1, m=1), batch_size=2, fresh_noise=True)
    with pytest.raises(ValueError, match="from 1 to the 3 samples, got 4"):
        sd.Map(FINITE, sd.GD(lr=0.1), batch_size=4, sampling="subset")
    with pytest.raises(ValueError, match="go with batch_size"):
        sd.Map(FINITE, sd.GD(lr=0.1), sampling="epochs")
    larger = sd.Map(FINITE, sd.GD(lr=0.1), batch_size=40)
    assert larger.batch_size == 40
    with pytest.raises(ValueError, match="seed must be a whole number >= 0, got -1"):
        larger.apply([0.3], 3, seed=-1)


def test_who_begins_outside_is_named():
    well = sd.FormulaSDE({"x": "x - x**3"}, {"x": "0.7"})
    with pytest.warns(UserWarning, match="2 of the initial points are where Escape"):
        sd.simulate(well, np.array([-1.0, 0.5, 0.6]), 3, until=sd.Escape("x > 0"), progress=False)


@pytest.mark.parametrize("sampling", ["replacement", "subset"])
def test_gradient_descent_on_batches_of_any_size_has_exact_moments(sampling):
    """Against E over all batches of three among five samples, one step after the other."""
    rng = np.random.default_rng(2)
    a, b = rng.uniform(0.5, 2.0, 5), rng.normal(size=5)
    loss = sd.Loss("a*x**2/2 - b*x", variables="x", data={"a": a, "b": b})
    system = sd.Map(loss, sd.GD(lr=0.3), batch_size=3, sampling=sampling)
    grids = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    if sampling == "subset":
        grids = grids[[len(set(row)) == 3 for row in grids]]
    slopes, pulls = a[grids].mean(1), b[grids].mean(1)
    start = b.mean() / a.mean()
    first, second = start, start**2
    for _ in range(7):
        keep = 1 - 0.3 * slopes
        first, second = (
            np.mean(keep) * first + 0.3 * pulls.mean(),
            np.mean(keep**2) * second
            + 2 * np.mean(keep * 0.3 * pulls) * first
            + np.mean((0.3 * pulls) ** 2),
        )
    found = sd.moments(system, start, 7).isel(time=-1)
    assert float(found["mean"][0]) == pytest.approx(first, rel=1e-12)
    assert float(found["covariance"][0, 0]) == pytest.approx(second - first**2, rel=1e-10)
