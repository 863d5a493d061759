"""What passes between a run, its workers and the screener: films to examine, what came of them, where the time goes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bmd_edge.film.film import Film
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport
from bmd_edge.report.thumbnail import Thumbnail


@dataclass(frozen=True, slots=True)
class Loaded:
    """A film as read, or why it was not: `status` and `reason` stand where `film` is None, and `whose` it is."""

    film_id: str | None
    film: Film | None = None
    status: str = "refused"
    reason: str | None = None
    whose: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a screener works with, as far as the owner of a run must know it.

    `digest` names everything a report depends on besides the film. `failed` is the report of a film that could not be
    processed, to be given its file and film_id. `patient_key` is the fingerprint of the key of the pseudonyms,
    `signature` a key of `bmd_edge.report.film_report.SIGNATURES`, `signature_key` the SHA-256 of the key's file.
    """

    digest: str
    spacing_mm: float | None
    bundle_notice: str
    failed: FilmReport
    patient_key: str | None = None
    signature: str = "unsigned"
    signature_key: str | None = None

    @property
    def notice(self) -> str:
        """What has to stand beside every number: research use, and what the bundle's maker states."""
        return f"{RESEARCH_USE} {self.bundle_notice}"


@dataclass(frozen=True, slots=True)
class FilmJob:
    """A film to examine: `file` is its name in the report; with a `reason` there is no file to read at `path`.

    Whoever examines it reads `path`, and follows no link, unless `data`, the bytes of the file, are with it.
    """

    path: bytes
    file: str
    reason: str | None = None
    data: bytes | None = field(default=None, kw_only=True)

    @property
    def source(self) -> Path | bytes:
        """What to read."""
        return Path(os.fsdecode(self.path)) if self.data is None else self.data


@dataclass(frozen=True, slots=True)
class FilmOutcome:
    """What came of a film. `report` is `failed`, reason `unexpected`, with what a network said in `error` where one
    failed: the film is not at fault then, and the next ones will fail too. `picture` is small, for the results' page.
    """

    report: FilmReport
    picture: Thumbnail | None = None
    error: str | None = None


class Examiner(Protocol):
    """Who examines the films of a run: a `Screener`, a `Crew`, or a crew on many machines."""

    @property
    def setup(self) -> Setup:
        """What all films are examined with."""

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Each film once, in any order; whatever is wrong with one is its outcome."""

    def film_ids(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, str | None]]:
        """The film_id of each film, in any order; None where it cannot be read."""


class Stages:
    """Is told when a stage of a film's way begins and ends; this one does nothing, a benchmark's keeps the time.

    The screener's stages are "read", "decode", "finder", "crop", "bmd" and "picture", and none lies inside another.
    """

    def __call__(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """A context that lasts as long as the stage."""
        return _NOTHING


_NOTHING = nullcontext()
