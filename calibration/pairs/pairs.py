"""Answers and DEXA, paired: each row of a film table beside what every precision says of its hip."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmd_edge.measure.t_score import t_score_reason
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, HipReport
from bmd_edge.report.safe_text import safe_cell
from bmd_edge.sites import SITES
from bmd_edge.system.csv_cells import csv_line
from bmd_edge.system.files import replace_file
from bmd_edge.table.dxa_scales import to_hologic
from bmd_edge.table.film_table import HipRow
from calibration.pairs.answers import FilmAnswers


@dataclass(frozen=True, slots=True)
class Answer:
    """One hip in one precision: estimate and 90 % interval by site in g/cm2, empty where `reason` says why not.

    `reason` is a code of `bmd_edge.errors.REFUSALS`, or `other_side` (the film shows a hip of the other side only) or
    `hip_not_found`.
    """

    reason: str | None = None
    bmd_gcm2: dict[str, float] = field(default_factory=dict)
    low_gcm2: dict[str, float] = field(default_factory=dict)
    high_gcm2: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One row of the table: a hip on a film with its DEXA, converted to the Hologic scale, and its answers.

    `age_years`, `sex` and `maker` are the table's, or the header's where the table does not know; `pixels` as
    `FilmAnswers` has them, `table_row` as `HipRow` has it.
    """

    film: str
    film_id: str | None
    subject: str
    side: str
    age_years: float | None
    sex: str | None
    bmi: float | None
    maker: str | None
    spacing_source: str | None
    scale: str | None
    dexa_gcm2: dict[str, float | None]
    answers: dict[str, Answer]
    pixels: tuple[float, ...] = ()
    table_row: int = 0

    @property
    def has_t_score(self) -> bool:
        """Whether a T-score may be given: age and sex are known, and the age is 50 or more."""
        return t_score_reason(self.age_years, self.sex) is None


def pair(rows: Sequence[HipRow], films: Sequence[FilmAnswers]) -> list[Pair]:
    """Put each row of the table beside the answers for its hip, matched by film and side."""
    by_film = {answers.film: answers for answers in films}
    return [
        paired(
            row, by_film[row.film], {name: answer_at(row.side, one) for name, one in by_film[row.film].reports.items()}
        )
        for row in rows
    ]


def paired(row: HipRow, film: FilmAnswers, answers: dict[str, Answer]) -> Pair:
    """One row of the table beside the answers (by precision) that are its hip's."""
    header = next(iter(film.reports.values()))
    return Pair(
        film=row.film,
        film_id=film.film_id,
        subject=row.subject,
        side=row.side,
        age_years=header.age_years if row.age_years is None else row.age_years,
        sex=row.sex or header.sex,
        bmi=row.bmi,
        maker=row.maker or header.maker,
        spacing_source=header.spacing_source,
        scale=row.scale,
        dexa_gcm2={
            site: None if value is None or row.scale is None else to_hologic(value, site, row.scale)
            for site, value in row.bmd_gcm2.items()
        },
        answers=answers,
        pixels=film.pixels,
        table_row=row.table_row,
    )


def answer_at(side: str, report: FilmReport) -> Answer:
    """What a film says of its hip of this side."""
    if not report.hips:
        return Answer(report.reason)
    hip = next((hip for hip in report.hips if hip.side == side), None)
    if hip is None:
        return Answer("other_side" if any(hip.status == "read" for hip in report.hips) else _other_reason(report.hips))
    return answer_of(hip)


def answer_of(hip: HipReport) -> Answer:
    """The numbers of a hip, or why it has none."""
    if hip.status != "read":
        return Answer(hip.reason)
    return Answer(
        None,
        {one.site: one.bmd_gcm2 for one in hip.estimates},
        {one.site: one.low_gcm2 for one in hip.estimates},
        {one.site: one.high_gcm2 for one in hip.estimates},
    )


def _other_reason(hips: Sequence[HipReport]) -> str | None:
    """A film whose only hip is refused may have been looked at from the wrong side: its reason stands."""
    return hips[0].reason if len(hips) == 1 else "hip_not_found"


def write_pairs(path: Path, pairs: Sequence[Pair], left_out: dict[tuple[str, str], str]) -> None:
    """Write one row per hip, atomically: all that the figures are made of.

    `left_out` maps (film, side) of hips that no figure holds to the finding that says why.
    """
    facts = ("film", "film_id", "subject", "side", "age_years", "sex", "bmi", "maker", "spacing_source", "scale")
    precisions = list(pairs[0].answers) if pairs else []
    columns = [*facts, *(f"dexa_hologic_{site}_gcm2" for site in SITES), "left_out"]
    for precision in precisions:
        columns += [f"{precision}_reason"]
        columns += [f"{precision}_{part}_{site}_gcm2" for site in SITES for part in ("bmd", "low", "high")]
    columns += ["use"]
    with replace_file(path) as file:
        file.write(csv_line(columns))
        for one in pairs:
            cells: dict[str, Any] = {name: getattr(one, name) for name in facts}
            cells |= {f"dexa_hologic_{site}_gcm2": _rounded(value) for site, value in one.dexa_gcm2.items()}
            cells |= {"left_out": left_out.get((one.film, one.side)), "use": RESEARCH_USE}
            for precision, answer in one.answers.items():
                cells[f"{precision}_reason"] = answer.reason
                for part in ("bmd", "low", "high"):
                    values = getattr(answer, f"{part}_gcm2")
                    cells |= {f"{precision}_{part}_{site}_gcm2": value for site, value in values.items()}
            file.write(csv_line(safe_cell(cells.get(name)) for name in columns))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def reasons(pairs: Sequence[Pair], precision: str) -> dict[str, int]:
    """Hips of the table without a number, by reason."""
    counts = Counter(reason for one in pairs if (reason := one.answers[precision].reason))
    return dict(sorted(counts.items()))
