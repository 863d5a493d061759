"""The proof of pooling."""

import json
from pathlib import Path

import pytest

from export.proofs.study_pooling import covered

FOUND = json.loads((Path(__file__).parents[3] / "calibration" / "results" / "study_pooling.json").read_text())


@pytest.mark.parametrize("kind", ["one off", "drawn around a mean"])
def test_the_interval_of_the_mean_bias_covers(kind: str) -> None:
    one = FOUND["kinds"][kind]
    assert one["sets"] == FOUND["n"] == 1000
    assert 900 <= one["random"] <= 1000
    assert 930 <= one["fixed_of_these"] <= 970
    assert one["fixed"] < one["random"]
    assert FOUND["command"] == "python -m export.proofs.study_pooling --n 1000 --seed 1 --out study_pooling.json"
    assert FOUND["synthetic"] is True


def test_the_result_is_that_of_this_code() -> None:
    assert covered("drawn around a mean", 1000, 1) == FOUND["kinds"]["drawn around a mean"]
