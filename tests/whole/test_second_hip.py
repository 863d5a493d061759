"""A pelvis whose second hip is hidden, through the whole program with the embedded bundle: a line, not silence."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from typer.testing import CliRunner

from bmd_edge import open_bundle
from bmd_edge.cli.main import app

PELVIS = Path(__file__).parents[2] / "bmd_edge" / "data" / "demo" / "pelvis.dcm"


def with_half_hidden(hidden: str, path: Path) -> None:
    """The demo's pelvis, the half of the patient's side `hidden` covered by a soft shadow."""
    data = dcmread(PELVIS)
    pixels = data.pixel_array.copy()
    low, high = np.percentile(pixels, (20, 60))
    half = pixels.shape[1] // 2 + (20 if hidden == "L" else -20)
    down, across = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    noise = np.random.default_rng(0).normal(0, 0.02, pixels.shape)
    shadow = low + (high - low) * (0.5 + 0.3 * np.sin(down / 400) * np.cos(across / 500) + noise)
    covered = across >= half if hidden == "L" else across < half
    pixels[covered] = shadow[covered]
    data.PixelData = pixels.tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(("seen", "hidden"), ["RL", "LR"])
def test_a_hidden_hip_of_a_pelvis_has_a_line_and_changes_no_number(seen: str, hidden: str, tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    with_half_hidden(hidden, films / "pelvis.dcm")
    assert CliRunner().invoke(app, ["screen", str(films), "--out", str(out)]).exit_code == 3
    film = json.loads((out / "results.jsonl").read_text())
    hips = {hip["side"]: hip for hip in film["hips"]}
    assert list(hips) == ["R", "L"]
    assert (film["status"], hips[seen]["status"]) == ("read", "read")
    assert (hips[hidden]["reason"], hips[hidden]["landmarks_px"], hips[hidden]["estimates"]) == (
        "hip_not_found",
        {},
        [],
    )
    with (out / "results.csv").open(newline="") as file:
        rows = {row["side"]: row for row in csv.DictReader(file)}
    assert rows[hidden]["reason"] == "hip_not_found"
    assert [bool(rows[side]["bmd_femoral_neck_gcm2"]) for side in (seen, hidden)] == [True, False]
    run = json.loads((out / "run.json").read_text())
    assert (run["hips"], run["hip_reasons"]) == ({"read": 1, "refused": 1}, {"hip_not_found": 1})
    assert "This hip was not found on the film." in (out / "report" / "index.html").read_text()
    assert film["band"] == "not_suspected"  # the lowest of the hips with a number


def test_the_whole_pelvis_has_two_lines_and_neither_is_missing() -> None:
    with open_bundle().screener() as screener:
        report = screener.read(PELVIS)
    assert [(hip.side, hip.status) for hip in report.hips] == [("R", "read"), ("L", "read")]
