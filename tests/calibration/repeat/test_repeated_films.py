"""Which films of a hip stand beside each other, and what has to be said of each."""

from datetime import date

import numpy as np
import pytest

from bmd_edge.errors import TableError
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.report.film_report import HipReport
from bmd_edge.table.film_table import HipRow
from calibration.pairs.answers import FilmAnswers
from calibration.repeat.repeated_films import HipFilm, between_units, check_taken_under, hip_films, short_term
from tests.bmd_edge.follow.made_up import visited


def film(taken, bmd, unit="A", dexa=np.nan, subject="s", side="R"):
    both, known = np.array([bmd, bmd]), np.array([dexa, dexa])
    return HipFilm(subject, side, date.fromisoformat(taken), unit, f"Drawn {unit}", (bmd,), both, known)


def hips(*films):
    found = {}
    for one in films:
        found.setdefault((one.subject, one.side), []).append(one)
    return found


def test_films_of_one_unit_within_ninety_days_are_repeated_films():
    films = [film("2024-01-01", 0.70), film("2024-03-30", 0.72), film("2024-04-02", 0.80), film("2025-01-01", 0.9)]
    (group,) = short_term(hips(*films, film("2024-01-02", 0.6, "B")))
    assert group == films[:2]


def test_two_units_stand_apart_with_their_mean_difference():
    rng = np.random.default_rng(0)
    films = []
    for k in range(40):
        bmd = rng.normal(0.8, 0.1)
        films += [film("2024-01-01", bmd + rng.normal(0, 0.02), "A", subject=str(k))]
        films += [film("2024-02-01", bmd + 0.03 + rng.normal(0, 0.02), "B", subject=str(k))]
    (found,) = between_units(hips(*films))
    assert (found.units, found.hips) == (("A", "B"), 40)
    assert found.low_gcm2["total_hip"] < 0.03 < found.high_gcm2["total_hip"]
    assert found.low_gcm2["total_hip"] > 0
    (alone,) = between_units(hips(*films[:2]))
    assert (alone.hips, alone.low_gcm2, alone.high_gcm2) == (1, {}, {})


def answers(name, *reports):
    return [FilmAnswers(f"{name}{k}", None, {"int8": report}) for k, report in enumerate(reports)]


def with_network(report, value):
    network = NetworkAnswer((value, value), (0.1, 0.1), (0.0,), (0.0,) * 7)
    hip = report.hips[0]
    changed = HipReport(
        **{name: getattr(hip, name) for name in HipReport.__slots__ if name != "network"}, network=network
    )
    return type(report)(
        **{name: getattr(report, name) for name in type(report).__dataclass_fields__} | {"hips": (changed,)}
    )


def test_rows_become_films_with_the_tables_date_or_the_headers_and_copies_count_once():
    reports = [with_network(visited("2024-01-01", 0.7), 0.7), with_network(visited(None, 0.71), 0.71)]
    films = answers("f", *reports, reports[0], visited("2024-01-03", 0.7, side="L"))
    rows = [HipRow(film=f"f{k}", subject="s", side="R", split="test", extra={"x_unit": "room 2"}) for k in range(4)]
    rows[1] = HipRow(
        film="f1", subject="s", side="R", split="test", film_date=date(2023, 1, 1), scale="hologic",
        bmd_gcm2={"femoral_neck": 0.7, "total_hip": 0.8},
    )  # fmt: skip
    found, without, copies = hip_films(rows, films, "int8")
    (hip,) = found.values()
    assert (without, copies) == (1, 1)
    assert [(one.taken.isoformat(), one.unit) for one in hip] == [("2023-01-01", "Drawn One"), ("2024-01-01", "room 2")]
    assert hip[0].dexa_gcm2.tolist() == [0.7, 0.8]
    assert np.isnan(hip[1].dexa_gcm2).all()


def test_every_film_says_why_it_was_taken():
    row = HipRow(film="f", subject="s", side="R", split="test", extra={"x_taken_under": "routine"})
    check_taken_under("t.csv", [row])
    with pytest.raises(TableError, match="1 rows do not say why their film was taken"):
        check_taken_under("t.csv", [row, HipRow(film="g", subject="s", side="R", split="test")])
    near = HipRow(film="g", subject="s", side="R", split="test", extra={"x_taken": "routine", "x_note": "a"})
    with pytest.raises(
        TableError, match=r"column x_taken_under \(not read: x_taken; is x_taken_under meant\?\)\), g is the"
    ):
        check_taken_under("t.csv", [row, near])
