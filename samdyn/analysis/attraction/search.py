"""The search for attractors, and the particles' way to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.attraction.aperiodic import Here, aperiodic
from samdyn.analysis.attraction.attractors import ON, Attractor, Unstable, closing
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.linear import NEUTRAL

UNDECIDED, DIVERGED, UNSTABLE = -1, -2, -3

_FIRST = 512
_GROWTH = 4
_SAMPLE = 64
_WANDERING = 16
_AGAIN = 256
_RESTS = 1e-12


class Search:
    """The attractors found so far, and how particles are taken to them.

    Parameters
    ----------
    running : Running
    steps : int
        The most that a particle is given.
    seed : int
        Of the samples.
    """

    def __init__(self, running: Running, steps: int, seed: int = 0):
        self.running, self.steps = running, steps
        self.linear, self.scale = running.linear, running.scale
        self.attractors: list[Attractor] = []
        self.unstable: list[Unstable] = []
        self._sets: dict[int, Here] = {}
        self._random = np.random.default_rng(seed)

    def label(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The label of each state of shape (n, rows), and the steps that it took.

        The steps are those until the state was in the ball of its attractor, or was seen to be on
        an attractor that has none.
        """
        labels = np.full(len(states), UNDECIDED, np.int16)
        taken = np.zeros(len(states), np.int64)
        late = np.zeros(len(states), bool)
        z, open_, stride, spent = states.copy(), np.arange(len(states)), _FIRST, 0
        ahead = True
        while len(open_) and spent < self.steps:
            stride = min(stride, self.steps - spent)
            before = len(self.attractors)
            left = self.steps - spent
            ahead = self._look(z[open_], stride, left if ahead or left == stride else stride)
            which, end, used = self._advance(z[open_], stride)
            late[open_] = (which >= before) & (spent > 0)
            stuck = (which == UNDECIDED) & np.all(end == z[open_], axis=-1)
            z[open_], labels[open_] = end, which
            taken[open_] += used
            labels[open_[stuck]] = UNSTABLE
            self._settle(labels, z, open_[(which == UNDECIDED) | stuck])
            open_, spent = open_[labels[open_] == UNDECIDED], spent + stride
            stride *= _GROWTH
        self._resting(labels, z, open_)
        again = np.flatnonzero(late)  # when they came, before their attractor was known
        if len(again):
            labels[again], _, taken[again] = self._advance(states[again], self.steps)
        return labels, taken

    def _look(self, states: np.ndarray, stride: int, left: int) -> bool:
        """Look for attractors among the ends of a sample: after a stride, and after all steps.

        False if that was in vain.
        """
        known = len(self.attractors)
        some = self._random.permutation(len(states))[:_SAMPLE]
        which, early, _ = self._advance(states[some], stride)
        early = early[which == UNDECIDED]
        self._learn(closing(self.running, early, [*self.attractors, *self.unstable]))
        if left <= stride:
            ends = early
            which = np.full(len(ends), UNDECIDED)
        else:
            which, ends, _ = self._advance(early, left - stride)
        lost = which == UNDECIDED
        found = closing(self.running, ends[lost], [*self.attractors, *self.unstable])
        self._learn(found)
        wandering = np.flatnonzero(lost)[[one is None for one in found]]
        for attractor, here in aperiodic(self.running, ends[wandering][:_WANDERING]):
            # none of the sample may have been on it and left: then it is a transient
            if np.all((lost & here(ends))[here(early)]):
                self._sets[len(self.attractors)] = here
                self.attractors.append(attractor)
        return len(self.attractors) > known or not np.any(lost)

    def _learn(self, found: list[Any]) -> None:
        for one in found:
            if isinstance(one, Unstable) and all(one is not known for known in self.unstable):
                self.unstable.append(one)
            if isinstance(one, Attractor) and all(one is not known for known in self.attractors):
                neutral = one.kind == "neutral set"
                if not (neutral and any(known.kind == one.kind for known in self.attractors)):
                    self.attractors.append(one)

    def _advance(self, states: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels, states and steps taken of particles after at most so many steps."""
        balls = [k for k, one in enumerate(self.attractors) if one.radius > 0]
        places = [(self.attractors[k].points[0], self.attractors[k].radius) for k in balls]
        which, ends, taken = self.running.run(states, steps, places)
        return np.array([*balls, DIVERGED, UNDECIDED])[which], ends, taken

    def _settle(self, labels: np.ndarray, z: np.ndarray, open_: np.ndarray) -> None:
        """Label what has come to an attractor without a ball: a neutral set, an aperiodic one."""
        for k, one in enumerate(self.attractors):
            if one.kind == "neutral set" and len(open_):
                value, jacobian = self.linear.law(z[open_])
                rests = np.linalg.norm(value - z[open_], axis=-1) <= _RESTS * self.scale
                known = np.all(np.isfinite(jacobian), axis=(-2, -1))
                size = np.full(len(open_), np.inf)
                size[known] = np.max(np.abs(np.linalg.eigvals(jacobian[known])), axis=-1)
                labels[open_[rests & (np.abs(size - 1.0) <= NEUTRAL)]] = k
        for k, here in self._sets.items():
            open_ = open_[labels[open_] == UNDECIDED]
            near = open_[here(z[open_])]
            if len(near):  # passing by is not being on it
                which, end, _ = self._advance(z[near], _AGAIN)
                labels[near[(which == UNDECIDED) & here(end)]] = k

    def _resting(self, labels: np.ndarray, z: np.ndarray, open_: np.ndarray) -> None:
        """Label what has been on something unstable, but for rounding, to the last step."""
        for one in self.unstable:
            gaps = np.linalg.norm(z[open_][:, None] - one.points, axis=-1).min(
                axis=1, initial=1e300
            )
            labels[open_[gaps <= ON * self.scale]] = UNSTABLE
