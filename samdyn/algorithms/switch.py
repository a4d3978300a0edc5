"""Switch: one algorithm after the other, as in SAM late in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.algorithms.base import Algorithm
from samdyn.numbers import Number, checked_number


class Condition:
    """What a switch may wait for: an event such as `samdyn.Converged`."""


When = int | str | Condition | Number
"""What begins a phase: a step or an array of them, a condition as text, or an event."""


@dataclass(frozen=True, eq=False)
class Switch:
    """Change the algorithm at given steps, or when something has happened.

    Parameters
    ----------
    phases : sequence of (when, algorithm)
        What begins each phase. A step: it begins then for every particle, whatever came before.
        An event such as ``Converged(tol=1e-6)``, or a condition as text such as
        ``"loss < 1e-3"``: it begins for each particle by itself, at the first step of the phase
        before at which that holds. The first phase begins at step 0; steps increase. In the
        training of networks an array of steps or epochs is a sweep like that of any number: it
        becomes a dimension called ``switch``, or keeps the dimensions of an
        ``xarray.DataArray``.
    momentum : {"keep", "reset"}, default "keep"
        Whether a velocity that both algorithms have is carried over a switch. A velocity that
        the earlier algorithm lacks starts at 0.
    unit : {"step", "epoch"}, default "step"
        What the numbers in ``phases`` count. Epochs are of a network's training; a `samdyn.Map`
        has none and refuses them.

    Raises
    ------
    TypeError
        If a phase is no such pair.
    ValueError
        If the first phase does not begin at step 0, or steps do not increase, or ``momentum`` or
        ``unit`` is none of those words.

    Notes
    -----
    A run's result says in ``switched`` at which step each later phase began, -1 where it never
    did, and in ``switch_point`` where. Phases that an event begins are computed side by side and
    the one that acts is chosen, so that a step costs as much as all of them.

    References
    ----------
    Zhou et al., "Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late in
    Training", ICLR 2025 (arXiv 2410.10373).

    Examples
    --------
    >>> from samdyn import GD, SAM
    >>> late = Switch([(0, GD(lr=0.05)), (5_000, SAM(lr=0.05, rho=0.1))])
    >>> [step for step, _ in late.phases]
    [0, 5000]

    SAM from where gradient descent has come to rest:

    >>> from samdyn import Converged
    >>> settled = Switch([(0, GD(lr=0.05)), (Converged(tol=1e-6), SAM(lr=0.05, rho=0.1))])

    SAM in the last half, tenth and hundredth of a hundred epochs, and not at all:

    >>> shares = Switch([(0, GD(lr=0.1)), ([50, 90, 99, 100], SAM(lr=0.1, rho=0.2))], unit="epoch")
    """

    phases: Sequence[tuple[When, Algorithm]]
    momentum: str = "keep"
    unit: str = "step"

    def __post_init__(self) -> None:
        phases = tuple(_checked_phase(phase) for phase in self.phases)
        object.__setattr__(self, "phases", phases)
        starts = [when for when, _ in phases]
        steps = [when for when in starts if isinstance(when, int)]
        if not starts or starts[0] != 0 or sorted(set(steps)) != steps:
            raise ValueError(f"the steps of phases must begin at 0 and increase, got {starts}")
        if self.momentum not in ("keep", "reset"):
            raise ValueError(f"momentum must be 'keep' or 'reset', got {self.momentum!r}")
        if self.unit not in ("step", "epoch"):
            raise ValueError(f"unit must be 'step' or 'epoch', got {self.unit!r}")


def swept(when: Any) -> bool:
    """Whether what begins a phase is an array of steps.

    Examples
    --------
    >>> swept([50, 90]), swept(50), swept("loss < 1e-3")
    (True, False, False)
    """
    return np.ndim(when) > 0


def _checked_phase(phase: object) -> tuple[When, Algorithm]:
    match phase:
        case (bool(), _):
            pass
        case (int() | np.integer() as step, Algorithm() as algorithm):
            return int(step), algorithm
        case (array, Algorithm() as algorithm) if swept(array):
            steps = checked_number("the steps of a phase", array, minimum=0)
            if np.any(np.asarray(steps) % 1):
                raise ValueError(
                    f"the steps or epochs of a phase must be whole numbers, got {array}; for parts "
                    "of an epoch count steps"
                )
            return steps, algorithm
        case (str() | Condition() as when, Algorithm() as algorithm):
            return when, algorithm
    raise TypeError(
        "phases must be pairs (when, algorithm), when being a whole step or epoch, an array of "
        f"them, a condition such as 'loss < 1e-3' or an event, got {phase!r}"
    )
