"""What else there is of a patient and stands in no chart, said on each card: a card may be all that somebody reads."""

from collections import defaultdict
from collections.abc import Iterable

from bmd_edge.errors import AT_ONCE, REFUSALS
from bmd_edge.follow.series import LEFT_OUT, Finding
from bmd_edge.report.film_report import COUNTED_ONCE, FilmReport
from bmd_edge.report.in_words import counted, some

_OF_NO_HIP = ("wrong_body_part",)
_SIDES = {"R": "right hip", "L": "left hip"}


def without_number(reports: Iterable[FilmReport]) -> list[Finding]:
    """Hips, and films on which none was found, that no number stands on, by codes of `REFUSALS`.

    They are in no series, and no fault of one: what a screening says of them it has said.
    """
    found = []
    for report in reports:
        if report.status == "left_out" or report.copy in COUNTED_ONCE:
            continue
        reasons = [(hip.side, hip.reason) for hip in report.hips] or [(None, report.reason)]
        found += [
            Finding(reason, report.patient_pseudonym, report.file or "", side, report.acquisition_date)
            for side, reason in reasons
            if reason and reason not in _OF_NO_HIP
        ]
    return found


def beside(findings: Iterable[Finding]) -> dict[str, str]:
    """Patient -> a sentence of the films and hips that no chart of the patient shows, and why; by reason and side."""
    films: dict[str, dict[tuple[str, str | None], list[Finding]]] = defaultdict(lambda: defaultdict(list))
    for one in findings:
        if one.patient:
            films[one.patient][one.code, one.side].append(one)
    return {
        patient: f"Also of this patient, in no series and no chart: {' '.join(_said(reasons))}"
        for patient, reasons in films.items()
    }


def _said(films: dict[tuple[str, str | None], list[Finding]]) -> list[str]:
    at_once_first = sorted(films, key=lambda one: (one[0] not in AT_ONCE, one[0], one[1] or ""))
    return [_reason(code, side, films[code, side]) for code, side in at_once_first]


def _reason(code: str, side: str | None, films: list[Finding]) -> str:
    dates = sorted({one.date for one in films if one.date})
    undated = sum(one.date is None for one in films)
    when = [some(dates)] if dates else []
    when += [f"{counted(undated, 'film')}{' without a date' if code != 'no_date' else ''}"] if undated else []
    where = f"{_SIDES[side]}, " if side else ""
    sentence = LEFT_OUT[code][0] if code in LEFT_OUT else REFUSALS[code].sentence
    remedy = f" {REFUSALS[code].remedy}" if code in AT_ONCE else ""
    return f"{where}{', '.join(when)}: {sentence}{remedy}"
