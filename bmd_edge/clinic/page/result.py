"""A film's report as a row of the page says it: headline, refusals, numbers and cautions, with the digits of the SC."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bmd_edge.errors import REFUSALS, remedy
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


def result_of(report: FilmReport) -> Result:
    """The words and figures of a report."""
    headline = report.band_meaning or no_headline(report) or ""
    return Result(
        band=report.band or "",
        headline=headline,
        refused=tuple(_refused(report)),
        numbers=tuple(_numbers(report)),
        notes=tuple(note for note in dict.fromkeys(_notes(report)) if note not in headline),
    )


def _refused(report: FilmReport) -> Iterator[Refused]:
    for hip in report.hips:
        if hip.reason:
            said = REFUSALS[hip.reason]
            yield Refused(_SIDES[hip.side], said.sentence, remedy(hip.reason, hip.status), hip.reason)
    if report.reason and not any(hip.reason == report.reason for hip in report.hips):
        yield Refused("", REFUSALS[report.reason].sentence, remedy(report.reason, report.status), report.reason)


def _numbers(report: FilmReport) -> Iterator[Number]:
    for hip in report.hips:
        for one in hip.estimates:
            interval = f"{one.low_gcm2:.3f} to {one.high_gcm2:.3f}"
            t_score = "" if one.t_score is None else signed(one.t_score)
            yield Number(_SIDES[hip.side], SITES[one.site], f"{one.bmd_gcm2:.3f}", interval, t_score)


def _notes(report: FilmReport) -> Iterator[str]:
    for hip in report.hips:
        yield from (T_SCORE_REASONS[one.t_score_reason] for one in hip.estimates if one.t_score_reason)
        yield from (caution(flag) for flag in flags_of(hip))
