"""The flow of an algorithm on a loss: the ordinary differential equation that it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from samdyn.algorithms import Algorithm
from samdyn.forward import pushed
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, checked_number
from samdyn.program import Program
from samdyn.systems.base import System
from samdyn.systems.map import Map
from samdyn.systems.schemes import Scheme, rk4
from samdyn.tracer import trace


@dataclass(frozen=True, eq=False)
class Flow(System):
    """The ordinary differential equation whose Euler step of length ``lr`` is the algorithm.

    The weights' rate is the derivative of the algorithm's step by ``lr``: for gradient descent
    dw/dt = -grad L(w), for SAM dw/dt = -grad L(w^p) (Kim et al., arXiv 2301.06308). A vector v of
    the algorithm's, such as a velocity, has the rate (v' - v)/lr, v' being what a step makes of it:
    heavy ball becomes dw/dt = -(momentum v + g), dv/dt = (g - (1 - momentum) v)/lr, which tends to
    dw/dt = -g/(1 - momentum) as lr falls. Time runs by ``lr`` a step of the algorithm.

    Parameters
    ----------
    loss : Loss
    algorithm : Algorithm
        One whose step is w - lr (something without lr). Without further vectors ``lr`` drops
        out, and is none of the flow's numbers.
    dt : float or array, default 1e-2
        Length of a step of the scheme.
    scheme : callable, default `samdyn.rk4`
        ``scheme(field, z, dt)``: `samdyn.euler`, `samdyn.heun`, `samdyn.rk4`, or one's own.

    Raises
    ------
    TypeError
        If the algorithm has no such form (a `Switch`, a `Lookahead`).
    ValueError
        If dt is not above 0, nor lr in a flow with momentum, or a name of the loss is "dt" or
        "t".

    Examples
    --------
    >>> from samdyn import Loss, USAM
    >>> flow = Flow(Loss("x**2/2 - y**2/2"), USAM(lr=0.1, rho=0.5))
    >>> flow.rate([1.0, 1.0])
    array([-1.5,  0.5])
    """

    loss: Loss
    algorithm: Algorithm
    dt: Number = 1e-2
    scheme: Scheme = rk4

    continuous = True

    def __post_init__(self) -> None:
        map_ = self._map
        single = map_.single
        object.__setattr__(self, "dt", checked_number("dt", self.dt, above=0.0))
        if not callable(self.scheme):
            raise TypeError(f"scheme must be one such as samdyn.rk4, got {self.scheme!r}")
        for name, what in (("dt", "step length"), ("t", "time")):
            if name in (*map_.numbers, *map_.rows):
                raise ValueError(f"{name} is the flow's {what}; rename it in the loss")
        weights = self._field._replace(outputs=self._field.outputs[: self.loss.dimension])
        if "lr" not in single.numbers or _depends(weights, "lr") or _moves_at_rest(map_):
            raise TypeError(
                f"a flow needs an algorithm that steps w - lr (something without lr), such as GD, "
                f"SAM or ASAM; {single!r} does not"
            )
        if "lr" in self._law_numbers:
            checked_number("lr of a flow with momentum", single.numbers["lr"], above=0.0)

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self.loss.variables

    @property
    def vectors(self) -> tuple[str, ...]:
        return self.algorithm.state

    @property
    def numbers(self) -> dict[str, Any]:
        return {**self._law_numbers, "dt": self.dt}

    @property
    def duration(self) -> Any:
        return self.dt

    @property
    def title(self) -> str:
        return f"flow of {self._map.title}"

    @property
    def about(self) -> dict[str, str]:
        name = getattr(self.scheme, "__name__", repr(self.scheme))
        return {"algorithm": repr(self.algorithm), "scheme": name}

    def field(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        """The rates of change in words: on scalars of any kind, in the order of ``rows``."""
        given = (numbers.get(name, 1.0) for name in self._map.numbers)
        return list(self._field(*z, *given))

    def rate(self, z: Any) -> np.ndarray:
        """The field at states of shape (…, rows), as an array of the same shape."""
        z = np.asarray(z, dtype=float)
        if z.ndim == 0 or z.shape[-1] != len(self.rows):
            raise ValueError(f"z must have shape (…, {len(self.rows)}), got {z.shape}")
        numbers = {name: np.asarray(value, float) for name, value in self._law_numbers.items()}
        with np.errstate(all="ignore"):
            rates = self.field(list(np.moveaxis(z, -1, 0)), numbers)
        return np.stack(np.broadcast_arrays(*rates), axis=-1)

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return list(self.scheme(lambda y: self.field(y, numbers), list(z), numbers["dt"]))

    @cached_property
    def law(self) -> Program:
        return self._traced(self.field)

    def replace(self, **numbers: Any) -> Flow:
        """The same flow with other hyperparameters, constants or step length."""
        dt = numbers.pop("dt", self.dt)
        other = self._map.replace(**numbers)
        return Flow(other.loss, other.single, dt, self.scheme)

    @cached_property
    def _map(self) -> Map:
        """The algorithm whose step the flow is derived from."""
        return Map(self.loss, self.algorithm).mean

    @cached_property
    def _law_numbers(self) -> dict[str, Any]:
        numbers = self._map.numbers
        used = "lr" in numbers and _depends(self._field, "lr")
        return {name: value for name, value in numbers.items() if name != "lr" or used}

    @cached_property
    def _field(self) -> Program:
        """The rates as a program of the rows and of the map's numbers."""
        step, d = self._map.program, self.loss.dimension
        place = step.inputs.index("lr") if "lr" in self._map.numbers else -1

        def definition(*values: Any) -> list[Any]:
            seeds = [{0: 1.0} if i == place else {} for i in range(len(values))]
            moved, slopes = pushed(step, values, seeds)
            weights = [slope.get(0, 0.0) for slope in slopes[:d]]
            pairs = zip(moved[d:], values[d:], strict=False)
            return weights + [(after - before) / values[place] for after, before in pairs]

        return trace(definition, step.inputs)


def _moves_at_rest(map_: Map) -> bool:
    """Whether a step with lr = 0 moves the weights, looked at in a few states."""
    d = map_.loss.dimension
    z = np.random.default_rng(0).uniform(0.1, 0.9, (len(map_.rows), 8))
    given = map_.numbers | {"lr": 0.0}
    numbers = [np.asarray(value, float).flat[0] for value in given.values()]
    with np.errstate(all="ignore"):
        moved = np.array([np.broadcast_to(row, 8) for row in map_.program(*z, *numbers)])
    return bool(np.nanmax(np.abs(moved[:d] - z[:d]), initial=0.0) > 1e-12)


def _depends(program: Program, name: str) -> bool:
    """Whether an output of a program depends on an input."""
    touched = {program.inputs.index(name)}
    for slot, line in enumerate(program.lines, start=len(program.inputs)):
        if any(type(a) is int and a in touched for a in line.arguments):
            touched.add(slot)
    return any(type(out) is int and out in touched for out in program.outputs)
