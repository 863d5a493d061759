"""What a study is, from a film table and from a run."""

from dataclasses import replace

import numpy as np

from bmd_edge.report.film_report import HipReport
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.drift.control_charts import reference_of
from calibration.drift.studies import FACTS, Seen, by_study, of_reports, of_rows
from tests.calibration.drift.made_up_studies import POOL, reports, studies


def test_two_hips_of_a_study_are_one_observation() -> None:
    hips = studies(4, 6)
    hips.facts[1, 0] = np.nan
    both = by_study(hips, ["a", "a", "b", "a"])
    assert len(both) == 2
    np.testing.assert_allclose(both.bmd[0], hips.bmd[[0, 1, 3]].mean(0))
    np.testing.assert_allclose(both.facts[0, 0], hips.facts[[0, 3], 0].mean())
    np.testing.assert_allclose(both.embedding[1], hips.embedding[2])


def row(subject: str, **extra: str) -> HipRow:
    return HipRow(film=f"{subject}.png", subject=subject, side="R", split="calibrate", age_years=70.0, sex="F",
                  extra=extra)  # fmt: skip


def test_a_tables_facts() -> None:
    marks = {"x_head_center_x": "100", "x_head_center_y": "20", "x_lesser_trochanter_x": "130",
             "x_lesser_trochanter_y": "60", "x_spacing_mm": "0.65", "x_kvp": "72.5"}  # fmt: skip
    answers = np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 5)), np.ones((2, 7))
    seen = of_rows([row("a", **marks), row("b")], *answers)
    np.testing.assert_allclose(seen.facts[0], [70.0, 1.0, np.log(50 * 0.65), 72.5])
    assert np.isnan(seen.facts[1, 2:]).all()
    assert seen.facts.shape == (2, len(FACTS))
    assert reference_of([row("a", **marks), row("b")], *answers) is None
    assert len(SITES) == 2


def test_films_of_a_run_are_seen_as_those_of_a_table() -> None:
    for both in (False, True):
        seen, names = of_reports(reports(POOL.take(np.arange(50)), "", both))
        assert names == [f"{k:016x}" for k in range(50)]
        for part in Seen.__slots__:
            np.testing.assert_allclose(getattr(seen, part), getattr(POOL, part)[:50], atol=1e-9)


def test_refused_hips_count_nowhere_and_a_study_once() -> None:
    one, two, three = reports(POOL.take(np.arange(3)), "")
    refused = HipReport(side="L", status="refused", reason="implant", landmarks_px={}, box_px=None, estimates=())
    same_study = replace(two, study_instance_uid=one.study_instance_uid)
    nothing = replace(three, hips=(refused,))
    seen, names = of_reports([replace(one, hips=(*one.hips, refused)), same_study, nothing])
    assert (len(seen), names) == (1, [one.film_id])
    np.testing.assert_allclose(seen.bmd[0], POOL.bmd[:2].mean(0))
    assert of_reports([nothing])[1] == []
