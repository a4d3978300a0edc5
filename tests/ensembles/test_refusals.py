"""Bad input is refused before anything runs, in one sentence that says what would be right."""

import numpy as np
import pytest
import xarray as xr

import samdyn as sd

LOSS = sd.Loss("x**2/2 - y**2/2", variables="x y")
SYSTEM = sd.Map(LOSS, sd.SAM(lr=0.1, rho=0.1))
START = [0.1, 0.2]


def simulate(**given):
    return sd.simulate(**{"system": SYSTEM, "x0": START, "steps": 10, **given})


@sd.algorithm
def two_points(grad, x, w, *, lr):
    return x - lr * grad(w), x


SWEPT = sd.Map(LOSS, sd.SAM(lr=0.1, rho=[0.1, 0.2]))
PAIRED = sd.Map(LOSS, sd.GD(lr=xr.DataArray([0.1, 0.2, 0.3], dims="particle")))
DIFFERENT = sd.Switch([(0, sd.GD(lr=[0.1, 0.2])), (5, sd.GD(lr=[0.3, 0.4]))])
LABELLED = xr.DataArray([[0.1, 0.2]], dims=("particle", "coord"), coords={"coord": ["u", "v"]})

CASES = {
    "system": (dict(system=LOSS), TypeError, r"system must be a samdyn.Map\(loss, algorithm\)"),
    "x0 shape": (dict(x0=[1.0, 2.0, 3.0]), ValueError, r"x0 must have shape \(2,\) or \(n, 2\)"),
    "x0 scalar": (dict(x0=1.0), ValueError, r"got shape \(\)"),
    "x0 cube": (dict(x0=np.zeros((2, 2, 2))), ValueError, "or come from samdyn.grid"),
    "x0 nan": (dict(x0=[[0.0, 0.0], [np.nan, 1.0]]), ValueError, r"entry \(1, 0\) is nan"),
    "x0 inf": (dict(x0=[np.inf, 1.0]), ValueError, r"x0 must be finite; entry \(0,\) is inf"),
    "x0 empty": (dict(x0=np.zeros((0, 2))), ValueError, "x0 has no points"),
    "x0 names": (dict(x0=LABELLED), ValueError, r"coordinates \['u', 'v'\]; the system has"),
    "grid names": (dict(x0=sd.grid(x=(0, 1, 3))), ValueError, "of length 2"),
    "steps": (dict(steps=-1), ValueError, "steps must be a whole number >= 0, got -1"),
    "steps float": (dict(steps=10.5), ValueError, "steps must be a whole number >= 0, got 10.5"),
    "after end": (
        dict(after=11, statistics={"q": "x"}),
        ValueError,
        "begin after step 11, but the run ends at 10",
    ),
    "steps huge": (dict(steps=10**20), ValueError, "steps must be at most 4611686018427387904"),
    "statistics": (dict(statistics=["x"]), TypeError, "statistics must map names to formulas"),
    "state": (dict(state="velocity"), TypeError, "state must be True or False, got 'velocity'"),
    "until text": (dict(until="x > 1"), TypeError, "until must be events .* got 'x > 1'"),
    "until class": (dict(until=sd.Escape), TypeError, "until must be events such as"),
    "executor": (dict(executor=3), TypeError, "executor must be a concurrent.futures.Executor"),
    "store": (dict(store=3), ValueError, "store must be the path of a folder, got 3"),
    "store file": (dict(store=__file__), ValueError, "store .* cannot be written: File exists"),
    "reserved": (
        dict(system=sd.Map(sd.Loss("steps*x**2 + y**2", "x y", steps=[1.0, 2.0]), sd.GD(lr=0.1))),
        ValueError,
        "steps would be a dimension called 'steps', which every result has for something else",
    ),
    "along coord": (
        dict(system=sd.Map(LOSS, sd.GD(lr=xr.DataArray([0.1, 0.2], dims="coord")))),
        ValueError,
        "lr would be a dimension called 'coord'",
    ),
    "labels": (
        dict(
            system=sd.Map(
                LOSS, sd.GD(lr=xr.DataArray([0.1, 0.2], dims="lr", coords={"lr": [7.0, 8.0]}))
            )
        ),
        ValueError,
        "lr has other values than the labels of its dimension",
    ),
    "vector": (
        dict(system=sd.Map(LOSS, two_points(lr=1.0)), state=True),
        ValueError,
        "a vector of the algorithm is called 'w'",
    ),
    "after": (dict(after=-2), ValueError, "after must be a whole number >= 0, got -2"),
    "threads": (dict(threads=0), ValueError, "threads must be a whole number >= 1, got 0"),
    "chunk": (dict(chunk=0), ValueError, "chunk must be a whole number >= 1, got 0"),
    "record zero": (dict(record=0), ValueError, "record must be a whole number >= 1, got 0"),
    "record past": (dict(record=[0, 11]), ValueError, "step 11, but the run goes from 0 to 10"),
    "record negative": (dict(record=[-1, 5]), ValueError, "step -1, but the run"),
    "record order": (dict(record=[5, 3]), ValueError, "record must be increasing steps"),
    "record range": (dict(record=range(5, 3, -1)), ValueError, "record must be increasing steps"),
    "record none": (dict(record=range(0)), ValueError, "a sequence of steps, got range"),
    "record far": (dict(record=range(0, 16, 5)), ValueError, "step 15, but the run goes from 0"),
    "record memory": (
        dict(steps=10**12, record=range(10**12)),
        MemoryError,
        "1000000000000 recorded steps takes .* GiB are free; record fewer steps",
    ),
    "record text": (dict(record=["a"]), ValueError, "record must be a whole number or a sequence"),
    "until": (dict(until=["x > 1"]), TypeError, r"until must be events such as Escape\("),
    "center": (
        dict(until=sd.Escape(center=(0, 0, 0), radius=1)),
        ValueError,
        "center of Escape must have 2 entries, one for each of x, y; got 3",
    ),
    "box": (dict(until=sd.Escape(box=[(0, 1)])), ValueError, "box of Escape must have 2 entries"),
    "region": (dict(until=sd.Escape("z > 1")), ValueError, "names z, which is none of x, y, loss"),
    "statistic": (dict(statistics={"q": "z"}), ValueError, "statistic q 'z' names z"),
    "statistic name": (dict(statistics={"x": "y"}), ValueError, "has the name of something else"),
    "statistic code": (dict(statistics={"q": "().__class__"}), ValueError, "contains"),
    "lengths": (
        dict(system=PAIRED, x0=[START, START]),
        ValueError,
        "x0 has 2 entries along 'particle', but another array has 3",
    ),
    "two sweeps": (
        dict(system=sd.Map(LOSS, DIFFERENT)),
        ValueError,
        "lr is swept over two different arrays in two phases",
    ),
    "two-dimensional": (
        dict(system=sd.Map(LOSS, sd.GD(lr=np.ones((2, 2))))),
        ValueError,
        r"lr has shape \(2, 2\); give a 1-D array",
    ),
    "memory": (
        dict(x0=np.zeros((1000, 2)), steps=10**9, record=1),
        MemoryError,
        r"takes 4\d{4}\.\d GiB, but .* GiB are free; record fewer steps",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_simulate_refuses(name):
    given, error, message = CASES[name]
    with pytest.raises(error, match=message) as caught:
        simulate(**given)
    assert "\n" not in str(caught.value)


EVENTS = {
    "no form": (lambda: sd.Escape(), "takes a condition, or center= with radius=, or box="),
    "two forms": (lambda: sd.Escape("x > 1", box=[(0, 1)]), "takes a condition, or"),
    "no radius": (lambda: sd.Escape(center=(0, 0)), "takes a condition, or"),
    "radius": (lambda: sd.Escape(center=(0, 0), radius=0.0), "radius must be above 0, got 0"),
    "intervals": (lambda: sd.Escape(box=[(1, 0)]), "low < high"),
    "no tolerance": (lambda: sd.Converged(tol=None), "needs tol .* or step"),
    "tolerance": (lambda: sd.Converged(tol=-1.0), "tol must be at least 0, got -1"),
    "limit": (lambda: sd.Diverged(float("nan")), "limit must be finite, got nan"),
    "no comparison": (
        lambda: simulate(until=sd.Escape("x + 1")),
        r"no comparison; write for example 'x > 0\.8'",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_refuse(name):
    make, message = EVENTS[name]
    with pytest.raises(ValueError, match=message):
        make()


POINTS = {
    "grid empty": (lambda: sd.grid(), "grid needs an axis for each variable"),
    "grid order": (lambda: sd.grid(x=(1, 0, 5)), "needs low < high"),
    "grid count": (lambda: sd.grid(x=(0, 1, 0)), "a count of at least 1"),
    "grid axis": (lambda: sd.grid(x=(0, 1)), r"axis x must be \(low, high, count\)"),
    "uniform": (lambda: sd.uniform(5, seed=0, x=(1, 0)), r"uniform needs an interval"),
    "ball": (lambda: sd.ball(5, center=(0, 0), radius=-1, seed=0), "a radius above 0"),
}


@pytest.mark.parametrize("name", POINTS)
def test_points_refuse(name):
    make, message = POINTS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_map_refuses():
    with pytest.raises(TypeError, match="loss must be a samdyn.Loss"):
        sd.Map("x**2", sd.GD(lr=0.1))
    with pytest.raises(TypeError, match="algorithm must be an algorithm such as"):
        sd.Map(LOSS, 0.1)
    with pytest.raises(ValueError, match="lr names both a constant of the loss and a hyper"):
        sd.Map(sd.Loss("lr*x**2", variables="x", lr=1.0), sd.GD(lr=0.1))


def test_unknown_names_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'simulat'; did you mean simulate"):
        sd.simulat  # noqa: B018
