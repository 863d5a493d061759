"""The pages for people: each film small with its landmarks and region of interest, numbers, refusals with remedy.

Every page stands alone: pictures and styles are inside, nothing is loaded from anywhere, and no script runs.
"""

import base64
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.film.film import FACTS
from bmd_edge.measure.estimate import Estimate, who_range
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS, WHO_CUTS, WHO_RANGES, bmd_at
from bmd_edge.report.film_report import COPIES, FILM_NOW, RESEARCH_USE, FilmReport, HipReport, RunSummary, flags_of
from bmd_edge.report.safe_text import visible
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.system.files import replace_file

FILMS_PER_PAGE = 100
SITE_NAMES = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
SIDE_NAMES = {"R": "Right", "L": "Left", None: "Side unknown"}
_SPACING_SOURCES = {
    "calibrated": "calibrated on the film",
    "scanned_assumed": "of the film's scan",
    "imager_ermf": "detector pixel, magnification stated",
    "imager_sid_sod": "detector pixel, magnification from distances",
    "imager_assumed": "detector pixel, magnification assumed",
    "pixel_spacing_assumed": "plane of the spacing unknown",
    "given": "given by the user",
}
_FACT_NAMES = {
    "kvp": "kVp",
    "sop_instance_uid": "SOP instance UID",
    "study_instance_uid": "study instance UID",
    "series_instance_uid": "series instance UID",
    "warnings": "breaches of the standard:",
}
_SCALE_GCM2 = (0.3, 1.2)  # the axis of the interval drawings; what lies beyond is drawn at its end


def write_pages(folder: Path, entries: Iterable[tuple[FilmReport, Thumbnail | None]], summary: RunSummary) -> None:
    """Write `index.html` and, beyond 100 films, one page per 100 films into `folder`; pages of an older run go."""
    folder.mkdir(exist_ok=True)
    total = summary.files
    names = [f"page-{n + 1:04d}.html" for n in range(-(-total // FILMS_PER_PAGE))] if total > FILMS_PER_PAGE else []
    common = {"research_use": RESEARCH_USE, "summary": summary, "pages": names, "reference": REFERENCE_NAME}
    pages: list[dict[str, Any]] = []
    films: list[dict[str, Any]] = []
    for number, films in enumerate(_batches(entries)):
        if names:
            _write(folder / names[number], "page.html.j2", films=films, number=number, **common)
            pages.append({"name": names[number], "first": films[0]["file"], "last": films[-1]["file"], "n": len(films)})
    reasons = _reasons(summary.film_reasons), _reasons(summary.hip_reasons)
    _write(
        folder / "index.html", "index.html.j2", listing=pages, films=[] if names else films, reasons=reasons, **common
    )
    for old in set(folder.glob("page-*.html")) - {folder / name for name in names}:
        old.unlink()


def _write(path: Path, template: str, **values: Any) -> None:
    with replace_file(path) as file:
        file.writelines(templates().get_template(template).generate(**values))


@cache
def templates(*folders: Path) -> jinja2.Environment:
    """The templates of `folders` and of this package, compiled once; every page of the project is made of them."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _batches(entries: Iterable[tuple[FilmReport, Thumbnail | None]]) -> Iterator[list[dict[str, Any]]]:
    films: list[dict[str, Any]] = []
    for report, picture in entries:
        films.append(_film(report, picture))
        if len(films) == FILMS_PER_PAGE:
            yield films
            films = []
    if films:
        yield films


def _reasons(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"n": n, **_refusal(code)} for code, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _refusal(code: str) -> dict[str, str]:
    return {"code": code, "sentence": REFUSALS[code].sentence, "remedy": REFUSALS[code].remedy}


# -- what the templates show --------------------------------------------------------------------------------------


def _film(report: FilmReport, picture: Thumbnail | None) -> dict[str, Any]:
    return {
        "file": visible(report.file or "(no file)"),
        "identity": [visible(one) for one in _identity(report)],
        "status": report.status,
        "complete": report.complete,
        "film_now": FILM_NOW[report.film_now],
        "band": report.band,
        "copied": report.copy and f"{COPIES[report.copy]} {visible(report.copy_of or '')}",
        "headline": report.band_meaning or _no_headline(report),
        "refusal": _refusal(report.reason) if report.reason else None,
        "facts": [visible(fact) for fact in _facts(report)],
        "picture": picture
        and {
            "uri": "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode(),
            "width": picture.width_px,
            "height": picture.height_px,
        },
        "hips": [_hip(hip, picture) for hip in report.hips],
    }


def _no_headline(report: FilmReport) -> str | None:
    """Why a film with a number has no headline."""
    reasons = [row.t_score_reason for hip in report.hips for row in hip.estimates if row.t_score_reason]
    if report.status != "read":
        return None
    return f"No headline. {T_SCORE_REASONS[reasons[0]] if reasons else 'The bundle has no cuts for it.'}"


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
        source = _SPACING_SOURCES.get(report.spacing_source or "", report.spacing_source)
        facts.append(f"{report.spacing_mm[0]:.3f} mm per pixel at the hip ({source})")
    facts += [fact for name in FACTS if name not in in_words and not _is_uid(name) for fact in _named(report, name)]
    return facts if report.sop_instance_uid or report.spacing_mm else []


def _identity(report: FilmReport) -> list[str]:
    """By what the film can be found again: the start of the SHA-256 of its bytes, and its UIDs."""
    film = [f"film {report.film_id}"] if report.film_id else []
    return [*film, *(fact for name in FACTS if _is_uid(name) for fact in _named(report, name))]


def _is_uid(name: str) -> bool:
    return name.endswith(("_uid", "_pseudonym", "_digest"))


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
        "refusal": _refusal(hip.reason) if hip.reason else None,
        "points": [
            {"x": x * across, "y": y * down, "name": name.replace("_", " ")}
            for name, (x, y) in hip.landmarks_px.items()
        ],
        "box": box,
        "flags": [FLAGS[flag] for flag in flags_of(hip)],
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
        "t_score": None if estimate.t_score is None else f"{estimate.t_score:+.1f}".replace("-", "\N{MINUS SIGN}"),
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
