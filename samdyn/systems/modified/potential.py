"""The loss that a drift is the gradient of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import sympy

from samdyn.algorithms import Algorithm
from samdyn.losses.derivatives import differentiate
from samdyn.losses.formula import FormulaError
from samdyn.losses.loss import Loss
from samdyn.symbols import compile_expressions, symbols
from samdyn.systems.modified.derivation import BATCH, RHO
from samdyn.systems.modified.equation import Modified
from samdyn.systems.modified.expectation import FiniteDraw, GaussianDraw
from samdyn.systems.modified.norms import in_words
from samdyn.systems.modified.spelling import spelled

_CLOSE = 1e-9


def potential(
    loss: Loss, algorithm: Algorithm, modified: Modified, batch_size: Any
) -> sympy.Expr | None:
    """The first of the known implicit losses whose negative gradient is the drift, else None."""
    drift = [spelled(rate, modified.lets) for rate in modified.drift]
    for candidate in _candidates(loss, algorithm, modified.sized):
        if _is_gradient(candidate, drift, loss):
            return candidate
    return None


def _candidates(loss: Loss, algorithm: Algorithm, sized: bool) -> Iterator[sympy.Expr]:
    w = symbols(loss.variables)
    base = loss.expression
    if "weight_decay" in algorithm.numbers:
        (decay,) = symbols(["weight_decay"])
        base += decay / 2 * sympy.Add(*(x**2 for x in w))
    yield base
    if "rho" not in algorithm.numbers:
        return
    mean = sympy.Add(*(differentiate(loss.expression, x) ** 2 for x in w))
    if loss.sample is None:
        yield base + RHO / 2 * mean
        yield base + RHO * sympy.sqrt(mean)
        return
    sample = loss.sample
    square = sympy.Add(*(differentiate(sample.expression, x) ** 2 for x in w))
    if sample.noise:
        draw: Any = GaussianDraw(sample.noise)
    else:
        draw = FiniteDraw(sample.fields, sample.table)
    size = BATCH if sized else sympy.S.One
    expected = draw.spelled(draw.mean(square))
    yield base + RHO / 2 * expected
    yield base + RHO / 2 * (mean + (expected - mean) / size)
    with suppress(FormulaError):
        yield base + RHO * draw.spelled(draw.mean(sympy.sqrt(square)))
    yield base + RHO * sympy.sqrt(mean)


def _is_gradient(candidate: sympy.Expr, drift: list[sympy.Expr], loss: Loss) -> bool:
    """Whether it is, at a few random places and numbers; a formula that is not differs at most."""
    w = symbols(loss.variables)
    slopes = [differentiate(candidate, x) for x in w]
    names = sorted(sympy.Tuple(*slopes, *drift).free_symbols, key=str)
    random = np.random.default_rng(0)
    values = [random.uniform(0.2, 1.2, 6) for _ in names]
    try:
        program = compile_expressions([in_words(one) for one in (*slopes, *drift)], names)
    except FormulaError:
        return False
    with np.errstate(all="ignore"):
        found = np.array([np.broadcast_to(one, 6) for one in program(*values)])
    d = len(w)
    size = np.abs(found).max()
    return bool(np.all(np.abs(found[:d] + found[d:]) <= _CLOSE * size))
