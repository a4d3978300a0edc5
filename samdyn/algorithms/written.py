"""Algorithms written by the user as a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import update_wrapper
from types import SimpleNamespace

from samdyn.algorithms.base import Algorithm, Oracle, State
from samdyn.numbers import Number, checked_number
from samdyn.tracer import DefinitionError, explained


@dataclass(frozen=True, eq=False)
class Written(Algorithm):
    """An algorithm whose step is a function; made by `algorithm`."""

    definition: Callable
    vectors: tuple[str, ...]
    values: dict[str, Number]

    @property
    def title(self) -> str:
        return self.definition.__name__

    @property
    def numbers(self) -> dict[str, Number]:
        return self.values

    def replace(self, **numbers: Number) -> Written:
        unknown = sorted(set(numbers) - set(self.values))
        if unknown:
            has = ", ".join(self.values)
            raise ValueError(f"{unknown[0]} is no number of {self!r}; it has {has}")
        checked = {name: checked_number(name, value) for name, value in numbers.items()}
        return replace(self, values=self.values | checked)

    @property
    def state(self) -> tuple[str, ...]:
        return self.vectors

    def step(self, grad: Oracle, z: State, n: SimpleNamespace) -> State:
        name, wanted = self.definition.__name__, ", ".join(("w", *self.vectors))
        with explained(name):
            result = self.definition(grad, *z, **vars(n))
        if result is None:
            raise DefinitionError(f"{name} returned None; end it with return {wanted}")
        moved = tuple(result) if isinstance(result, tuple | list) else (result,)
        if len(moved) != len(z):
            raise DefinitionError(
                f"{name} returned {len(moved)} vectors of a state of {len(z)}; end it with "
                f"return {wanted}"
            )
        for vector in moved:
            if not hasattr(vector, "__len__"):
                raise DefinitionError(
                    f"{name} returned a {type(vector).__name__} where a vector is needed; return "
                    "vectors, or collect scalars in samdyn.words.Point([…])"
                )
        return moved

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.definition.__name__}({given})"


def algorithm(definition: Callable) -> Callable[..., Written]:
    """Make an algorithm of a function that takes one step.

    Parameters
    ----------
    definition : callable
        ``definition(grad, w, *state, *, numbers…)``: the gradient oracle, the weights, further
        vectors by position (each starts at 0), and numbers by keyword. It returns the new
        weights, or a tuple of the new weights and vectors. Written in Python's arithmetic and
        the words of `samdyn.words` (`unit`, `norm`, `dot`, `where`, …), without branches on
        values.

    Returns
    -------
    callable
        Takes the numbers by keyword (any may be an array) and returns the algorithm.

    Raises
    ------
    TypeError
        If the signature is not of that form, or a number is missing or unknown.

    Examples
    --------
    >>> from samdyn.words import unit
    >>> @algorithm
    ... def sign_sam(grad, w, *, lr, rho):
    ...     return w - lr * unit(grad(w + rho * unit(grad(w))))
    >>> sign_sam(lr=0.1, rho=0.05)
    sign_sam(lr=0.1, rho=0.05)
    """
    if isinstance(definition, type) or not hasattr(definition, "__name__"):
        raise TypeError(
            f"algorithm must be given a function of one step, got {definition!r}; write for "
            "example def step(grad, w, *, lr) and return the new weights"
        )
    parameters = list(inspect.signature(definition).parameters.values())
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(positional) < 2 or len(positional) + len(keywords) < len(parameters):
        raise TypeError(
            f"{definition.__name__} must have the form (grad, w, *further vectors by name, *, "
            "numbers by name); write for example def step(grad, w, v, *, lr, momentum)"
        )
    defaults = {p.name: p.default for p in keywords if p.default is not p.empty}

    def _starred(name: str) -> str:
        place = positional.index(name)
        after = [*positional[place:], *(p.name for p in keywords)]
        return ", ".join([*positional[:place], "*", *after])

    def make(**numbers: Number) -> Written:
        names = [p.name for p in keywords]
        given = {**defaults, **numbers}
        wrong = sorted(set(given) ^ set(names))
        if wrong and wrong[0] in positional[2:]:
            raise TypeError(
                f"{definition.__name__} takes {wrong[0]} by position, as a vector; if it is a "
                f"number put * before it: def {definition.__name__}({_starred(wrong[0])})"
            )
        if wrong:
            problem = "needs" if wrong[0] in names else "does not take"
            raise TypeError(f"{definition.__name__} {problem} {wrong[0]}; its numbers are {names}")
        checked = {name: checked_number(name, given[name]) for name in names}
        return Written(definition, tuple(positional[2:]), checked)

    update_wrapper(make, definition, updated=())
    del make.__wrapped__  # type: ignore[attr-defined]  # its signature is not the definition's
    return make
