"""The page of series: each hip of several visits with its charts, what can be said of it, and its visits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from bmd_edge.follow.beside import beside, without_number
from bmd_edge.follow.change import Followed, follow
from bmd_edge.follow.chart import chart, letters_of, span_of
from bmd_edge.follow.doubts import is_clear, other_hips
from bmd_edge.follow.key import SITE_WORDS, marks, rests_on
from bmd_edge.follow.repeatability import RepeatabilityFile, phantoms
from bmd_edge.follow.series import LEFT_OUT, Finding, series_of
from bmd_edge.follow.words import Said, said, title, verdict
from bmd_edge.language import ENGLISH, Language
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, RunSummary
from bmd_edge.report.pages import templates
from bmd_edge.report.safe_text import visible
from bmd_edge.report.schema import SPACING_SOURCES
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file

_TEMPLATES = Path(__file__).with_name("templates")
MOST_ALONE = 20
"""So many hips with films of one visit are named."""


def write_page(
    path: Path,
    followed: Sequence[Followed],
    findings: Sequence[Finding],
    known: RepeatabilityFile | None,
    summary: Any,
    back: str | None = None,
    language: Language = ENGLISH,
) -> None:
    """Write the page of hips with several visits, patients first of whom a change is beyond chance; of those with films
    of one visit only it says which they are, and what else there is of their patients.

    `summary` is that of the run, or a mapping with what pages show; `back` is where a link to the overview leads.
    `language` is that of the notice; the page itself is English.
    """
    hips = _beyond_chance_first([one for one in followed if len(one.series.visits) > 1])
    alone = [_alone(one) for one in followed if len(one.series.visits) == 1]
    others, span_gcm2 = other_hips(hips), span_of(hips)
    cards = [
        _hip(number, one, known, others.get((one.series.patient, one.series.side)), span_gcm2)
        for number, one in enumerate(hips, 1)
    ]
    values = {
        "research_use": RESEARCH_USE,
        "t": language,
        "summary": summary,
        "back": back,
        "patients": [
            {"pseudonym": patient, "hips": list(some)} for patient, some in groupby(cards, lambda one: one["patient"])
        ],
        "cards": len(cards),
        "beyond": sum(_is_beyond(one) for one in hips),
        "alone": alone[:MOST_ALONE],
        "of_one_visit": len(alone),
        "key": _key(hips, known, [line for card in cards for line in card["said"]]),
        "findings": told(findings),
    }
    with replace_file(path) as file:
        file.writelines(templates(_TEMPLATES).get_template("series.html.j2").generate(**values))


def _is_beyond(hip: Followed) -> bool:
    return any(change.stated for change in hip.changes)


def _beyond_chance_first(hips: Sequence[Followed]) -> list[Followed]:
    patients = {one.series.patient for one in hips if _is_beyond(one)}
    return sorted(hips, key=lambda one: one.series.patient not in patients)


def _alone(hip: Followed) -> str:
    series = hip.series
    also = f". {hip.beside}" if hip.beside else ""
    return f"{visible(series.patient)}, {title(series).lower()}, {series.visits[0].taken}{also}"


def _key(hips: Sequence[Followed], known: RepeatabilityFile | None, lines: Iterable[Said]) -> list[str]:
    return [*marks(hips, {line.label for line in lines}), *rests_on(hips, known)]


def write_series(folder: Path, reports: Iterable[FilmReport], summary: RunSummary, language: Language = ENGLISH) -> int:
    """Write `series.html` of a run into `folder`, where a hip has films of several visits; returns how many have.

    With the phantom's figure nothing judges; a clinic's own is for `bmd-edge follow`.
    """
    path, known, without = folder / "series.html", phantoms(), list[Finding]()

    def passing() -> Iterator[FilmReport]:  # there may be very many of them
        for report in reports:
            without.extend(without_number([report]))
            yield report

    series, findings = series_of(passing(), date.today())
    also = beside([*findings, *without])
    followed = [follow(one, known, also.get(one.patient, "")) for one in series]
    several = sum(len(one.visits) > 1 for one in series)
    if several:
        folder.mkdir(exist_ok=True)
        write_page(path, followed, findings, known, summary, back="index.html", language=language)
    else:
        path.unlink(missing_ok=True)
    return several


def told(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings by code: sentence, remedy and the films, the most frequent first."""
    return [
        {
            "code": code,
            "sentence": LEFT_OUT[code][0],
            "remedy": LEFT_OUT[code][1],
            "films": [visible(name) for name in dict.fromkeys(_named(one) for one in findings if one.code == code)],
        }
        for code, _n in Counter(one.code for one in findings).most_common()
    ]


def _named(finding: Finding) -> str:
    patient = f"{finding.patient}: " if finding.patient else ""
    return f"{patient}{finding.file}{f' ({finding.side})' if finding.side else ''}"


def _hip(
    number: int, followed: Followed, known: RepeatabilityFile | None, other_hip: Followed | None, span_gcm2: float
) -> dict[str, Any]:
    lines = said(followed, known, other_hip)
    parts, letters = followed.series.parts, letters_of(followed.series)
    sd = {visit: one for part, one in zip(parts, followed.sd_gcm2, strict=True) for visit in part}
    return {
        "number": number,
        "patient": followed.series.patient,
        "title": title(followed.series),
        "said": lines,
        "key": _key([followed], known, lines),
        "charts": [
            {
                "site": SITE_WORDS[site],
                "verdict": verdict(followed, site, other_hip),
                "is_clear": any(is_clear(followed, one, other_hip) for one in followed.changes if one.site == site),
                **chart(followed, site, span_gcm2),
            }
            for site in SITES
        ],
        "visits": [
            {
                "taken": visit.taken.isoformat(),
                "letter": letters[visit],
                "films": len(visit.films),
                "unit": visible(visit.unit),
                "pixel_size": SPACING_SOURCES.get(source := visit.condition("spacing_source"), visible(source)),
                "bundle": visible(visit.films[0].bundle),
                "numbers": [_number(visit.mean_gcm2(site), visit.half_gcm2(site, sd[visit][site])) for site in SITES],
            }
            for visit in followed.series.visits
        ],
    }


def _number(mean: float, half: float) -> str:
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"
