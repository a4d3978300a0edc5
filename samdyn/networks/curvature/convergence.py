"""What is raised when an answer is not as good as it was asked to be."""

from __future__ import annotations

from typing import Any


class NotConverged(RuntimeError):
    """The accuracy asked for was not reached.

    Attributes
    ----------
    best : Eigenpairs or Estimate
        What was found so far.
    """

    def __init__(self, message: str, best: Any):
        super().__init__(message)
        self.best = best
