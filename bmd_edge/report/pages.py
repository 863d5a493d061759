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

from bmd_edge.errors import REFUSALS, caution, remedy
from bmd_edge.film.film import FACTS
from bmd_edge.measure.estimate import Estimate, who_range
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS, WHO_CUTS, WHO_RANGES, bmd_at
from bmd_edge.report.film_report import (
    COPIES,
    COPIES_TO_DO,
    FILM_NOW,
    FILM_NOW_TO_DO,
    RESEARCH_USE,
    FilmReport,
    HipReport,
    RunSummary,
    flags_of,
)
from bmd_edge.report.safe_text import visible
from bmd_edge.report.schema import SPACING_SOURCES
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.report.worklist import Row, Worklist, no_headline, signed
from bmd_edge.system.files import replace_file

FILMS_PER_PAGE = 100
_Entry = tuple[FilmReport, Thumbnail | None]
SITE_NAMES = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
SIDE_NAMES = {"R": "Right", "L": "Left", None: "Side unknown"}
_FACT_NAMES = {
    "kvp": "kVp",
    "sop_instance_uid": "SOP instance UID",
    "study_instance_uid": "study instance UID",
    "series_instance_uid": "series instance UID",
    "warnings": "mistakes in the header:",
}
_SCRIPT = files("bmd_edge.report").joinpath("templates", "worklist.js").read_text(encoding="utf-8")
_SCALE_GCM2 = (0.3, 1.2)  # the axis of the interval drawings; what lies beyond is drawn at its end


def write_pages(folder: Path, entries: Iterable[_Entry], summary: RunSummary, again: int = 0) -> None:
    """Write `index.html` and, beyond 100 films, one page per 100 films into `folder`; pages of an older run go.

    The overview begins with the worklist; up to 100 films have their cards there too. `again` is the number of hips
    with films of several visits: where there are any, the overview leads to their page, `series.html`.
    """
    folder.mkdir(exist_ok=True)
    total = summary.files
    names = [f"page-{n + 1:04d}.html" for n in range(-(-total // FILMS_PER_PAGE))] if total > FILMS_PER_PAGE else []
    common = {"research_use": RESEARCH_USE, "summary": summary, "pages": names, "reference": REFERENCE_NAME}
    listing: list[dict[str, Any]] = []
    films: list[dict[str, Any]] = []
    worklist = Worklist()
    for number, batch in enumerate(_batches(entries)):
        page = names[number] if names else ""
        films = [{"anchor": f"film-{FILMS_PER_PAGE * number + n}", **_film(*entry)} for n, entry in enumerate(batch, 1)]
        for film, (report, _) in zip(films, batch, strict=True):
            worklist.add(report, f"{page}#{film['anchor']}")
        if page:
            _write(folder / page, "page.html.j2", films=films, number=number, **common)
            listing.append({"name": page, "first": films[0]["file"], "last": films[-1]["file"], "n": len(films)})
    values = {
        "sections": worklist.sections(),
        "unread": _by_reason(worklist.unread, "refused"),
        "left_out": _by_reason(worklist.left_out, "left_out"),
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


def _by_reason(rows: dict[str, list[Row]], status: str) -> list[dict[str, Any]]:
    """The reasons of files, the one of most files first."""
    most_first = sorted(rows.items(), key=lambda one: (-len(one[1]), one[0]))
    return [{**_refusal(code, status), "rows": some} for code, some in most_first]


def _write(path: Path, template: str, **values: Any) -> None:
    with replace_file(path) as file:
        file.writelines(templates().get_template(template).generate(**values))


@cache
def templates(*folders: Path) -> jinja2.Environment:
    """The templates of `folders` and of this package, compiled once; every page of the project is made of them."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folders), jinja2.PackageLoader("bmd_edge.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _batches(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    coming = iter(entries)
    while batch := list(islice(coming, FILMS_PER_PAGE)):
        yield batch


def _refusal(code: str, status: str) -> dict[str, str]:
    return {"code": code, "sentence": REFUSALS[code].sentence, "remedy": remedy(code, status)}


# -- what the templates show --------------------------------------------------------------------------------------


def _film(report: FilmReport, picture: Thumbnail | None) -> dict[str, Any]:
    return {
        "file": visible(report.file or "(no file)"),
        "identity": [visible(one) for one in _identity(report)],
        "status": report.status,
        "complete": report.complete,
        "film_now": " ".join(filter(None, [FILM_NOW[report.film_now], FILM_NOW_TO_DO.get(report.film_now)])),
        "band": report.band,
        "copied": report.copy and f"{COPIES[report.copy]} See {visible(report.copy_of or '')}.",
        "copied_to_do": COPIES_TO_DO.get(report.copy or "", ""),
        "headline": report.band_meaning or no_headline(report),
        "refusal": _refusal(report.reason, report.status) if report.reason else None,
        "facts": [visible(fact) for fact in _facts(report)],
        "picture": picture
        and {
            "uri": "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode(),
            "width": picture.width_px,
            "height": picture.height_px,
        },
        "hips": [_hip(hip, picture) for hip in report.hips],
    }


def _facts(report: FilmReport) -> list[str]:
    """What the header says: in words, then every fact that has none here and is known."""
    in_words = ("age_years", "sex", "view", "maker", "model", "spacing_mm", "spacing_source")
    facts = [
        f"{report.age_years:g} years" if report.age_years is not None else "age unknown",
        {"F": "female", "M": "male", None: "sex unknown"}[report.sex],
        f"view {report.view}" if report.view else "view unknown",
        " ".join(part for part in (report.maker, report.model) if part) or "maker unknown",
    ]
    if report.spacing_mm:
        source = SPACING_SOURCES.get(report.spacing_source or "", report.spacing_source)
        facts.append(f"{report.spacing_mm[0]:.3f} mm per pixel at the hip ({source})")
    facts += [fact for name in FACTS if name not in in_words and not _is_uid(name) for fact in _named(report, name)]
    return facts if report.sop_instance_uid or report.spacing_mm else []


def _identity(report: FilmReport) -> list[str]:
    """By what the film can be found again: the start of the SHA-256 of its bytes, its UIDs, its accession number."""
    film = [f"film {report.film_id}"] if report.film_id else []
    return [*film, *(fact for name in FACTS if _is_uid(name) for fact in _named(report, name))]


def _is_uid(name: str) -> bool:
    return name.endswith(("_uid", "_pseudonym", "_digest", "accession_number"))


def _named(report: FilmReport, name: str) -> list[str]:
    """A fact with its name, if it is known."""
    value = getattr(report, name)
    shown = f"{value:g}" if isinstance(value, float) else value
    return [f"{_FACT_NAMES.get(name, name.replace('_', ' '))} {shown}"] if value else []


def _hip(hip: HipReport, picture: Thumbnail | None) -> dict[str, Any]:
    across, down = _scale(picture)
    box = hip.box_px and {
        "x": hip.box_px[0] * across, "y": hip.box_px[1] * down,
        "width": hip.box_px[2] * across, "height": hip.box_px[3] * down,
    }  # fmt: skip
    return {
        "side": hip.side,
        "side_name": SIDE_NAMES[hip.side],
        "refusal": _refusal(hip.reason, hip.status) if hip.reason else None,
        "points": [
            {"x": x * across, "y": y * down, "name": name.replace("_", " ")}
            for name, (x, y) in hip.landmarks_px.items()
        ],
        "box": box,
        "flags": [caution(flag) for flag in flags_of(hip)],
        "estimates": [_estimate(estimate) for estimate in hip.estimates],
    }


def _scale(picture: Thumbnail | None) -> tuple[float, float]:
    """Stored-image pixels -> thumbnail pixels, across and down."""
    if picture is None:
        return 1.0, 1.0
    return picture.width_px / picture.film_width_px, picture.height_px / picture.film_height_px


def _estimate(estimate: Estimate) -> dict[str, Any]:
    named = who_range(estimate)
    cuts = WHO_CUTS[::-1] if estimate.t_score is not None else ()
    return {
        "site": SITE_NAMES[estimate.site],
        "bmd": f"{estimate.bmd_gcm2:.3f}",
        "interval": f"{estimate.low_gcm2:.3f} to {estimate.high_gcm2:.3f}",
        "t_score": None if estimate.t_score is None else signed(estimate.t_score),
        "t_reason": estimate.t_score_reason and T_SCORE_REASONS[estimate.t_score_reason],
        "who": named and WHO_RANGES[named],
        "x": _percent(estimate.bmd_gcm2),
        "x_low": _percent(estimate.low_gcm2),
        "x_width": _percent(estimate.high_gcm2) - _percent(estimate.low_gcm2),
        "cuts": [{"t": t, "x": _percent(bmd_at(estimate.site, t))} for t in cuts],
    }


def _percent(bmd_gcm2: float) -> float:
    """Place on the axis of the interval drawing, 0..100."""
    low, high = _SCALE_GCM2
    return min(max((bmd_gcm2 - low) / (high - low), 0.0), 1.0) * 100
