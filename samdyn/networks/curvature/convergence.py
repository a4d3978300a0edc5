"""What is raised when there is no answer, or none as good as it was asked to be."""

from __future__ import annotations

from typing import Any


class NotConverged(RuntimeError):
    """The accuracy asked for was not reached.

    Attributes
    ----------
    best : Eigenpairs, Estimate or Tensor
        What was found so far.
    """

    def __init__(self, message: str, best: Any):
        super().__init__(message)
        self.best = best


class NotFinite(ValueError):
    """The Hessian has an entry that is infinite or no number, as where training diverges."""

    def __init__(self) -> None:
        super().__init__("the Hessian of the loss must be finite at w, but is not")
