"""A system made of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from samdyn.losses.loss import Loss
from samdyn.systems.base import System
from samdyn.systems.sampling import Sampling


@dataclass(frozen=True, eq=False)
class Around(System):
    """A system that is the one inside it but for what a subclass says.

    Attributes
    ----------
    system : System
        The one inside. Whether the whole is continuous is not asked of it.
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
    def noise(self) -> tuple[str, ...]:
        return self.system.noise

    @property
    def minibatches(self) -> Sampling | None:
        return self.system.minibatches

    @property
    def duration(self) -> Any:
        return self.system.duration

    @property
    def title(self) -> str:
        return self.system.title

    @property
    def about(self) -> dict[str, str]:
        return self.system.about

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return self.system.step(z, numbers)

    def replace(self, **numbers: Any) -> Self:
        """The same around the system with other values of some numbers."""
        return replace(self, system=self.system.replace(**numbers))
