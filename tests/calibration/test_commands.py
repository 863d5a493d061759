"""`bmd-edge validate` on the embedded bundle and films: real DICOM, real ONNX files, the whole line."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.cli.main import main
from bmd_edge.measure.recalibration import SCHEMA, RecalibrationFile, RecalibrationLine
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from calibration.fit.recalibration import write_recalibration

DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
ROWS = """\
film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split
pelvis.dcm,P1,R,71,F,0.640,0.800,hologic,test
pelvis.dcm,P1,L,71,F,0.740,0.890,hologic,test
right_hip.dcm,P2,R,63,F,0.860,0.910,hologic,test
left_hip.dcm,P3,L,,,0.640,0.890,hologic,test
implant.dcm,P4,R,70,M,0.7,0.8,hologic,test
left_hip_inverted.dcm,P5,R,70,M,0.7,0.8,hologic,test
"""


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["bmd-edge", "validate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.fixture
def table(tmp_path):
    films = tmp_path / "patients of Dr X"
    films.mkdir()
    for film in DEMO.glob("*.dcm"):
        (films / film.name).write_bytes(film.read_bytes())
    (films / "table.csv").write_text(ROWS)
    return films / "table.csv"


def test_what_is_validated_is_what_screening_says(table, tmp_path, monkeypatch, capsys):
    out = tmp_path / "R"
    assert run(monkeypatch, "--table", table, "--out", out, "--threads", 1) == 0
    said = capsys.readouterr()
    assert "Research use only" in said.out
    facts = json.loads((out / "validation.json").read_text())
    with (out / "pairs.csv").open(newline="") as file:
        pairs = {(row["film"], row["side"]): row for row in csv.DictReader(file)}
    for precision in read_bundle().precisions("bmd"):
        with Screener(read_bundle(), "cpu", precision, threads=1) as screener:
            for film in {film for film, _ in pairs}:
                for hip in screener.read(table.parent / film).hips:
                    for one in hip.estimates if (film, hip.side) in pairs else ():
                        row = pairs[film, hip.side]
                        assert float(row[f"{precision}_bmd_{one.site}_gcm2"]) == one.bmd_gcm2
                        assert float(row[f"{precision}_high_{one.site}_gcm2"]) == one.high_gcm2
    used = facts["precisions"]["fp32"]
    assert used["sites"]["total_hip"]["hips"] == 4
    assert used["rows_without_a_number"] == {"implant": 1, "other_side": 1}
    assert {one["code"] for one in facts["findings"]} >= {"few_subjects", "other_side"}
    page = (out / "validation.html").read_text()
    for text in (page, json.dumps(facts)):
        assert "Dr X" not in text
        assert str(tmp_path) not in text

    monkeypatch.setattr("bmd_edge.cli.minutes.EVERY_S", 0.0)
    assert run(monkeypatch, "--table", table, "--out", tmp_path / "again") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("films: ")]
    assert [line.split(",")[0] for line in told] == [f"films: {n} of 5" for n in range(1, 6)]
    for name in ("validation.html", "validation.json", "pairs.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    table.write_text(ROWS.replace("0.640", "0.641"))
    assert run(monkeypatch, "--table", table, "--out", tmp_path / "again") == 2
    assert "another --out" in capsys.readouterr().err
    for name in ("validation.html", "validation.json", "pairs.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_a_recalibration_is_validated_in_place_of_the_bundle(table, tmp_path, monkeypatch):
    bundle = read_bundle()
    line = RecalibrationLine(slope=0.9, intercept_gcm2=0.05, scale=2.0, coverage=0.9, hips=40, subjects=40)
    precisions = {name: dict.fromkeys(SITES, line) for name in bundle.precisions("bmd")}
    made = tmp_path / "recalibration.json"
    none = dict.fromkeys(precisions)
    write_recalibration(made, RecalibrationFile(SCHEMA, bundle.digest, "0" * 64, {"hologic": 40}, precisions, none))
    for name, options in (("without", []), ("with", ["--recalibration", made])):
        assert run(monkeypatch, "--table", table, "--out", tmp_path / name, "--threads", 1, *options) == 0
    rows = []
    for name in ("without", "with"):
        with (tmp_path / name / "pairs.csv").open(newline="") as file:
            rows.append([row for row in csv.DictReader(file) if row["int8_bmd_total_hip_gcm2"]])
    for before, after in zip(*rows, strict=True):
        expected = 0.05 + 0.9 * float(before["int8_bmd_total_hip_gcm2"])
        assert float(after["int8_bmd_total_hip_gcm2"]) == pytest.approx(expected, abs=1e-4)
    facts = json.loads((tmp_path / "with" / "validation.json").read_text())
    assert facts["recalibration"] == hashlib.sha256(made.read_bytes()).hexdigest()
    assert {"recalibration_table_unknown", "recalibration_without_headline"} <= {
        one["code"] for one in facts["findings"]
    }
    assert facts["precisions"]["int8"]["headline"]["at_operating_points"] is None
    assert "recalibration holds no cuts" in (tmp_path / "with" / "validation.html").read_text()
    assert "recalibrated (" in (tmp_path / "with" / "validation.html").read_text()
    assert "recalibrated (" not in (tmp_path / "without" / "validation.html").read_text()


def test_wrong_use_says_the_remedy(table, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch) == 2
    assert "--table" in capsys.readouterr().err
    assert run(monkeypatch, "--table", table, "--split", "val") == 2
    assert "split = val" in capsys.readouterr().err
    assert run(monkeypatch, "--table", table, "--out", table.parent) == 2
    (table.parent / "pelvis.dcm").unlink()
    assert run(monkeypatch, "--table", table, "--out", tmp_path / "R") == 2
    assert "no such film: pelvis.dcm" in capsys.readouterr().err
    assert not (tmp_path / "R").exists()


def test_a_table_that_the_bundle_learned_from_leaves_nothing(table, tmp_path, monkeypatch, capsys):
    learned = table.with_name("learned.csv")
    learned.write_text(ROWS.replace(",test", ",train").replace("P", "Q"))
    assert run(monkeypatch, "--table", table, "--out", tmp_path / "R", "--known", learned) == 2
    assert "film_seen" in capsys.readouterr().err
