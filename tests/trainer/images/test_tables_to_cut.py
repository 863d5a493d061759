"""What a hospital's film table must hold before its films are cut."""

import dataclasses
import datetime
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from tests.trainer.images.hospital import changed
from trainer.commands import train as command
from trainer.images import cut_rois
from trainer.images.cut_rois import check_rows, roi_table
from trainer.phantom.film.film import PhantomFilm
from trainer.run.settings import BmdConfig, SemiConfig


def test_a_table_is_checked_before_its_films_are_cut(
    films: tuple[Path, dict[str, PhantomFilm]], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised, semi = BmdConfig(), SemiConfig()
    with pytest.raises(TableError, match=r"no BMD: right\.dcm; a row of the split train needs one"):
        check_rows(changed(films[0], "unlabelled.csv", bmd_gcm2=dict.fromkeys(SITES)), supervised)
    with pytest.raises(TableError, match="3 labelled hips in the split train; training needs 20 at least"):
        check_rows(films[0], supervised)
    monkeypatch.setattr(cut_rois, "MIN_LABELS", 1)
    with pytest.raises(TableError, match="0 labelled hips in the split val; training needs 1 at least"):
        check_rows(films[0], supervised)
    both = changed(films[0], "both.csv", split="val")
    check_rows(both, supervised)
    with pytest.raises(TableError, match="no hip of the split unlabelled; add films without DEXA"):
        check_rows(both, semi)
    rows = read_table(both)
    rows.append(dataclasses.replace(rows[0], side="L", split="unlabelled", subject="X", bmd_gcm2=dict.fromkeys(SITES)))
    write_table(both, rows)
    check_rows(both, semi)


def test_the_command_tells_of_hips_left_out_and_of_too_few_labels(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cut_rois, "MIN_LABELS", 1)
    app = Typer()
    app.command()(command)
    table = changed(films[0], "split.csv", split="val")
    done = CliRunner().invoke(app, ["mse", "--table", str(table), "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, TableError)
    assert "1 labelled hips in train; training needs 20" in str(done.exception)
    assert "1 hips are left out (implant 1)" in done.stderr
    assert "implant.dcm" in (tmp_path / "run" / "left_out.csv").read_text()


def test_the_same_pixels_under_two_subjects_are_refused(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film that was anonymized twice: other bytes, another name, the same pixels."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    again = pydicom.dcmread(films[0].parent / "right.dcm")
    again.PatientID, again.StudyDate = "ANON-2", "20240101"
    again.save_as(films[0].parent / "again.dcm")
    rows = read_table(films[0])
    table = films[0].with_name("copies.csv")
    write_table(table, [*rows, dataclasses.replace(rows[0], film="again.dcm", subject="other", split="val")])
    with pytest.raises(
        TableError, match=r"row 2 .*split train\) and row 5 .*split val\) show the same pixels: give them"
    ):
        roi_table(table)
    write_table(table, [*rows, dataclasses.replace(rows[0], film="again.dcm")])
    assert len(read_table(roi_table(table)[0])) == 3


def test_a_table_that_cannot_be_right_is_said_before_films_are_cut(
    films: tuple[Path, dict[str, PhantomFilm]], caplog: pytest.LogCaptureFixture
) -> None:
    (row,) = (row for row in read_table(films[0]) if row.film == "right.dcm")
    table = films[0].with_name("exchanged.csv")
    bmd = {"femoral_neck": 0.9, "total_hip": 0.7}
    many = [dataclasses.replace(row, film=f"no-{k}.dcm", subject=f"S{k}", bmd_gcm2=bmd) for k in range(6)]
    write_table(table, many)
    with pytest.raises(TableError, match=r"exchanged\.csv: The columns bmd_femoral_neck_gcm2 and bmd_total_hip_gcm2"):
        roi_table(table)
    far = {"film_date": datetime.date(2024, 1, 1), "dxa_date": datetime.date(2020, 1, 1)}
    write_table(table, [dataclasses.replace(one, bmd_gcm2={**bmd, "total_hip": None}, **far) for one in many])
    with pytest.raises(TableError, match="no such film"):
        roi_table(table)
    assert "days apart in rows 2, 3, 4, 5, 6 and 1 more" in caplog.text


def test_a_phantom_table_is_taken_as_it_is(cohort: Path) -> None:
    assert roi_table(cohort) == (cohort, [])
    with Image.open(read_table(cohort)[0].film_path) as image:
        assert image.size == (256, 256)
