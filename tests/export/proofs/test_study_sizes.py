"""The proof of the sizes: each kind of study is drawn, and the committed result is of this code."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from calibration.study.aims import aims
from calibration.study.sizes import size
from export.proofs import study_sizes
from export.proofs.study_sizes import AIMS, KNOWN, POWER, SHORT_OF_PLAN, reached

FOUND = json.loads((Path(__file__).parents[3] / "calibration" / "results" / "study_sizes.json").read_text())


@pytest.mark.parametrize("text", AIMS)
def test_each_planned_size_is_todays_and_reached_its_aim(text: str) -> None:
    (one,) = (one for one in FOUND["aims"] if one["aim"] == text)
    planned = size(aims(text)[0], KNOWN)
    assert (one["subjects"], one["enrolled"]) == (planned.subjects, planned.enrolled)
    assert one["studies"] == FOUND["n"] == 2000
    assert one["reached_low"] >= POWER - SHORT_OF_PLAN
    assert one["reached"] == one["shown"] / 2000


def test_the_result_names_its_command_and_assumptions() -> None:
    assert FOUND["command"] == "python -m export.proofs.study_sizes --n 2000 --seed 1 --out study_sizes.json"
    assert FOUND["synthetic"] is True
    assert FOUND["assumptions"] == json.loads(json.dumps(asdict(KNOWN)))
    assert FOUND["resamples"] == study_sizes.RESAMPLES


@pytest.mark.parametrize("text", AIMS)
def test_studies_of_an_eighth_of_the_size_seldom_show_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that always said yes would prove every size."""
    planned = size(aims(text)[0], KNOWN)
    few = planned.enrolled // 8
    monkeypatch.setattr(study_sizes, "_HOW", study_sizes.Bootstrap(resamples=200))
    shown = [study_sizes.study(aims(text)[0], few, study_sizes.np.random.default_rng(k)) for k in range(20)]
    assert sum(shown) <= 16
    monkeypatch.setattr(study_sizes, "size", lambda *_: planned.__class__(planned.aim, few, few, 0.9))
    assert not reached(text, 20, 1)["holds"]
