"""The gradient oracles of random losses: which draw answers, and how many a step takes."""

import numpy as np
import pytest

import samdyn as sd
from samdyn import algorithm
from samdyn.algorithms.gradients import expected, over_parts, redrawn
from samdyn.systems.oracle import draws_of, random_oracle
from samdyn.systems.sampling import Batch
from samdyn.words import Point

NOISY = sd.Loss("k*x**2/2 + u*x + v*y", noise="u v", k=3.0)
FINITE = sd.Loss(
    "k*(x - a)**2/2 + b*y", "x y", data={"a": [1.0, 2.0, 4.0], "b": [0.5, 0.25, 1]}, k=3.0
)
NUMBERS = {"k": 3.0}
P = Point([2.0, 5.0])
DRAWS = [(0.5, 7.0), (-1.0, 8.0), (2.0, 9.0)]


def batch(*rows):
    return Batch(FINITE.sample.table, np.array(rows)[:, None], np.array([float(len(rows))]))


def values(point):
    return [float(np.squeeze(x)) for x in point]


def test_one_draw_answers_as_often_as_asked():
    grad = random_oracle(NOISY, NUMBERS, DRAWS, False)
    assert values(grad(P)) == [6.5, 7.0]
    assert values(grad(Point([0.0, 0.0]))) == [0.5, 7.0]
    assert values(grad(P)) == [6.5, 7.0]
    assert values(redrawn(grad)(P)) == [5.0, 8.0]
    assert values(grad(P)) == [6.5, 7.0]


def test_fresh_draws_one_by_one():
    grad = random_oracle(NOISY, NUMBERS, DRAWS, True)
    assert [values(grad(P))[1] for _ in range(3)] == [7.0, 8.0, 9.0]
    with pytest.raises(StopIteration):
        grad(P)


def test_the_expected_gradient_takes_no_draw():
    for loss, draws in ((NOISY, DRAWS), (FINITE, [batch(0)])):
        grad = random_oracle(loss, NUMBERS, draws, True)
        for _ in range(5):
            np.testing.assert_allclose(values(expected(grad)(P)), loss.grad([2.0, 5.0]))
        grad(P)
    assert expected(abs) is abs
    assert redrawn(abs) is abs


def test_a_batch_is_averaged_and_parted():
    grad = random_oracle(FINITE, NUMBERS, [batch(0, 2, 2)], False)
    np.testing.assert_allclose(values(grad(P)), [3 * (2 - 3.0), 2.5 / 3], rtol=1e-14)

    def squared(part):
        return lambda w: Point(g * g for g in part(w))

    for m, expected_mean in (
        (1, [(9 + 36 + 36) / 3, (0.25 + 1 + 1) / 3]),
        (2, [(2 * 1.5**2 + 36) / 3, (2 * 0.75**2 + 1) / 3]),
        (3, [9.0, (2.5 / 3) ** 2]),
    ):
        np.testing.assert_allclose(values(over_parts(grad, m, squared)(P)), expected_mean)
    assert values(over_parts(grad, None, squared)(P)) == values(squared(grad)(P))


def test_a_part_has_an_expected_gradient_too():
    grad = random_oracle(FINITE, NUMBERS, [batch(0, 1)], False)
    got = over_parts(grad, 1, lambda part: lambda w: part(w) - expected(part)(w))(P)
    exact = np.array([3 * (2 - 1.5), 0.375]) - FINITE.grad([2.0, 5.0])
    np.testing.assert_allclose(values(got), exact, rtol=1e-13)


def test_parts_need_a_minibatch_of_one_draw():
    def same(part):
        return part

    with pytest.raises(TypeError, match="m goes with minibatches"):
        over_parts(random_oracle(NOISY, NUMBERS, DRAWS, False), 2, same)(P)
    with pytest.raises(TypeError, match="m goes with minibatches"):
        over_parts(lambda p: p, 2, same)(P)
    with pytest.raises(ValueError, match="m does not go with fresh_noise"):
        over_parts(random_oracle(FINITE, NUMBERS, [batch(0)], True), 2, same)(P)


# --- how many draws a step takes


@algorithm
def thrice(grad, w, *, lr):
    return w - lr * (grad(w) + grad(w + grad(w)))


@algorithm
def never(grad, w, *, lr):
    return w - lr * w


SAM = sd.SAM(lr=0.1, rho=0.1)


@pytest.mark.parametrize(
    ("method", "shared", "fresh"),
    [
        (sd.GD(lr=0.1), 1, 1),
        (sd.GD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1), 1, 1),
        (SAM, 1, 2),
        (sd.USAM(lr=0.1, rho=0.1), 1, 2),
        (sd.DNSAM(lr=0.1, rho=0.1), 1, 2),
        (sd.ASAM(lr=0.1, rho=0.1, momentum=0.9), 1, 2),
        (sd.SAM(lr=0.1, rho=0.1, ascent_steps=3), 1, 4),
        (sd.SAM(lr=0.1, rho=0.1, weight_decay=0.1, decay_in_ascent=True), 1, 2),
        (sd.SAM(lr=0.1, rho=0.1, m=2), 1, None),
        (sd.DNSAM(lr=0.1, rho=0.1, m=2, ascent_steps=2), 1, None),
        (sd.Lookahead(SAM, k=4), 4, 8),
        (sd.Lookahead(sd.SAM(lr=0.1, rho=0.1, m=2), k=4), 4, None),
        (thrice(lr=0.1), 1, 3),
        (never(lr=0.1), 0, 0),
    ],
)
@pytest.mark.parametrize("dimension", [1, 3])
def test_draws_are_counted(method, shared, fresh, dimension):
    assert draws_of(method, dimension, False) == shared
    if fresh is not None:
        assert draws_of(method, dimension, True) == fresh


def test_an_algorithm_that_asks_for_no_gradient_is_not_random():
    system = sd.Map(NOISY, never(lr=0.1))
    assert system.noise == ()
    np.testing.assert_allclose(system.apply([1.0, 2.0], 2), 0.81 * np.array([1.0, 2.0]))


def test_an_algorithm_of_one_s_own_shares_its_draw():
    """``thrice`` on a loss that is linear: all three gradients are the draw."""
    system = sd.Map(sd.Loss("u*x", noise="u"), thrice(lr=0.5))
    (step,) = system.apply([0.0], 1)
    (plain,) = sd.Map(sd.Loss("u*x", noise="u"), sd.GD(lr=0.5)).apply([0.0], 1)
    assert step == 2 * plain
    fresh = sd.Map(sd.Loss("u*x", noise="u"), thrice(lr=0.5), fresh_noise=True)
    assert len(fresh.noise) == 3
    assert fresh.apply([0.0], 1)[0] != step
