"""The rate at which un-normalised SAM converges by Zhou et al.'s Theorem 4.3, and its constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.analysis.mean_square.samples import fitted, whitened
from samdyn.losses.loss import Loss
from samdyn.numbers import check_positive, checked_number


@dataclass(frozen=True)
class Convergence:
    """The constants of the theorem, and what it says.

    With them E L_t <= (1 - lr mu/2)^t L_0 for lr <= min(1/L, mu B/(2 L s)) and
    rho <= min(1/L, mu B/(4 L s), lr mu^2/(24 L^2)), s being ``noise``. The theorem is one of small
    steps: rho is hardly above 0.

    Attributes
    ----------
    smoothness : float
        L, the largest eigenvalue of the Hessian.
    pl : float
        mu, the smallest eigenvalue that is not 0: |grad L|^2 >= 2 mu L.
    noise : float
        sigma^2, the least constant with E|grad l_i - grad L|^2 <= sigma^2 L.
    """

    smoothness: float
    pl: float
    noise: float

    def largest_lr(self, batch_size: Any) -> Any:
        """The largest learning rate that the theorem admits, for batches with replacement."""
        check_positive(batch_size=batch_size)
        with np.errstate(divide="ignore"):
            noisy = self.pl * np.asarray(batch_size, float) / (2.0 * self.smoothness * self.noise)
        return np.minimum(1.0 / self.smoothness, noisy)

    def largest_rho(self, lr: Any, batch_size: Any) -> Any:
        """The largest rho that the theorem admits at a learning rate."""
        check_positive(lr=lr, batch_size=batch_size)
        with np.errstate(divide="ignore"):
            noisy = self.pl * np.asarray(batch_size, float) / (4.0 * self.smoothness * self.noise)
        slow = np.asarray(lr, float) * self.pl**2 / (24.0 * self.smoothness**2)
        return np.minimum(np.minimum(1.0 / self.smoothness, noisy), slow)

    def rate(self, lr: Any) -> Any:
        """1 - lr mu/2, by which the mean loss is multiplied a step, at most."""
        check_positive(lr=lr)
        return 1.0 - 0.5 * np.asarray(lr, float) * self.pl

    def admits(self, lr: Any, rho: Any, batch_size: Any) -> Any:
        """Whether the theorem speaks of these numbers."""
        checked_number("rho", rho, minimum=0.0)
        within = np.asarray(lr, float) <= self.largest_lr(batch_size)
        return within & (np.asarray(rho, float) <= self.largest_rho(lr, batch_size))


def convergence_bound(loss: Loss, point: Any) -> Convergence:
    """The constants of Zhou et al.'s Theorem 4.3 about a minimiser that fits all the data.

    All three are eigenvalues: mu and L of the Hessian H (mu on its range, the loss being flat
    along the rest), and sigma^2 is twice the largest generalised eigenvalue of
    (E A_i^2 - H^2, H), the A_i being the samples' Hessians. For linear regression they hold
    everywhere, for other losses they are those of the linearised model.

    Parameters
    ----------
    loss : Loss
        A finite sum (``data=…``).
    point : array_like, shape (d,)
        A minimiser of every sample.

    Returns
    -------
    Convergence

    Raises
    ------
    TypeError
        If the loss has no data.
    ValueError
        If a sample does not have its minimum at the point.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Theorem 4.3 under Assumptions 4.2 and 4.3, in the form "L-smooth,
    |grad L|^2 >= 2 mu L, E|grad l_i - grad L|^2 <= sigma^2 L". That they are these eigenvalues is
    derived here.

    Examples
    --------
    >>> import samdyn as sd
    >>> loss = sd.Loss("(a*x - b)**2/2", variables="x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
    >>> found = convergence_bound(loss, 0.0)
    >>> round(found.noise, 12), round(float(found.largest_lr(1)), 12), float(found.largest_lr(64))
    (6.4, 0.078125, 0.2)
    """
    hessians = fitted(loss, point)
    hessian = np.mean(hessians, axis=0)
    away = hessians - hessian
    white = whitened(hessian)
    noise = np.linalg.eigvalsh(white.T @ np.mean(away @ away, axis=0) @ white)[-1]
    # the columns of W are as long as the eigenvalues' inverse square roots
    curvatures = 1.0 / np.sum(white**2, axis=0)
    return Convergence(
        float(np.max(curvatures)), float(np.min(curvatures)), 2.0 * max(float(noise), 0.0)
    )
