"""Functions of tensors written down as a straight line of torch's operations."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from torch import nn
from torch.utils import _pytree as pytree

_WORTHWHILE = 100
"""Calls after which writing the operations down, which takes as long as that many, pays."""


class Traced:
    """A function that is written down at its hundredth call, and from then on read off.

    What `torch.vmap` and `torch.func.grad` do anew in each call (which takes longer than the
    arithmetic of small networks) is done once. The operations and their order are the same, so
    that not a bit changes. What cannot be written down is called as before: a function that looks
    at values, or a network that changes something besides its buffers, such as a count of its own.

    Parameters
    ----------
    function : callable
        Of tensors, or tuples, lists and dicts of them.
    model : Module
        What it calls.

    Examples
    --------
    >>> import torch
    >>> double = Traced(torch.vmap(lambda x: 2 * x), nn.Identity())
    >>> double(torch.tensor([1.0, 2.0]))
    tensor([2., 4.])
    """

    def __init__(self, function: Callable[..., Any], model: nn.Module):
        self._function, self._model = function, model
        self._calls: dict[Hashable, int] = {}
        self._written: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, *given: Any) -> Any:
        """What the function says."""
        key = _form(given)
        if key in self._written:
            return self._written[key](*given)
        self._calls[key] = self._calls.get(key, 0) + 1
        return self._function(*given) if self._calls[key] < _WORTHWHILE else self.write(*given)

    def write(self, *given: Any) -> Any:
        """Write the function down, if it can be, for all that has this form; what it says."""
        before = _attributes(self._model)
        said = self._function(*given)
        unchanged = _attributes(self._model) == before
        self._written[_form(given)] = self._line(given) if unchanged else self._function
        return said

    def _line(self, given: tuple[Any, ...]) -> Callable[..., Any]:
        from torch.fx.experimental.proxy_tensor import make_fx

        try:
            graph = make_fx(self._function)(*given)
        except Exception:  # torch says in many ways that it cannot
            return self._function
        graph.graph.eliminate_dead_code()
        graph.recompile()
        return graph


def _form(given: tuple[Any, ...]) -> Hashable:
    """What a graph depends on: how tensors are nested, and their shapes and types."""
    leaves, nesting = pytree.tree_flatten(given)
    return str(nesting), tuple((t.shape, t.dtype, t.device) for t in leaves)


_PLAIN = (int, float, str, list, tuple, dict, set)
_OF_EVERY = frozenset(vars(nn.Module()))


def _attributes(model: nn.Module) -> str:
    """The numbers and words, in lists and tables too, that modules keep besides tensors."""
    return repr(
        [
            (name, value)
            for module in model.modules()
            for name, value in vars(module).items()
            if name not in _OF_EVERY and isinstance(value, _PLAIN)
        ]
    )
