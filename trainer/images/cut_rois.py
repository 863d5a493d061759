"""A film table of whole DICOM films -> a film table of regions, cut as the runtime cuts them.

This is where a clinic's films enter: the finder of the embedded bundle looks for the hip of each row, and the square
around it is stored as the phantom stores its own. The result lies in the user's cache folder; an interrupted run goes
on, and the next training on the same films starts at once.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.errors import REFUSALS, EngineError, TableError, reasons_said
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import safe_cell, visible
from bmd_edge.screen.workers import Crew
from bmd_edge.sites import SITES
from bmd_edge.system.csv_cells import csv_line
from bmd_edge.system.files import replace_file
from bmd_edge.system.patient_key import fingerprint
from bmd_edge.system.places import phantom_cache
from bmd_edge.table.dxa_scales import hologic_gcm2
from bmd_edge.table.film_table import HipRow, read_table, spelled_otherwise, write_table
from bmd_edge.version import __version__
from calibration.pairs.dexa_checks import dexa_findings, refuse_errors
from calibration.pairs.finding import weight
from calibration.pairs.hip_size import SIZE
from calibration.pairs.person_checks import person_findings
from trainer.images.copies import check_copies
from trainer.images.cutter import AGE, MAKER, SEX, SIZE_OF, UNREADABLE, Codes, CutFilm, CutJob, Cutter
from trainer.images.roi_files import ROI_PX, ROI_SPACING_MM
from trainer.images.rows import MIN_LABELS, NO_UNLABELLED, number
from trainer.run.settings import BmdConfig, SemiConfig

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the hips that are done and their number."""

DETECTOR_SPACING = "x_detector_spacing_mm"
"""Optional column: pixel size at the detector, mm, of a film whose header states none or a wrong one."""

HEADER_MAKER = "x_header_maker"
"""Column of a region: the maker as the film's header names him."""

_NAMED = 5  # broken films that an error names; it counts the rest


@dataclass(frozen=True, slots=True)
class CutOutcome:
    """What became of a row: `roi` is the image's path in the cache, None with the code of `REFUSALS` that says why.

    `readable` is False where the film itself cannot be read; `known` holds the facts of `cutter.MAKER` and the others.
    """

    row: HipRow
    roi: str | None
    code: str | None = None
    readable: bool = True
    known: Codes = field(default_factory=dict)


def check_rows(table: Path, config: BmdConfig) -> None:
    """What a training on DICOM films would find too few of, but only after all were cut.

    Raises:
        TableError: too few rows with a BMD in the splits to learn from or to choose by, a row of them without any, or
            no row of the split unlabelled for a semi-supervised training; all of it in one message.
    """
    rows = read_table(table)
    if not _of_images(rows) and (missing := list(_lacking(rows, config))):
        raise TableError(f"{table.name}: {'; '.join(missing)}")


def _lacking(rows: list[HipRow], config: BmdConfig) -> Iterator[str]:
    for splits in (config.train_splits, config.val_splits):
        chosen = [row for row in rows if row.split in splits]
        if unknown := [row.film for row in chosen if all(hologic_gcm2(row)[site] is None for site in SITES)]:
            yield f"no BMD: {_some(unknown)}; a row of the split {' or '.join(splits)} needs one"
        if (labelled := len(chosen) - len(unknown)) < MIN_LABELS:
            yield f"{labelled} labelled hips in the split {' + '.join(splits)}; training needs {MIN_LABELS} at least"
    if isinstance(config, SemiConfig) and not any(row.split == "unlabelled" for row in rows):
        yield NO_UNLABELLED


def roi_table(
    table: Path, progress: Progress = lambda _done, _total: None, listing: Path | None = None
) -> tuple[Path, list[CutOutcome]]:
    """The table to train on, and the hips that are left out of it.

    A table whose rows have `x_image` is one of the phantom's and is returned as it is. Else each row is a hip on a
    DICOM film, whose pixel size may stand in the column `DETECTOR_SPACING`. Hips that are refused are left out, as they
    would be in use, and listed in the CSV file `listing` if that is given.

    Raises:
        TableError: the table is broken or its DEXA cannot be right, films are missing or cannot be read, a pixel size
            is none, two subjects have the same picture, or no hip is left.
    """
    rows = read_table(table)
    findings = [*dexa_findings(rows), *person_findings(rows, date.today())]
    for finding in sorted(refuse_errors(table.name, findings), key=weight):
        level = logging.INFO if finding.severity == "note" else logging.WARNING
        logger.log(level, "%s: %s", table.name, visible(finding.sentence))
    if _of_images(rows):
        check_copies(table.name, [row for row in rows if row.extra["x_image"] != "dicom"])
        return table, []
    if missing := [row.film for row in rows if not row.film_path.is_file()]:
        raise TableError(f"{table.name}: no such film: {_some(missing)}; paths are relative to the table's folder")
    folder, outcomes = cut(rows, table, progress)
    left_out = [one for one in outcomes if not one.roi]
    if left_out and listing:
        write_left_out(listing, left_out)
    if broken := [f"{one.row.film} ({one.code})" for one in outcomes if not one.readable]:
        raise TableError(
            f"{table.name}: films that cannot be read: {_some(broken)}; export them again or take them out"
            + (f" ({listing.name} of the run folder lists them all)" if listing else "")
        )
    made = {(one.row.film, one.row.side): one for one in outcomes if one.roi}
    if not made:
        raise TableError(f"{table.name}: every hip was refused; look at them with `bmd-edge screen`")
    kept = [of_roi(row, one, folder) for row in rows if (one := made.get((row.film, row.side)))]
    check_copies(table.name, kept)
    write_table(folder / "films.csv", kept)
    return folder / "films.csv", left_out


def cut(rows: list[HipRow], place: Path, progress: Progress, key: bytes | None = None) -> tuple[Path, list[CutOutcome]]:
    """Cut the hips of DICOM films as in use; returns the folder in the user's cache that holds the regions, and what
    became of each row. `place`, the table or folder that the rows come from, names that folder. With the `key` of
    patients' pseudonyms outcomes also say whose film each is, and of which date.
    """
    films = [list(hips) for _, hips in groupby(sorted(rows, key=lambda row: row.film), key=lambda row: row.film)]
    spacings_mm = [_detector_spacing_mm(hips) for hips in films]
    bundle = read_bundle()
    folder = phantom_cache().parent / "rois" / _key(place, bundle, key)
    (folder / "roi").mkdir(parents=True, exist_ok=True)
    return folder, _cut(films, spacings_mm, partial(Cutter, bundle.root, folder / "roi", key), folder, progress)


def of_roi(row: HipRow, made: CutOutcome, folder: Path) -> HipRow:
    """The row of a region; what the table leaves open of age, sex, maker and size of the hip is the film's.

    What its header calls the maker stands beside what the table calls him.
    """
    roi, known = made.roi or "", made.known
    maker, age, sex, size = (known.get(name) for name in (MAKER, AGE, SEX, f"{SIZE_OF}{row.side}"))
    facts = {"x_image": "roi", "x_spacing_mm": str(ROI_SPACING_MM)}
    facts |= {HEADER_MAKER: maker} if maker else {}
    return replace(
        row,
        film=roi,
        film_path=folder / roi,
        maker=row.maker or maker,
        age_years=float(age) if row.age_years is None and age else row.age_years,
        sex=row.sex or sex,
        extra={**({SIZE: size} if size else {}), **row.extra, **facts},
    )


def _key(place: Path, bundle: VerifiedBundle, key: bytes | None = None) -> str:
    """Names all that a stored region depends on besides its film: an upgrade of the program cuts anew."""
    facts = [__version__, SIZE, bundle.digest, BMD.fingerprint(), str(ROI_PX), str(ROI_SPACING_MM)]
    facts += [fingerprint(key)] if key else []
    return sha256(b"\n".join([bytes(place.resolve()), *(fact.encode() for fact in facts)])).hexdigest()[:16]


def left_out_said(outcomes: Sequence[CutOutcome], kind: str = "hip") -> str:
    """How many hips, or films, are left out, and why."""
    reasons = Counter(one.code or "unexpected" for one in outcomes)
    verb = "is" if len(outcomes) == 1 else "are"
    return f"{counted(len(outcomes), kind)} {verb} left out: {reasons_said(reasons)}"


def write_left_out(path: Path, outcomes: list[CutOutcome]) -> None:
    """List hips that were left out, each with its code and its remedy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as file:
        file.write(csv_line(["film", "subject", "side", "split", "reason", "remedy"]))
        for one in outcomes:
            row, refusal = one.row, REFUSALS[one.code or "unexpected"]
            # What screening takes as an option stands in the table here, for films of several detectors may be in it.
            column = f"the table's column {DETECTOR_SPACING}{spelled_otherwise(DETECTOR_SPACING, [row])}"
            remedy = refusal.remedy.replace("--spacing-mm", column)
            facts = (row.film, row.subject, row.side, row.split, one.code)
            file.write(csv_line(safe_cell(text) for text in (*facts, f"{refusal.sentence} {remedy}")))


def _detector_spacing_mm(rows: list[HipRow]) -> float | None:
    """What the table says of the pixel size of one film; None if it leaves that to the film's header."""
    texts = {row.extra.get(DETECTOR_SPACING, "") for row in rows}
    if len(texts) > 1:
        raise TableError(f"film {rows[0].film}, column {DETECTOR_SPACING}: its rows differ")
    return None if texts == {""} else number(rows[0], DETECTOR_SPACING)


def _cut(
    films: list[list[HipRow]],
    spacings_mm: list[float | None],
    cutter: Callable[[], Cutter],
    folder: Path,
    progress: Progress,
) -> list[CutOutcome]:
    """The outcomes of all rows, film by film; what the cache holds is not cut again.

    Worker processes with limits of their own read the films, as in a screening. A film that the disk did not give, or
    that took its worker down, is asked for again next time.
    """
    jobs = [
        CutJob(bytes(hips[0].film_path.absolute()), hips[0].film, None, _file_name(hips[0], spacing_mm), spacing_mm)
        for hips, spacing_mm in zip(films, spacings_mm, strict=True)
    ]
    coming = [job for job in jobs if not _place(folder, job).is_file()]
    hips_of = {job.name: len(hips) for job, hips in zip(jobs, films, strict=True)}
    done = sum(hips_of[job.name] for job in jobs) - sum(hips_of[job.name] for job in coming)
    failed: dict[str, str] = {}
    if coming:
        with Crew(cutter) as crew:
            for job, outcome in crew.examine(coming):
                assert isinstance(job, CutJob)
                if outcome.error:
                    raise EngineError(f"a network failed: {outcome.error}")
                if isinstance(outcome, CutFilm):
                    with replace_file(_place(folder, job)) as file:
                        json.dump(outcome.codes, file)
                else:
                    failed[job.name] = outcome.report.reason or "unexpected"
                done += hips_of[job.name]
                progress(done, sum(hips_of.values()))
    return [
        one
        for job, hips in zip(jobs, films, strict=True)
        for one in (
            [CutOutcome(row, None, failed[job.name], readable=False) for row in hips]
            if job.name in failed
            else _outcomes(job, hips, json.loads(_place(folder, job).read_text()))
        )
    ]


def _outcomes(job: CutJob, rows: list[HipRow], codes: Codes) -> Iterator[CutOutcome]:
    for row in rows:
        if UNREADABLE in codes:
            yield CutOutcome(row, None, codes[UNREADABLE], readable=False)
        elif (code := codes.get(row.side, "not_a_hip")) is None:
            yield CutOutcome(row, f"roi/{job.name}-{row.side}.png", known=codes)
        else:
            yield CutOutcome(row, None, code)


def _file_name(row: HipRow, spacing_mm: float | None) -> str:
    """What the files of a film are called in the cache; another size, time or pixel size is another film."""
    facts = row.film_path.stat()
    return sha256(f"{row.film}/{facts.st_size}/{facts.st_mtime_ns}/{spacing_mm}".encode()).hexdigest()[:16]


def _place(folder: Path, job: CutJob) -> Path:
    return folder / "roi" / f"{job.name}.json"


def _of_images(rows: list[HipRow]) -> bool:
    """Whether these are rows of the phantom's images, not of DICOM films."""
    return all("x_image" in row.extra for row in rows)


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
