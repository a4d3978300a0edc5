"""What the three notions of sharpness tend to on minimisers as rho goes to 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.points import finite_points
from samdyn.analysis.sharpness.finite import check_loss
from samdyn.analysis.sharpness.landscape import Formula, samples, whole
from samdyn.losses.loss import Loss
from samdyn.numbers import check_positive

_STEEP = 1e-6


def limiting_sharpness(
    loss: Loss, p: Any, kind: str = "worst", *, per_sample: bool = False, rtol: float = 1e-8
) -> np.ndarray:
    """The limit of R_rho(p)/rho**2 as rho goes to 0, at minimisers p.

    With the Hessian's eigenvalues lambda_1 >= … >= lambda_M > 0 at a minimiser on a manifold of
    codimension M, in D variables (Table 1 of Wen, Ma and Li):

    ========== ================ =========================== ============================
    kind       full loss        per sample (Setting 5.1)    minimising L_rho selects
    ========== ================ =========================== ============================
    "worst"    lambda_1/2       trace/2                     the least lambda_1; the trace
    "ascent"   lambda_M/2       trace/2                     the least lambda_M; the trace
    "average"  trace/(2 D)      trace/(2 D)                 the least trace
    ========== ================ =========================== ============================

    At the minimiser itself the ascent direction does not exist; its limit is the least over
    points close by, lim_{rho -> 0} lim_{r -> 0} inf_{abs(x' - p) <= r} R_rho(x')/rho**2
    (Definition 4.3): the gradient there lies almost in the span of the Hessian's columns and
    may point along any of it.

    Parameters
    ----------
    loss : Loss
    p : array_like, shape (…, d)
        Minimisers: the gradient vanishes, to 1e-6 of lambda_1 times (1 + abs(p)). Not at a kink,
        such as abs(x) has: there is no Hessian, and none is missed.
    kind : {"worst", "ascent", "average"}
    per_sample : bool, default False
        For a finite sum: the mean over samples of each one's own limit. Where each sample is
        fitted and its Hessian has rank one, this is the table's second column.
    rtol : float, default 1e-8
        An eigenvalue counts as 0 if it is no larger than this part of the largest. Only
        "ascent" depends on it: raise it where p is a minimiser to few digits.

    Returns
    -------
    ndarray, shape (…)
        NaN for "ascent" where the Hessian is 0, and so no eigenvalue is left.

    Raises
    ------
    ValueError
        If a point is no minimiser: the gradient does not vanish (of a sample, with
        ``per_sample``), or an eigenvalue is negative.

    Notes
    -----
    Source: Wen, Ma and Li, arXiv 2211.05729, Definition 4.1, Theorems 4.2 and 5.3.

    Examples
    --------
    >>> from samdyn.losses import crossed_sharpness
    >>> plane = [0.0, 0.0, 0.0, 0.0]  # Hessian eigenvalues 16, 12, 0, 0
    >>> [float(limiting_sharpness(crossed_sharpness(), plane, kind))
    ...  for kind in ("worst", "ascent", "average")]
    [8.0, 6.0, 3.5]
    """
    check_loss(loss, kind)
    check_positive(rtol=rtol)
    p = finite_points(loss, p, "p")
    formulas = samples(loss) if per_sample else [whole(loss)]
    return np.mean([_limit(formula, p, kind, rtol) for formula in formulas], axis=0)


def _limit(formula: Formula, p: np.ndarray, kind: str, rtol: float) -> np.ndarray:
    eigenvalues = np.linalg.eigvalsh(formula.hessian(p))
    top = np.max(np.abs(eigenvalues), axis=-1)
    slope = np.linalg.norm(formula.gradient(p), axis=-1)
    steep = ~(slope <= _STEEP * top * (1 + np.linalg.norm(p, axis=-1)))
    curved = eigenvalues[..., 0] < -np.maximum(rtol, _STEEP) * top
    for wrong, what, values in (
        (steep, "the gradient has length", slope),
        (curved, "the Hessian has an eigenvalue", eigenvalues[..., 0]),
    ):
        if np.any(wrong):
            raise ValueError(
                f"p must be minimisers, of the loss or with per_sample of each sample; at "
                f"{p[wrong][0]} {what} {values[wrong][0]:.3g}"
            )
    if kind == "worst":
        return eigenvalues[..., -1] / 2
    if kind == "average":
        return np.sum(eigenvalues, axis=-1) / (2 * p.shape[-1])
    positive = np.where(eigenvalues > rtol * top[..., None], eigenvalues, np.inf)
    least = np.min(positive, axis=-1)
    return np.where(np.isfinite(least), least, np.nan) / 2
