"""Gradient descent and the algorithms that differ from it in the gradient only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import SimpleNamespace

import numpy as np

from samdyn.algorithms.base import Algorithm, Oracle, State
from samdyn.algorithms.gradients import (
    Ascent,
    adaptive,
    ascended,
    decayed,
    normalized,
    normalized_by_mean,
    over_parts,
    unnormalized,
)
from samdyn.algorithms.updates import descent, heavy_ball, nesterov
from samdyn.numbers import Number, checked_number, checked_whole

_OPTIONAL = ("momentum", "weight_decay")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GD(Algorithm):
    """Gradient descent, with heavy-ball or Nesterov momentum and weight decay.

    Any number may be an array: it becomes a dimension of the result.

    Parameters
    ----------
    lr : float or array
        Learning rate, at least 0.
    momentum : float or array, default 0
        As in ``torch.optim.SGD``: ``v = momentum*v + g``, ``w -= lr*v``. The plain number 0 means
        no momentum: then the state is the weights alone.
    nesterov : bool, default False
        Nesterov's form of the momentum step, as in torch.
    weight_decay : float or array, default 0
        Adds ``weight_decay * w`` to the gradient.

    Raises
    ------
    ValueError
        If a number is negative, NaN or infinite, or if ``nesterov`` comes without momentum.

    Examples
    --------
    >>> GD(lr=0.1, momentum=0.9)
    GD(lr=0.1, momentum=0.9)
    """

    lr: Number
    momentum: Number = 0.0
    nesterov: bool = False
    weight_decay: Number = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "Number":
                object.__setattr__(self, field.name, checked_number(field.name, value, minimum=0.0))
            elif field.type == "bool" and not isinstance(value, bool):
                raise TypeError(f"{field.name} must be True or False, got {value!r}")
        if self.nesterov and not self._has("momentum"):
            raise ValueError("nesterov needs a momentum above 0, as in torch; got momentum=0")

    def __repr__(self) -> str:
        given = [(field, getattr(self, field.name)) for field in fields(self)]
        said = (f"{f.name}={v!r}" for f, v in given if np.ndim(v) or v != f.default)
        return f"{type(self).__name__}({', '.join(said)})"

    def _has(self, name: str) -> bool:
        """Whether an optional number is in play. A plain 0 leaves its part of the step out."""
        value = getattr(self, name)
        return not (isinstance(value, float) and value == 0.0)

    @property
    def numbers(self) -> dict[str, Number]:
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.type == "Number" and (field.name not in _OPTIONAL or self._has(field.name))
        }

    @property
    def state(self) -> tuple[str, ...]:
        return ("velocity",) if self._has("momentum") else ()

    def gradient(self, grad: Oracle, n: SimpleNamespace) -> Oracle:
        return decayed(grad, n.weight_decay) if self._has("weight_decay") else grad

    def step(self, grad: Oracle, z: State, n: SimpleNamespace) -> State:
        g = self.gradient(grad, n)
        if not self._has("momentum"):
            return descent(g, z[0], n.lr)
        update = nesterov if self.nesterov else heavy_ball
        return update(g, z[0], z[1], n.lr, n.momentum)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SAM(GD):
    """Sharpness-Aware Minimization: descend along the gradient of a point uphill.

    Parameters
    ----------
    lr, momentum, nesterov, weight_decay
        As in `GD`.
    rho : float or array
        Radius of the ascent step, at least 0.
    normalize : bool, default True
        True: ascent by ``rho * g/|g|`` (0 at critical points), as in training. False: by
        ``rho * g``, the rule of Kim et al.'s Theorem 1 (USAM).
    ascent_steps : int, default 1
        Number of ascent steps, each 1/ascent_steps of the way.
    decay_in_ascent : bool, default False
        Whether the ascent follows the regularised gradient too. False is what
        ``torch.optim.SGD(weight_decay=…)`` under SAM does.
    m : int, optional
        m-SAM: the ascent is taken for each part of m samples of a minibatch by itself, and the
        gradients there are averaged. Default: for the minibatch as a whole.

    Raises
    ------
    ValueError
        If a number is negative, NaN or infinite, or ``ascent_steps`` or m is below 1.

    References
    ----------
    Foret et al., ICLR 2021 (arXiv 2010.01412); Kim et al., arXiv 2301.06308; multi-step ascent:
    Kim et al., arXiv 2302.10181.

    Examples
    --------
    >>> SAM(lr=0.05, rho=[0.0, 0.1]).numbers
    {'lr': 0.05, 'rho': array([0. , 0.1])}
    """

    rho: Number
    normalize: bool = True
    ascent_steps: int = 1
    decay_in_ascent: bool = False
    m: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_whole("ascent_steps", self.ascent_steps, 1)
        if self.m is not None:
            checked_whole("m", self.m, 1)

    @property
    def title(self) -> str:
        return "SAM" if self.normalize else "USAM"

    def ascent(self, n: SimpleNamespace) -> Ascent:
        """The ascent step, as a function of oracle, point and starting point."""
        return normalized(n.rho) if self.normalize else unnormalized(n.rho)

    def gradient(self, grad: Oracle, n: SimpleNamespace) -> Oracle:
        decays = super().gradient

        def uphill(part: Oracle) -> Oracle:
            within = decays(part, n) if self.decay_in_ascent else part
            return ascended(within, self.ascent(n), self.ascent_steps)

        g = over_parts(grad, self.m, uphill)
        return g if self.decay_in_ascent else decays(g, n)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DNSAM(SAM):
    """SAM whose ascent is measured by the length of the expected gradient, not the sample's.

    ``w - lr grad L_k(w + rho grad L_k(w)/|grad L(w)|)``. Without noise it is SAM.

    Parameters
    ----------
    lr, momentum, nesterov, weight_decay, rho, ascent_steps, decay_in_ascent, m
        As in `SAM`.

    References
    ----------
    Monzio Compagnoni et al., "An SDE for Modeling SAM", ICML 2023 (arXiv 2301.08203).

    Examples
    --------
    >>> DNSAM(lr=0.05, rho=0.1)
    DNSAM(lr=0.05, rho=0.1)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.normalize:
            raise ValueError("normalize=False is not defined for DNSAM; use SAM(normalize=False)")

    @property
    def title(self) -> str:
        return "DNSAM"

    def ascent(self, n: SimpleNamespace) -> Ascent:
        return normalized_by_mean(n.rho)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ASAM(SAM):
    """Adaptive SAM: the ascent step is measured in units of each weight's own size.

    Parameters
    ----------
    lr, momentum, nesterov, weight_decay, rho, ascent_steps, decay_in_ascent
        As in `SAM`.
    eta : float or array, default 0.01
        Added to the weights' sizes, so that a weight at 0 still moves.

    References
    ----------
    Kwon et al., ICML 2021 (arXiv 2102.11600).

    Examples
    --------
    >>> ASAM(lr=0.05, rho=0.5).numbers
    {'lr': 0.05, 'rho': 0.5, 'eta': 0.01}
    """

    eta: Number = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.normalize:
            raise ValueError("normalize=False is not defined for ASAM; use SAM(normalize=False)")

    @property
    def title(self) -> str:
        return "ASAM"

    def ascent(self, n: SimpleNamespace) -> Ascent:
        return adaptive(n.rho, n.eta)


def USAM(*, lr: Number, rho: Number, **options: Number) -> SAM:
    """Un-normalised SAM: ``SAM(..., normalize=False)``.

    Examples
    --------
    >>> USAM(lr=0.05, rho=0.5).normalize
    False
    """
    return SAM(lr=lr, rho=rho, normalize=False, **options)
