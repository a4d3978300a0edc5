import numpy as np
import pytest
import xarray as xr

from samdyn import experiments
from samdyn.experiments import kim_beale


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    files, claims = experiments.get("kim-beale").make(folder)
    return files, claims, folder


def test_kim_beale_comes_out_as_published(made):
    _, claims, _ = made
    assert len(claims) == 7
    for claim in claims:
        assert claim.holds, claim


def test_kim_beale_saves_its_data_and_pictures(made):
    files, _, folder = made
    assert {file.suffix for file in files} == {".nc", ".pdf", ".png"}
    assert all(file.stat().st_size > 10_000 for file in files)
    with xr.open_datatree(folder / "kim-beale.nc", engine="h5netcdf") as tree:
        assert tree["beale"].w.dims == ("rho", "time", "coord")
        assert tree["saddle"].attrs["formula"] == "x**2 - y**2"


def test_what_was_saved_bears_out_the_same(made):
    _, claims, folder = made
    experiment = experiments.get("kim-beale")
    saved = experiment.load(folder)
    assert experiment.claims(saved) == claims
    for name, run in experiment.run().items():
        attrs = {"created", "seconds"}  # the rest is the same to the last bit
        for one in (run, saved[name]):
            one.attrs = {k: v for k, v in one.attrs.items() if k not in attrs}
        xr.testing.assert_identical(saved[name], run)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("kim-phase-diagram", 3),
        pytest.param("kim-transition", 11, marks=pytest.mark.slow),
        pytest.param("kim-basins", 5, marks=pytest.mark.slow),
        pytest.param("kim-diffusion", 16, marks=pytest.mark.slow),
        pytest.param("kim-escape", 13, marks=pytest.mark.slow),
        pytest.param("compagnoni-order", 8, marks=pytest.mark.slow),
        pytest.param("compagnoni-stationary", 9, marks=pytest.mark.slow),
        pytest.param("compagnoni-saddle", 8, marks=pytest.mark.slow),
        ("zhou-example", 8),
        pytest.param("zhou-escape", 9, marks=pytest.mark.slow),
        pytest.param("zhou-stability", 7, marks=pytest.mark.slow),
        pytest.param("zhou-valley", 5, marks=pytest.mark.slow),
        pytest.param("wen-sharpness", 11, marks=pytest.mark.slow),
        pytest.param("wen-toy", 7, marks=pytest.mark.slow),
        pytest.param("wen-flow", 12, marks=pytest.mark.slow),
        pytest.param("wen-alignment", 6, marks=pytest.mark.slow),
        pytest.param("bartlett-drift", 5, marks=pytest.mark.slow),
        pytest.param("long-edge", 7, marks=pytest.mark.slow),
        pytest.param("agarwala-eigenvalue", 5, marks=pytest.mark.slow),
        pytest.param("si-convergence", 7, marks=pytest.mark.slow),
        pytest.param("dai-normalization", 6, marks=pytest.mark.slow),
        pytest.param("kim-ascent", 7, marks=pytest.mark.slow),
        pytest.param("kim-toy-network", 12, marks=pytest.mark.slow),
        pytest.param("kim-factorization", 11, marks=pytest.mark.slow),
        pytest.param("kim-network", 12, marks=pytest.mark.slow),
        pytest.param("kim-table", 9, marks=pytest.mark.slow),
        pytest.param("zhou-late", 10, marks=pytest.mark.slow),
        pytest.param("zhou-network-escape", 12, marks=pytest.mark.slow),
        pytest.param("zhou-adversarial", 9, marks=pytest.mark.slow),
        pytest.param("wen-one-sam", 10, marks=pytest.mark.slow),
    ],
)
def test_the_theory_comes_out(name, count, tmp_path):
    experiment = experiments.get(name)
    if not experiment.can_run:
        pytest.skip(f"{experiment.needs} is not installed")
    runs = experiment.run()
    claims = experiment.claims(runs)
    assert len(claims) == count
    for claim in claims:
        assert claim.holds, claim
    files = experiment.save(runs, tmp_path, ["png"])
    assert all(file.stat().st_size > 10_000 for file in files)
    saved = experiment.load(tmp_path)
    assert saved
    assert experiment.claims(saved) == claims


def test_a_claim_that_does_not_hold_says_so():
    runs = kim_beale.compute()
    runs["beale"]["final"] = runs["beale"].final + 1.0
    runs["beale"]["alignment"] = -runs["beale"].alignment
    claims = kim_beale.claims(runs)
    assert [claim.holds for claim in claims] == [False] * 5 + [True] * 2


def test_gradient_descent_follows_a_plain_loop():
    """The end point (2.4753, 0.3351) of the released code's run, by a loop that shares nothing."""
    x, y = 1.0, 2.0
    for _ in range(87_683):
        a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
        gx = 2 * (a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1))
        gy = 2 * x * (a + 2 * b * y + 3 * c * y**2)
        x, y = x - 1.25e-5 * gx, y - 1.25e-5 * gy
    end = kim_beale.compute()["beale"].final.sel(rho=0.0).values
    np.testing.assert_allclose(end, [x, y], rtol=1e-10)
    np.testing.assert_allclose(end, [2.4753, 0.3351], atol=1e-4)


def test_an_interrupted_run_makes_no_figure(tmp_path):
    run = kim_beale.compute()["saddle"]
    run["reason"][:] = 4
    drawn = []
    experiment = experiments.get("kim-beale")._replace(
        compute=lambda: {"saddle": run}, draw=drawn.append
    )
    with pytest.raises(KeyboardInterrupt):
        experiment.make(tmp_path / "figures")
    assert not drawn
    assert not (tmp_path / "figures").exists()


def test_an_interrupted_run_ends_the_computation(monkeypatch):
    simulate = kim_beale.simulate
    asked = []

    def interrupted(*arguments, **options):
        asked.append(arguments)
        run = simulate(arguments[0], arguments[1], 3, record=1)
        run["reason"][:] = 4
        return run

    monkeypatch.setattr(kim_beale, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kim_beale.compute()
    assert len(asked) == 1
