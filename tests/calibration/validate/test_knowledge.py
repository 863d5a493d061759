"""What a validation finds in estimates of networks that know nothing, only age and sex, or somebody else's BMD."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.report.film_report import HipReport
from bmd_edge.table.film_table import HipRow
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import pair
from calibration.validate.knowledge import findings, knowledge_of
from calibration.validate.page import write_page
from calibration.validate.validate import compare
from tests.support.cohorts import cohort, made_bundle, table_of

BOTH = {"no_better_than_mean", "no_better_than_person"}
Network = Callable[[FilmAnswers, HipReport], tuple[float, float]]
"""Film and hip -> estimates of neck and total hip, g/cm2."""


def aged(rows: list[HipRow]) -> list[HipRow]:
    """The rows with DEXA that falls by 0.012 g/cm2 a year, beside what the subject has of his own."""
    fall = [0.012 * (row.age_years - 67) for row in rows]
    return [
        replace(row, bmd_gcm2={site: round(max(bmd - less, 0.3), 3) for site, bmd in row.bmd_gcm2.items()})
        for row, less in zip(rows, fall, strict=True)
    ]


def answered(films: list[FilmAnswers], network: Network) -> list[FilmAnswers]:
    """The films as another network reads them."""

    def hip_of(film: FilmAnswers, hip: HipReport) -> HipReport:
        found = zip(hip.estimates, network(film, hip), strict=False)
        changed = [replace(one, bmd_gcm2=bmd, low_gcm2=bmd - 0.1, high_gcm2=bmd + 0.1) for one, bmd in found]
        return replace(hip, estimates=tuple(changed))

    return [
        replace(
            film,
            reports={
                name: replace(report, hips=tuple(hip_of(film, hip) for hip in report.hips))
                for name, report in film.reports.items()
            },
        )
        for film in films
    ]


def networks(rows: list[HipRow]) -> dict[str, tuple[Network, set[str]]]:
    dexa = {(row.film, row.side): tuple(row.bmd_gcm2.values()) for row in rows}
    others = dict(zip(dexa, np.roll(list(dexa.values()), 31, axis=0).tolist(), strict=True))
    noise = np.random.default_rng(3)

    def of_age(film: FilmAnswers, hip: HipReport) -> tuple[float, float]:
        expected = 0.70 - 0.012 * (film.reports["fp32"].age_years - 67)
        return expected, expected + 0.13

    def of_nothing(*_: object) -> np.ndarray:
        return noise.normal([0.729, 0.86], 0.001)

    return {
        "knows": (lambda film, hip: np.array(dexa[film.film, hip.side]) + noise.normal(0, 0.04, 2), set()),
        "nothing": (of_nothing, BOTH),
        "only age and sex": (of_age, {"no_better_than_person"}),
        "exchanged labels": (lambda film, hip: others[film.film, hip.side], BOTH),
    }


def read(network: str, subjects: int = 40) -> tuple[list[HipRow], list[FilmAnswers], set[str]]:
    """Rows, the network's answers, and the codes it must be named by."""
    rows, films = cohort(subjects)
    rows = [replace(row, scale="hologic") for row in aged(rows)]
    made, codes = networks(rows)[network]
    return rows, answered(films, made), codes


@pytest.mark.parametrize("name", ["knows", "nothing", "only age and sex", "exchanged labels"])
def test_a_network_is_named_for_what_it_does_not_know(name: str) -> None:
    rows, films, codes = read(name)
    known = knowledge_of(pair(rows, films), films, "int8")
    found = list(findings(known))
    assert {one.code for one in found} == codes
    assert {one.severity for one in found} <= {"error"}  # ends with 3
    assert len(found) == 2 * len(codes)  # at both sites
    assert all("not shown to be better than" in one.sentence and one.hips > 50 for one in found)
    for site in known.values():
        assert site.person is not None
        assert site.person.knows == ("age", "sex")
        assert site.person.shown is (name == "knows")


def test_a_report_has_the_figures_and_the_findings(tmp_path: Path) -> None:
    rows, films, codes = read("nothing", 24)
    made = compare(made_bundle(), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    assert {one["code"] for one in made.facts["findings"]} & BOTH == codes
    facts = made.facts["knowledge"]["int8"]["femoral_neck"]
    assert facts["mean"]["subjects"] == made.facts["precisions"]["int8"]["sites"]["femoral_neck"]["subjects"]
    write_page(tmp_path / "validation.html", made)
    page = (tmp_path / "validation.html").read_text()
    assert facts["person"]["sentence"] + ". Not shown to be better." in page


def test_of_a_handful_of_subjects_nothing_is_said() -> None:
    rows, films, _ = read("nothing", 8)
    known = knowledge_of(pair(rows, films), films, "int8")
    assert list(findings(known)) == []
    assert known["total_hip"].mean.high is None
