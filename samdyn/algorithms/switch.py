"""Switch: one algorithm after the other, as in SAM late in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samdyn.algorithms.base import Algorithm


@dataclass(frozen=True, eq=False)
class Switch:
    """Change the algorithm at given steps.

    Parameters
    ----------
    phases : sequence of (step, algorithm)
        From which step on each algorithm acts; the first begins at 0, steps increase.
    momentum : {"keep", "reset"}, default "keep"
        Whether a velocity that both algorithms have is carried over a switch. A velocity that
        the earlier algorithm lacks starts at 0.

    Raises
    ------
    ValueError
        If the steps do not begin at 0 or do not increase.

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
    """

    phases: Sequence[tuple[int, Algorithm]]
    momentum: str = "keep"

    def __post_init__(self) -> None:
        phases = tuple(self.phases)
        object.__setattr__(self, "phases", phases)
        for phase in phases:
            match phase:
                case (bool(), _):
                    pass
                case (int(), Algorithm()):
                    continue
            raise TypeError(f"phases must be pairs (step, algorithm), got {phase!r}")
        steps = [step for step, _ in phases]
        if not steps or steps[0] != 0 or sorted(set(steps)) != steps:
            raise ValueError(f"the steps of phases must begin at 0 and increase, got {steps}")
        if self.momentum not in ("keep", "reset"):
            raise ValueError(f"momentum must be 'keep' or 'reset', got {self.momentum!r}")
