"""Limits given with the command, and the verdict against each."""

from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from calibration.pairs.pairs import Answer, Pair
from calibration.validate.acceptance import Limit, accept, limit
from calibration.validate.flow import flow
from calibration.validate.page import write_page
from calibration.validate.subgroups import apart
from calibration.validate.validate import Validation

ANSWER = Answer(None, *({"femoral_neck": 0.7, "total_hip": 0.8} for _ in range(3)))


def sites(low: float, high: float) -> dict:
    figure = {"value": (low + high) / 2, "low": low, "high": high}
    one = {"figures": {"rmse_gcm2": figure, "bias_gcm2": figure, "r": figure}, "hips": 200}
    return {
        site: one | {"detection": {"targets": {"-2.5": {"auroc": figure}}}} for site in ("femoral_neck", "total_hip")
    }


def verdict(text: str, low: float | None, high: float | None) -> str:
    made = sites(low or 0.0, high or 0.0)
    if low is None:
        made["femoral_neck"]["figures"]["rmse_gcm2"] = {"value": 0.05, "low": None, "high": None}
    facts = {"primary": "int8", "precisions": {"int8": {"sites": made}}, "findings": []}
    accept(facts, [limit(f"femoral_neck.{text}")])
    (one,) = facts["acceptance"]
    assert [found["code"] for found in facts["findings"]] == (
        [] if one["verdict"] == "met" else [f"acceptance_{one['verdict']}"]
    )
    assert {found["severity"] for found in facts["findings"]} <= {"error"}
    assert ["no interval: 10 subjects are the least" in found["sentence"] for found in facts["findings"]] == (
        [low is None] * len(facts["findings"])
    )
    return one["verdict"]


@pytest.mark.parametrize(
    ("text", "low", "high", "expected"),
    [
        ("rmse_gcm2<=0.07", 0.05, 0.07, "met"),
        ("rmse_gcm2 <= 0.07", 0.05, 0.08, "not_shown"),
        ("rmse_gcm2<=.07", 0.071, 0.08, "missed"),
        ("rmse_gcm2<=0.07", None, None, "not_shown"),
        ("r>=0.85", 0.85, 0.9, "met"),
        ("r>=0.85", 0.8, 0.9, "not_shown"),
        ("r>=0.85", 0.7, 0.84, "missed"),
        ("bias_gcm2<=0.02", -0.02, 0.01, "met"),
        ("bias_gcm2<=0.02", -0.03, 0.01, "not_shown"),
        ("bias_gcm2<=0.02", -0.04, -0.03, "missed"),
        ("auroc>=0.9", 0.91, 0.95, "met"),
    ],
)
def test_a_limit_is_met_by_the_whole_interval(text: str, low: float | None, high: float | None, expected: str) -> None:
    assert verdict(text, low, high) == expected


def test_a_limit_without_a_site_holds_for_both_and_nonsense_is_refused() -> None:
    assert limit("coverage>=0.88") == Limit("coverage", ">=", 0.88)
    for text in ("rmse<=0.07", "r=0.9", "r>=high", "spine.r>=0.9", "r<0.9", "r>=-0.1"):
        with pytest.raises(UsageError, match="write FIGURE<=VALUE"):
            limit(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("rmse<=0.07", "rmse_gcm2"), ("neck.r>=0.9", "femoral_neck"), ("total_hip.bais_gcm2 <= 0.02", "bias_gcm2")],
)
def test_a_misspelled_name_is_answered_with_the_nearest(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"is not one of .* \(did you mean {meant}\?\); write FIGURE<=VALUE"):
        limit(text)
    with pytest.raises(UsageError, match=r"^--accept r=0\.9: write FIGURE<=VALUE"):
        limit("r=0.9")


def test_the_page_has_limits_flow_and_lines_to_sign(made: tuple, tmp_path: Path) -> None:
    validation, pairs, folder = made
    before = (folder / "validation.html").read_text()
    assert "No limits were given" in before
    facts = deepcopy(validation.facts)
    accept(facts, [limit("rmse_gcm2<=0.5"), limit("total_hip.r>=0.999")])
    assert [one["verdict"] for one in facts["acceptance"]] == ["met", "met", "missed"]
    assert facts["findings"][0]["code"] == "acceptance_missed"
    write_page(tmp_path / "validation.html", Validation(facts, validation.pairs, validation.films, validation.left_out))
    page = (tmp_path / "validation.html").read_text()
    assert "Total hip: r ≥ 0.999" in page
    assert "Signature" in page
    steps = facts["flow"]
    assert steps[0]["hips"] == len(pairs)
    assert all(first["hips"] - sum(then["out"].values()) == then["hips"] for first, then in pairwise(steps[:4]))
    assert steps[3]["out"]["implant"] == sum(row["int8_reason"] == "implant" and not row["left_out"] for row in pairs)
    assert steps[4]["hips"] == facts["precisions"]["int8"]["sites"]["femoral_neck"]["hips"]


def test_hips_without_dexa_drop_out_first() -> None:
    def hip(subject: str, dexa: float | None) -> Pair:
        facts = dict.fromkeys(("film_id", "age_years", "sex", "bmi", "maker", "spacing_source", "scale"))
        sites = {"femoral_neck": dexa, "total_hip": dexa}
        return Pair(film=subject, subject=subject, side="R", dexa_gcm2=sites, answers={"fp32": ANSWER}, **facts)

    steps = flow([hip("a", 0.7), hip("b", None), hip("c", 0.8)], {("c", "R"): "subject_seen"}, "fp32")
    assert [(one["hips"], one["out"]) for one in steps] == [
        (3, {}), (2, {"no DEXA": 1}), (1, {"subject_seen": 1}), (1, {}), (1, {}), (1, {}),
    ]  # fmt: skip


def part(name: str, low: float, high: float) -> dict:
    bias = {"value": (low + high) / 2, "low": low, "high": high}
    return {"division": "age", "part": name, "hips": 40, "figures": {"bias_gcm2": bias}}


def test_parts_apart_are_one_finding_that_says_how_many_were_compared() -> None:
    whole = {"figures": {"bias_gcm2": {"value": 0.004, "low": 0.0, "high": 0.008}}}
    rows = [part("50 to 60 years", -0.01, 0.02), part("80 years or more", 0.006, 0.052)]
    (found,) = apart("femoral_neck", rows, whole)
    assert found.code == "subgroup_apart"
    assert "age 80 years or more +0.029 (+0.006 to +0.052, 40 hips)" in found.sentence
    assert "50 to 60" not in found.sentence
    assert "2 parts were compared: about 1 would be by chance" in found.sentence
    assert list(apart("femoral_neck", rows[:1], whole)) == []
