"""A summary holds no patient's value and no small cell, and says what the validation says."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmd_edge.errors import UsageError
from bmd_edge.table.film_table import read_table
from calibration.statistics.detection import two_way
from calibration.study.deviations import against_plan
from calibration.study.endpoints import CALLED, Film, films_of
from calibration.study.frozen import StudyPlan
from calibration.study.release import Cells, ledger_file
from calibration.study.summary import (
    SCALES,
    _cells,
    _of_films,
    back,
    check_release,
    jackknife,
    read_summary,
    summarize,
    transformed,
    write_summary,
)
from tests.calibration.study.plans import draft, plan, validation
from tests.support.cohorts import table_of


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    made, table = validation(tmp_path_factory.mktemp("summary"), subjects=150)
    return made, table, read_table(table)


def summary(held: tuple, folder: Path, of: StudyPlan | None = None, release: bool = False):
    made, table, rows = held
    made = replace(made, facts=json.loads(json.dumps(made.facts)))
    if of:
        against_plan(made, of, table, "test", verified=False, signed=False)
    return summarize(made, rows, release_table=release, ledger=folder / "ledger.json")


def test_estimates_are_those_of_the_validation_on_their_scales(held: tuple, tmp_path: Path) -> None:
    found = summary(held, tmp_path)
    sites = held[0].facts["precisions"]["int8"]["sites"]
    for site in ("femoral_neck", "total_hip"):
        for name in ("bias_gcm2", "rmse_gcm2"):
            one = found.estimates[f"{site}.{name}"]
            figure = sites[site]["figures"][name]
            assert back(name, one.estimate) == pytest.approx(figure["value"], abs=2e-6)
            ends = transformed(name, np.array([figure["low"], figure["high"]]))
            assert np.sqrt(one.variance) == pytest.approx((ends[1] - ends[0]) / 3.92, rel=0.15)


def test_the_jackknife_of_a_mean_is_its_standard_error_and_knows_of_clusters() -> None:
    x = np.random.default_rng(0).normal(0, 1, 50)
    mean = lambda w: {"bias_gcm2": w @ x / w.sum(-1)}  # noqa: E731
    alone = jackknife(mean, [f"s{k}" for k in range(50)])["bias_gcm2"]
    assert alone.variance == pytest.approx(x.var(ddof=1) / 50)
    x = np.repeat(x, 2)
    twice = jackknife(lambda w: {"bias_gcm2": w @ x / w.sum(-1)}, [f"s{k // 2}" for k in range(100)])["bias_gcm2"]
    assert twice.variance == pytest.approx(alone.variance)


def test_what_no_result_could_mend_is_refused_before_films_are_read(
    held: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    table, of = held[1], plan(of=draft(("sensitivity=0.9+-0.2",)))
    check_release(tmp_path / "s.json", of, table, "test", release_table=True)
    check_release(tmp_path / "s.json", None, table, "test", release_table=False)
    for other in (None, plan(of=draft(("auroc>=age-0.1", "sensitivity=0.9+-0.2")))):
        with pytest.raises(UsageError, match="--release-table is for a plan"):
            check_release(tmp_path / "s.json", other, table, "test", release_table=True)
    with pytest.raises(UsageError, match=r"--summary s\.json: its folder is not there"):
        check_release(tmp_path / "none" / "s.json", of, table, "test", release_table=False)
    few = table_of(tmp_path, held[2][:20])
    with pytest.raises(UsageError, match="below 30 no summary leaves the clinic"):
        check_release(tmp_path / "s.json", of, few, "test", release_table=False)
    (tmp_path / "bmd-edge").mkdir(exist_ok=True)
    ledger_file().write_text("{")
    with pytest.raises(UsageError, match="in the configuration folder cannot be read"):
        check_release(tmp_path / "s.json", of, table, "test", release_table=False)


def test_a_share_of_all_has_no_estimate_and_no_warning() -> None:
    inside = np.ones(40)
    assert jackknife(lambda w: {"coverage": w @ inside / w.sum(-1)}, [f"s{k}" for k in range(40)]) == {}
    inside[0] = 0.0
    assert jackknife(lambda w: {"coverage": w @ inside / w.sum(-1)}, [f"s{k}" for k in range(40)]) == {}


def test_no_patient_and_no_small_number_is_in_the_file(held: tuple, tmp_path: Path) -> None:
    for of, release in ((None, False), (plan(of=draft(("sensitivity=0.9+-0.2",))), True)):
        found = summary(held, tmp_path, of, release)
        write_summary(tmp_path / "s.json", found)
        assert read_summary(tmp_path / "s.json") == found
        text = (tmp_path / "s.json").read_text()
        for one in held[0].pairs:
            assert one.subject not in text
            assert one.film not in text
            assert str(one.film_id) not in text
        facts = json.loads(text)
        counts = [facts["subjects"], *facts["without_a_number"].values()]
        assert all(n >= 5 and n % 5 == 0 for n in counts)
        assert (facts["table"] is not None) == release
        assert all(float(f"{one['variance']:.2g}") == one["variance"] for one in facts["estimates"].values())


def test_the_confirmed_table_is_that_of_the_primary_endpoint(held: tuple, tmp_path: Path) -> None:
    of = plan(of=draft(("sensitivity=0.9+-0.2", "specificity=0.9+-0.2")))
    found = summary(held, tmp_path, of, release=True)
    made, table, _ = held
    made = replace(made, facts=json.loads(json.dumps(made.facts)))
    against_plan(made, of, table, "test", verified=False, signed=False)
    assert found.table == made.facts["plan"]["endpoints"][0]["table"]
    with pytest.raises(UsageError, match="--release-table is for a plan"):
        summary(held, tmp_path, plan(of=draft(("femoral_neck.rmse_gcm2<=0.2",))), release=True)
    with pytest.raises(UsageError, match="--release-table is for a plan"):
        summary(held, tmp_path, None, release=True)


def test_too_few_subjects_and_almost_the_same_ones_are_refused(held: tuple, tmp_path: Path) -> None:
    few = validation(tmp_path, subjects=25)
    with pytest.raises(UsageError, match="below 30"):
        summarize(few[0], read_table(few[1]), release_table=False, ledger=tmp_path / "ledger.json")
    assert not (tmp_path / "ledger.json").exists()
    first = summary(held, tmp_path)
    assert summary(held, tmp_path) == first
    made, _, rows = held
    gone = next(one.subject for one in made.pairs if one.answers["int8"].bmd_gcm2)
    less = replace(made, pairs=[one for one in made.pairs if one.subject != gone])
    with pytest.raises(UsageError, match="would tell about them"):
        summarize(less, rows, release_table=False, ledger=tmp_path / "ledger.json")


def test_a_film_without_a_number_cannot_be_told_by_difference_either(held: tuple, tmp_path: Path) -> None:
    of = plan(of=draft(("sensitivity=0.9+-0.2",)))
    summary(held, tmp_path, of)
    made, table, rows = held
    gone = next(
        one.subject
        for one in made.kept
        if not one.answers["int8"].bmd_gcm2 and any(one.dexa_gcm2.values()) and one.has_t_score
    )
    less = replace(made, pairs=[one for one in made.pairs if one.subject != gone])
    with pytest.raises(UsageError, match="would tell about them"):
        summary((less, table, rows), tmp_path, of)


def test_the_same_subjects_counted_otherwise_do_not_tell_a_small_cell(held: tuple, tmp_path: Path) -> None:
    against, left_out = (plan(of=draft(("sensitivity=0.9+-0.2",)), refusals=how) for how in ("against", "left_out"))
    made, _, rows = held
    refused = [one for one in films_of(made, rows) if one.band is None and one.dexa_t <= -2.5]
    assert 0 < len(refused) < 5
    first = summary(held, tmp_path, against, release=True)
    with pytest.raises(UsageError, match="--release-table: with summary 1"):
        summary(held, tmp_path, left_out, release=True)
    assert summary(held, tmp_path, against, release=True) == first


def test_a_share_of_a_part_of_the_subjects_does_not_tell_a_small_cell_of_the_rest(held: tuple, tmp_path: Path) -> None:
    first = summary(held, tmp_path, plan())
    made, table, rows = held
    gone = list(dict.fromkeys(one.subject for one in made.pairs))[:9]
    less = replace(made, pairs=[one for one in made.pairs if one.subject not in gone])
    second = summary((less, table, rows), tmp_path, plan())
    why = "its difference from summary 1 of this clinic is below five"
    assert "specificity" in first.estimates
    assert second.withheld["specificity"] == why
    assert summary((less, table, rows), tmp_path, plan()) == second
    assert summary(held, tmp_path, plan()) == first


BANDS = ("low_suspected", "refer_for_dxa", "not_suspected", None)
CELLS = st.fixed_dictionaries({(low, band): st.integers(0, 12) for low in (True, False) for band in BANDS})


def counts(films: list[Film], figure: str, bands: Sequence[str]) -> tuple[int, ...]:
    return tuple(map(len, _cells(films, figure, bands)))


def test_a_cell_is_as_small_as_its_subjects_are_few() -> None:
    """Six films with a wrong answer each, of six subjects or of three; six cases, of six subjects or of three."""
    for subjects, told in ((6, True), (3, False)):
        films = [
            Film(f"{low}{called}{k}", f"{low}{called}{k % subjects}", t, k + t / 2, band, 70, None)
            for low, t in (("low", -3.0), ("other", 0.0))
            for called, band in (("called", "low_suspected"), ("not", "not_suspected"))
            for k in range(6)
        ]
        found = {name: one for name, one, _, _ in _of_films(films, None, None, True)}
        assert [one is not None for one in found.values()] == [True, told, told]
        cases = [one for one in films if one.dexa_t == 0.0 or one.band == "low_suspected"]
        assert (next(one for _, one, _, _ in _of_films(cases, None, None, True)) is not None) == told


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CELLS, st.sampled_from([None, *CALLED]), st.booleans())
def test_no_share_tells_a_cell_below_five_alone_or_by_difference(
    cells: dict, primary: str | None, against: bool
) -> None:
    films = [
        Film(f"{low}{band}{k}", f"{low}{band}{k}", -3.0 if low else 0.0, band and (-2.6 + k / 7), band, 70, None)
        for (low, band), n in cells.items()
        for k in range(n)
    ]
    counted = [one for one in films if one.band is not None or against]
    released = None
    if primary:
        (tp, fn), (tn, fp) = (counts(counted, name, CALLED[primary]) for name in ("sensitivity", "specificity"))
        released = {"true_low": tp, "missed": fn, "false_low": fp, "true_other": tn}
    for figure, one, _, told in _of_films(films, released, primary, against):
        assert one is None or figure == "auroc" or told == Cells(figure, *counts(counted, figure, CALLED[figure]))
        if one is None or figure == primary:
            continue
        if figure == "auroc":
            kinds = [
                sum(low == kind for low, band in cells for _ in range(cells[low, band]) if band) for kind in (0, 1)
            ]
            assert min(kinds) >= 5
            continue
        right, wrong = counts(counted, figure, CALLED[figure])
        assert min(right, wrong) >= 5
        if released:
            told = released["missed" if figure == "sensitivity" else "false_low"]
            assert abs(told - wrong) >= 5


@given(CELLS)
@settings(max_examples=40, deadline=None)
def test_cells_are_those_of_the_two_way_table(cells: dict) -> None:
    films = [
        Film("", "", -3.0 if low else 0.0, 0.0, band, 70, None) for (low, band), n in cells.items() for _ in range(n)
    ]
    films = [one for one in films if one.band]
    low = np.array([one.dexa_t <= -2.5 for one in films], bool)
    for figure, bands in CALLED.items():
        called = np.array([one.band in bands for one in films], bool)
        right, wrong = counts(films, figure, bands)
        value = two_way(called, low, np.ones((1, len(films))))[figure][0]
        assert np.isnan(value) if right + wrong == 0 else value == pytest.approx(right / (right + wrong))


@pytest.mark.parametrize("figure", SCALES)
def test_scales_go_there_and_back(figure: str) -> None:
    assert back(figure, float(transformed(figure, 0.37))) == pytest.approx(0.37)


@pytest.mark.parametrize(
    "change",
    [
        *({"estimates": {"femoral_neck.bias_gcm2": {"estimate": 0.1, "variance": one}}} for one in (0, -1e-6)),
        {"estimates": {"femoral_neck.median": {"estimate": 0.1, "variance": 1e-6}}},
    ],
)
def test_a_figure_that_could_not_be_pooled_is_refused(change: dict, held: tuple, tmp_path: Path) -> None:
    facts = json.loads(json.dumps(asdict(summary(held, tmp_path)))) | change
    (tmp_path / "s.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=r"is no figure with a variance: changed by hand\? have it written anew"):
        read_summary(tmp_path / "s.json")
    with pytest.raises(UsageError, match=r"none\.json: cannot be read \(No such file"):
        read_summary(tmp_path / "none.json")


@pytest.mark.parametrize("change", [{"kind": "other"}, {"schema": 2}, {"more": 1}, {"subjects": "forty"}])
def test_another_schema_is_refused(change: dict, held: tuple, tmp_path: Path) -> None:
    facts = json.loads(json.dumps(asdict(summary(held, tmp_path)))) | change
    (tmp_path / "s.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=r"summary of (schema|a study)|no summary"):
        read_summary(tmp_path / "s.json")
