"""Tracing of means over batches: nested in parts, with what they capture, and what is refused."""

import numpy as np
import pytest

from samdyn import words
from samdyn.program import Mean
from samdyn.systems.sampling import Batch
from samdyn.tracer import DefinitionError, trace

TABLE = np.random.default_rng(3).normal(size=(6, 2))
ROWS = np.array([[0, 3], [5, 1], [2, 4], [2, 0], [1, 1]])
SIZE = np.array([5.0, 3.0])
BATCH = Batch(TABLE, ROWS, SIZE)
X = np.array([0.7, -1.3])


def lanes(function):
    """A function of (x, the counted rows) for each of the two lanes."""
    return [function(x, TABLE[ROWS[: int(n), k]]) for k, (x, n) in enumerate(zip(X, SIZE))]  # noqa: B905


def run(program, *values):
    with np.errstate(all="ignore"):
        return program(*values)


def operations(program):
    return [line.operation for line in program.lines]


def test_a_mean_over_samples():
    def definition(x, batch):
        first, second = batch.mean(lambda a, b: (words.tanh(a * x) + b, a * b))
        return [first * second, first - x]

    program = trace(definition, ["x", "batch"], {"batch": 2})
    assert sum(isinstance(operation, Mean) for operation in operations(program)) == 1
    got = run(program, X, BATCH)

    def by_hand(x, rows):
        first = np.mean([np.tanh(a * x) + b for a, b in rows])
        second = np.mean([a * b for a, b in rows])
        return first * second, first - x

    np.testing.assert_allclose(np.transpose(got), lanes(by_hand), rtol=1e-13)
    np.testing.assert_allclose(run(definition, X, BATCH), got, rtol=0)  # the definition itself


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_means_nested_in_parts(size):
    """A nonlinear function of each part's mean, which uses the point and the whole batch's mean."""

    def definition(x, batch):
        (whole,) = batch.mean(lambda a, b: (a * x,))

        def of_part(part):
            (inner,) = part.mean(lambda a, b: (b * x + whole * a,))
            moved = x + inner / words.sqrt(1.0 + inner * inner)
            return part.mean(lambda a, b: (words.sin(a * moved) + b * whole, moved * b))

        return [*batch.over_parts(size, of_part), whole]

    program = trace(definition, ["x", "batch"], {"batch": 2})
    got = run(program, X, BATCH)

    def by_hand(x, rows):
        whole = np.mean(rows[:, 0] * x)
        total = np.zeros(2)
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
            inner = np.mean(part[:, 1] * x + whole * part[:, 0])
            moved = x + inner / np.sqrt(1 + inner**2)
            a, b = part.T
            total += [np.sum(np.sin(a * moved) + b * whole), np.sum(moved * b)]
        return *(total / len(rows)), whole

    np.testing.assert_allclose(np.transpose(got), lanes(by_hand), rtol=1e-13)


def test_what_a_loop_does_not_change_is_written_before_it():
    def definition(x, y, batch):
        return batch.mean(lambda a, b: (words.exp(x * y) * a + words.sin(b) + x * y,))

    program = trace(definition, ["x", "y", "batch"], {"batch": 2})
    (mean,) = (operation for operation in operations(program) if isinstance(operation, Mean))
    assert operations(program)[:2] == ["multiply", "exp"]
    assert "exp" not in operations(mean.body)
    assert "sin" in operations(mean.body)
    assert len(mean.body.inputs) == 4  # two fields, exp(x*y), x*y
    line = next(line for line in program.lines if line.operation is mean)
    assert len(line.arguments) == 3


def test_what_is_captured_twice_is_handed_in_once():
    def definition(x, batch):
        return batch.mean(lambda a: (a * x + x, x / a, x))

    program = trace(definition, ["x", "batch"], {"batch": 1})
    (line,) = (line for line in program.lines if isinstance(line.operation, Mean))
    assert len(line.arguments) == 2
    one = Batch(np.array([[2.0], [4.0]]), np.array([[0], [1]]), np.array([2.0]))
    got = run(program, np.array([3.0]), one)
    assert [float(value[0]) for value in got] == [12.0, 1.125, 3.0]


def test_outer_values_reach_through_a_loop_in_a_loop():
    def definition(x, y, batch):
        z = x + 2.0 * y

        def of_part(part):
            (m,) = part.mean(lambda a, b: (a,))
            u = m * y
            return part.mean(lambda a, b: (z * a * u + x * b,))

        return batch.over_parts(2, of_part)

    program = trace(definition, ["x", "y", "batch"], {"batch": 2})
    got = run(program, X, X**2, BATCH)

    def by_hand(x, rows):
        total = 0.0
        for first in range(0, len(rows), 2):
            a, b = rows[first : first + 2].T
            total += np.sum((x + 2 * x * x) * a * a.mean() * x * x + x * b)
        return (total / len(rows),)

    np.testing.assert_allclose(np.transpose(got), lanes(by_hand), rtol=1e-13)


def test_equal_means_are_taken_once_and_unused_ones_never():
    def definition(x, batch):
        one = batch.mean(lambda a, b: (a * x,))
        other = batch.mean(lambda a, b: (a * x,))
        batch.mean(lambda a, b: (b * x,))
        return [one[0] + other[0]]

    program = trace(definition, ["x", "batch"], {"batch": 2})
    assert sum(isinstance(operation, Mean) for operation in operations(program)) == 1


def test_two_batches_stay_apart():
    def definition(x, first, second):
        (a,) = first.mean(lambda f, g: (f * x,))
        (b,) = second.mean(lambda f, g: (f * a,))
        return [b]

    program = trace(definition, ["x", "first", "second"], {"first": 2, "second": 2})
    other = Batch(TABLE, ROWS[::-1], np.array([2.0, 2.0]))
    (got,) = run(program, X, BATCH, other)
    for k, value in enumerate(got):
        a = np.mean(TABLE[ROWS[: int(SIZE[k]), k], 0]) * X[k]
        assert value == pytest.approx(np.mean(TABLE[ROWS[::-1][:2, k], 0]) * a, rel=1e-13)


def test_a_choice_within_a_mean():
    def definition(x, batch):
        return batch.mean(lambda a, b: (words.where(a < x, b, 0.0), words.where(x < 0.0, a, b)))

    program = trace(definition, ["x", "batch"], {"batch": 2})
    got = np.transpose(run(program, X, BATCH))

    def by_hand(x, rows):
        a, b = rows.T
        return np.mean(np.where(a < x, b, 0.0)), np.mean(a if x < 0 else b)

    np.testing.assert_allclose(got, lanes(by_hand), rtol=1e-13)


def test_means_of_constants():
    program = trace(lambda x, batch: batch.mean(lambda a: (2.0, x)), ["x", "batch"], {"batch": 1})
    one = Batch(np.ones((2, 1)), np.zeros((2, 2), int), SIZE * 0.0 + 2.0)
    np.testing.assert_allclose(np.transpose(run(program, X, one)), [[2.0, x] for x in X])


# --- refusals


def traced(definition):
    return trace(definition, ["x", "batch"], {"batch": 2})


def leaked(batch):
    kept = []
    batch.mean(lambda a, b: (kept.append(a) or a,))
    return kept[0]


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        (lambda x, batch: batch.mean(lambda a, b: (a if a > 0 else b,)), "cannot branch"),
        (lambda x, batch: batch.mean(lambda a, b: (a == b,)), "cannot test equality"),
        (lambda x, batch: batch.mean(lambda a, b: ("a",)), "must return and combine scalars"),
        (lambda x, batch: batch.mean(lambda a, b: ([a],)), "must return and combine scalars"),
        (lambda x, batch: [leaked(batch)], "outside its own trace"),
        (lambda x, batch: [x + leaked(batch)], "outside its own trace"),
    ],
)
def test_refused(definition, sentence):
    with pytest.raises(DefinitionError, match=sentence):
        traced(definition)


def test_a_value_of_another_trace_is_refused():
    kept = []
    trace(lambda x: [kept.append(x) or x], ["x"])
    with pytest.raises(DefinitionError, match="outside its own trace"):
        traced(lambda x, batch: [kept[0]])
    with pytest.raises(DefinitionError, match="outside its own trace"):
        traced(lambda x, batch: batch.mean(lambda a, b: (kept[0],)))
