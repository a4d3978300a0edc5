"""Attractors count only once certified."""

import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.attraction.aperiodic import aperiodic
from samdyn.analysis.attraction.attractors import Attractor, Unstable, closing
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.linear import Linear

WELL = sd.Loss("(x**2 - 1)**2/4 + y**2/2")


def running(system, low=-2.0, high=2.0):
    linear = Linear(system)
    region = np.array([[low] * linear.size, [high] * linear.size])
    return Running(linear, region, progress=False)


def settled(system, start, steps):
    z = np.array(start, float)
    numbers = [float(x) for x in system.numbers.values()]
    for _ in range(steps):
        z = np.array(system.program(*z, *numbers), float)
    return z


def test_a_state_that_lingers_at_a_saddle_is_at_nothing():
    system = sd.Map(WELL, sd.GD(lr=0.01))
    passing = settled(system, [1e-6, 0.5], 700)
    assert np.linalg.norm(passing) < 2e-3  # it sits there
    at_rest = np.zeros(2)
    found = closing(running(system), np.array([passing, at_rest]))
    assert found[0] is None
    assert isinstance(found[1], Unstable)
    assert found[1].kind == "saddle"


@pytest.mark.parametrize(
    ("loss", "algorithm", "start", "steps", "multiplier"),
    [
        (WELL, sd.GD(lr=0.1), [0.9, 0.1], 300, 0.9),
        # Beale's minimum: the smallest eigenvalue of its Hessian is 0.30146
        (sd.losses.beale(), sd.GD(lr=1e-4), [3.01, 0.5], 1, 1 - 1e-4 * 0.3014645),
    ],
)
def test_who_begins_in_the_certified_ball_ends_at_its_point(
    loss, algorithm, start, steps, multiplier
):
    system = sd.Map(loss, algorithm)
    (found,) = closing(running(system), settled(system, start, steps)[None])
    assert isinstance(found, Attractor)
    assert found.rate == pytest.approx(np.log(multiplier), rel=1e-5)
    random = np.random.default_rng(3)
    directions = random.standard_normal((500, 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    z = found.points[0] + found.radius * directions * random.uniform(size=(500, 1)) ** 0.5
    before = np.linalg.norm(z - found.points[0], axis=1).max()
    rows = list(z.T)
    for _ in range(int(1.2 / -found.rate)):
        rows = list(system.program(*rows, algorithm.lr))
    assert np.linalg.norm(np.transpose(rows) - found.points[0], axis=1).max() < 0.7 * before


@pytest.mark.slow
def test_a_long_cycle_of_normalised_sam_is_attracting_and_its_ball_too():
    system = sd.Map(WELL, sd.SAM(lr=0.01, rho=0.05))
    (found,) = closing(running(system), settled(system, [1.2, 0.3], 6000)[None])
    assert (found.kind, found.period) == ("cycle", 147)
    random = np.random.default_rng(0)
    directions = random.standard_normal((200, 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    z = np.moveaxis(found.points[0] + found.radius * directions, -1, 0)
    for _ in range(147 * 8):
        z = np.array(system.program(*z, 0.01, 0.05))
    away = np.linalg.norm(z.T - found.points[0], axis=1)
    assert np.max(away) < 1e-2 * found.radius


@pytest.mark.parametrize(
    ("formulas", "start", "steps"),
    [
        # converges as 1/sqrt(t): slow, but on nothing
        ({"x": "x - 0.1*x**3", "y": "0.9*y"}, [0.5, 0.5], 20_000),
        # circles fill the plane: none attracts
        ({"x": "0.8*x - 0.6*y", "y": "0.6*x + 0.8*y"}, [0.5, 0.2], 1000),
        # the standard map keeps areas: its chaotic sea is no attractor
        ({"x": "x + y + 0.3*sin(x)", "y": "y + 0.3*sin(x)"}, [0.3, 0.1], 1000),
    ],
)
def test_what_is_no_aperiodic_attractor(formulas, start, steps):
    system = sd.FormulaMap(formulas)
    assert aperiodic(running(system), settled(system, start, steps)[None]) == []


def test_a_chaotic_set_that_attracts_only_along_a_line_is_none():
    """Normalised SAM on y = 0 beside the saddle: across the line a distance grows by 1.4 a step."""
    system = sd.Map(WELL, sd.SAM(lr=0.1, rho=0.3))
    assert aperiodic(running(system), settled(system, [0.1, 0.0], 2000)[None]) == []


def test_a_quasiperiodic_circle_and_a_chaotic_set():
    turn = {
        "x": "(1.05 - x**2 - y**2)*(cos(0.7)*x - sin(0.7)*y)",
        "y": "(1.05 - x**2 - y**2)*(sin(0.7)*x + cos(0.7)*y)",
    }
    system = sd.FormulaMap(turn)
    ((circle, here),) = aperiodic(running(system), settled(system, [0.3, 0.1], 3000)[None])
    assert circle.kind == "quasiperiodic"
    # 1.05 - r^2 = 1 on it
    np.testing.assert_allclose(np.linalg.norm(circle.points, axis=1), np.sqrt(0.05), rtol=1e-9)
    angle = np.linspace(0, 6, 50)
    ring = np.sqrt(0.05) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert np.all(here(ring))
    assert not np.any(here(1.1 * ring))

    system = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=4.0)
    ((chaos, _),) = aperiodic(running(system, 0.0, 1.0), settled(system, [0.3], 1000)[None])
    assert chaos.kind == "chaotic"
    assert chaos.rate == pytest.approx(np.log(2), abs=0.01)
