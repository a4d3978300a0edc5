"""How the gradient that an algorithm descends along agrees with the loss's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.systems.map import Map


def alignment(system: Map, w: Any) -> np.ndarray:
    """The cosine between the loss's gradient at ``w`` and the one the update uses there.

    For SAM: cos(grad L(w), grad L(w^p)), w^p being the perturbed point. It is 1 where SAM acts
    like gradient descent, and jumps between 1 and -1 where the perturbed point lies across a
    valley or a saddle (Kim et al., arXiv 2301.06308, Case III).

    Parameters
    ----------
    system : Map
    w : array_like, shape (…, d)

    Returns
    -------
    ndarray, shape (…)
        NaN where one of the gradients is 0.

    Examples
    --------
    >>> from samdyn import Loss, SAM
    >>> saddle = Map(Loss("x**2 - y**2"), SAM(lr=0.01, rho=0.5))
    >>> float(alignment(saddle, [0.0, 0.1]))
    -1.0
    """
    own, used = system.loss.grad(w), system.descent_gradient(w)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.sum(own * used, axis=-1) / (
            np.linalg.norm(own, axis=-1) * np.linalg.norm(used, axis=-1)
        )
    return np.clip(cosine, -1.0, 1.0)
