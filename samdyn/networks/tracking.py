"""What is measured of a network while it trains, by name or by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, update_wrapper
from math import nan
from typing import Any, NamedTuple

from torch import Tensor

from samdyn.networks import curvature
from samdyn.networks.order import subset
from samdyn.networks.problem import Buffers, Problem
from samdyn.numbers import checked_whole

Measure = Callable[[Problem, Tensor], Any]
"""``measure(problem, w)``: a number, or a pair of a number and its error."""


class Spot:
    """A network at some weights, with what several measures need worked out once."""

    def __init__(self, problem: Problem, w: Tensor):
        self.problem, self.w = problem, w

    @cached_property
    def top(self) -> curvature.Eigenpairs:
        """The largest eigenvalue of the Hessian with its eigenvector, converged or not."""
        return curvature.eigenpairs(self.problem, self.w, strict=False)

    def measured(self, measure: Measure) -> Any:
        """What a measure says here."""
        return measure.of(self) if isinstance(measure, Named) else measure(self.problem, self.w)


class Named:
    """A measure that has a name: a function of a `Spot`, to be called like any other measure."""

    def __init__(self, of: Callable[[Spot], Any]):
        self.of = of
        update_wrapper(self, of)

    def __call__(self, problem: Problem, w: Tensor) -> Any:
        """Measure at some weights."""
        return self.of(Spot(problem, w))


def top_eigenvalue(spot: Spot) -> tuple[float, float]:
    """The largest eigenvalue of the Hessian, and its residual."""
    return spot.top.values[0].item(), spot.top.residuals[0].item()


def trace(spot: Spot) -> tuple[float, float]:
    """The trace of the Hessian, and its standard error."""
    found = curvature.trace(spot.problem, spot.w)
    return found.value, found.standard_error


def frobenius(spot: Spot) -> tuple[float, float]:
    """The Frobenius norm of the Hessian, and its standard error."""
    found = curvature.frobenius(spot.problem, spot.w)
    return found.value, found.standard_error


def gradient_alignment(spot: Spot) -> float:
    """The cosine, without sign, of the gradient with the top eigenvector."""
    return curvature.gradient_alignment(spot.problem, spot.w, spot.top)


def grad_norm(spot: Spot) -> float:
    """The length of the gradient."""
    return spot.problem.grad(spot.w).norm().item()


def weight_norm(spot: Spot) -> float:
    """The length of the weights."""
    return spot.w.norm().item()


MEASURES: dict[str, Measure] = {
    one.__name__: Named(one)
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
        spot = Spot(self.problem, w)
        for name, measure in self.measures.items():
            try:
                value = spot.measured(measure)
            except curvature.NotFinite:
                value = nan
            if isinstance(value, curvature.Estimate):
                value = value.value, value.standard_error
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
    track = track if isinstance(track, Mapping) else list(track)
    if isinstance(track, list) and not all(isinstance(name, str) for name in track):
        raise TypeError(
            "track must be names, or one mapping from names to functions or names, such as "
            f"{{'trace': 'trace', 'mine': mine}}; got {track!r}"
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
