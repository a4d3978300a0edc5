"""Switches at events against plain loops and against switches at the same steps."""

import tomllib

import numpy as np
import pytest

import samdyn as sd
from samdyn.algorithms.switch import Condition
from samdyn.ensembles.recipe import RecipeError
from samdyn.ensembles.run import follow
from samdyn.losses.formula import FormulaError

NETWORK = sd.losses.tanh_network()
STARTS = np.array([[1.6, 0.3], [1.2, 0.2], [0.5, 0.1]])
SEEN = {
    "top": "top_eigenvalue",
    "sum": "trace + frobenius",
    "far": "switch_distance",
    "aligned": "gradient_alignment",
    "ascent": "ascent_alignment",
}


def quiet(*args, **options):
    return sd.simulate(*args, progress=False, **options)


def seen_at(w, origin, ascends):
    hessian, g = NETWORK.hessian(w), NETWORK.grad(w)
    values, vectors = np.linalg.eigh(hessian)
    length = np.linalg.norm(g)
    aligned = abs(vectors[:, -1] @ g) / length if length else 0.0
    total = np.trace(hessian) + np.linalg.norm(hessian)
    return values[-1], total, np.linalg.norm(w - origin), aligned, aligned * ascends


def test_sam_from_where_gradient_descent_has_settled():
    late = sd.Switch([(0, sd.GD(lr=2.5)), (sd.Converged(tol=1e-6), sd.SAM(lr=2.5, rho=0.05))])
    run = quiet(sd.Map(NETWORK, late), STARTS, 200, record=[0, 199, 200], statistics=SEEN)
    assert run.switched.dims == ("particle", "phase")
    for k, w in enumerate(STARTS):
        origin, switched, seen = w, None, []
        for t in range(201):
            g = NETWORK.grad(w)
            if switched is None and np.linalg.norm(g) <= 1e-6:
                switched, origin = t, w
            seen.append(seen_at(w, origin, switched is not None))
            if t < 200:
                up = 0.05 * g / np.linalg.norm(g) if switched is not None else 0.0
                w = w - 2.5 * NETWORK.grad(w + up)
        assert run.switched.values[k, 0] == switched
        np.testing.assert_allclose(run.switch_point.values[k, 0], origin, rtol=1e-12, atol=1e-15)
        # two hundred steps across a jump: rounding grows there
        np.testing.assert_allclose(run.final.values[k], w, rtol=1e-9)
        for name, values in zip(SEEN, np.transpose(seen), strict=True):
            np.testing.assert_allclose(run[f"{name}_mean"][k], values.mean(), rtol=1e-8)
            np.testing.assert_allclose(run[f"{name}_max"][k], values.max(), rtol=1e-8)
    again = sd.rerun(run, progress=False)
    assert again.final.equals(run.final)
    assert again.switched.equals(run.switched)
    part = sd.rerun(run.isel(particle=[2]), progress=False)
    assert part.final.equals(run.final.isel(particle=[2]))
    assert part.switched.equals(run.switched.isel(particle=[2]))
    assert run.attrs["title"] == "Switch on tanh_network"
    alone = quiet(sd.Map(NETWORK, late), STARTS, 200, statistics=SEEN, chunk=1, threads=2)
    assert alone.final.equals(run.final)
    assert alone.switch_point.equals(run.switch_point)


RECIPE = """
loss = { name = "tanh_network" }
[algorithm]
name = "Switch"
phases = [
    [0, { name = "GD", lr = 2.5 }],
    [{ event = "Converged", tol = 1e-6 }, { name = "SAM", lr = 2.5, rho = 0.05 }],
    ["loss < 1e-4", { name = "GD", lr = 0.5 }],
]
[simulate]
x0 = [[1.6, 0.3], [1.2, 0.2]]
steps = 200
"""


def test_a_recipe_may_hold_steps_events_and_conditions():
    late = sd.Switch(
        [
            (np.int64(0), sd.GD(lr=2.5)),
            (sd.Converged(tol=1e-6), sd.SAM(lr=2.5, rho=0.05)),
            ("loss < 1e-4", sd.GD(lr=0.5)),
        ]
    )
    assert type(late.phases[0][0]) is int
    run = quiet(sd.Map(NETWORK, late), STARTS[:2], 200)
    told = follow(tomllib.loads(RECIPE), progress=False)
    assert told.switched.equals(run.switched)
    assert told.final.equals(run.final)
    assert (run.switched >= 0).all()
    assert told.attrs["recipe"] == run.attrs["recipe"]
    for broken, said in (
        (('"loss < 1e-4"', "1.5"), "phases must be pairs"),
        (('"Converged"', '"Settled"'), "event must be one of Escape, Reached"),
        (("tol =", "tolerance ="), "Converged does not know 'tolerance'"),
    ):
        with pytest.raises(RecipeError, match=said):
            follow(tomllib.loads(RECIPE.replace(*broken)))


def naive(momentum, phases, w, steps):
    """x**2/2 + y**2 by phases of (begins(t, w, k), lr, rho, momentum or None)."""
    curvature = np.array([1.0, 2.0])
    v, now, began = np.zeros(2), 0, [-1] * len(phases)
    for t in range(steps):
        for k, (begins, *_) in enumerate(phases):
            if k > now and begins(t, w, now):
                now, began[k] = k, t
                v = v * 0.0 if momentum == "reset" else v
        _, lr, rho, beta = phases[now]
        g = curvature * w
        g = curvature * (w + rho * g)
        v = g if beta is None else beta * v + g
        w = w - lr * v
        v = v * 0.0 if beta is None else v
    return w, began[1:]


@pytest.mark.parametrize("momentum", ["keep", "reset"])
def test_steps_and_events_mixed(momentum):
    bowl = sd.Loss("x**2/2 + y**2")
    switch = sd.Switch(
        [
            (0, sd.GD(lr=0.1, momentum=0.9)),
            ("x < 0.5", sd.USAM(lr=0.05, rho=0.2, momentum=0.5)),
            (sd.Escape(center=(0, 0), radius=4.0), sd.GD(lr=0.3)),
            (12, sd.GD(lr=0.02, momentum=0.8)),
            ("x**2 + y**2 < 0.001", sd.GD(lr=0.4)),
            (10_000, sd.GD(lr=0.1)),
        ],
        momentum=momentum,
    )
    phases = [
        (None, 0.1, 0.0, 0.9),
        (lambda t, w, k: k == 0 and w[0] < 0.5, 0.05, 0.2, 0.5),
        (lambda t, w, k: k == 1 and w @ w > 16.0, 0.3, 0.0, None),
        (lambda t, w, k: t == 12, 0.02, 0.0, 0.8),
        (lambda t, w, k: k == 3 and w @ w < 0.001, 0.4, 0.0, None),
    ]
    # one phase or both before step 12, on the way or at once; some move when it comes
    starts = [[9.0, 0.1], [1.0, 1.0], [-5.0, 1.0], [-0.4, 4.3], [0.3, 0.1]]
    ended = [1.7e308, 1.7e308]  # as diverged, at step 0: no phase begins for it
    run = quiet(sd.Map(bowl, switch), [*starts, ended], 40)
    assert run.final.values[-1].tolist() == ended
    assert run.switched.values[-1].tolist() == [-1] * 5
    assert run.switch_point.isel(particle=-1).isnull().all()
    for k, start in enumerate(starts):
        w, began = naive(momentum, phases, np.array(start), 40)
        np.testing.assert_allclose(run.final.values[k], w, rtol=1e-10, atol=1e-14)
        assert run.switched.values[k].tolist() == [*began, -1]
    assert np.isnan(run.switch_point.values[:, -1]).all()
    assert sd.rerun(run, progress=False).final.equals(run.final)
    assert len({tuple(row) for row in run.switched.values.tolist()}) >= 4
    short = quiet(sd.Map(bowl, switch), starts, 0)
    assert (short.switched == -1).all()  # nobody took a step


RANDOM = {
    "noise": (sd.Loss("x**2/2 + 0.3*xi*x + 0.1*xi", noise="xi"), {"fresh_noise": True}),
    "batches": (
        sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 2.0], "b": [0.5, -0.5]}),
        {"batch_size": 1, "sampling": "epochs"},
    ),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_draws_are_those_of_a_switch_at_the_same_step(kind):
    loss, how = RANDOM[kind]
    before, after = sd.GD(lr=0.1), sd.USAM(lr=0.2, rho=0.3)
    many = quiet(sd.Map(loss, sd.Switch([(0, before), ("x < 1", after)]), **how), [3.0] * 50, 40)
    assert len(np.unique(many.switched)) > 1
    for k in (0, 7):
        late = sd.Switch([(0, before), (int(many.switched[k, 0]), after)])
        one = quiet(
            sd.Map(loss, late, **how),
            [3.0],
            40,
            streams=many.stream.isel(particle=k).reset_coords(drop=True),
        )
        assert one.final.values.tolist() == many.final.values[k].tolist()
        assert one.switch_point.values.tolist() == many.switch_point.values[k].tolist()


def test_an_event_may_ask_for_the_hessian():
    valley = sd.losses.scalar_factorization()
    flat = sd.Escape("top_eigenvalue < 4.5")
    run = quiet(
        sd.Map(valley, sd.SAM(lr=0.02, rho=0.1)), [2.0, 0.6], 20_000, until=flat, record=range(3)
    )
    assert run.reason == 1
    assert np.linalg.eigvalsh(valley.hessian(run.final.values))[-1] < 4.5


class Odd(Condition):
    """A condition that is no event."""


def test_refusals():
    late = sd.Switch([(0, sd.GD(lr=0.1)), ("x < 1", sd.GD(lr=0.2))])
    bowl = sd.Loss("x**2")
    with pytest.raises(TypeError, match="apply knows steps, not events"):
        sd.Map(bowl, late).apply([1.0])
    nowhere = sd.Switch([(0, sd.GD(lr=0.1)), ("q < 1", sd.GD(lr=0.2))])
    with pytest.raises(FormulaError, match="names q, which is none of x, loss"):
        quiet(sd.Map(bowl, nowhere), [1.0], 5)
    with pytest.raises(ValueError, match="must begin at 0 and increase, got \\['x < 1'\\]"):
        sd.Switch([("x < 1", sd.GD(lr=0.1))])
    with pytest.raises(FormulaError, match="GD on .* is no Switch"):
        quiet(sd.Map(bowl, sd.GD(lr=0.1)), [1.0], 5, statistics={"far": "switch_distance"})
    wide = sd.Loss("a**2 + b**2 + c**2 + d**2 + e**2 + f**2 + g**2")
    with pytest.raises(FormulaError, match="at most 6 variables, but the loss has 7"):
        quiet(sd.Map(wide, sd.GD(lr=0.1)), [1.0] * 7, 5, statistics={"top": "top_eigenvalue"})
    walk = sd.SDE(sd.Loss("x**2 + xi*x", noise="xi"), sd.GD(lr=0.1), dt=0.01)
    with pytest.raises(ValueError, match="bridge does not go with a region of the Hessian"):
        quiet(walk, [1.0], 5, until=sd.Escape("trace > 3", bridge=True))
    with pytest.raises(TypeError, match="must begin at a step or an event"):
        quiet(
            sd.Map(bowl, sd.Switch([(0, sd.GD(lr=0.1)), (Odd(), sd.GD(lr=0.1))])),
            [1.0],
            5,
        )
