"""How the noise of minibatch gradients is aligned with the curvature (Zhou et al.'s gamma)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samdyn.analysis.mean_square.samples import fitted, samples_of, whitened
from samdyn.analysis.points import finite_points
from samdyn.losses.loss import Loss

if TYPE_CHECKING:
    import xarray as xr

_EXACT_FIT = 1e-16


@dataclass(frozen=True)
class NoiseAlignment:
    """The alignment of gradient noise with the Hessian H about a minimiser.

    Attributes
    ----------
    gamma : float
        The largest constant with Tr(Sigma H) >= 2 gamma L |H|_F^2 all around the minimiser.
    direction : ndarray, shape (d,)
        The unit vector from the minimiser along which equality holds.
    largest : float
        The largest value that Tr(Sigma H)/(2 L |H|_F^2) takes: gamma <= ratio <= largest.
    hessian : ndarray, shape (d, d)
    """

    gamma: float
    direction: np.ndarray
    largest: float
    hessian: np.ndarray

    def __repr__(self) -> str:
        return f"NoiseAlignment(gamma={self.gamma:.6g}, frobenius={self.frobenius:.6g})"

    @property
    def frobenius(self) -> float:
        """The Frobenius norm of the Hessian."""
        return float(np.linalg.norm(self.hessian))


def noise_alignment(loss: Loss, point: Any) -> NoiseAlignment:
    """The constant gamma of the noise's alignment with the curvature, at a minimiser.

    About a minimiser that fits all samples, l_i = d·A_i d/2 to leading order, and both sides of
    Tr(Sigma H) >= 2 gamma L |H|_F^2 are quadratic forms of the deviation d: Sigma(d), the
    covariance of one sample's gradient, has Tr(Sigma H) = d·K d, K = E (A_i - H) H (A_i - H), and
    2 L = d·H d. So gamma is the smallest generalised eigenvalue of (K, |H|_F^2 H) on the range of
    H, exactly. For a squared loss this is the model linear in the weights; for linear regression
    it is the loss itself.

    Parameters
    ----------
    loss : Loss
        A finite sum (``data=…``).
    point : array_like, shape (d,)
        A minimiser of every sample.

    Returns
    -------
    NoiseAlignment

    Raises
    ------
    TypeError
        If the loss has no data.
    ValueError
        If a sample does not have its minimum at the point.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Assumption 4.1; Wu, Wang and Su, arXiv 2207.02628. That gamma is
    an eigenvalue is derived here.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> found = noise_alignment(loss, 0.0)  # Var(a^2)/(E a^2)^2 = 16/25
    >>> round(found.gamma, 12), round(found.frobenius, 12)
    (0.64, 5.0)
    """
    hessians = fitted(loss, point)
    hessian = np.mean(hessians, axis=0)
    away = hessians - hessian
    form = np.mean(away @ hessian @ away, axis=0)
    white = whitened(hessian)
    values, vectors = np.linalg.eigh(white.T @ form @ white)
    values = np.maximum(values, 0.0) / float(np.sum(hessian**2))
    direction = white @ vectors[:, 0]
    direction /= np.linalg.norm(direction)
    return NoiseAlignment(float(values[0]), direction, float(values[-1]), hessian)


def gradient_noise(loss: Loss, points: Any) -> xr.Dataset:
    """The covariance of one sample's gradient, and how it follows loss and curvature, at points.

    For squared losses l_i = r_i^2/2. With G the mean of grad r_i grad r_i^T, which is the
    Hessian where all samples fit, ``alignment`` is Tr(Sigma G)/(2 L |G|_F^2), the product of
    ``cosine``, Tr(Sigma G)/(|Sigma|_F |G|_F), and of ``size``, |Sigma|_F/(2 L |G|_F). It is at
    least gamma where Zhou et al.'s Assumption 4.1 holds. The covariance of a minibatch of B
    samples drawn with replacement is 1/B of this.

    Parameters
    ----------
    loss : Loss
        A finite sum of squares, no sample's loss being negative.
    points : array_like, shape (…, d)

    Returns
    -------
    xarray.Dataset
        ``covariance`` (…, row, other), ``gauss_newton`` (…, row, other), ``loss``, ``alignment``,
        ``cosine`` and ``size`` (…), the last three NaN where the loss or the noise is 0. The
        leading dimensions are called point, or point0, point1, … if there are several.

    Raises
    ------
    TypeError
        If the loss has no data.
    ValueError
        If a sample's loss is negative somewhere, so that it is no square.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Assumption 4.1; after Wu, Wang and Su, arXiv 2207.02628.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> seen = gradient_noise(loss, [[1.0], [2.0]])
    >>> seen.covariance.values.ravel(), seen.alignment.values.round(12)
    (array([16., 64.]), array([0.64, 0.64]))
    """
    import xarray as xr

    samples, points = samples_of(loss), finite_points(loss, points, "points")
    values, gradients = samples.value(points), samples.grad(points)
    if np.any(values < 0):
        raise ValueError(
            f"loss must be a sum of squares here; at one of the points a sample's is "
            f"{np.min(values):.3g}"
        )
    away = gradients - gradients.mean(axis=-2, keepdims=True)
    covariance = np.einsum("...ni,...nj->...ij", away, away) / away.shape[-2]
    newton = _gauss_newton(values, gradients, samples.hessian(points), points)
    mean = np.mean(values, axis=-1)
    common = np.einsum("...ij,...ij->...", covariance, newton)
    noise, curvature = (np.sqrt(np.sum(x**2, axis=(-2, -1))) for x in (covariance, newton))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine, size = common / (noise * curvature), noise / (2.0 * mean * curvature)
        alignment = common / (2.0 * mean * curvature**2)
    leading = ["point"] if mean.ndim == 1 else [f"point{k}" for k in range(mean.ndim)]
    square = (*leading, "row", "other")
    return xr.Dataset(
        {
            "covariance": (square, covariance),
            "gauss_newton": (square, newton),
            "loss": (leading, mean),
            "alignment": (leading, alignment),
            "cosine": (leading, cosine),
            "size": (leading, size),
        },
        {"row": list(loss.variables), "other": list(loss.variables)},
    )


def _gauss_newton(
    values: np.ndarray, gradients: np.ndarray, hessians: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """E grad r grad r^T, of l = r^2/2: grad l grad l^T/(2 l), and the Hessian where l is 0."""
    size = np.max(np.abs(hessians), axis=(-3, -2, -1)) * (1.0 + np.sum(points**2, axis=-1))
    fits = values <= _EXACT_FIT * size[..., None]
    twice = np.where(fits, 1.0, 2.0 * values)[..., None, None]
    outer = gradients[..., :, None] * gradients[..., None, :] / twice
    return np.mean(np.where(fits[..., None, None], hessians, outer), axis=-3)
