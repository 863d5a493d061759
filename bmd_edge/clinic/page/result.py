"""A film's report as a row of the page says it: headline, refusals, numbers and cautions, with the digits of the SC."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bmd_edge.clinic.remedies import remedy
from bmd_edge.errors import REFUSALS
from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import FilmReport, caution, flags_of
from bmd_edge.report.worklist import no_headline, signed

SITES = {"femoral_neck": "neck", "total_hip": "total hip"}
_SIDES = {"R": "Right hip", "L": "Left hip", None: "Hip, side unknown"}


class Refused(NamedTuple):
    """No number: of which hip ("" for the film), the sentence, what can be done, and the code."""

    what: str
    sentence: str
    remedy: str
    code: str


class Number(NamedTuple):
    """BMD of one site with its 90 % interval in g/cm2, and T-score, "" where it is withheld; as they are printed."""

    side: str
    site: str
    bmd: str
    interval: str
    t_score: str


@dataclass(frozen=True, slots=True)
class Result:
    """What is said of a film. band: the headline's code, "" without one. notes: why a T-score is withheld, cautions."""

    band: str
    headline: str
    refused: tuple[Refused, ...]
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]

    @property
    def by_side(self) -> list[tuple[str, list[Number]]]:
        """The numbers by side, in their order."""
        found: dict[str, list[Number]] = {}
        for one in self.numbers:
            found.setdefault(one.side, []).append(one)
        return list(found.items())


def result_of(report: FilmReport, language: Language = ENGLISH) -> Result:
    """The words and figures of a report."""
    headline = language(HEADLINES[report.band]) if report.band else no_headline(report, language) or ""
    return Result(
        band=report.band or "",
        headline=headline,
        refused=tuple(_refused(report, language)),
        numbers=tuple(_numbers(report, language)),
        notes=tuple(note for note in dict.fromkeys(_notes(report, language)) if note not in headline),
    )


def _refused(report: FilmReport, language: Language) -> Iterator[Refused]:
    for hip in report.hips:
        if hip.reason:
            yield _refusal(language(_SIDES[hip.side]), hip.reason, language)
    if report.reason and not any(hip.reason == report.reason for hip in report.hips):
        yield _refusal("", report.reason, language)


def _refusal(what: str, code: str, language: Language) -> Refused:
    return Refused(what, language(REFUSALS[code].sentence), language(remedy(code)), code)


def _numbers(report: FilmReport, language: Language) -> Iterator[Number]:
    for hip in report.hips:
        for one in hip.estimates:
            interval = language("{low} to {high}", low=f"{one.low_gcm2:.3f}", high=f"{one.high_gcm2:.3f}")
            t_score = "" if one.t_score is None else signed(one.t_score)
            side, site = language(_SIDES[hip.side]), language(SITES[one.site])
            yield Number(side, site, f"{one.bmd_gcm2:.3f}", interval, t_score)


def _notes(report: FilmReport, language: Language) -> Iterator[str]:
    for hip in report.hips:
        yield from (language(T_SCORE_REASONS[one.t_score_reason]) for one in hip.estimates if one.t_score_reason)
        yield from (caution(flag, language) for flag in flags_of(hip))
