"""The process that reads films for the box: a screener that makes the objects of its report too.

Both are done where a hostile film can do no harm: header and pixels are touched nowhere else.
"""

import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.config import KINDS
from bmd_edge.clinic.objects.make import Made, instance_uid, objects
from bmd_edge.clinic.objects.names import answer_key, uid
from bmd_edge.clinic.objects.picture import FILM_PX, FilmPicture
from bmd_edge.clinic.objects.said import Box, Occasion, Version
from bmd_edge.clinic.objects.study import study_of
from bmd_edge.film.film import Film
from bmd_edge.film.read import read_bytes
from bmd_edge.film.scale import GivenSpacing
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.thumbnail import shrunk
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.screen.screener import Screener

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The newest result of a film: number and UIDs by kind, those that it replaced, and what made it.

    `this_file` says whether it was made of the very file that is read now. `resources`: its FHIR resources, each as
    JSON.
    """

    number: int
    uids: Mapping[str, str]
    replaced: Mapping[str, str]
    bundle_digest: str
    recalibration: str | None
    approval: str
    this_file: bool
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultJob(FilmJob):
    """A film to read; `spacing_if_missing_mm` is its X-ray unit's, `received_at` in seconds since 1970."""

    received_at: float
    spacing_if_missing_mm: float | None = None
    before: Before | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(FilmOutcome):
    """A report and its objects; there are none where the newest ones say the same, or (`unmade`) none can be made."""

    made: tuple[Made, ...] = ()
    version: Version = field(default_factory=Version)
    unmade: bool = False


class Reader(Screener):
    """A screener whose outcomes of `ResultJob`s are `Result`s; `name`, `approval` and `kinds` of objects are the box's,
    set when opened.
    """

    name = ""
    approval = ""
    kinds: tuple[str, ...] = KINDS

    def _outcome(self, task: FilmJob) -> FilmOutcome:
        assert isinstance(task, ResultJob)
        self.spacing = GivenSpacing(task.spacing_if_missing_mm) if task.spacing_if_missing_mm else None
        loaded = self._loaded(task)
        said = self._said(task, loaded)
        if said.error:
            return said
        try:
            return self._with_objects(task, said.report, loaded.film)
        except Exception as error:  # noqa: BLE001 - whatever is odd about a header, the box goes on
            # Not its text: it can quote the header.
            logger.error("film %s: its objects cannot be made: %s", said.report.film_id, type(error).__name__)
            return Result(report=said.report, unmade=True)

    def _with_objects(self, task: ResultJob, report: FilmReport, film: Film | None) -> Result:
        study = study_of(read_bytes(os.fsdecode(task.path), links=False))
        answer, before = answer_key(report, study.sop_instance_uid, self.approval), task.before
        kinds, version = self.kinds, self._version(report, before)
        if before and all(instance_uid(answer, kind, before.replaced) == was for kind, was in before.uids.items()):
            kinds = tuple(kind for kind in kinds if kind not in before.uids)  # an archive has come to ask for them
            version = Version(before.number, before.replaced, "read again", before.resources)
        if not kinds:
            return Result(report=report)
        occasion = Occasion(datetime.fromtimestamp(task.received_at), self._box(), version)
        picture = FilmPicture(shrunk(film, *FILM_PX), *film.shape) if film else None
        return Result(report=report, made=objects(report, answer, study, occasion, picture, kinds), version=version)

    def _version(self, report: FilmReport, before: Before | None) -> Version:
        if before is None:
            return Version()
        reasons = {
            "new bundle": report.bundle_digest != before.bundle_digest,
            "recalibrated": report.recalibration != before.recalibration,
            "another approval": self.approval != before.approval,
            "header corrected": not before.this_file,
        }
        why = next((words for words, stands in reasons.items() if stands), "read again")
        return Version(before.number + 1, before.uids, why, before.resources)

    def _box(self) -> Box:
        return Box(self.name, uid("box", self.name, platform.node()), self.approval, self.setup.bundle_notice)


def open_reader(
    bundle: Path | None,
    name: str,
    approval: str,
    patient_key: bytes | None,
    kinds: tuple[str, ...] = KINDS,
    **settings: object,
) -> Reader:
    """Open a reader on the bundle in folder `bundle`, None for the embedded one; `settings` as for `Screener`."""
    reader = Reader(read_bundle(bundle), **settings)  # type: ignore[arg-type]
    reader.name, reader.approval, reader.patient_key, reader.kinds = name, approval, patient_key, kinds
    return reader
