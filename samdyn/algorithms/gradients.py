"""Transforms of the gradient oracle: what SAM and its kin put in place of the gradient.

Each takes an oracle ``grad`` (point -> vector) and returns another, so that they compose: which
one is applied last says, for example, whether weight decay acts in the ascent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from samdyn.algorithms.base import Oracle, RandomOracle
from samdyn.words import along, norm, where

NO_PARTS = "m goes with minibatches: give the loss data and the map a batch_size"

Ascent = Callable[[Oracle, Any, Any], Any]
"""``ascent(grad, p, w)``: the step up from ``p`` of a walk that began at ``w``."""


def ascended(grad: Oracle, ascent: Ascent, steps: int = 1) -> Oracle:
    """The gradient at the end of an ascent from ``w``.

    Parameters
    ----------
    ascent : callable
        ``ascent(grad, p, w)`` is the whole step taken from ``p``, the walk having begun at ``w``.
    steps : int
        Each of so many steps goes ``1 / steps`` of the way, so that a normalised ascent is at
        most rho long (multi-step SAM, Kim et al., arXiv 2302.10181).
    """

    def perturbed(w: Any) -> Any:
        p = w
        for _ in range(steps):
            move = ascent(grad, p, w)
            p = p + (move if steps == 1 else (1.0 / steps) * move)
        return grad(p)

    return perturbed


def normalized(rho: Any) -> Ascent:
    """SAM's ascent step, rho g / |g|, and 0 where g is 0.

    Foret et al. (ICLR 2021, arXiv 2010.01412), eq. (2).
    """
    return lambda grad, p, w: along(grad(p), rho)


def normalized_by_mean(rho: Any) -> Ascent:
    """DNSAM's ascent step, rho g / |E g|: the length is that of the expected gradient.

    Monzio Compagnoni et al. (ICML 2023, arXiv 2301.08203).
    """

    def ascent(grad: Oracle, p: Any, w: Any) -> Any:
        length = norm(expected(grad)(p))
        return grad(p) * (rho / where(length > 0.0, length, 1.0))

    return ascent


def unnormalized(rho: Any) -> Ascent:
    """The ascent step rho g: the rule analysed by Kim et al. (arXiv 2301.06308), Theorem 1."""
    return lambda grad, p, w: rho * grad(p)


def adaptive(rho: Any, eta: Any) -> Ascent:
    """The ascent step of adaptive SAM, rho T^2 g / |T g| with T = diag(abs(w) + eta).

    Kwon et al. (ICML 2021, arXiv 2102.11600), eq. (8); T is taken where the ascent begins.
    """

    def ascent(grad: Oracle, p: Any, w: Any) -> Any:
        size = abs(w) + eta
        return size * along(size * grad(p), rho)

    return ascent


def decayed(grad: Oracle, weight_decay: Any) -> Oracle:
    """The gradient plus ``weight_decay`` times the weights: L2 regularisation."""
    return lambda w: grad(w) + weight_decay * w


def over_parts(grad: Oracle, m: int | None, transform: Callable[[Oracle], Oracle]) -> Oracle:
    """A transformed oracle; with m, its mean over parts of m samples (m-SAM).

    Raises
    ------
    TypeError
        If m is given and there is no minibatch.
    """
    if m is None:
        return transform(grad)
    if not isinstance(grad, RandomOracle):
        raise TypeError(NO_PARTS)
    return grad.over_parts(m, transform)


def redrawn(grad: Oracle) -> Oracle:
    """The oracle of a further step: on a sample of its own, if there are samples."""
    return grad.redrawn() if isinstance(grad, RandomOracle) else grad


def expected(grad: Oracle) -> Oracle:
    """The expected gradient: the oracle itself, if nothing is random."""
    return grad.mean if isinstance(grad, RandomOracle) else grad
