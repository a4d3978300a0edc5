"""Updates: how a gradient moves the weights. Any of them runs on any oracle."""

from __future__ import annotations

from typing import Any

from samdyn.algorithms.base import Oracle


def descent(grad: Oracle, w: Any, lr: Any) -> tuple[Any]:
    """Plain gradient descent, w - lr g."""
    return (w - lr * grad(w),)


def heavy_ball(grad: Oracle, w: Any, v: Any, lr: Any, momentum: Any) -> tuple[Any, Any]:
    """Polyak's momentum as ``torch.optim.SGD`` has it: v = momentum v + g, then w - lr v."""
    v = momentum * v + grad(w)
    return w - lr * v, v


def nesterov(grad: Oracle, w: Any, v: Any, lr: Any, momentum: Any) -> tuple[Any, Any]:
    """Nesterov's momentum as ``torch.optim.SGD(nesterov=True)`` has it."""
    g = grad(w)
    v = momentum * v + g
    return w - lr * (g + momentum * v), v
