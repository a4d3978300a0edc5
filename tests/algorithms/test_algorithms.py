"""Algorithms as objects: numbers, state, signatures, and what is refused."""

import inspect

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.words import Point, unit


def refused(error, words, make, *arguments, **options):
    """The call fails, and its message has all of the words."""
    with pytest.raises(error) as caught:
        make(*arguments, **options)
    for word in words:
        assert word in str(caught.value)


# --- GD, SAM, USAM, ASAM ------------------------------------------------------------------


def test_numbers_are_those_that_reach_the_step():
    assert sd.GD(lr=0.1).numbers == {"lr": 0.1}
    assert sd.GD(lr=1, momentum=0.9, weight_decay=0.2).numbers == {
        "lr": 1.0,
        "momentum": 0.9,
        "weight_decay": 0.2,
    }
    assert set(sd.SAM(lr=0.1, rho=0.0, momentum=0.9).numbers) == {"lr", "momentum", "rho"}
    assert set(sd.ASAM(lr=0.1, rho=0.1).numbers) == {"lr", "rho", "eta"}
    assert set(sd.GD(lr=0.1, momentum=[0.0]).numbers) == {"lr", "momentum"}


def test_momentum_brings_a_velocity():
    assert sd.GD(lr=0.1).state == ()
    assert sd.GD(lr=0.1, momentum=0.0).state == ()
    for momentum in (0.9, [0.0], np.zeros(2)):
        assert sd.SAM(lr=0.1, rho=0.1, momentum=momentum).state == ("velocity",)


def test_signatures_have_torch_names_and_no_positions():
    signature = inspect.signature(sd.SAM)
    assert set(signature.parameters) == {
        *("lr", "momentum", "nesterov", "weight_decay"),
        *("rho", "normalize", "ascent_steps", "decay_in_ascent", "m"),
    }
    for make in (sd.GD, sd.SAM, sd.ASAM, sd.USAM):
        kinds = [p.kind for p in inspect.signature(make).parameters.values()]
        assert inspect.Parameter.POSITIONAL_OR_KEYWORD not in kinds
        refused(TypeError, ["positional"], make, 0.1)


def test_algorithms_do_not_change():
    with pytest.raises(AttributeError):
        sd.GD(lr=0.1).lr = 0.2


def test_usam_is_sam_without_normalisation():
    usam = sd.USAM(lr=0.1, rho=0.2, momentum=0.9, ascent_steps=2)
    assert isinstance(usam, sd.SAM)
    assert not usam.normalize
    assert usam.numbers == {"lr": 0.1, "momentum": 0.9, "rho": 0.2}


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (sd.GD, {"lr": -0.1}, ["lr must be at least 0", "-0.1"]),
        (sd.GD, {"lr": np.nan}, ["lr must be finite", "nan"]),
        (sd.GD, {"lr": [0.1, np.inf]}, ["lr must be finite", "inf"]),
        (sd.GD, {"lr": []}, ["lr must have at least one value"]),
        (sd.GD, {"lr": [0.1, -2.0]}, ["lr must be at least 0", "-2"]),
        (sd.GD, {"lr": 0.1, "momentum": -0.5}, ["momentum must be at least 0", "-0.5"]),
        (sd.GD, {"lr": 0.1, "weight_decay": -1}, ["weight_decay must be at least 0", "-1"]),
        (sd.GD, {"lr": 0.1, "nesterov": True}, ["nesterov needs a momentum above 0"]),
        (sd.SAM, {"lr": 0.1, "rho": -0.05}, ["rho must be at least 0", "-0.05"]),
        (sd.USAM, {"lr": 0.1, "rho": -0.05}, ["rho must be at least 0", "-0.05"]),
        (sd.SAM, {"lr": 0.1, "rho": 0.1, "ascent_steps": 0}, ["ascent_steps", ">= 1", "0"]),
        (sd.SAM, {"lr": 0.1, "rho": 0.1, "ascent_steps": 1.5}, ["ascent_steps", "1.5"]),
        (sd.ASAM, {"lr": 0.1, "rho": 0.1, "eta": -1}, ["eta must be at least 0", "-1"]),
        (sd.ASAM, {"lr": 0.1, "rho": 0.1, "normalize": False}, ["normalize=False", "ASAM"]),
    ],
)
def test_bad_values_are_refused(make, options, words):
    refused(ValueError, words, make, **options)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (sd.GD, {"lr": "0.1"}, ["lr must be a number", "'0.1'"]),
        (sd.GD, {"lr": None}, ["lr must be a number", "None"]),
        (sd.GD, {"lr": True}, ["lr must be a number", "True"]),
        (sd.GD, {}, ["lr"]),
        (sd.SAM, {"lr": 0.1}, ["rho"]),
        (sd.USAM, {"lr": 0.1}, ["rho"]),
        (sd.GD, {"lr": 0.1, "rho": 0.1}, ["rho"]),
    ],
)
def test_what_is_no_number_or_no_argument_is_refused(make, options, words):
    refused(TypeError, words, make, **options)


# --- Lookahead ----------------------------------------------------------------------------


def test_lookahead_carries_the_numbers_and_the_state_of_its_algorithm():
    ahead = sd.Lookahead(sd.SAM(lr=0.1, rho=[0.1, 0.2], momentum=0.9), k=3, alpha=[0.5])
    assert set(ahead.numbers) == {"lr", "rho", "momentum", "alpha"}
    assert ahead.state == ("velocity",)
    assert ahead.k == 3


def test_lookahead_refuses():
    gd = sd.GD(lr=0.1)
    refused(TypeError, ["algorithm must be an algorithm", "0.1"], sd.Lookahead, 0.1)
    refused(ValueError, ["k must be a whole number >= 1", "0"], sd.Lookahead, gd, k=0)
    refused(ValueError, ["k must be a whole number", "2.5"], sd.Lookahead, gd, k=2.5)
    refused(ValueError, ["alpha must be at least 0", "-1"], sd.Lookahead, gd, alpha=-1)
    nested = sd.Lookahead(gd)
    refused(ValueError, ["a number named alpha already"], sd.Lookahead, nested)
    switch = sd.Switch([(0, gd)])
    refused(TypeError, ["algorithm must be an algorithm"], sd.Lookahead, switch)


# --- Switch -------------------------------------------------------------------------------


def test_switch_keeps_its_phases():
    gd, sam = sd.GD(lr=0.1), sd.SAM(lr=0.1, rho=0.1)
    switch = sd.Switch([(0, gd), (10, sam)])
    assert switch.phases == ((0, gd), (10, sam))
    assert switch.momentum == "keep"
    system = sd.Map(sd.losses.beale(), switch)
    assert [(step, one.algorithm) for step, one in system.phases] == [(0, gd), (10, sam)]
    for ask in ("rows", "vectors", "numbers", "program"):
        with pytest.raises(TypeError, match="take one of them from .phases"):
            getattr(system, ask)


@pytest.mark.parametrize("steps", [[], [1], [0, 5, 5], [0, 9, 5], [5, 0], [-1, 0]])
def test_switch_refuses_steps_out_of_order(steps):
    phases = [(step, sd.GD(lr=0.1)) for step in steps]
    refused(ValueError, ["must begin at 0 and increase", str(steps)], sd.Switch, phases)


@pytest.mark.parametrize("phase", [sd.GD(lr=0.1), (0,), (0, 0.1), (0.0, sd.GD(lr=0.1)), 7])
def test_switch_refuses_what_is_no_phase(phase):
    refused(TypeError, ["phases must be pairs (when, algorithm)"], sd.Switch, [phase])


def test_an_array_of_steps_is_for_networks():
    gd, sam = sd.GD(lr=0.1), sd.SAM(lr=0.1, rho=0.1)
    switch = sd.Switch([(0, gd), ([3, 5], sam)])
    assert switch.phases[1][0].tolist() == [3, 5]
    refused(ValueError, ["one step", "[3.0, 5.0]", "networks"], sd.Map, sd.losses.beale(), switch)
    refused(ValueError, ["whole numbers", "2.5"], sd.Switch, [(0, gd), ([1, 2.5], sam)])
    refused(ValueError, ["at least 0", "-1"], sd.Switch, [(0, gd), ([-1, 2], sam)])


def test_phases_may_sweep_a_number_over_two_arrays_along_one_dimension():
    lrs = [xr.DataArray(values, dims="pair") for values in ([0.1, 0.2], [0.3, 0.1])]
    late = sd.Switch([(0, sd.GD(lr=lrs[0])), (3, sd.GD(lr=lrs[1]))])
    run = sd.simulate(sd.Map(sd.Loss("x**2"), late), [1.0], steps=6)
    assert run.final.dims == ("pair", "coord")
    expected = [(1 - 0.2) ** 3 * (1 - 0.6) ** 3, (1 - 0.4) ** 3 * (1 - 0.2) ** 3]
    np.testing.assert_allclose(run.final[:, 0], expected, rtol=1e-14)


def test_switch_refuses_an_unknown_momentum():
    gd = sd.GD(lr=0.1)
    refused(ValueError, ["'keep' or 'reset'", "'drop'"], sd.Switch, [(0, gd)], momentum="drop")


# --- algorithms written by the user -------------------------------------------------------


@sd.algorithm
def pulled(grad, w, v, *, lr, pull=0.5):
    """Descent with a memory."""
    v = (1.0 - pull) * v + pull * grad(w)
    return w - lr * v, v


def test_a_written_algorithm_has_numbers_state_and_a_name():
    one = pulled(lr=[0.1, 0.2])
    assert one.state == ("v",)
    assert set(one.numbers) == {"lr", "pull"}
    assert one.numbers["pull"] == 0.5
    assert pulled.__name__ == "pulled"
    assert pulled.__doc__ == "Descent with a memory."
    assert repr(pulled(lr=0.1)) == "pulled(lr=0.1, pull=0.5)"
    system = sd.Map(sd.Loss("x**2"), pulled(lr=0.1))
    assert system.rows == ("x", "v_x")
    np.testing.assert_allclose(system.apply([1.0], 1), [0.9])


def test_a_step_may_return_the_weights_alone():
    @sd.algorithm
    def plain(grad, w, *, lr):
        return w - lr * unit(grad(w))

    assert plain(lr=0.1).state == ()
    (moved,) = plain(lr=0.1).step(lambda p: 2.0 * p, (Point([3.0, 4.0]),), _Numbers(lr=0.1))
    np.testing.assert_allclose(tuple(moved), (2.94, 3.92))


class _Numbers:
    def __init__(self, **numbers):
        self.__dict__.update(numbers)


def test_a_written_algorithm_refuses_numbers_it_does_not_take():
    refused(TypeError, ["pulled needs lr", "['lr', 'pull']"], pulled)
    refused(TypeError, ["pulled does not take rho"], pulled, lr=0.1, rho=0.1)
    refused(ValueError, ["lr must be finite"], pulled, lr=np.nan)
    refused(TypeError, ["lr must be a number"], pulled, lr="fast")
    refused(TypeError, ["positional"], pulled, 0.1)


@pytest.mark.parametrize(
    "definition",
    [
        lambda grad: grad,
        lambda *, lr: lr,
        lambda grad, w, *rest: w,
        lambda grad, w, **numbers: w,
        lambda grad, w, /, *, lr: w,
    ],
)
def test_a_signature_of_another_form_is_refused(definition):
    refused(
        TypeError, ["must have the form (grad, w,", "write for example"], sd.algorithm, definition
    )


def test_a_step_that_branches_on_a_value_is_refused():
    @sd.algorithm
    def clipped(grad, w, *, lr):
        g = grad(w)
        return w - lr * g if g[0] > 0 else w

    with pytest.raises(TypeError, match="cannot branch on a value .* use where"):
        sd.Map(sd.Loss("x**2"), clipped(lr=0.1)).program  # noqa: B018


def test_a_step_that_forgets_a_vector_is_refused():
    @sd.algorithm
    def forgetful(grad, w, v, *, lr):
        return w - lr * v

    with pytest.raises(TypeError, match="returned 1 vectors of a state of 2"):
        sd.Map(sd.Loss("x**2"), forgetful(lr=0.1)).program  # noqa: B018


def _plain(grad, w, *, lr):
    w - lr * grad(w)


def _generous(grad, w, *, lr):
    return w, w


def _scalar(grad, w, *, lr):
    return w[0] - lr


def _in_numpy(grad, w, *, lr):
    return w - lr * np.sign(grad(w))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (_plain, "_plain returned None; end it with return w"),
        (_generous, "_generous returned 2 vectors of a state of 1; end it with return w"),
        (_scalar, "_scalar returned a Traced where a vector is needed; return vectors"),
        (_in_numpy, "in _in_numpy: operand 'Point' does not support ufuncs .* samdyn.words"),
    ],
)
def test_a_step_that_cannot_be_read_says_why(definition, message):
    with pytest.raises(TypeError, match=message):
        sd.Map(sd.Loss("x**2"), sd.algorithm(definition)(lr=0.1)).program  # noqa: B018


def test_a_number_by_position_is_told_of_the_star():
    @sd.algorithm
    def starless(grad, w, lr, *, rho=0.0):
        return w - lr * grad(w)

    refused(TypeError, ["put * before it: def starless(grad, w, *, lr, rho)"], starless, lr=0.1)


@pytest.mark.parametrize("value", [3, None, "step", type])
def test_what_is_no_function_is_no_algorithm(value):
    refused(TypeError, ["algorithm must be given a function", repr(value)], sd.algorithm, value)


# --- on a loss ----------------------------------------------------------------------------


def test_a_map_refuses_what_is_no_loss_or_no_algorithm():
    loss, gd = sd.Loss("x**2"), sd.GD(lr=0.1)
    refused(TypeError, ["loss must be a samdyn.Loss", "'x**2'"], sd.Map, "x**2", gd)
    refused(TypeError, ["algorithm must be an algorithm", "0.1"], sd.Map, loss, 0.1)


def test_a_map_refuses_one_name_for_two_things():
    sam = sd.SAM(lr=0.1, rho=0.1, momentum=0.9)
    for formula, constants, name in (
        ("rho*x**2", {"rho": 1.0}, "rho"),
        ("lr**2 + x**2", {}, "lr"),
        ("x**2 + velocity_x**2", {}, "velocity_x"),
        ("velocity_x*x**2", {"velocity_x": 1.0}, "velocity_x"),
    ):
        loss = sd.Loss(formula, **constants)
        refused(ValueError, [name, "rename"], sd.Map, loss, sam)
        refused(ValueError, [name, "rename"], sd.Map, loss, sd.Switch([(0, sam)]))
