"""What a limiting flow descends: the limit of a notion of sharpness, on the minimisers."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.minimizers.samples import Samples
from samdyn.analysis.minimizers.split import Split
from samdyn.losses.loss import Loss

KINDS = ("worst", "ascent", "average")
_TOUCHING = 1e-7


class Notion:
    """A notion of sharpness in the limit rho -> 0, with its gradient, at m minimisers.

    Parameters
    ----------
    loss : Loss
    kind : {"worst", "ascent", "average"}
    per_sample : bool
        Whether SAM takes one sample at a time.
    lr : ndarray, shape (m,)
        0: the limit of small learning rates.
    """

    def __init__(self, loss: Loss, kind: str, per_sample: bool, lr: np.ndarray):
        if kind not in KINDS:
            raise ValueError(f'kind must be "worst", "ascent" or "average", got {kind!r}')
        if np.any(lr) and kind != "worst":
            raise ValueError(
                f'lr goes with kind="worst": the factor of a finite learning rate is that of SAM, '
                f"not of what descends the {kind}-direction loss; leave lr out"
            )
        self.loss, self.kind, self.lr = loss, kind, lr
        self.samples = Samples(loss) if per_sample else None
        self.follows = kind != "average" and not per_sample

    def directions(self, parts: Split, before: np.ndarray | None) -> np.ndarray | None:
        """The eigenvectors, (m, d), whose eigenvalues are descended; None if it is their sum.

        Parameters
        ----------
        parts : Split
        before : ndarray, shape (m, d), or None
            Those followed so far: within a step an eigenvalue keeps its eigenvector, not its
            place in the order.
        """
        if not self.follows:
            return None
        rank = int(parts.rank[0])
        if before is None:
            return parts.vectors[:, :, 0 if self.kind == "worst" else rank - 1]
        overlaps = np.abs(np.einsum("mi,mij->mj", before, parts.vectors[:, :, :rank]))
        places = np.argmax(overlaps, axis=-1)
        return np.take_along_axis(parts.vectors, places[:, None, None], axis=2)[:, :, 0]

    def slopes(self, points: np.ndarray, directions: np.ndarray | None) -> np.ndarray:
        """The gradients, (m, d), of the notion's limit, with the factors of a finite lr."""
        d = self.loss.dimension
        if self.kind == "average":  # of all samples or of each, it is the same
            axes = np.eye(d)
            return self.loss.third(points[:, None, :], axes, axes).sum(axis=1) / (2 * d)
        if self.samples:
            values, slopes = self.samples.tops(points)
            return np.mean(slopes * self._factor(values)[..., None], axis=1) / 2
        assert directions is not None  # such as `directions` gives them
        v = directions
        values = np.einsum("mi,mij,mj->m", v, self.loss.hessian(points), v)
        return self.loss.third(points, v, v) * self._factor(values[:, None]) / 2

    def _factor(self, eigenvalues: np.ndarray) -> np.ndarray:
        """How much faster than in the limit SAM of a finite lr drifts: (1 - lr l/2)^-2."""
        return (1.0 - self.lr[:, None] * eigenvalues / 2.0) ** -2

    def refuse(
        self, points: np.ndarray, parts: Split, directions: np.ndarray | None, when: str
    ) -> None:
        """Refuse what the theory does not cover.

        Raises
        ------
        ValueError
            If two eigenvalues cross, lr is beyond the edge of stability, or samples are not
            fitted or have Hessians of another rank than 1.
        """
        top = self.samples.largest(points, when) if self.samples else parts.top
        beyond = np.flatnonzero(self.lr * top >= 2.0)
        if len(beyond):
            raise ValueError(
                f"lr must be below 2 over the largest eigenvalue, {2 / top[beyond[0]]:.4g} {when}, "
                f"beyond which minimisers repel SAM; got {self.lr[beyond[0]]:g}"
            )
        if directions is None:
            return
        rank = int(parts.rank[0])
        place, other = (0, 1) if self.kind == "worst" else (rank - 1, rank - 2)
        overlap = np.abs(np.einsum("mi,mi->m", directions, parts.vectors[:, :, place]))
        gap = np.full(len(points), np.inf)
        if rank > 1:
            gap = np.abs(parts.eigenvalues[:, place] - parts.eigenvalues[:, other])
        if np.any((gap < _TOUCHING * top) | (overlap < 0.5)):
            said = "largest" if self.kind == "worst" else "smallest non-zero"
            raise ValueError(
                f"the {said} eigenvalue must be simple along the flow (Wen et al., Assumption "
                f"4.4), but it meets another {when}; end times before"
            )
