"""An algorithm's step on symbols: its rates, and the gradient that they follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import sympy

from samdyn.algorithms import Algorithm
from samdyn.algorithms.base import Oracle, RandomOracle
from samdyn.losses.derivatives import differentiate
from samdyn.losses.loss import Loss
from samdyn.symbols import symbols
from samdyn.words import Point

Vector = list[sympy.Expr]

LR, RHO, BATCH = symbols(["lr", "rho", "batch_size"])


class _Oracle(RandomOracle):
    """The gradient of one draw at points of symbols; it remembers where it was asked.

    Parameters
    ----------
    slopes, mean : callable
        The gradient of one draw, and the expected one.
    replaced : tuple, optional
        The number of a call, and what is answered to it instead.
    """

    def __init__(self, slopes: Oracle, mean: Oracle, replaced: tuple[int, Point] | None = None):
        self.slopes, self._mean, self.replaced = slopes, mean, replaced
        self.asked: list[Point] = []
        self.part: int | None = None

    def __call__(self, p: Any) -> Any:
        self.asked.append(p)
        if self.replaced and len(self.asked) == self.replaced[0]:
            return self.replaced[1]
        return self.slopes(p)

    @property
    def mean(self) -> Oracle:
        return self._mean

    def redrawn(self) -> RandomOracle:
        raise TypeError(
            "an SDE needs an algorithm that steps w - lr (something without lr) on one draw a "
            "step, such as GD, SAM or ASAM"
        )

    def over_parts(self, m: int, transform: Callable[[Oracle], Oracle]) -> Oracle:
        self.part = m  # each part is a minibatch of its own, and they are alike
        return transform(self)


class Step(NamedTuple):
    """What one step does with the last gradient that it asks for.

    Attributes
    ----------
    gradient : list
        That gradient, of the weights and the draw.
    rest : list
        The rates of the rows without it; ``spread`` times it comes on top.
    spread : Matrix
    last : Point
        Where it was asked for.
    part : int or None
        The size of the parts of the batch that the step treats by themselves.
    """

    gradient: Vector
    rest: Vector
    spread: sympy.Matrix
    last: Point
    part: int | None


@dataclass(frozen=True, eq=False)
class Derivation:
    """How a step's rates follow from an algorithm's definition.

    Parameters
    ----------
    loss : Loss
    algorithm : Algorithm
    """

    loss: Loss
    algorithm: Algorithm

    @property
    def weights(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the loss's variables."""
        return symbols(self.loss.variables)

    def gradient_of(self, expression: sympy.Expr | None) -> Oracle:
        """The gradient of a formula; of the mean loss for None."""
        if expression is None and self.loss.written_grad:
            constants = dict(
                zip(self.loss.constants, symbols(tuple(self.loss.constants)), strict=True)
            )
            return lambda p: self.loss.gradient_at(p, constants)
        whole = self.loss.expression if expression is None else expression
        slopes = [differentiate(whole, x) for x in self.weights]
        return lambda p: Point(
            slope.xreplace(dict(zip(self.weights, p, strict=True))) for slope in slopes
        )

    def step(self, slopes: Oracle, random: Sequence[sympy.Symbol]) -> Step:
        """The step on a gradient, as formulas.

        Raises
        ------
        TypeError
            If the step is not w - lr (something without lr), or its noise is not that of a
            gradient alone although it carries vectors along.
        """
        answer = Point(sympy.Dummy(f"g{i}", real=True) for i in range(len(self.weights)))
        whole, oracle = self._rates(slopes, None)
        swapped, _ = self._rates(slopes, (len(oracle.asked), answer))
        spread = sympy.Matrix([[sympy.diff(rate, g) for g in answer] for rate in swapped])
        rest = [rate.xreplace(dict.fromkeys(answer, sympy.S.Zero)) for rate in swapped]
        noisy = set(random) | set(answer)
        if not (spread.free_symbols | sympy.Tuple(*rest).free_symbols) & noisy:
            last = oracle.asked[-1]
            return Step(list(slopes(last)), rest, spread, last, oracle.part)
        if self.algorithm.state:
            raise TypeError(
                f"an SDE needs an algorithm whose vectors follow one gradient a step, such as "
                f"GD or SAM with momentum; {self.algorithm!r} does not"
            )
        d = len(self.weights)
        none: Vector = [sympy.S.Zero] * d
        gradient = [-rate for rate in whole]
        return Step(gradient, none, -sympy.eye(d), oracle.asked[-1], oracle.part)

    def _rates(self, slopes: Oracle, replaced: tuple[int, Point] | None) -> tuple[Vector, _Oracle]:
        """The rates of change of all rows, over a time lr."""
        d, names = len(self.weights), tuple(self.algorithm.numbers)
        vectors = [f"{v}_{x}" for v in self.algorithm.state for x in self.loss.variables]
        rows = (*self.weights, *symbols(vectors))
        z = tuple(Point(rows[i : i + d]) for i in range(0, len(rows), d))
        oracle = _Oracle(slopes, self.gradient_of(None), replaced)
        numbers = SimpleNamespace(**dict(zip(names, symbols(names), strict=True)))
        moved = [whole(x) for v in self.algorithm.step(oracle, z, numbers) for x in v]
        rates = [sympy.diff(x, LR) for x in moved[:d]]
        still = [x.xreplace({LR: sympy.S.Zero}) for x in moved[:d]]
        if any(rate.has(LR) for rate in rates) or still != list(rows[:d]) or not oracle.asked:
            raise TypeError(
                f"an SDE needs an algorithm that steps w - lr (something without lr), such as GD, "
                f"SAM or ASAM; {self.algorithm!r} does not"
            )
        rates += [(x - y) / LR for x, y in zip(moved[d:], rows[d:], strict=True)]
        return rates, oracle


def whole(expression: Any) -> sympy.Expr:
    """The expression with the floats of a definition that are whole, such as 1.0, made exact."""
    expression = sympy.sympify(expression)
    floats = {x: sympy.Integer(int(x)) for x in expression.atoms(sympy.Float) if x == int(x)}
    return expression.xreplace(floats)
