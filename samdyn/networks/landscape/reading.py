"""Loss and error rate at many points of weight space."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from samdyn.networks.landscape.statistics import reestimated, running
from samdyn.networks.problem import Problem
from samdyn.networks.scoring import score


def read(
    problem: Problem,
    points: Iterable[Tensor],
    test: Problem | None,
    reestimate: bool,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Losses and error rates at points, by name, each of shape (number of points,).

    Without classes there are no error rates.
    """
    if test is not None and not isinstance(test, Problem):
        raise TypeError(
            f"test must be a Problem, as problem.on(samples) is, got {type(test).__name__}"
        )
    if test is not None and test.dimension != problem.dimension:
        raise ValueError(
            f"test must be of the same network, with {problem.dimension} weights; it has "
            f"{test.dimension}"
        )
    anew = reestimate and bool(running(problem.model))
    columns: dict[str, list[float]] = {}
    for w in points:
        buffers = reestimated(problem, w, batch_size=batch_size) if anew else None
        for name, one in (("train", problem), ("test", test)):
            if one is not None:
                loss, error = score(one, w, buffers)
                columns.setdefault(f"{name}_loss", []).append(loss)
                if error is not None:
                    columns.setdefault(f"{name}_error", []).append(error)
    return {name: np.array(values) for name, values in columns.items()}
