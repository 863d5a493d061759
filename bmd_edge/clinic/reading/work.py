"""received -> screening -> ready: the films of the journal, in the order of their arrival."""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event

from bmd_edge.clinic.config import RESOURCES, Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.films import FilmRow, ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.objects.fhir import written
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.clinic.reading.reader import Before, Reader, Result, ResultJob, open_reader
from bmd_edge.errors import EngineError
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.results import json_line
from bmd_edge.screen.jobs import FilmOutcome
from bmd_edge.screen.workers import Crew
from bmd_edge.system.files import replace_bytes
from bmd_edge.system.patient_key import patient_key

logger = logging.getLogger(__name__)

POLL_S = 0.25
MOST_TRIES = 3
"""A film whose reading began so often, and took the box down each time, is given up."""
_AGAIN_S = 60.0  # until a bundle that does not open is tried again


def opener(config: Config) -> Callable[[], Reader]:
    """What opens the reader that `clinic.toml` asks for, in a process of its own."""
    reading = config.reading
    return partial(
        open_reader,
        Path(reading.bundle) if reading.bundle else None,
        config.box.ae_title,
        config.approval,
        patient_key(config.root / PATIENT_KEY),
        config.kinds,
        device=reading.device,
        precision=reading.precision,
        recalibration=reading.recalibration or None,
        threads=1,
    )


def work(config: Config, journal: Journal, stop: Event, open_it: Callable[[], Reader] | None = None) -> None:
    """Read films until `stop` is set; a bundle that cannot be opened is tried again every minute, and films wait.

    Raises OSError, UsageError where journal or outbox cannot be written.
    """
    folder = config.root / films.OUTBOX
    folder.mkdir(mode=0o700, exist_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink()
    while not stop.is_set():
        try:
            with Crew(open_it or opener(config), 1, seconds=config.reading.timeout_s) as crew:
                _read(config, journal, stop, crew)
        except EngineError as error:
            logger.error("not screening, films wait: %s", error)
            journal.record("not_screening", why=type(error).__name__)
            stop.wait(_AGAIN_S)


def _read(config: Config, journal: Journal, stop: Event, crew: Crew) -> None:
    basis = hashlib.sha256(f"{crew.setup.digest} {config.approval} {config.kinds}".encode()).hexdigest()
    films.read_with(journal, basis, crew.setup.bundle_notice)
    while not stop.is_set():
        film = films.start(journal, basis)
        if film is None:
            stop.wait(POLL_S)
            continue
        outcome = _outcome(crew, _job(config, journal, film))
        if outcome.error:
            films.give_back(journal, film.film_key)
            raise EngineError(outcome.error)
        _keep(config, journal, film, outcome)


def _job(config: Config, journal: Journal, film: FilmRow) -> ResultJob:
    unit = config.units.get(film.unit)
    return ResultJob(
        os.fsencode(films.film_path(config.root, film.film_key)),
        f"{film.film_key}.dcm",
        "worker_lost" if film.tries > MOST_TRIES else None,
        received_at=film.received_at,
        spacing_if_missing_mm=unit.spacing_if_missing_mm if unit else None,
        before=_before(config, journal, film),
    )


def _before(config: Config, journal: Journal, film: FilmRow) -> Before | None:
    """The newest result of the film, whichever of its headers it was made of."""
    found = {kind: row for kind in config.kinds if (row := films.latest_object(journal, film.sop_uid, kind))}
    if not found:
        return None
    one = max(found.values(), key=lambda row: row.version)
    # Of a kind that no archive asked for meanwhile there is none of the newest version.
    newest = {kind: row for kind, row in found.items() if row.version == one.version}
    source = films.film(journal, one.film_key)
    report = json.loads(source.report) if source and source.report else {}
    return Before(
        number=one.version,
        uids={kind: row.uid for kind, row in newest.items()},
        replaced={kind: row.replaces for kind, row in newest.items() if row.replaces},
        bundle_digest=report.get("bundle_digest", ""),
        recalibration=report.get("recalibration"),
        approval=one.approval,
        this_file=one.film_key == film.film_key,
        resources=_resources(config, found[RESOURCES]) if RESOURCES in found else (),
    )


def _resources(config: Config, row: ObjectRow) -> tuple[str, ...]:
    """The FHIR resources that were made of a film before: what is no longer said is to be withdrawn."""
    try:
        said = json.loads((config.root / row.path).read_bytes(), parse_float=Decimal)
    except (OSError, ValueError):
        logger.error("film %s: its earlier resources are gone from the outbox: none is withdrawn", row.film_key[:16])
        return ()
    return tuple(written(one["resource"]) for one in said["entry"])


def _outcome(crew: Crew, job: ResultJob) -> FilmOutcome:
    """The crew tries a film twice; of one that is lost, only the header is looked at, for its study."""
    ((_, outcome),) = crew.examine([job])
    if isinstance(outcome, Result) or outcome.error:
        return outcome
    ((_, lost),) = crew.examine([replace(job, reason="worker_lost")])
    return lost if isinstance(lost, Result) else outcome


def _keep(config: Config, journal: Journal, film: FilmRow, outcome: FilmOutcome) -> None:
    report = outcome.report
    if _contradicts(journal, film, report):
        films.quarantine(journal, film.film_key, "sop_uid_conflict")
        return
    result = outcome if isinstance(outcome, Result) else Result(report=report, unmade=True)
    rows = [_kept(config, journal, film, result, number) for number in range(len(result.made))]
    reason = "no_objects" if result.unmade else report.reason or ""
    films.finish(journal, film.film_key, json_line(report), rows, reason)
    said = f"version {result.version.number}" if rows else "nothing new"
    logger.info("film %s: %s %s, %s", film.film_key[:16], report.status, reason, said)


def _kept(config: Config, journal: Journal, film: FilmRow, result: Result, number: int) -> ObjectRow:
    """Write an object, unless a process that was ended has done so already: then those are its bytes."""
    made = result.made[number]
    path = f"{films.OUTBOX}/{made.sop_instance_uid}.{'json' if made.kind == RESOURCES else 'dcm'}"
    if (config.root / path).exists():
        data = (config.root / path).read_bytes()
    else:
        data = made.data
        replace_bytes(config.root / path, data, mode=0o600)
    return ObjectRow(
        uid=made.sop_instance_uid,
        film_key=film.film_key,
        kind=made.kind,
        version=result.version.number,
        replaces=result.version.replaced.get(made.kind),
        sha256=hashlib.sha256(data).hexdigest(),
        path=path,
        size=len(data),
        made_at=journal.clock(),
        approval=config.approval,
    )


def _contradicts(journal: Journal, film: FilmRow, report: FilmReport) -> bool:
    """Whether another film of this SOP Instance UID has other pixels, whatever they were compressed with.

    Pixels are compared as far as they were decoded, so only between films of one pixel size.
    """
    for other in films.films_of(journal, film.sop_uid):
        told = json.loads(other.report) if other.report and other.film_key != film.film_key else {}
        both = told.get("pixel_digest") and report.pixel_digest
        if both and told["spacing_mm"] == list(report.spacing_mm or ()) and told["pixel_digest"] != report.pixel_digest:
            return True
    return False
