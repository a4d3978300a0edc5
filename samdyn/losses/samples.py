"""The samples of a finite sum, one by one: values and derivatives of all at given points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samdyn.losses.derivatives import symmetric
from samdyn.losses.sample import Sample
from samdyn.numbers import check_single


class Samples:
    """The n samples of a loss with data; see `samdyn.Loss.samples`."""

    def __init__(self, sample: Sample, constants: Mapping[str, Any]):
        check_single("samples", {f"constant {k}": v for k, v in constants.items()}, ".replace")
        self._sample = sample
        self._constants = [np.float64(value) for value in constants.values()]

    def __len__(self) -> int:
        return len(self._sample.table)

    def value(self, p: Any) -> np.ndarray:
        """The loss of every sample at points of shape (…, d), as an array of shape (…, n)."""
        return self._numbers(0, p)[..., 0]

    def grad(self, p: Any) -> np.ndarray:
        """The gradient of every sample, as an array of shape (…, n, d)."""
        return self._numbers(1, p)

    def hessian(self, p: Any) -> np.ndarray:
        """The Hessian of every sample, as an array of shape (…, n, d, d)."""
        return symmetric(self._numbers(2, p), len(self._sample.variables))

    def third(self, p: Any, u: Any, v: Any) -> np.ndarray:
        """The third derivative of every sample applied to directions of shape (…, n, d)."""
        directions = [np.asarray(one, float)[..., i] for one in (u, v) for i in range(self._d)]
        return self._numbers(3, p, *directions)

    @property
    def _d(self) -> int:
        return len(self._sample.variables)

    def _numbers(self, order: int, p: Any, *directions: np.ndarray) -> np.ndarray:
        p = np.asarray(p, float)
        if p.ndim == 0 or p.shape[-1] != self._d:
            raise ValueError(
                f"points must have shape (…, {self._d}), one entry for each of "
                f"{', '.join(self._sample.variables)}; got shape {p.shape}"
            )
        w = [p[..., None, i] for i in range(self._d)]
        # the draw's names stand before the constants, and after the directions
        given = [*w, *directions, *self._sample.table.T, *self._constants]
        with np.errstate(all="ignore"):
            outputs = self._sample.program(order)(*given)
        shape = np.broadcast_shapes((*p.shape[:-1], len(self)), *(np.shape(x) for x in directions))
        return np.stack([np.broadcast_to(output, shape) for output in outputs], axis=-1)
