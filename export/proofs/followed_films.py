"""Films of phantom subjects over years: what `export.proofs.follow` looks at.

A subject is filmed once a year, each time in another pose and with another exposure; its mineral falls by a planted
rate. One unit states what it knows of the pixel size in one way, here the commonest and least: the detector's pixels
and no magnification. Films are kept in the user's cache folder, so that an interrupted proof goes on, and the next
bundle is looked at in a tenth of the time. All films are synthetic.
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import pydicom

from bmd_edge.report.film_report import FilmReport
from bmd_edge.system.places import phantom_cache
from trainer.phantom.film.maker_styles import TRAINING_MAKERS
from trainer.phantom.film.scene import VERSION, FilmSpec
from trainer.phantom.judge import score

RATES = (0.0, 0.005, 0.01, 0.015, 0.03, 0.10)
"""Loss of areal BMD a year, as a share of what is left."""
MOST_VISITS, PELVES = 6, 4
_FIRST_SEED = 8_000_000_000  # apart from those of scores, shifted films, class head and steady verdicts
_FILMS_OF_A_SUBJECT, _SUBJECTS_OF_A_GROUP, _FIRST_YEAR = 40, 100_000, 2015
_PIXEL_MM = 0.6  # 0.5 at the hip: what the networks see of finer pixels they average
AREAL_OF_LOSS = 0.9
"""Areal BMD that goes with a share of `FilmSpec.loss`: what a thinner cortex leaves free is trabecular bone."""
GROUPS = ("followed", "repeated", "other_unit", "both_hips")


@dataclass(frozen=True, slots=True)
class PlannedFilm:
    """One film: of which group and subject, its year (from 0), the subject's planted rate, the unit's letter."""

    group: str
    subject: int
    year: int
    rate: float
    unit: str
    spec: FilmSpec


@dataclass(frozen=True, slots=True)
class SeenFilm:
    """A film that was read: what the report says, and the true areal BMD of each hip by side and site, g/cm2."""

    planned: PlannedFilm
    report: FilmReport
    true_gcm2: dict[str, dict[str, float]]


def plan(subjects: int, repeated: int, other_unit: int, both_hips: int) -> list[PlannedFilm]:
    """The films of each group.

    followed: two to six a subject that loses nothing; and of three fifths of the subjects five more, of the years after
    the first of those films, at one of the losses. The first so many films at a rate are a series of so many visits.
    repeated: two a subject, no change between them: a clinic's precision. other_unit: two more by another maker of
    followed subjects, no change. both_hips: four pelves a subject, no change.
    """
    films = []
    for number in range(subjects):
        films += [_film("followed", number, year) for year in range(2 + number % (MOST_VISITS - 1))]
        if number // 5 % 5 < 3:
            rate = RATES[1 + number % (len(RATES) - 1)]
            films += [_film("followed", number, year, rate) for year in range(1, MOST_VISITS)]
    films += [_film("repeated", number, year) for number in range(repeated) for year in (0, 1)]
    films += [_film("other_unit", number, year) for number in range(other_unit) for year in (2, 3)]
    films += [_film("both_hips", number, year) for number in range(both_hips) for year in range(PELVES)]
    return films


def _film(group: str, subject: int, year: int, rate: float = 0.0) -> PlannedFilm:
    person = _person("followed" if group == "other_unit" else group, subject)
    seed = _person(group, subject) + RATES.index(rate) * (MOST_VISITS - 1) + year
    letter = TRAINING_MAKERS[(subject + (group == "other_unit")) % len(TRAINING_MAKERS)]
    kind = "pelvis" if group == "both_hips" else "hip"
    loss = (1 - (1 - rate) ** year) / AREAL_OF_LOSS
    spec = FilmSpec(seed, kind, "RL"[subject % 2], style=letter, pixel_mm=_PIXEL_MM, subject_seed=person, loss=loss)
    return PlannedFilm(group, subject, year, rate, letter, spec)


def _person(group: str, subject: int) -> int:
    """The seed of a person, and of their first film."""
    return _FIRST_SEED + (GROUPS.index(group) * _SUBJECTS_OF_A_GROUP + subject) * _FILMS_OF_A_SUBJECT


def read(
    bundle: Path | None,
    films: Sequence[PlannedFilm],
    precision: str,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[SeenFilm]:
    """Read films with a bundle (None: the embedded one), making those that are missing; `progress` after each."""
    folder = phantom_cache() / f"follow-v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    found: list[SeenFilm] = []
    subjects = [list(some) for _, some in groupby(films, lambda one: (one.group, one.subject))]
    with ProcessPoolExecutor(workers, get_context("spawn"), _open, (bundle, precision)) as pool:
        for future in [pool.submit(_read, some, folder) for some in subjects]:
            found += future.result()
            progress(len(found), len(films))
    return found


def _open(bundle: Path | None, precision: str) -> None:
    score.open_screener(bundle, precision)
    score.opened().patient_key = b"phantom"


def _read(planned: Sequence[PlannedFilm], folder: Path) -> list[SeenFilm]:
    """The films of one subject, whose bones are drawn once."""
    found = []
    for one in planned:
        kept = score.kept_film(one.spec, folder)
        report = score.opened().read(dated(one, kept.dicom))
        found.append(SeenFilm(one, report, {hip.side: hip.true_bmd_gcm2 or {} for hip in kept.hips}))
    return found


def dated(planned: PlannedFilm, dicom: bytes) -> pydicom.FileDataset:
    """The film with the header of its visit: patient, date, unit, and one way to state the pixel size."""
    data = pydicom.dcmread(io.BytesIO(dicom))
    data.PatientID = str(planned.spec.subject_seed)
    taken = date(_FIRST_YEAR + planned.year, 7, 1).strftime("%Y%m%d")
    data.StudyDate = data.SeriesDate = data.ContentDate = taken
    data.Manufacturer, data.ManufacturerModelName = f"Synthetic-{planned.unit}", f"Phantom {planned.unit}1"
    spacing = data.get("ImagerPixelSpacing") or data.PixelSpacing
    for name in (
        "PixelSpacing",
        "DistanceSourceToDetector",
        "DistanceSourceToPatient",
        "EstimatedRadiographicMagnificationFactor",
    ):
        if name in data:
            delattr(data, name)
    data.ImagerPixelSpacing = spacing
    return data
