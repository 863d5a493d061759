"""The headline of a film in everything a reader sees, and the words that never describe a result."""

import ast
import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.cli.terminal import print_results
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.report.film_report import HipReport, film_headline
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from tests.support.screening import NOTICE, drawn_bmd, drawn_bundle, drawn_finder, hip_dicom

ROOT = Path(__file__).parents[2] / "bmd_edge"
NOT_RULED_OUT = "low BMD is not ruled out"
POINTS = {  # the drawn hips have T-scores near -1
    "low_suspected": HeadlineCuts(2.0, 2.5, 50, 200),
    "refer_for_dxa": HeadlineCuts(-9.0, 2.0, 50, 200),
    "not_suspected": HeadlineCuts(-9.0, -8.0, 50, 200),
}


def screener(points: HeadlineCuts | None) -> Screener:
    bundle = drawn_bundle()
    calibration = {name: replace(numbers, operating_points=points) for name, numbers in bundle.calibration.items()}
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd()}
    return Screener(replace(bundle, calibration=calibration), engines=engines)


@pytest.mark.parametrize("name", HEADLINES)
def test_the_headline_stands_in_every_output(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    (films / "pelvis.dcm").write_bytes(hip_dicom("RL"))
    (films / "young.dcm").write_bytes(hip_dicom("R", PatientAge="044Y"))
    with screener(POINTS[name]) as opened:
        print_results(out, screen_folder(opened, films, out), films)
    pelvis, young = map(json.loads, (out / "results.jsonl").read_text().splitlines())
    assert (pelvis["band"], pelvis["band_meaning"]) == (name, HEADLINES[name])
    assert (young["band"], young["band_meaning"]) == (None, None)
    page = (out / "report" / "index.html").read_text()
    assert HEADLINES[name] in page
    assert "No headline. No T-score: under 50 years." in page
    rows = list(csv.reader((out / "results.csv").read_text().splitlines()))
    said = [row[rows[0].index("band") :][:2] for row in rows[1:]]
    assert said == [[name, HEADLINES[name]]] * 2 + [["", ""]]
    table = " ".join(capsys.readouterr().out.split())
    assert {"low_suspected": "low BMD suspected", "refer_for_dxa": "refer for DXA"}.get(name, NOT_RULED_OUT) in table
    assert NOTICE in table
    if name == "not_suspected":
        for text in (page, " ".join(rows[1]), json.dumps(pelvis), table):
            assert NOT_RULED_OUT in text


def test_without_operating_points_the_page_says_so() -> None:
    from bmd_edge.report.worklist import no_headline

    with screener(None) as opened:
        assert no_headline(opened.read(hip_dicom("R"))) == "No headline. The bundle has no cuts for it."
        assert no_headline(opened.read(b"text")) is None


def test_beside_a_fracture_low_bmd_is_never_unsuspected() -> None:
    with screener(None) as opened:
        read = opened.read(hip_dicom("R")).hips[0]
    broken = HipReport(side="L", status="refused", reason="fracture", landmarks_px={}, box_px=None, estimates=())
    implant = replace(broken, reason="implant")
    assert film_headline([read, implant], POINTS["not_suspected"]) == "not_suspected"
    assert film_headline([read, broken], POINTS["not_suspected"]) == "refer_for_dxa"
    assert film_headline([read, broken], POINTS["low_suspected"]) == "low_suspected"
    assert film_headline([broken], POINTS["low_suspected"]) is None


def test_beside_a_hip_in_doubt_low_bmd_is_never_unsuspected() -> None:
    """It may be fractured; a hip that was not found at all leaves the headline to the other one."""
    with screener(None) as opened:
        read = opened.read(hip_dicom("R")).hips[0]
    doubt = HipReport(side="L", status="refused", reason="not_measurable", landmarks_px={}, box_px=None, estimates=())
    assert film_headline([read, doubt], POINTS["not_suspected"]) == "refer_for_dxa"
    assert film_headline([read, doubt], POINTS["low_suspected"]) == "low_suspected"
    assert film_headline([read, replace(doubt, reason="hip_not_found")], POINTS["not_suspected"]) == "not_suspected"


def test_no_headline_clears_a_patient() -> None:
    assert NOT_RULED_OUT in HEADLINES["not_suspected"]
    for name, sentence in HEADLINES.items():
        assert name == "not_suspected" or "DXA" in sentence


def said() -> list[tuple[str, str]]:
    """Every text constant of the runtime that is no docstring, and every line of its templates."""
    texts = []
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        comments = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        texts += [
            (path.name, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments
        ]
    for path in sorted((ROOT / "report" / "templates").iterdir()):
        texts += [(path.name, line) for line in path.read_text().splitlines()]
    return texts


@pytest.mark.parametrize("word", [r"(ab)?normal(ly)?", r"healthy", r"no osteoporosis", r"excluded", r"all clear"])
def test_words_that_never_describe_a_result_do_not_occur(word: str) -> None:
    found = [(file, text) for file, text in said() if re.search(rf"\b{word}\b", text, re.I) and "PRAGMA" not in text]
    assert not found
    assert len(said()) > 500  # the check does look at something
