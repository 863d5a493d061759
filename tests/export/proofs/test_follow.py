"""The proof of follow: what it counts on made-up films, and that the committed result keeps its promises."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.follow.repeatability import phantoms
from bmd_edge.follow.series import SIZES_APART
from bmd_edge.sites import SITES
from export.proofs import change_power, follow
from export.proofs.change_power import VISITS
from export.proofs.followed_films import RATES, SeenFilm, plan
from tests.bmd_edge.follow.made_up import DIGEST, visited

FOUND = json.loads((Path(__file__).parents[3] / "calibration" / "results" / "follow.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def groups() -> follow.Groups:
    """Films whose estimates are 0.7 of every true change, with an error of 0.02 g/cm2."""
    rng, seen, level = np.random.default_rng(0), [], {}
    for one in plan(100, 30, 10, 10):
        base = level.setdefault(one.spec.subject_seed, rng.normal(0.8, 0.1))
        true = base * (1 - 0.9 * one.spec.loss)
        facts = {"patient_pseudonym": f"pt-{one.spec.subject_seed}", "unit_pseudonym": one.unit}
        taken, sides = f"{2015 + one.year}-07-01", "RL" if one.group == "both_hips" else one.spec.side
        hips = [
            visited(taken, *np.round(base + 0.7 * (true - base) + rng.normal(0, 0.02, 2), 4), side=side, **facts)
            for side in sides
        ]
        report = replace(hips[0], hips=tuple(hip.hips[0] for hip in hips))
        seen.append(SeenFilm(one, report, {side: dict.fromkeys(SITES, true) for side in sides}))
    return follow.by_subject_of(seen)


def test_the_planted_slope_precision_and_power_are_found(groups: follow.Groups, monkeypatch) -> None:
    monkeypatch.setattr(change_power, "DRAWS", 20)
    monkeypatch.setattr(follow, "RATES", (0.0, 0.10))
    known = follow.repeated(groups, unchanged_too=True)
    found = follow.prove(groups, DIGEST, "int8", known)
    assert known["total_hip"].rms_sd_gcm2 == pytest.approx(0.02, abs=0.003)
    slope = found["longitudinal_slope"]["total_hip"]
    assert slope["low"] < 0.7 < slope["high"]
    rows = {(row["loss_a_year"], row["visits"]): row for row in found["counted"]}
    assert [rows[0.0, visits]["n"] for visits in VISITS] == [100, 80, 60, 40, 20]
    assert {rows[0.1, visits]["n"] for visits in VISITS} == {12}
    assert rows[0.0, 6]["ever"]["stated"] <= 0.05
    assert rows[0.1, 6]["stated"] == 1.0 > rows[0.1, 2]["stated"]
    assert all(row["ever"]["stated"] >= row["stated"] for row in rows.values())
    assert found["other_unit"]["named"] == 1.0
    assert found["rates_covered"]["total_hip"]["covered"] > 0.9
    wrongly = found["two_sizes"].pop("true_series")
    assert (wrongly["n"], wrongly["wrongly"]) == (20 + 5 * 12, 0.0)
    assert found["two_sizes"] == {"limit": SIZES_APART, "sd_of_logarithm": 0.0, "strangers": 0.0}


def test_hips_of_two_sizes_are_told_as_often_as_their_sizes_differ(groups: follow.Groups) -> None:
    """Every second subject's hip is larger by a third: of 100 subjects 50 x 50 of 4,950 pairs."""
    for (group, subject, _), films in (sized := dict(groups)).items():
        if group == "followed" and subject % 2:
            sized[group, subject, _] = [
                replace(film, report=replace(film.report, spacing_mm=(2 / 3, 2 / 3))) for film in films
            ]
    found = follow.two_sizes(sized, [{"visits": 6, "n": 20, "left_out": 1}, {"visits": 5, "n": 9, "left_out": 9}])
    assert (found["strangers"], found["sd_of_logarithm"]) == (round(2500 / 4950, 4), 0.0)
    assert (found["true_series"]["n"], found["true_series"]["wrongly"]) == (20, 0.05)


def test_a_unit_that_is_not_named_is_counted(groups: follow.Groups) -> None:
    blind = {
        key: [replace(film, report=replace(film.report, unit_pseudonym="un-a")) for film in films]
        for key, films in groups.items()
    }
    file = follow.repeatability_file("clinic", DIGEST, {"int8": follow.repeated(groups, unchanged_too=False)})
    assert follow.units(blind, file)["named"] == 0.0
    said: list[str] = []
    row = {"loss_a_year": 0, "low": 0.01, "ever": {"low": 0.02}}
    facts = {"counted": [row], "modeled": [{"loss_a_year": 0, "low": 0.01}], "other_unit": {"named": 0.0}}
    assert not follow.holds(facts, said.append)
    assert follow.holds(facts | {"other_unit": {"named": 1.0}}, said.append)
    for alarm in ({"low": 0.06}, {"ever": {"low": 0.06}}):
        assert not follow.holds(facts | {"counted": [row | alarm], "other_unit": {"named": 1.0}}, said.append)


def test_the_committed_result_keeps_its_promises() -> None:
    assert FOUND["synthetic"] is True
    assert FOUND["command"].startswith("python -m export.proofs.follow ")
    assert follow.holds(FOUND, lambda _: None)
    for name in ("counted", "modeled"):
        assert {(row["loss_a_year"], row["visits"]) for row in FOUND[name]} == {(r, n) for r in RATES for n in VISITS}
    named = FOUND["other_unit"]
    assert named["named"] >= 0.95
    assert FOUND["two_sizes"]["limit"] == SIZES_APART, "remake it: make bundle's last command"
    assert FOUND["two_sizes"]["true_series"]["high"] <= 0.02 < FOUND["two_sizes"]["strangers"]
    assert all(one is None or 0 < one["low"] < one["high"] for one in FOUND["longitudinal_slope"].values())


def test_the_committed_result_and_the_phantoms_figure_are_of_the_embedded_bundle() -> None:
    digest = read_bundle(None).digest
    assert FOUND["bundle_digest"] == phantoms().bundle_digest == digest, "remake both: make bundle's last command"
    hip = phantoms().precisions[FOUND["precision"]]["total_hip"]
    assert FOUND["repeatability"]["total_hip"]["rms_sd_gcm2"] == hip.rms_sd_gcm2
