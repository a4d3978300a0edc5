"""The minibatches of a finite sum near a point: all of them, or a rule exact for their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, combinations_with_replacement, permutations, product
from math import comb, factorial, perm
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from samdyn.algorithms import GD
from samdyn.analysis.spread.rules import MOST, Draws, affine, evaluated
from samdyn.forward import differentiated
from samdyn.systems.map import Map
from samdyn.systems.oracle import Drawn
from samdyn.tracer import trace
from samdyn.words import Point


def additive(system: Map, z: np.ndarray) -> Draws | None:
    """A rule for batches of any size, if all samples have one Hessian and the step is affine.

    The batch's gradient is then the full one plus a noise whose covariance is known.
    """
    sample, d = system.loss.sample, system.loss.dimension
    assert sample is not None
    constants = [np.asarray(value, float) for value in system.loss.constants.values()]
    given = [*z[:d], *sample.table.T, *constants]
    n = len(sample.table)
    hessians = [np.broadcast_to(entry, n) for entry in sample.program(2)(*given)]
    if not all(np.allclose(entry, entry[0], rtol=1e-11, atol=1e-13) for entry in hessians):
        return None
    if getattr(system.single, "m", None):
        return None
    gradients = np.stack([np.broadcast_to(g, n) for g in sample.program(1)(*given)])
    size = float(np.asarray(system.batch_size))
    left = (n - size) / max(n - 1, 1) if system.sampling == "subset" else 1.0
    covariance = np.atleast_2d(np.cov(gradients, bias=True)) * left / size
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = system.minibatches.draws  # type: ignore[union-attr]
    names = (*system.rows, *system.numbers, *(f"normal{k}" for k in range(d * draws)))

    def definition(*values: Any) -> list[Any]:
        state, rest = values[: len(z)], values[len(z) :]
        numbers = dict(zip(system.numbers, rest, strict=False))
        normals = rest[len(system.numbers) :]
        noises = [
            Point(
                sum(float(r) * x for r, x in zip(row, normals[k : k + d], strict=True))
                for row in root
            )
            for k in range(0, d * draws, d)
        ]

        def mean(p: Any) -> Any:
            return system.loss.gradient_at(p, numbers)

        oracle = Drawn(
            lambda p, noise: mean(p) + noise, mean, iter(noises).__next__, system.fresh_noise
        )
        vectors = tuple(Point(state[i : i + d]) for i in range(0, len(z), d))
        single = system.single
        own = SimpleNamespace(**{name: numbers[name] for name in single.numbers})
        return [scalar for vector in single.step(oracle, vectors, own) for scalar in vector]

    return affine(differentiated(trace(definition, names), system.rows), system, z, d * draws)


class _Unrolled(NamedTuple):
    """A batch whose samples are written out one after the other."""

    samples: Sequence[Sequence[Any]]

    def mean(self, function: Callable[..., Sequence[Any]]) -> list[Any]:
        values = [function(*fields) for fields in self.samples]
        return [sum(column[1:], column[0]) / len(values) for column in zip(*values, strict=True)]

    def over_parts(self, size: int, function: Callable[[Any], Sequence[Any]]) -> list[Any]:
        total: list[Any] = []
        for first in range(0, len(self.samples), size):
            part = self.samples[first : first + size]
            values = [float(len(part)) * value for value in function(_Unrolled(part))]
            total = [a + b for a, b in zip(total, values, strict=True)] if total else values
        return [value / float(len(self.samples)) for value in total]


def averaged(system: Map, z: np.ndarray) -> Draws | None:
    """A rule for batches of any size, if the step is the mean of the steps on each sample alone.

    So is that of gradient descent, whose step is affine in the one gradient that it asks for. The
    deviations of the samples' steps from their mean are then shrunk to those of the batches'.
    """
    if type(system.single) is not GD or system.minibatches is None:
        return None
    n, size = len(system.minibatches.table), float(np.asarray(system.batch_size))
    left = (n - size) / max(n - 1, 1) if system.sampling == "subset" else 1.0
    weights, a, b = enumerated(replace(system, batch_size=1.0, sampling="replacement"), z)
    mean_a, mean_b = (np.tensordot(weights, one, 1) for one in (a, b))
    shrunk = np.sqrt(left / size)
    return Draws(weights, mean_a + shrunk * (a - mean_a), mean_b + shrunk * (b - mean_b))


def enumerated(system: Map, z: np.ndarray) -> Draws:
    """Every batch that a step may take."""
    batches = system.minibatches
    assert batches is not None
    n, fields = batches.table.shape
    size = int(np.asarray(system.batch_size))
    parted = bool(getattr(system.single, "m", None))  # then the order of samples matters
    count = _number(n, size, batches.order, parted) ** batches.draws
    if count > MOST:
        raise ValueError(
            f"a step may take {count:.3g} batches here, and at most {MOST} are enumerated; the "
            "Hessian of the samples differs (or the step is no polynomial of the noise), so take "
            "a smaller batch_size, the samdyn.SDE of the algorithm, or simulate"
        )
    whole = list(_batches(n, size, batches.order, parted))
    places = np.array(
        [np.concatenate(c) for c in product(*([[r for r, _ in whole]] * batches.draws))]
    )
    weights = np.array([np.prod(c) for c in product(*([[w for _, w in whole]] * batches.draws))])
    first = len(z) + len(system.numbers)
    names = (*system.rows, *system.numbers)
    samples = size * batches.draws
    inputs = (*names, *(f"sample{k} {j}" for k in range(samples) for j in range(fields)))

    def definition(*values: Any) -> list[Any]:
        numbers = dict(zip(system.numbers, values[len(z) : first], strict=True))
        drawn = [values[k : k + fields] for k in range(first, len(values), fields)]
        for k, name in enumerate(batches.names):
            numbers[name] = _Unrolled(drawn[k * size : (k + 1) * size])
        return system.step(values[: len(z)], numbers)

    program = differentiated(trace(definition, inputs), system.rows)
    table = batches.table[places].reshape(len(places), samples * fields)
    return evaluated(program, system, z, table.T, weights)


def _number(n: int, size: int, order: str, parted: bool) -> int:
    if order == "subset":
        return perm(n, size) if parted else comb(n, size)
    return n**size if parted else comb(n + size - 1, size)


def _batches(n: int, size: int, order: str, parted: bool) -> Iterator[tuple[np.ndarray, float]]:
    """Batches as rows of the table, each with its probability."""
    if parted or order == "subset":
        ways = {
            (True, True): permutations(range(n), size),
            (True, False): combinations(range(n), size),
            (False, True): product(range(n), repeat=size),
        }[order == "subset", parted]
        share = 1.0 / _number(n, size, order, parted)
        yield from ((np.array(rows), share) for rows in ways)
        return
    for rows in combinations_with_replacement(range(n), size):
        orders = factorial(size)
        for times in np.bincount(rows):
            orders //= factorial(int(times))
        yield np.array(rows), orders / n**size
