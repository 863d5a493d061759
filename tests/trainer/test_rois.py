"""A hospital's way in: a film table with DICOM films."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.errors import TableError
from bmd_edge.table import SITES, HipRow, read_table, write_table
from trainer.commands import train as command
from trainer.data import floats, read_png, read_rois
from trainer.phantom.cohort import replace_file, roi_image
from trainer.phantom.dicom import write_dicom
from trainer.phantom.film import FilmSpec, PhantomFilm, film
from trainer.rois import roi_table, write_left_out

SPECS = {
    "right.dcm": FilmSpec(11, "hip", "R"),
    "left.dcm": FilmSpec(12, "hip", "L"),
    "implant.dcm": FilmSpec(13, "hip", "R", "implant"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, PhantomFilm]]:
    """A folder as a hospital has it: three films and a table without any column of ours."""
    folder = tmp_path_factory.mktemp("hospital")
    made = {name: film(spec) for name, spec in SPECS.items()}
    for name, one in made.items():
        with (folder / name).open("wb") as file:
            write_dicom(file, one)
    rows = [
        HipRow(film=name, subject=name[:3], side=spec.side, split="train", age_years=70.0, sex="F", scale="hologic",
               bmd_gcm2={"femoral_neck": 0.7, "total_hip": None})
        for name, spec in SPECS.items()
    ]  # fmt: skip
    write_table(folder / "films.csv", rows)
    return folder / "films.csv", made


def test_films_become_rois_as_the_phantom_cuts_them(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[tuple[int, int]] = []
    table, left_out = roi_table(films[0], lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    assert tmp_path in table.parents
    rows = read_table(table)
    assert [row.side for row in rows] == ["R", "L"]
    assert rows[0].bmd_gcm2 == {"femoral_neck": 0.7, "total_hip": None}
    assert [(one.row.film, one.code) for one in left_out] == [("implant.dcm", "implant")]
    rois = read_rois(rows)
    for pixels, name in zip(rois.pixels, ("right.dcm", "left.dcm"), strict=True):
        one = films[1][name]
        wanted = roi_image(one, one.hips[0])[0]
        # Two placements that differ by the finder's and the cohort's error of some millimeters show the same hip.
        assert np.corrcoef(floats(pixels)[8:-8:8, 8:-8:8].ravel(), wanted[8:-8:8, 8:-8:8].ravel())[0, 1] > 0.85

    before = {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.json")}
    assert roi_table(films[0])[0] == table
    assert {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.json")} == before

    write_left_out(tmp_path / "left_out.csv", left_out)
    listed = list(csv.DictReader((tmp_path / "left_out.csv").read_text().splitlines()))
    assert listed[0]["reason"] == "implant"
    assert "The hip holds an implant." in listed[0]["remedy"]


def test_outside_the_film_stays_outside(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hip close to the film's edge: what is beyond it is 0 in the stored ROI, and nothing else is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table, _ = roi_table(films[0])
    for row in read_table(table):
        outside = read_png(row) == 0
        rows, columns = outside.all(1), outside.all(0)
        assert (outside == (rows[:, None] | columns)).all()


def changed(table: Path, name: str, **changes: object) -> Path:
    rows = read_table(table)
    rows[0] = dataclasses.replace(rows[0], **changes)
    write_table(table.with_name(name), rows)
    return table.with_name(name)


def test_errors_name_the_films(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TableError, match=r"no such film: gone\.dcm; paths are relative"):
        roi_table(changed(films[0], "missing.csv", film="gone.dcm"))
    with pytest.raises(TableError, match=r"no BMD: right\.dcm; a row of the split train or val needs one"):
        roi_table(changed(films[0], "unlabelled.csv", bmd_gcm2=dict.fromkeys(SITES)))
    whole = (films[0].parent / "right.dcm").read_bytes()
    replace_file(films[0].parent / "half.dcm", whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"films that cannot be read: half\.dcm \(truncated\); export them again"):
        roi_table(changed(films[0], "broken.csv", film="half.dcm"))


def test_the_command_tells_of_hips_left_out_and_of_too_few_labels(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    app = Typer()
    app.command()(command)
    table = changed(films[0], "split.csv", split="val")
    done = CliRunner().invoke(app, ["mse", "--table", str(table), "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, TableError)
    assert "1 labelled hips in train; training needs 20" in str(done.exception)
    assert "1 hips are left out (implant 1)" in done.stderr
    assert "implant.dcm" in (tmp_path / "run" / "left_out.csv").read_text()


def test_a_phantom_table_is_taken_as_it_is(cohort: Path) -> None:
    assert roi_table(cohort) == (cohort, [])
    with Image.open(read_table(cohort)[0].film_path) as image:
        assert image.size == (256, 256)
