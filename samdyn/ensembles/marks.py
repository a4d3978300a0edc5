"""What a switch leaves behind in the state: which phase is under way, since when, from where."""

from __future__ import annotations

from typing import Any, NamedTuple

from samdyn.words import where

PHASE, CLOCK = "phase under way", "clock"


class Marks(NamedTuple):
    """The scalars of the state that remember a switch. No name of the user's has a space.

    Attributes
    ----------
    coordinates : tuple of str
    vectors : tuple of str
        The scalars of the state besides them.
    phases : int
        How many phases there are: 1 needs no marks.
    resets : bool
        Whether vectors go back to 0 where a phase begins.
    """

    coordinates: tuple[str, ...]
    vectors: tuple[str, ...] = ()
    phases: int = 1
    resets: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """Their names."""
        if self.phases == 1:
            return ()
        later = [name for k in range(1, self.phases) for name in (entered(k), *self.point(k))]
        return (PHASE, CLOCK, *self.origin, *later)

    @property
    def origin(self) -> tuple[str, ...]:
        """Where the phase under way began."""
        return tuple(f"origin {x}" for x in self.coordinates)

    def point(self, k: int) -> tuple[str, ...]:
        """Where phase ``k`` began."""
        return tuple(f"point {k} {x}" for x in self.coordinates)

    def opened(self, k: int, step: int) -> tuple[dict[str, float], dict[str, str]]:
        """What rows are set to where phase ``k`` begins for everybody, and copied from."""
        if self.phases == 1:
            return {}, {}
        sets = {PHASE: float(k), CLOCK: float(step)}
        if k:
            sets[entered(k)] = float(step)
            sets |= dict.fromkeys(self.vectors, 0.0) if self.resets else {}
        else:
            sets |= {entered(later): -1.0 for later in range(1, self.phases)}
        copied = [self.origin, self.point(k)] if k else [self.origin]
        copies = {
            name: x for names in copied for name, x in zip(names, self.coordinates, strict=True)
        }
        return sets, copies

    def enter(self, z: dict[str, Any], k: int, now: Any) -> None:
        """Mark in words that phase ``k`` begins where ``now`` holds."""
        z[PHASE] = where(now, float(k), z[PHASE])
        z[entered(k)] = where(now, z[CLOCK], z[entered(k)])
        z |= {name: where(now, 0.0, z[name]) for name in self.vectors if self.resets}
        for names in (self.origin, self.point(k)):
            for name, x in zip(names, self.coordinates, strict=True):
                z[name] = where(now, z[x], z[name])


def entered(k: int) -> str:
    """The row that holds the step at which phase ``k`` began, or -1."""
    return f"entered {k}"
