"""Alignment of the gradient with the top eigenvector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from samdyn.networks.curvature.eigen import Eigenpairs, eigenpairs
from samdyn.networks.problem import Problem, checked_weights


def gradient_alignment(problem: Problem, w: Tensor, pair: Eigenpairs | None = None) -> float:
    """The absolute cosine between the gradient of the mean loss and the top eigenvector.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
        Finite weights.
    pair : Eigenpairs, optional
        At the same weights, of which the first is taken; by default the result of `eigenpairs`.

    Returns
    -------
    float
        From 0 to 1, NaN where the gradient is 0. Known up to the residual over the distance to
        the next eigenvalue; if that is 0, no eigenvector is singled out.

    Raises
    ------
    NotConverged
        If the eigenvector is to be found and `eigenpairs` does not.
    TypeError, ValueError
        If an argument is none of those above.

    References
    ----------
    Wen, Ma and Li, arXiv 2211.05729 (the alignment under SAM).
    """
    w = checked_weights(problem, w)
    if pair is None:
        pair = eigenpairs(problem, w)
    top = pair.vectors[0].to(w)
    slope = problem.grad(w)
    length = float(torch.linalg.vector_norm(slope))
    if not length:
        return math.nan
    return min(1.0, abs(float(slope @ top)) / length)
