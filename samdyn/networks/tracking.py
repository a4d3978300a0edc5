"""What is measured of a network while it trains, by name or by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import nan
from typing import Any, NamedTuple

from torch import Tensor

from samdyn.networks import curvature
from samdyn.networks.order import subset
from samdyn.networks.problem import Buffers, Problem
from samdyn.numbers import checked_whole

Measure = Callable[[Problem, Tensor], Any]
"""``measure(problem, w)``: a number, or a pair of a number and its error."""


def top_eigenvalue(problem: Problem, w: Tensor) -> tuple[float, float]:
    """The largest eigenvalue of the Hessian, and its residual."""
    found = curvature.eigenpairs(problem, w, strict=False)
    return found.values[0].item(), found.residuals[0].item()


def trace(problem: Problem, w: Tensor) -> tuple[float, float]:
    """The trace of the Hessian, and its standard error."""
    found = curvature.trace(problem, w)
    return found.value, found.standard_error


def frobenius(problem: Problem, w: Tensor) -> tuple[float, float]:
    """The Frobenius norm of the Hessian, and its standard error."""
    found = curvature.frobenius(problem, w)
    return found.value, found.standard_error


def gradient_alignment(problem: Problem, w: Tensor) -> float:
    """The cosine, without sign, of the gradient with the top eigenvector."""
    pair = curvature.eigenpairs(problem, w, strict=False)
    return curvature.gradient_alignment(problem, w, pair)


def grad_norm(problem: Problem, w: Tensor) -> float:
    """The length of the gradient."""
    return problem.grad(w).norm().item()


def weight_norm(problem: Problem, w: Tensor) -> float:
    """The length of the weights."""
    return w.norm().item()


MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (top_eigenvalue, trace, frobenius, gradient_alignment, grad_norm, weight_norm)
}
"""The measures that have a name."""


class Tracking(NamedTuple):
    """Measures on a problem, which may be one of fewer samples than are trained on."""

    measures: dict[str, Measure]
    problem: Problem

    def row(self, w: Tensor, buffers: Buffers) -> dict[str, float]:
        """Each measure's value by its name, and its error by the name with ``_error``.

        NaN where the Hessian is not finite: a network that diverges must not end a sweep.
        """
        self.problem.buffers = buffers
        found: dict[str, float] = {}
        for name, measure in self.measures.items():
            try:
                value = measure(self.problem, w)
            except curvature.NotFinite:
                value = nan
            if isinstance(value, tuple):
                if len(value) != 2:
                    raise TypeError(
                        f"the measure {name!r} of track must give a number or a pair (number, "
                        f"error), got {len(value)} values"
                    )
                value, error = value
                found[f"{name}_error"] = _number(name, error)
            found[name] = _number(name, value)
        return found


def checked_measures(
    track: str | Iterable[str] | Mapping[str, Measure], taken: Iterable[str]
) -> dict[str, Measure]:
    """Measures by name.

    Parameters
    ----------
    track : str, sequence of str, or mapping from name to function
        A mapping's value may be a name of `MEASURES` too.
    taken : iterable of str
        Names that a result has already.

    Raises
    ------
    ValueError
        If a name is unknown or taken.
    TypeError
        If a measure is no function, or they come in no such form.
    """
    if isinstance(track, str):
        track = [track]
    if not isinstance(track, Iterable):
        raise TypeError(
            f"track must be a name, names, or a mapping from names to functions, got {track!r}"
        )
    given: Mapping[str, Any] = track if isinstance(track, Mapping) else {n: n for n in track}
    measures = {}
    for name, measure in given.items():
        if name in taken:
            raise ValueError(f"track must not measure {name!r}: a result has that already")
        if isinstance(measure, str):
            if measure not in MEASURES:
                raise ValueError(
                    f"track must name some of {', '.join(MEASURES)}, or map names to functions of "
                    f"(problem, w), got {measure!r}"
                )
            measure = MEASURES[measure]
        if not callable(measure):
            raise TypeError(f"track[{name!r}] must be a function of (problem, w), got {measure!r}")
        measures[name] = measure
    return measures


def tracking(
    measures: dict[str, Measure], problem: Problem, samples: int | None = None
) -> Tracking:
    """Measures on a problem of their own, perhaps on so many of its samples."""
    n = problem.samples.size
    if samples is not None and not 1 <= checked_whole("track_samples", samples, 1) <= n:
        raise ValueError(f"track_samples must be from 1 to the {n} samples, got {samples}")
    seen = problem.samples if samples is None else subset(problem.samples, samples)
    return Tracking(measures, Problem(problem.model, seen, problem.loss, problem.chunk))


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"the measure {name!r} of track must give a number or a pair (number, error), got "
            f"{type(value).__name__}"
        ) from None
