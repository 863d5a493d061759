"""Committed figures belong to the embedded bundle, and the commands that made them are those that are shown."""

import json
import re
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import read_bundle
from export.readme import figures

ROOT = Path(__file__).parents[3]
RESULTS = sorted(path for room in ("export", "calibration") for path in (ROOT / room / "results").glob("*.json"))
WITHOUT_A_BUNDLE = {"speed"}
"""Results of networks with random weights."""
WITHOUT_A_NETWORK = {"study_pooling", "study_sizes"}
"""Results of simulated studies."""


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_each_result_is_of_the_embedded_bundle(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    if path.stem in WITHOUT_A_BUNDLE:
        assert found["weights"] == "random"
        return
    if path.stem in WITHOUT_A_NETWORK:
        assert found["synthetic"] is True
        assert "bundle_digest" not in found
        return
    assert found["bundle_digest"] == read_bundle().digest, f"{path.name} was measured with another bundle: measure anew"


@pytest.mark.parametrize(("name", "command"), [("score", figures.SCORE_COMMAND), ("repeat", figures.REPEAT_COMMAND)])
def test_the_makefile_measures_what_is_committed(name: str, command: str) -> None:
    path = ROOT / "export/results" / f"{name}.json"
    made = command.format(**json.loads(path.read_text(encoding="utf-8"))).removeprefix("bmd-edge ")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(rf"\$\$run (phantom score .+) > export/results/{path.name}", makefile) == [made]
