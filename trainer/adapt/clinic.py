"""A clinic's folder of films -> regions without a label, and whether they are films that can be adapted to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bmd_edge.errors import TableError, reasons_said
from bmd_edge.report.in_words import counted
from bmd_edge.screen.folder_plan import plan
from bmd_edge.system.patient_key import patient_key
from bmd_edge.table.film_table import HipRow
from trainer.images.cut_rois import HEADER_MAKER, CutOutcome, Progress, cut, of_roi, write_left_out
from trainer.images.cutter import PATIENT, TAKEN

MIN_FILMS = 50
"""Films with a hip that can be read. The statistics of a layer come from thousands of places on each film, but an
embedding has one number a film, and of fewer than this nobody has measured what an adaptation does to it."""
MOST_REFUSED = 0.5
"""Share of refused films from which on the folder is taken for one of something else."""
SECOND_KIND = 0.1
"""Share of films of other makers from which on the folder is mixed; a few strays change no statistics."""


def regions(films: Path, listing: Path, progress: Progress) -> tuple[list[HipRow], list[CutOutcome]]:
    """The regions of all hips that the embedded finder takes, as rows without a label, and what became of every row.

    No name of a file or a patient goes into a row: a person is "clinic-k" by the first of its films, `x_film` is that
    film's number, and `x_view` is the same for films of one hip of one day, where headers tell person and date. Films
    without a hip that can be read are listed in the CSV file `listing` under their own names.

    Raises:
        TableError: too few films, films of something else, or of several makers; see the constants of this file.
    """
    if not films.is_dir():
        raise TableError(f"{films.name}: no such folder; give the folder of the films without DEXA")
    rows = []
    for number, file in enumerate(one for one in plan(films, {}) if one.action == "read"):
        for side in "RL":
            path = films / file.file
            rows.append(
                HipRow(film=file.file, film_path=path, subject=f"clinic-{number}", side=side, split="unlabelled")
            )
    if len({row.film for row in rows}) < MIN_FILMS:
        raise TableError(f"{films.name}: {_too_few(len({row.film for row in rows}))}")
    folder, outcomes = cut(rows, films, progress, patient_key())
    refused = refused_films(outcomes)
    if refused:
        write_left_out(listing, refused)
    kept = [of_roi(one.row, one, folder) for one in outcomes if one.roi]
    check(films.name, len({row.film for row in rows}), refused, kept)
    return _without_names(kept, [one for one in outcomes if one.roi]), outcomes


def refused_films(outcomes: Sequence[CutOutcome]) -> list[CutOutcome]:
    """One outcome of each film without a hip that can be read: that with the reason that says most."""
    by_film: dict[str, list[CutOutcome]] = {}
    for one in outcomes:
        by_film.setdefault(one.row.film, []).append(one)
    return [
        next((one for one in hips if one.code != "not_a_hip"), hips[0])
        for hips in by_film.values()
        if not any(one.roi for one in hips)
    ]


def check(name: str, films: int, refused: Sequence[CutOutcome], kept: Sequence[HipRow]) -> None:
    """TableError if a clinic's films cannot be adapted to.

    Args:
        name: of their folder.
        films: how many there are.
        refused: an outcome of each refused one.
        kept: the hips of the others, each film its own subject.
    """
    reasons = reasons_said(Counter(one.code or "unexpected" for one in refused)) if refused else ""
    if len(refused) > MOST_REFUSED * films:
        raise TableError(
            f"{name}: {len(refused)} of {films} films are refused ({reasons}): these are no AP films of the hip, or"
            " nothing like them; look at some with `bmd-edge screen`"
        )
    if films - len(refused) < MIN_FILMS:
        raise TableError(f"{name}: {_too_few(films - len(refused))}" + (f"; refused: {reasons}" if reasons else ""))
    makers = Counter(_maker(row).casefold() for row in {r.subject: r for r in kept}.values())
    _, *others = makers.most_common()
    if sum(count for _, count in others) >= SECOND_KIND * makers.total():
        counted = ", ".join(f"{count} of {maker}" for maker, count in makers.most_common(4))
        raise TableError(
            f"{name}: films of several makers ({counted}): a network is adapted to one kind of film; put those of each"
            " maker into a folder of their own"
        )


def maker_spellings(rows: Sequence[HipRow]) -> list[str]:
    """How headers spell the maker of a clinic's films, strays of others left out; empty where they state none."""
    commonest, _ = Counter(_maker(row).casefold() for row in rows).most_common(1)[0]
    stated = (_maker(row) for row in rows if row.extra.get(HEADER_MAKER))
    return sorted({name for name in stated if name.casefold() == commonest})


def _maker(row: HipRow) -> str:
    return row.extra.get(HEADER_MAKER) or "not stated"


def _too_few(films: int) -> str:
    needed = f"an adaptation takes {MIN_FILMS} with a hip that can be read"
    return f"{counted(films, 'film')}; {needed}: with fewer use the bundle as it is"


def _without_names(kept: Sequence[HipRow], made: Sequence[CutOutcome]) -> list[HipRow]:
    """The rows, with numbers in place of persons, films and days."""
    persons: dict[str, int] = {}
    days: dict[tuple[str, str], int] = {}
    rows = []
    for row, one in zip(kept, made, strict=True):
        film = int(row.subject.removeprefix("clinic-"))
        patient, taken = one.known.get(PATIENT), one.known.get(TAKEN)
        kept_facts = (name for name in ("x_image", "x_spacing_mm", HEADER_MAKER) if name in row.extra)
        extra = {name: row.extra[name] for name in kept_facts} | {"x_film": str(film)}
        if patient and taken:
            extra["x_view"] = f"{days.setdefault((patient, taken), film)}-{row.side}"
        person = persons.setdefault(patient, film) if patient else film
        rows.append(replace(row, subject=f"clinic-{person}", extra=extra))
    return rows
