"""What several ascent steps do to the direction of the gradient, on a quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.edges.domain import check_not_negative
from samdyn.numbers import checked_whole


def ascent_contraction(
    ratio: Any, reach: Any, ascent_steps: int | None = 1, *, normalize: bool = True
) -> Any:
    """By which factor the ascent brings the gradient nearer to the top eigenvector.

    Ascent on a quadratic is a power iteration: each step multiplies the gradient by
    I + s H. So the tangent of the angle to the top eigenvector shrinks over k un-normalised steps
    by ((1 + rho l_i/k)/(1 + rho l_1/k))^k, exactly. Normalised steps have
    prod_{j<k} (k + (j + l_i/l_1) a)/(k + (j + 1) a) with a = rho l_1/|g|, which is exact to first
    order in the angle; for many steps it is (1 + a)^(l_i/l_1 - 1). Derived here; the algorithms
    are those of Kim et al., arXiv 2302.10181.

    Parameters
    ----------
    ratio : array_like
        l_i/l_1, of another eigenvalue to the largest.
    reach : array_like
        a = rho l_1/|g|; of un-normalised ascent rho l_1.
    ascent_steps : int or None, default 1
        k; None is the limit of many.
    normalize : bool, default True

    Returns
    -------
    ndarray
        The tangent after the ascent over that before it. However large rho is, one normalised step
        leaves at least l_i/l_1 of it, and k steps prod_{j<k} (j + l_i/l_1)/(j + 1).

    Examples
    --------
    >>> [float(ascent_contraction(0.5, 3.0, k).round(4)) for k in (1, 2, 4, None)]
    [0.625, 0.5688, 0.5354, 0.5]
    """
    check_not_negative(reach=reach)
    ratio, reach = np.asarray(ratio, float), np.asarray(reach, float)
    if ascent_steps is None:
        return (1.0 + reach) ** (ratio - 1.0) if normalize else np.exp(reach * (ratio - 1.0))
    k = checked_whole("ascent_steps", ascent_steps, 1)
    if not normalize:
        return ((1.0 + reach * ratio / k) / (1.0 + reach / k)) ** k
    factors = [(k + (j + ratio) * reach) / (k + (j + 1.0) * reach) for j in range(k)]
    return np.prod(factors, axis=0)
