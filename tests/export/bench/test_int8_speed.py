import json

import pytest

from export.bench import int8_speed
from export.bench.int8_speed import Case


def test_the_three_are_timed_in_turns_and_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(int8_speed, "CASES", (Case("vgg11_se", 0.25, 32, 2),))
    int8_speed.main(["--threads", "1"])
    found = json.loads(capsys.readouterr().out)
    assert found["command"] == "python -m export.bench.int8_speed"
    assert [row["batch"] for row in found["rows"]] == [1, 8]
    for row in found["rows"]:
        assert (row["network"], row["rounds"], row["threads"]) == ("vgg11_se", 2, 1)
        assert all(row[f"{name}_ms_per_image"] > 0 for name in ("torch", "fp32", "int8"))
        assert row["int8_over_fp32"] > 0 < row["int8_over_torch"]
