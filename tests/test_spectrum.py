"""Eigenpairs in words against LAPACK."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdyn.spectrum import LARGEST, eigenpairs, top_eigenpair
from samdyn.tracer import trace


def symmetric(rng, n, many, spread):
    turns = np.linalg.qr(rng.normal(size=(many, n, n)))[0]
    values = rng.normal(size=(many, n)) * 10.0 ** rng.uniform(-spread, spread, (many, n))
    return np.einsum("kij,kj,klj->kil", turns, values, turns)


@pytest.mark.parametrize("n", range(1, LARGEST + 1))
@pytest.mark.parametrize("spread", [0.0, 4.0])
def test_all_pairs(n, spread):
    rng = np.random.default_rng(n)
    matrices = symmetric(rng, n, 2000, spread)
    matrices[0] = 0.0
    matrices[1] = np.eye(n)
    matrices[2] = np.ones((n, n))
    pairs = eigenpairs(np.moveaxis(matrices, 0, -1))
    values = np.stack(np.broadcast_arrays(*(pair.value for pair in pairs)), axis=-1)
    size = np.linalg.norm(matrices, axis=(1, 2))
    expected = np.linalg.eigvalsh(matrices)
    assert np.all(np.abs(np.sort(values, axis=-1) - expected) <= 1e-14 * size[:, None])
    for value, vector in pairs:
        v = np.stack([np.broadcast_to(x, len(matrices)) for x in vector], axis=-1)
        rest = np.einsum("kij,kj->ki", matrices, v) - np.asarray(value)[..., None] * v
        assert np.all(np.linalg.norm(rest, axis=-1) <= 1e-13 * size)
        assert np.all(np.abs(np.linalg.norm(v, axis=-1) - 1.0) < 1e-13)


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6))
def test_top_of_three_rows(entries):
    a, b, c, d, e, f = map(np.float64, entries)
    matrix = [[a, b, c], [b, d, e], [c, e, f]]
    top = top_eigenpair(matrix)
    # squares of what is below 1e-154 underflow
    allowed = 1e-12 * max(1e-140, np.linalg.norm(matrix))
    assert abs(top.value - np.linalg.eigvalsh(matrix)[-1]) <= allowed


def test_it_is_a_straight_line():
    def top(a, b, c):
        return [top_eigenpair([[a, b], [b, c]]).value]

    program = trace(top, ("a", "b", "c"))
    assert program(np.array([2.0, 0.0]), np.array([1.0, 0.0]), np.array([2.0, -1.0]))[
        0
    ].tolist() == [3.0, 0.0]


def test_too_many_rows():
    with pytest.raises(ValueError, match="at most 6 rows while running, got 7"):
        eigenpairs(np.eye(7))
