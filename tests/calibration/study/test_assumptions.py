"""What sizes rest on: of the bundle, of a pilot, of what is given."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import UsageError
from calibration.study.assumptions import (
    PREVALENCE,
    VALIDATION,
    Assumptions,
    assumed,
    of_bundle,
    of_pilot,
    shares,
    stated,
)
from tests.support.cohorts import made_bundle

KNOWN = Assumptions(
    rmse_gcm2={"femoral_neck": 0.06, "total_hip": 0.05},
    bias_gcm2={"femoral_neck": 0.0, "total_hip": 0.0},
    int8_sd_gcm2=0.001,
)


def test_the_bundle_states_its_own_errors_and_what_its_intervals_mean_to_cover() -> None:
    bundle = read_bundle()
    known = stated(bundle, "int8")
    rmse = bundle.manifest.knowledge.precisions["int8"]["femoral_neck"].mean.rmse_gcm2
    assert known.rmse_gcm2["femoral_neck"] == pytest.approx(rmse, abs=1e-4)
    assert known.coverage == 0.9
    assert 0 < known.int8_sd_gcm2 < 0.005
    with pytest.raises(UsageError, match="--pilot"):
        stated(made_bundle(), "int8")


def test_of_the_embedded_bundle_the_validation_is_planned_with_and_of_another_its_statement() -> None:
    bundle = read_bundle()
    facts = json.loads(VALIDATION.read_text())
    assert facts["bundle_digest"] == bundle.digest
    sites = facts["precisions"]["int8"]["sites"]
    known, other = of_bundle(bundle, "int8")
    assert other == stated(bundle, "int8")
    for site, one in sites.items():
        assert known.rmse_gcm2[site] == pytest.approx(one["figures"]["rmse_gcm2"]["value"], abs=1e-4)
        assert known.bias_gcm2[site] == pytest.approx(one["figures"]["bias_gcm2"]["value"], abs=1e-4)
        assert known.coverage <= one["figures"]["coverage"]["value"] + 1e-3
    assert "validation on 198 ordinary films of the phantom, synthetic" in known.source
    assert set(known.guessed) == {"bmd_sd_gcm2", "hips", "hip_r", "left_out", "prevalence", "r_age", "r_ost"}
    assert known.prevalence == PREVALENCE  # of subjects the phantom knows nothing
    assert of_bundle(replace(bundle, digest="0" * 64), "int8") == (stated(bundle, "int8"),) * 2


def test_a_pilot_knows_better(tmp_path: Path) -> None:
    facts = json.loads(VALIDATION.read_text())
    known, worse = of_pilot(VALIDATION, read_bundle())
    site = facts["precisions"][facts["primary"]]["sites"]["total_hip"]
    assert known.rmse_gcm2["total_hip"] == pytest.approx(site["figures"]["rmse_gcm2"]["value"], abs=1e-4)
    assert known.hips == pytest.approx(229 / 158, abs=0.01)
    assert "validation of 158 subjects" in known.source
    assert "films are synthetic" in known.source
    assert known.left_out == pytest.approx(22 / 180, abs=1e-3)  # of subjects, not of hips
    assert 0.1 < known.bmd_sd_gcm2 < 0.148
    assert known.guessed == ("hip_r", "r_age", "r_ost")
    assert assumed(known, ["r_age=0.4"]).guessed == ("hip_r", "r_ost")
    assert worse.rmse_gcm2["total_hip"] == pytest.approx(site["figures"]["rmse_gcm2"]["high"], abs=1e-4)
    farther = max((site["figures"]["bias_gcm2"][end] for end in ("low", "high")), key=abs)
    assert worse.bias_gcm2["total_hip"] == pytest.approx(farther, abs=1e-4)
    assert worse.coverage < known.coverage
    assert worse.left_out == known.left_out
    for rows in facts["subgroups"].values():
        rows[:] = [row for row in rows if row["division"] != "maker"]
    (tmp_path / "unknown.json").write_text(json.dumps(facts))
    assert "synthetic" not in of_pilot(tmp_path / "unknown.json", read_bundle())[0].source
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match=r"no validation\.json"):
        of_pilot(tmp_path / "other.json", read_bundle())
    with pytest.raises(
        UsageError, match=r"none\.json: cannot be read \(No such file or directory\): `bmd-edge validate`"
    ):
        of_pilot(tmp_path / "none.json", read_bundle())


def test_what_is_given_stands_and_is_named() -> None:
    found = assumed(KNOWN, ["prevalence=0.3", "rmse_gcm2.total_hip=0.07", "hips=1.5"])
    assert (found.prevalence, found.hips) == (0.3, 1.5)
    assert found.rmse_gcm2 == {"femoral_neck": 0.06, "total_hip": 0.07}
    assert "given: prevalence; given: rmse_gcm2.total_hip; given: hips" in found.source


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age=3", "'age' is not one of rmse_gcm2, "), ("source=1", "'source' is not one of rmse_gcm2, "),
        ("effective=1", "write NAME=VALUE or NAME.SITE=VALUE"), ("prevalance=0.2", "(did you mean prevalence?); write"),
        ("rmse.total_hip=0.1", "(did you mean rmse_gcm2?); write NAME=VALUE"),
        ("rmse_gcm2.hip=0.1", "'hip' is not one of femoral_neck, total_hip (did you mean total_hip?); write rmse_gcm2"),
        ("prevalence", "from 0.0001 to 0.9999"), ("prevalence=0", "from 0.0001 to 0.9999"),
        ("prevalence=1", "from 0.0001 to 0.9999"), ("prevalence=25", "not percent"), ("prevalence=nan", "not percent"),
        ("hips=3", "from 1 to 2"), ("prevalence.total_hip=0.2", "write prevalence=VALUE with"),
        ("rmse_gcm2.spine=0.1", "rmse_gcm2.SITE=VALUE"), ("rmse_gcm2=60", "to 0.999 (g/cm2)"),
        ("rmse_gcm2=0.2", "give --assume rmse_gcm2.femoral_neck=VALUE below 0.148, or a bmd_sd_gcm2 above 0.2"),
        ("bias_gcm2=0.06", "give --assume bias_gcm2.femoral_neck=VALUE between -0.06 and 0.06"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        assumed(KNOWN, [text])


def test_what_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="prevalence is given twice"):
        assumed(KNOWN, ["prevalence=0.2", "prevalence=0.3"])
    with pytest.raises(UsageError, match="men is given twice"):
        shares(["men=0.2", "men=0.3"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda facts: facts.update(bundle_digest="0" * 64), "measured with another bundle"),
        (lambda facts: facts.update(recalibration="f" * 16), "measured with a recalibration"),
        (lambda facts: facts["precisions"]["int8"]["sites"]["total_hip"].update(subjects=29), "29 subjects, a pilot"),
        (
            lambda facts: facts["table"].update(subjects=20_000),
            "--assume left_out, write left_out=VALUE with",
        ),
        (lambda facts: facts.update(precisions=[]), "no validation.json"),
    ],
)
def test_a_pilot_that_says_nothing_of_this_study_is_refused(
    change: Callable[[dict], None], said: str, tmp_path: Path
) -> None:
    facts = json.loads(VALIDATION.read_text())
    change(facts)
    (tmp_path / "validation.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=re.escape(said)):
        of_pilot(tmp_path / "validation.json", read_bundle())


@pytest.mark.parametrize("prevalence", [0, 1, None])
def test_a_pilot_of_one_kind_of_subjects_does_not_tell_the_prevalence(prevalence: object, tmp_path: Path) -> None:
    facts = json.loads(VALIDATION.read_text())
    facts["precisions"]["int8"]["headline"]["targets"]["-2.5"]["prevalence"]["value"] = prevalence
    (tmp_path / "validation.json").write_text(json.dumps(facts))
    known, _ = of_pilot(tmp_path / "validation.json", read_bundle())
    assert known.prevalence == PREVALENCE
    assert "prevalence" in known.guessed


def test_shares_of_parts() -> None:
    assert shares(["men=0.2", "over 80=.1"]) == {"men": 0.2, "over 80": 0.1}
    for text in ("men", "men=1", "=0.2", "men=few"):
        with pytest.raises(UsageError, match="NAME=SHARE"):
            shares([text])


def test_two_hips_count_as_their_correlation_says() -> None:
    rng = np.random.default_rng(3)
    both, r, draws = rng.random((20000, 60)) < 0.5, 0.6, rng.standard_normal((3, 20000, 60))
    right = np.sqrt(r) * draws[0] + np.sqrt(1 - r) * draws[1]
    left = np.sqrt(r) * draws[0] + np.sqrt(1 - r) * draws[2]
    means = (right + both * left).sum(1) / (1 + both).sum(1)
    known = assumed(KNOWN, ["hips=1.5", "hip_r=0.6"])
    assert 1 / means.var() == pytest.approx(known.effective(60, 0.6), rel=0.04)
