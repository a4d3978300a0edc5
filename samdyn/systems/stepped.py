"""A flow seen as what is computed of it: the map of one step of its scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samdyn.losses.loss import Loss
from samdyn.systems.base import System


@dataclass(frozen=True, eq=False)
class Stepped(System):
    """Any system as a map: of a flow, the step of its scheme.

    Examples
    --------
    >>> from samdyn import GD, Flow, Loss
    >>> Stepped(Flow(Loss("x**2"), GD(lr=0.1), dt=0.5)).continuous
    False
    """

    system: System

    @property
    def loss(self) -> Loss | None:  # type: ignore[override]
        return self.system.loss

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self.system.coordinates

    @property
    def vectors(self) -> tuple[str, ...]:
        return self.system.vectors

    @property
    def numbers(self) -> dict[str, Any]:
        return self.system.numbers

    @property
    def constants(self) -> dict[str, Any]:
        return self.system.constants

    @property
    def duration(self) -> Any:
        return self.system.duration

    @property
    def title(self) -> str:
        return self.system.title

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return self.system.step(z, numbers)

    def replace(self, **numbers: Any) -> Stepped:
        return Stepped(self.system.replace(**numbers))
