"""Integrating limiting flows in the ambient coordinates, kept on the manifold."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.minimizers.notions import Notion
from samdyn.analysis.minimizers.projection import polished
from samdyn.analysis.minimizers.split import FLAT, Split, split

_RTOL, _ATOL = 1e-11, 1e-13


class _Field:
    """The velocities of m limiting flows, continued to points beside the manifold."""

    def __init__(self, notion: Notion, bases: np.ndarray):
        self.notion, self.shape = notion, bases.shape
        self.rank = split(notion.loss, bases).rank
        self.directions: np.ndarray | None = None

    def __call__(self, _: float, state: np.ndarray) -> np.ndarray:
        # taken at points of the manifold: on it nothing changes, and off it nothing grows
        points, parts = self.on_manifold(state)
        if not np.all(np.isfinite(points)):
            return np.full_like(state, np.nan)
        slopes = self.notion.slopes(points, self.notion.directions(parts, self.directions))
        return -np.einsum("mij,mj->mi", parts.along, slopes).reshape(-1)

    def on_manifold(self, state: np.ndarray) -> tuple[np.ndarray, Split]:
        """The points of the manifold close to those of a state, and the directions there."""
        points = polished(self.notion.loss, state.reshape(self.shape), self.rank)
        sound = np.where(np.isfinite(points), points, 0.0)
        return points, split(self.notion.loss, sound)._replace(rank=self.rank)

    def advance(self, state: np.ndarray, when: str) -> None:
        """Take note of where a step has ended; refuse what the theory does not cover."""
        points, parts = self.on_manifold(state)
        last = parts.smallest
        if not np.all(np.isfinite(points)) or np.any(last <= FLAT * parts.top):
            raise ValueError(
                "the Hessian must keep its rank along the flow, but an eigenvalue goes to 0 "
                f"{when}; end times before"
            )
        self.directions = self.notion.directions(parts, self.directions)
        self.notion.refuse(points, parts, self.directions, when)


def follow(notion: Notion, bases: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, float]:
    """Follow limiting flows from minimisers.

    Parameters
    ----------
    notion : Notion
    bases : ndarray, shape (m, d)
    times : ndarray, shape (k,)

    Returns
    -------
    paths : ndarray, shape (m, k, d)
        On the manifold.
    drift : float
        How far from it the integration was at most.

    Raises
    ------
    ValueError
        If the flow leaves what the theory covers; the sentence says when.
    """
    from scipy.integrate import DOP853  # takes a while to import

    field = _Field(notion, bases)
    field.advance(bases, "at the start")
    done, drift = int(np.sum(times == 0.0)), 0.0
    paths = np.empty((len(times), *bases.shape))
    paths[:done] = bases
    if done == len(times):
        return np.moveaxis(paths, 0, 1), drift
    solver = DOP853(field, 0.0, bases.reshape(-1), times[-1], rtol=_RTOL, atol=_ATOL)
    while solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise ValueError(f"the flow cannot be followed beyond tau = {solver.t:.4g}: {message}")
        field.advance(solver.y, f"at tau = {solver.t:.4g}")
        reached = int(np.searchsorted(times, solver.t, side="right"))
        if reached > done:
            found = solver.dense_output()(times[done:reached]).T
            for k, state in enumerate(found, start=done):
                paths[k], _ = field.on_manifold(state)
            away = np.linalg.norm(found.reshape(-1, *bases.shape) - paths[done:reached], axis=-1)
            drift, done = max(drift, float(away.max())), reached
    return np.moveaxis(paths, 0, 1), drift
