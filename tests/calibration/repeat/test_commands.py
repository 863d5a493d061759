"""The same hip again, from DICOM files to the page, by the commands that a clinic types, with the embedded bundle."""

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bmd_edge.table.film_table import HipRow, write_table
from tests.bmd_edge.cli.program import program

DEMO = Path(__file__).parents[3] / "bmd_edge" / "data" / "demo"
UNIT = {"Manufacturer": "Drawn", "ManufacturerModelName": "One", "EstimatedRadiographicMagnificationFactor": 1.12}
BORN = {"PatientAge": None, "PatientBirthDate": "19600101", "PatientSex": "F"}


@cache
def pixels(name: str) -> Any:
    """Of a film of the demo, (rows, columns)."""
    return dcmread(DEMO / name).pixel_array.astype(float)


def film(path: Path, seed: int, contrast: float = 1.0, source: str = "right_hip.dcm", **header: object) -> None:
    """A demo film with another contrast and noise of its own; `header` sets or (None) removes elements."""
    data, most = dcmread(DEMO / source), pixels(source).max()
    noise = np.random.default_rng(seed).normal(0, 6, pixels(source).shape)
    changed = most * (pixels(source) / most) ** contrast + noise
    data.PixelData = np.clip(changed, 0, most).astype("<u2").tobytes()
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in (UNIT | BORN | header).items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)


def dated(day: str) -> dict[str, object]:
    return {"StudyDate": day, "SeriesDate": day, "ContentDate": day}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen people filmed three times within a week, and four of them once more by another unit; the table of it."""
    folder = tmp_path_factory.mktemp("repeated")
    rng, rows = np.random.default_rng(0), []
    for person in range(15):
        own = rng.uniform(0.9, 1.1)
        for number in range(4 if person < 4 else 3):
            unit: dict[str, object] = {"Manufacturer": "Other"} if number == 3 else {}
            name, header = f"{person}-{number}.dcm", dated(f"2024010{number + 1}")
            contrast = own + rng.normal(0, 0.1)
            unit |= {"EstimatedRadiographicMagnificationFactor": round(1.12 + rng.normal(0, 0.022), 3)}
            film(folder / name, 10 * person + number, contrast, PatientID=f"P{person}", **header | unit)
            why = {"x_taken_under": "routine"}
            rows.append(HipRow(film=name, subject=f"P{person}", side="R", split="test", extra=why))
    write_table(folder / "films.csv", rows)
    done = program("precision", "films.csv", "--out", "precision.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_a_clinic_measures_its_precision_from_dicom_files(clinic: Path) -> None:
    found = json.loads((clinic / "precision.json").read_text())
    assert (found["source"], found["taken_under"]) == ("clinic", {"routine": 49})
    for precision in ("fp32", "int8"):
        hip = found["precisions"][precision]["total_hip"]
        assert (hip["hips"], hip["films"], hip["degrees_of_freedom"]) == (15, 45, 30)
        assert 0.0005 < hip["rms_sd_gcm2"] < hip["rms_sd_high_gcm2"] < 0.03
        (units,) = found["between_units"][precision]
        assert units["hips"] == 4
    said = (clinic / "said.txt").read_text(encoding="utf-8")
    assert "4 hips with films of both" in said
    assert "Research use only" in said


def test_a_hip_that_lost_much_is_told_by_that_precision_and_others_are_not(clinic: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for seed, (patient, later, magnified) in enumerate(
        (("lost", "pelvis.dcm", 1.21), ("as before", "right_hip.dcm", 1.12))
    ):
        film(films / f"{patient} 1.dcm", seed, PatientID=patient, **dated("20200105"))  # no two of one image
        other = {"EstimatedRadiographicMagnificationFactor": magnified}
        film(films / f"{patient} 2.dcm", seed + 50, 1.05, later, PatientID=patient, **dated("20240105"), **other)
    assert program("screen", films, "--out", tmp_path / "run").returncode == 0
    asked = "follow", tmp_path / "run", "--repeatability", clinic / "precision.json", "--out", tmp_path / "out"
    done = program(*asked)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "follow.csv").open(newline="", encoding="utf-8") as file:
        last = [row for row in csv.DictReader(file) if row["date"] == "2024-01-05"]
    changes = {float(row["change_gcm2_femoral_neck"]): row["stated_femoral_neck"] for row in last if row["side"] == "R"}
    assert {change < -0.04: stated for change, stated in changes.items()} == {True: "True", False: "False"}
    assert done.stdout.count("A change cannot be told from chance") == 2  # total hip of one, both sites of the other


def test_what_makes_no_series_is_a_clear_line_each(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for patient, first, second in (
        ("two people", {"PatientSex": "F"}, {"PatientSex": "M"}),
        ("side", {}, {"ImageLaterality": "L"}),
        ("no date", {}, {"StudyDate": None, "SeriesDate": None, "ContentDate": None}),
        ("future", {}, dated("20990101")),
    ):
        header = {"PatientID": patient}
        film(films / f"{patient} 1.dcm", len(patient), **header | dated("20200105") | first)
        film(films / f"{patient} 2.dcm", len(patient) + 50, **header | dated("20240105") | second)
    program("screen", films, "--out", tmp_path / "run")
    done = program("follow", tmp_path / "run", "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    lines = done.stdout.replace("\n  ", " ").splitlines()
    for sentence, name in (
        ("2 films in no series. Films under one patient ID contradict each other in sex", "two people 1.dcm"),
        (
            "1 film in no series. The header's side contradicts the anatomy: left and right may be exchanged",
            "side 2.dcm",
        ),
        ("1 film in no series. The film has no date", "no date 2.dcm"),
        ("1 film in no series. The film is dated in the future", "future 2.dcm"),
    ):
        (line,) = [one for one in lines if one.startswith(sentence)]
        assert name in line
    assert "0 hips with films of several visits, 3 of one visit only." in done.stdout
