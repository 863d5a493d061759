"""The pages for people: each film small with its landmarks and region of interest, numbers, refusals with remedy.

Every page stands alone: pictures and styles are inside and nothing is loaded from anywhere. The overview holds one
script, which searches and sorts the worklist; its policy names the script's hash, so that nothing else can run.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2

from bmd_edge.errors import REFUSALS, remedy
from bmd_edge.film.film import FACTS
from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.estimate import Estimate, who_range
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS, WHO_CUTS, WHO_RANGES, bmd_at
from bmd_edge.report.film_report import (
    COPIES_TO_DO,
    FILM_NOW,
    FILM_NOW_TO_DO,
    RESEARCH_USE,
    FilmReport,
    HipReport,
    RunSummary,
    caution,
    flags_of,
)
from bmd_edge.report.safe_text import visible
from bmd_edge.report.schema import SPACING_SOURCES
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.report.worklist import Row, Worklist, copied, no_headline, signed
from bmd_edge.system.files import replace_file

FILMS_PER_PAGE = 100
_Entry = tuple[FilmReport, Thumbnail | None]
SEX_NAMES = {"F": "female", "M": "male", None: "sex unknown"}
SITE_NAMES = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
SIDE_NAMES = {"R": "Right hip", "L": "Left hip", None: "Side unknown"}
_FACT_NAMES = {
    "kvp": "kVp",
    "sop_instance_uid": "SOP instance UID",
    "study_instance_uid": "study instance UID",
    "series_instance_uid": "series instance UID",
    "warnings": "mistakes in the header:",
}
_SCRIPT = files("bmd_edge.report").joinpath("templates", "worklist.js").read_text(encoding="utf-8")
_SCALE_GCM2 = (0.3, 1.2)  # the axis of the interval drawings; what lies beyond is drawn at its end


def write_pages(
    folder: Path, entries: Iterable[_Entry], summary: RunSummary, again: int = 0, language: Language = ENGLISH
) -> None:
    """Write `index.html` and, beyond 100 films, one page per 100 films into `folder`; pages of an older run go.

    The overview begins with the worklist; up to 100 films have their cards there too. `again` is the number of hips
    with films of several visits: where there are any, the overview leads to their page, `series.html`.
    """
    folder.mkdir(exist_ok=True)
    total = summary.files
    names = [f"page-{n + 1:04d}.html" for n in range(-(-total // FILMS_PER_PAGE))] if total > FILMS_PER_PAGE else []
    common = {"research_use": RESEARCH_USE, "summary": summary, "pages": names, "reference": REFERENCE_NAME}
    common |= {"t": language}
    listing: list[dict[str, Any]] = []
    films: list[dict[str, Any]] = []
    worklist = Worklist(language)
    for number, batch in enumerate(_batches(entries)):
        page = names[number] if names else ""
        first = FILMS_PER_PAGE * number
        films = [{"anchor": f"film-{first + n}", **_film(*entry, language)} for n, entry in enumerate(batch, 1)]
        for film, (report, _) in zip(films, batch, strict=True):
            worklist.add(report, f"{page}#{film['anchor']}")
        if page:
            _write(folder / page, "page.html.j2", films=films, number=number, **common)
            listing.append({"name": page, "first": films[0]["file"], "last": films[-1]["file"], "n": len(films)})
    values = {
        "sections": worklist.sections(),
        "unread": _by_reason(worklist.unread, "refused", language),
        "left_out": _by_reason(worklist.left_out, "left_out", language),
        "listing": listing,
        "films": [] if names else films,
        "shown_before": summary.repeated,
        "again": again,
        "script": _SCRIPT,
        "script_digest": base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode(),
    }
    _write(folder / "index.html", "index.html.j2", **values, **common)
    for old in set(folder.glob("page-*.html")) - {folder / name for name in names}:
        old.unlink()


def report_is_in(language: Language, folder: Path) -> bool:
    """Whether the overview in `folder` is said to be in this language."""
    with (folder / "index.html").open("rb") as file:
        return f'<html lang="{language.code}">'.encode() in file.read(100)


def _by_reason(rows: dict[str, list[Row]], status: str, language: Language) -> list[dict[str, Any]]:
    """The reasons of files, the one of most files first."""
    most_first = sorted(rows.items(), key=lambda one: (-len(one[1]), one[0]))
    return [{**_refusal(code, status, language), "rows": some} for code, some in most_first]


def _write(path: Path, template: str, **values: Any) -> None:
    with replace_file(path) as file:
        file.writelines(templates().get_template(template).generate(**values))


@cache
def templates(*folders: Path) -> jinja2.Environment:
    """The templates of `folders` and of this package, compiled once; every page of the project is made of them."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folders), jinja2.PackageLoader("bmd_edge.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["t"] = ENGLISH  # of pages that are made in no other language
    return environment


def _batches(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    coming = iter(entries)
    while batch := list(islice(coming, FILMS_PER_PAGE)):
        yield batch


def _refusal(code: str, status: str, language: Language) -> dict[str, str]:
    return {"code": code, "sentence": language(REFUSALS[code].sentence), "remedy": language(remedy(code, status))}


# -- what the templates show --------------------------------------------------------------------------------------


def _film(report: FilmReport, picture: Thumbnail | None, language: Language) -> dict[str, Any]:
    now = FILM_NOW[report.film_now], FILM_NOW_TO_DO.get(report.film_now)
    return {
        "file": visible(report.file or language("(no file)")),
        "identity": [visible(one) for one in _identity(report, language)],
        "status": report.status,
        "complete": report.complete,
        "film_now": " ".join(language(text) for text in now if text),
        "band": report.band,
        "copied": copied(report, language),
        "copied_to_do": language(COPIES_TO_DO.get(report.copy or "", "")),
        "headline": language(HEADLINES[report.band]) if report.band else no_headline(report, language),
        "refusal": _refusal(report.reason, report.status, language) if report.reason else None,
        "facts": [visible(fact) for fact in _facts(report, language)],
        "picture": picture
        and {
            "uri": "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode(),
            "width": picture.width_px,
            "height": picture.height_px,
        },
        "hips": [_hip(hip, picture, language) for hip in report.hips],
    }


def _facts(report: FilmReport, language: Language) -> list[str]:
    """What the header says: in words, then every fact that has none here and is known."""
    in_words = ("age_years", "sex", "view", "maker", "model", "spacing_mm", "spacing_source")
    facts = [
        language("age unknown") if report.age_years is None else language("{age} years", age=f"{report.age_years:g}"),
        language(SEX_NAMES[report.sex]),
        language("view {view}", view=report.view) if report.view else language("view unknown"),
        " ".join(part for part in (report.maker, report.model) if part) or language("maker unknown"),
    ]
    if report.spacing_mm:
        source = language(SPACING_SOURCES.get(report.spacing_source or "", report.spacing_source or ""))
        pixel = f"{report.spacing_mm[0]:.3f}"
        facts.append(language("{mm} mm per pixel at the hip ({source})", mm=pixel, source=source))
    names = [name for name in FACTS if name not in in_words and not _is_uid(name)]
    facts += [fact for name in names for fact in _named(report, name, language)]
    return facts if report.sop_instance_uid or report.spacing_mm else []


def _identity(report: FilmReport, language: Language) -> list[str]:
    """By what the film can be found again: the start of the SHA-256 of its bytes, its UIDs, its accession number."""
    film = [language("film {id}", id=report.film_id)] if report.film_id else []
    return [*film, *(fact for name in FACTS if _is_uid(name) for fact in _named(report, name, language))]


def _is_uid(name: str) -> bool:
    return name.endswith(("_uid", "_pseudonym", "_digest", "accession_number"))


def _named(report: FilmReport, name: str, language: Language) -> list[str]:
    """A fact with its name, if it is known; UIDs and pseudonyms are called as results.csv calls them."""
    value = getattr(report, name)
    shown = f"{value:g}" if isinstance(value, float) else value
    return [f"{language(_FACT_NAMES.get(name, name.replace('_', ' ')))} {shown}"] if value else []


def _hip(hip: HipReport, picture: Thumbnail | None, language: Language) -> dict[str, Any]:
    across, down = _scale(picture)
    box = hip.box_px and {
        "x": hip.box_px[0] * across, "y": hip.box_px[1] * down,
        "width": hip.box_px[2] * across, "height": hip.box_px[3] * down,
    }  # fmt: skip
    return {
        "side": hip.side,
        "side_name": language(SIDE_NAMES[hip.side]),
        "refusal": _refusal(hip.reason, hip.status, language) if hip.reason else None,
        "points": [
            {"x": x * across, "y": y * down, "name": name.replace("_", " ")}
            for name, (x, y) in hip.landmarks_px.items()
        ],
        "box": box,
        "flags": [caution(flag, language) for flag in flags_of(hip)],
        "estimates": [_estimate(estimate, language) for estimate in hip.estimates],
    }


def _scale(picture: Thumbnail | None) -> tuple[float, float]:
    """Stored-image pixels -> thumbnail pixels, across and down."""
    if picture is None:
        return 1.0, 1.0
    return picture.width_px / picture.film_width_px, picture.height_px / picture.film_height_px


def _estimate(estimate: Estimate, language: Language) -> dict[str, Any]:
    named = who_range(estimate)
    cuts = WHO_CUTS[::-1] if estimate.t_score is not None else ()
    return {
        "site": language(SITE_NAMES[estimate.site]),
        "bmd": f"{estimate.bmd_gcm2:.3f}",
        "interval": language("{low} to {high}", low=f"{estimate.low_gcm2:.3f}", high=f"{estimate.high_gcm2:.3f}"),
        "t_score": None if estimate.t_score is None else signed(estimate.t_score),
        "t_reason": estimate.t_score_reason and language(T_SCORE_REASONS[estimate.t_score_reason]),
        "who": named and language(WHO_RANGES[named]),
        "x": _percent(estimate.bmd_gcm2),
        "x_low": _percent(estimate.low_gcm2),
        "x_width": _percent(estimate.high_gcm2) - _percent(estimate.low_gcm2),
        "cuts": [{"t": t, "x": _percent(bmd_at(estimate.site, t))} for t in cuts],
    }


def _percent(bmd_gcm2: float) -> float:
    """Place on the axis of the interval drawing, 0..100."""
    low, high = _SCALE_GCM2
    return min(max((bmd_gcm2 - low) / (high - low), 0.0), 1.0) * 100
