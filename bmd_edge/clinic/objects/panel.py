"""What the picture of a result says in words, in the order of their weight."""

from typing import NamedTuple

from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.remedies import plain_remedy
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, HipReport, flags_of
from bmd_edge.report.worklist import no_headline

BAR = "RESEARCH USE ONLY, NOT FOR DIAGNOSIS"
NOT_DRAWN = "Words in letters that cannot be drawn here: see the report."
"""In the place of a line, such as a bundle's words of itself, that the letters at hand cannot write."""
_SITES = {"femoral_neck": "neck", "total_hip": "total"}
_SIDES = {"R": "RIGHT HIP", "L": "LEFT HIP", None: "HIP, SIDE UNKNOWN"}


class Line(NamedTuple):
    """A line of the picture: `kind` is "headline", "refusal", "hip", "number", "text" or "caution"."""

    kind: str
    text: str


def results(report: FilmReport) -> list[Line]:
    """Headline or refusal with its remedy, then each hip with its numbers; none of it may be left out."""
    return [*of_film(report), *(line for hip in report.hips for line in of_hip(hip))]


def of_hip(hip: HipReport) -> list[Line]:
    """A hip's side, and its numbers with their intervals or its refusal."""
    said = [Line("hip", _SIDES[hip.side])]
    said += [line for estimate in hip.estimates for line in _numbers(hip, estimate)]
    withheld = dict.fromkeys(one.t_score_reason for one in hip.estimates if one.t_score_reason)
    said += [Line("text", T_SCORE_REASONS[reason]) for reason in withheld]
    return [*said, *_refusal(hip.reason)]


def cautions(report: FilmReport) -> list[Line]:
    """The flags of all hips, each once."""
    flags = dict.fromkeys(flag for hip in report.hips for flag in flags_of(hip))
    return [Line("caution", f"Caution: {FLAGS[flag]}") for flag in flags]


def footer(report: FilmReport, occasion: Occasion) -> list[Line]:
    """Under which approval, by which bundle, as which version, and what it is not; none of it may be left out."""
    box = occasion.box
    made = f"Bundle {report.bundle} ({report.bundle_digest[:8]}), {report.precision}" + (
        f", recalibration {report.recalibration[:8]}" if report.recalibration else ""
    )
    said = [f"Approval {box.approval}" if box.approval else "No approval named", occasion.version.words, made]
    return [Line("text", text) for text in (*said, box.notice, RESEARCH_USE) if text]


def of_film(report: FilmReport) -> list[Line]:
    """The headline, or the refusal of the film as a whole with its remedy."""
    if said := report.band_meaning or no_headline(report):
        return [Line("headline", said)]
    if report.reason and not any(hip.reason == report.reason for hip in report.hips):
        return _refusal(report.reason)
    return [Line("headline", "No number on this film.")]


def _refusal(code: str | None) -> list[Line]:
    if code is None:
        return []
    return [Line("refusal", f"No number: {REFUSALS[code].sentence}"), Line("text", plain_remedy(code))]


def _numbers(hip: HipReport, estimate: Estimate) -> list[Line]:
    """`R neck 0.625 g/cm2, T -1.9` and below it the interval; with the digits of the pages."""
    t_score = f", T {estimate.t_score:+.1f}" if estimate.t_score is not None else ""  # the font has no true minus
    side = f"{hip.side} " if hip.side else ""
    bmd = f"{side}{_SITES[estimate.site]} {estimate.bmd_gcm2:.3f} g/cm2{t_score}"
    interval = f"90 % interval {estimate.low_gcm2:.3f} to {estimate.high_gcm2:.3f} g/cm2"
    return [Line("number", bmd), Line("text", interval)]
