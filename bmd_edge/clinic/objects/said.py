"""What is said about a film beside its report: by whom, when, under which approval, and what it replaces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Box:
    """The machine that answers: its name (the AE title) and UID; `approval` is the study's or ethics number.

    `notice` is what the bundle says of itself.
    """

    name: str
    uid: str
    approval: str | None
    notice: str


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a film's result it is. `replaced`: the UIDs of the one before, by kind; `why` it is replaced.

    The first has the number 1, no `replaced` and no `why`. `resources`: the FHIR resources of the one before, each as
    JSON.
    """

    number: int = 1
    replaced: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    resources: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """`version 2, replaces 1: header corrected`; empty for the first."""
        return f"Version {self.number}, replaces {self.number - 1}: {self.why}" if self.number > 1 else ""


@dataclass(frozen=True, slots=True)
class Occasion:
    """When the film was received, in local time, by which box, and as which version of its result."""

    received: datetime
    box: Box
    version: Version = Version()
