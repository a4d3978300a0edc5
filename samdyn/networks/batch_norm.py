"""Batch norms in a network: layers whose output for a sample depends on the rest of its batch."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm


def batch_norms(model: nn.Module) -> dict[str, BatchNorm]:
    """The batch norms of a model by name.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> list(batch_norms(net))
    ['1']
    """
    return {name: one for name, one in model.named_modules() if isinstance(one, BatchNorm)}
