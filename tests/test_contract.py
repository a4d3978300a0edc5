"""Every algorithm in every reading, against plain loops in 40 digits."""

from functools import cache
from typing import NamedTuple

import mpmath
import naive
import numpy as np
import pytest

import samdyn as sd
from samdyn import losses
from samdyn.ensembles.events import REASONS
from samdyn.words import unit

STEPS = 50


class Case(NamedTuple):
    """An algorithm and its twin, each as a function of (lr, rho)."""

    make: object
    twin: object


@sd.algorithm
def signed_sam(grad, w, v, *, lr, rho, keep=0.5):
    """An algorithm as a user may write it: SAM that ascends against its own memory."""
    g = grad(w - rho * unit(v))
    v = keep * v + (1.0 - keep) * g
    return w - lr * v, v


def signed_sam_twin(lr, rho, keep=0.5):
    v = []

    def rule(grad, w):
        nonlocal v
        v = v or [mpmath.mpf(0)] * len(w)
        size = naive.length(v) or mpmath.mpf(1)
        g = grad([w[i] - rho * v[i] / size for i in range(len(w))])
        v = [keep * v[i] + (1 - keep) * g[i] for i in range(len(w))]
        return [w[i] - lr * v[i] for i in range(len(w))]

    return rule


def sam_twin(rho, update):
    return naive.on(lambda grad, w: naive.sam_gradient(grad, w, rho), update)


CASES = {
    "gd": Case(lambda lr, rho: sd.GD(lr=lr), lambda lr, rho: naive.sgd(lr)),
    "momentum": Case(
        lambda lr, rho: sd.GD(lr=lr, momentum=0.8), lambda lr, rho: naive.sgd(lr, momentum=0.8)
    ),
    "nesterov": Case(
        lambda lr, rho: sd.GD(lr=lr, momentum=0.8, nesterov=True),
        lambda lr, rho: naive.sgd(lr, momentum=0.8, nesterov=True),
    ),
    "decay": Case(
        lambda lr, rho: sd.GD(lr=lr, weight_decay=0.1),
        lambda lr, rho: naive.sgd(lr, weight_decay=0.1),
    ),
    "sam": Case(
        lambda lr, rho: sd.SAM(lr=lr, rho=rho), lambda lr, rho: sam_twin(rho, naive.sgd(lr))
    ),
    "sam momentum decay": Case(
        lambda lr, rho: sd.SAM(lr=lr, rho=rho, momentum=0.8, weight_decay=0.1),
        lambda lr, rho: sam_twin(rho, naive.sgd(lr, momentum=0.8, weight_decay=0.1)),
    ),
    "sam decay in ascent": Case(
        lambda lr, rho: sd.SAM(lr=lr, rho=rho, weight_decay=0.1, decay_in_ascent=True),
        lambda lr, rho: naive.on(
            lambda grad, w: naive.sam_gradient(naive.decayed(grad, 0.1), w, rho), naive.sgd(lr)
        ),
    ),
    "sam 3 ascents": Case(
        lambda lr, rho: sd.SAM(lr=lr, rho=rho, ascent_steps=3),
        lambda lr, rho: naive.on(
            lambda grad, w: naive.several_ascents_gradient(grad, w, rho, 3), naive.sgd(lr)
        ),
    ),
    "usam": Case(
        lambda lr, rho: sd.USAM(lr=lr, rho=lr),
        lambda lr, rho: naive.on(lambda grad, w: naive.usam_gradient(grad, w, lr), naive.sgd(lr)),
    ),
    "usam momentum": Case(
        lambda lr, rho: sd.USAM(lr=lr, rho=lr, momentum=0.8),
        lambda lr, rho: naive.on(
            lambda grad, w: naive.usam_gradient(grad, w, lr), naive.sgd(lr, momentum=0.8)
        ),
    ),
    "asam": Case(
        lambda lr, rho: sd.ASAM(lr=lr, rho=rho, eta=0.02),
        lambda lr, rho: naive.on(
            lambda grad, w: naive.asam_gradient(grad, w, rho, 0.02), naive.sgd(lr)
        ),
    ),
    "lookahead": Case(
        lambda lr, rho: sd.Lookahead(sd.SAM(lr=lr, rho=rho), k=2, alpha=0.4),
        lambda lr, rho: naive.lookahead(sam_twin(rho, naive.sgd(lr)), 2, 0.4),
    ),
    "lookahead momentum": Case(
        lambda lr, rho: sd.Lookahead(sd.SAM(lr=lr, rho=rho, momentum=0.5), k=2, alpha=0.4),
        lambda lr, rho: naive.lookahead(sam_twin(rho, naive.sgd(lr, momentum=0.5)), 2, 0.4),
    ),
    "written": Case(lambda lr, rho: signed_sam(lr=lr, rho=rho), signed_sam_twin),
}


class Setting(NamedTuple):
    """A loss with a start, a step length that 50 steps survive, and a radius that matters."""

    loss: sd.Loss
    start: np.ndarray
    lr: float
    rho: float


@cache
def setting(make_loss):
    loss = make_loss()
    low, high = np.transpose(loss.box)
    points = np.random.default_rng(0).uniform(low, high, (64, loss.dimension))
    steepest = np.abs(np.linalg.eigvalsh(loss.hessian(points))).max()
    return Setting(loss, points[0], 0.03 / float(steepest), 0.02 * float(np.min(high - low)))


@cache
def gradient(make_loss):
    return naive.gradient(setting(make_loss).loss)


def check(found, make_loss, case, at=slice(None)):
    """Points found at some steps are those of loops in 40 digits, to 1e-12 of their size.

    With these steps and starts rounding hardly grows, so that no pair of loss and algorithm needs
    more room.
    """
    _, start, lr, rho = setting(make_loss)
    points = naive.trajectory(case.twin(lr, rho), gradient(make_loss), start, STEPS, digits=40)
    points = np.array(points, dtype=object)
    size = np.abs(points).max()
    assert np.abs(points[-1] - points[0]).max() > 1e-7 * size, "nothing happened"
    assert np.abs(found - points[at]).max() <= 1e-12 * size


every_case = pytest.mark.parametrize("name", CASES)
every_loss = pytest.mark.parametrize("make_loss", losses.LIBRARY, ids=lambda make: make.__name__)


@every_case
@every_loss
def test_numpy_reading_equals_the_naive_loop(make_loss, name):
    loss, start, lr, rho = setting(make_loss)
    system = sd.Map(loss, CASES[name].make(lr, rho))
    found = [start, system.apply(start), system.apply(start, STEPS)]
    check(found, make_loss, CASES[name], at=[0, 1, STEPS])


def compiled_equals_naive(make_loss, name):
    loss, start, lr, rho = setting(make_loss)
    system = sd.Map(loss, CASES[name].make(lr, rho))
    run = sd.simulate(system, start, STEPS, record=1, progress=False)
    check(run.w.values, make_loss, CASES[name])


@every_case
def test_every_compiled_algorithm_equals_the_naive_loop(name):
    compiled_equals_naive(losses.beale, name)


@pytest.mark.parametrize(
    "make_loss",
    [losses.mueller_brown, losses.rastrigin, losses.double_well, losses.tanh_network],
    ids=lambda make: make.__name__,
)
def test_compiled_kernels_equal_the_naive_loop(make_loss):
    compiled_equals_naive(make_loss, "sam momentum decay")


# a kernel takes seconds to compile: every loss with one algorithm, every algorithm on two or three
SAMPLE = [
    (make_loss, name)
    for i, make_loss in enumerate(losses.LIBRARY)
    for j, name in enumerate(CASES)
    if (i + j) % len(CASES) == 0
]


@pytest.mark.slow
@pytest.mark.parametrize(("make_loss", "name"), SAMPLE)
def test_compiled_kernels_of_all_losses_equal_the_naive_loop(make_loss, name):
    compiled_equals_naive(make_loss, name)
    loss, _, lr, rho = setting(make_loss)
    system = sd.Map(loss, CASES[name].make(lr, rho))
    if system.program.is_ieee:
        low, high = np.transpose(loss.box)
        x0 = np.random.default_rng(2).uniform(low, high, (130, loss.dimension))
        run = sd.simulate(system, x0, STEPS, record=1, progress=False)
        gone = run.reason.values == REASONS.index("diverged")
        assert gone.mean() < 0.2
        np.testing.assert_array_equal(run.final[~gone], system.apply(x0[~gone], STEPS))
        for k in np.flatnonzero(gone):  # who overflows stays where it did
            np.testing.assert_array_equal(run.final[k], system.apply(x0[k], int(run.steps[k])))


def test_the_sample_of_slow_pairs_covers_all():
    assert {make_loss for make_loss, _ in SAMPLE} == set(losses.LIBRARY)
    assert {name for _, name in SAMPLE} == set(CASES)


@pytest.mark.parametrize("momentum", ["keep", "reset"])
def test_a_switch_equals_the_naive_loop(momentum):
    loss, start, lr, rho = setting(losses.beale)
    switch = sd.Switch(
        [
            (0, sd.GD(lr=lr, momentum=0.8)),
            (20, sd.SAM(lr=lr, rho=rho, momentum=0.8)),
            (30, sd.SAM(lr=lr, rho=rho)),
            (40, sd.GD(lr=lr, momentum=0.8)),
        ],
        momentum=momentum,
    )
    # one loop in float64: only the velocity's fate is in question here
    w, v, points = start, np.zeros(2), [start]
    for t in range(STEPS):
        if t in (30, 40) or (t == 20 and momentum == "reset"):
            v = np.zeros(2)
        g = loss.grad(w)
        if 20 <= t < 40:
            g = loss.grad(w + rho * g / np.linalg.norm(g))
        v = (0.0 if 30 <= t < 40 else 0.8) * v + g
        w = w - lr * v
        points.append(w)
    run = sd.simulate(sd.Map(loss, switch), start, STEPS, record=1, progress=False)
    np.testing.assert_allclose(run.w, points, rtol=1e-12)


# --- other values of the numbers ----------------------------------------------------------


@every_case
def test_replacing_numbers_equals_giving_them_at_first(name):
    loss, start, lr, rho = setting(losses.beale)
    other = sd.Map(loss, CASES[name].make(2.0 * lr, rho))
    first = CASES[name].make(lr, 3.0 * rho)
    named = {name: other.numbers[name] for name in first.numbers}
    found = sd.Map(loss, first).replace(**named)
    assert found.numbers == other.numbers
    np.testing.assert_array_equal(found.apply(start, 5), other.apply(start, 5))
    with pytest.raises(ValueError, match="nonsense is no number of"):
        first.replace(nonsense=1.0)
    with pytest.raises(ValueError, match="lr must be finite|constant lr must be finite"):
        first.replace(lr=np.nan)


def test_replacing_tells_the_loss_from_the_algorithm():
    loss = sd.Loss("a*x**2", variables="x", a=1.0)
    switch = sd.Map(loss, sd.Switch([(0, sd.GD(lr=0.1)), (3, sd.GD(lr=0.2))]))
    assert switch.replace(a=2.0).loss.constants == {"a": 2.0}
    with pytest.raises(TypeError, match="a Switch is several maps"):
        switch.replace(lr=0.3)
    both = sd.Map(loss, sd.GD(lr=0.1)).replace(a=2.0, lr=0.3)
    assert both.numbers == {"lr": 0.3, "a": 2.0}
    with pytest.raises(ValueError, match="rho is no number"):
        both.replace(rho=0.1)


def test_an_algorithm_of_ones_own_class():
    class Halving(sd.Algorithm):
        numbers = {"lr": 0.1}  # noqa: RUF012

        def step(self, grad, z, n):
            return (0.5 * z[0] - n.lr * grad(z[0]),)

    assert sd.Map(sd.Loss("x**2"), Halving()).apply([1.0]) == pytest.approx(0.3)
    with pytest.raises(TypeError, match=r"Halving must be a dataclass, or define replace"):
        Halving().replace(lr=0.2)
    with pytest.raises(TypeError, match="a flow needs an algorithm that steps w - lr"):
        sd.Flow(sd.Loss("x**2"), Halving())


# --- the compiled reading and NumPy's -----------------------------------------------------

BITWISE = {
    "gd on three_hump_camel": (losses.three_hump_camel, "gd"),
    "sam on beale": (losses.beale, "sam"),
    "sam momentum decay on beale": (losses.beale, "sam momentum decay"),
    "lookahead on beale": (losses.beale, "lookahead"),
    "asam on beale": (losses.beale, "asam"),
}


@pytest.mark.parametrize("name", BITWISE)
@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000])
def test_compiled_equals_numpy_bit_for_bit(name, count):
    make_loss, case = BITWISE[name]
    loss, _, lr, rho = setting(make_loss)
    system = sd.Map(loss, CASES[case].make(lr, rho))
    assert system.program.is_ieee
    low, high = np.transpose(loss.box)
    x0 = np.random.default_rng(count).uniform(low, high, (count, loss.dimension))
    expected = system.apply(x0, STEPS)
    for threads in (1, 2):
        for chunk in (None, 1, 37, 64, 100) if count > 1 else (None,):
            run = sd.simulate(system, x0, STEPS, threads=threads, chunk=chunk, progress=False)
            np.testing.assert_array_equal(run.final.values.view(np.int64), expected.view(np.int64))


@pytest.mark.parametrize(
    "make_loss",
    [losses.mueller_brown, losses.rastrigin, losses.tanh_network],
    ids=lambda make: make.__name__,
)
def test_compiled_is_close_to_numpy_on_transcendental_losses(make_loss):
    loss, _, lr, rho = setting(make_loss)
    system = sd.Map(loss, CASES["sam momentum decay"].make(lr, rho))
    assert not system.program.is_ieee
    low, high = np.transpose(loss.box)
    x0 = np.random.default_rng(1).uniform(low, high, (1000, loss.dimension))
    run = sd.simulate(system, x0, 1, progress=False)
    # a few units in the last place of a function, in a step lr times the gradient long
    size = np.abs(x0).max() + np.abs(run.final.values - x0).max()
    assert np.abs(run.final.values - system.apply(x0, 1)).max() <= 8 * np.spacing(size)
