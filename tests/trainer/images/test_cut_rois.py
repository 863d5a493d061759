"""A hospital's way in: a film table with DICOM films."""

import csv
import dataclasses
import datetime
import io
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import TableError
from bmd_edge.film.read import read_film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import Hip, hip_image
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.screen.workers import Crew
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from calibration.pairs.hip_size import SIZE, size_in_table_mm
from calibration.statistics.knowledge import of_person
from tests.trainer.images.hospital import changed
from trainer.commands import train as command
from trainer.images import cut_rois
from trainer.images.cut_rois import check_rows, roi_table
from trainer.images.cutter import Cutter
from trainer.images.gray_png import floats, png16
from trainer.images.roi_files import read_rois, stored_roi
from trainer.images.roi_files import roi_image as network_image
from trainer.phantom.cohort.make import roi_image
from trainer.phantom.film.film import PhantomFilm
from trainer.run.settings import BmdConfig, SemiConfig


class Dying(Cutter):
    """A cutter whose process ends at one film, as at a decoder's fault."""

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        tasks = list(tasks)
        if any(task.file == "left.dcm" for task in tasks):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().examine(tasks)


def test_films_become_rois_as_the_phantom_cuts_them(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[tuple[int, int]] = []
    table, left_out = roi_table(films[0], lambda done, total: seen.append((done, total)), tmp_path / "left_out.csv")
    assert seen[-1] == (3, 3)
    assert tmp_path in table.parents
    rows = read_table(table)
    assert [row.side for row in rows] == ["R", "L"]
    assert rows[0].bmd_gcm2 == {"femoral_neck": 0.7, "total_hip": None}
    assert [(one.row.film, one.code) for one in left_out] == [("implant.dcm", "not_measurable")]
    for pixels, name in zip(read_rois(rows).pixels, ("right.dcm", "left.dcm"), strict=True):
        one = films[1][name]
        wanted = roi_image(one, one.hips[0])[0]
        # Two placements that differ by the finder's and the cohort's error of some millimeters show the same hip.
        both = np.stack([image[8:-8:8, 8:-8:8].ravel() for image in (floats(pixels), wanted)])
        on_film = np.isfinite(both).all(0)
        assert on_film.mean() > 0.9
        assert np.corrcoef(both[:, on_film])[0, 1] > 0.85

    before = {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.json")}
    assert roi_table(films[0])[0] == table
    assert {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.json")} == before

    listed = list(csv.DictReader((tmp_path / "left_out.csv").read_text().splitlines()))
    assert listed[0]["reason"] == "not_measurable"
    assert "This hip cannot be measured reliably." in listed[0]["remedy"]


def test_age_sex_and_size_of_a_clinics_hips_are_those_of_the_films(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a network is judged against must be known of films whose table says nothing of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = films[0].parent
    rows = {row.film: row for row in read_table(films[0])}
    bare = [dataclasses.replace(rows[name], age_years=None, sex=None) for name in ("right.dcm", "left.dcm")]
    write_table(folder / "bare.csv", bare)
    cut = read_table(roi_table(folder / "bare.csv")[0])
    for name, row in zip(("right.dcm", "left.dcm"), cut, strict=True):
        header, (hip,) = read_film(folder / name), films[1][name].hips
        assert (row.age_years, row.sex) == (header.age_years, header.sex) != (None, None)
        head, lesser = (np.array(hip.landmarks_px[name]) for name in ("head_center", "lesser_trochanter"))
        assert size_in_table_mm(row) == pytest.approx(np.hypot(*(head - lesser)) * header.spacing_mm[0], rel=0.1)
    measured = dataclasses.replace(rows["right.dcm"], extra={SIZE: "61,5"})
    write_table(folder / "bare.csv", [measured, rows["left.dcm"]])
    stated, found = read_table(roi_table(folder / "bare.csv")[0])
    assert (stated.age_years, size_in_table_mm(stated)) == (70.0, 61.5)
    assert found.extra[SIZE] == cut[1].extra[SIZE]
    person = of_person([row.age_years for row in cut], [row.sex for row in cut], [size_in_table_mm(row) for row in cut])
    assert {name: bool(np.isfinite(values).all()) for name, values in person.items()} == dict.fromkeys(person, True)
    assert list(person) == ["age", "sex", "size of the hip"]
    with pytest.raises(TableError, match=r"right\.dcm, column x_hip_size_mm: 'large' is no number"):
        size_in_table_mm(dataclasses.replace(measured, extra={SIZE: "large"}))


@pytest.mark.parametrize("name", ["right.dcm", "left.dcm"])
def test_training_shows_a_hip_as_the_runtime_does(films: tuple[Path, dict[str, PhantomFilm]], name: str) -> None:
    bundle = read_bundle()
    one = read_film(films[0].parent / name)
    with open_engine(bundle, "finder", device="auto") as finder:
        (hip,) = find_hips(one, finder, bundle.inputs, bundle.manifest.plausibility)
    assert isinstance(hip, Hip)
    with Image.open(io.BytesIO(png16(stored_roi(one, hip)))) as image:
        trained = network_image(np.asarray(image), bundle.inputs["bmd"])
    shown = hip_image(one, hip, bundle.inputs["bmd"])
    assert trained == pytest.approx(shown, abs=1e-3)
    assert np.abs(trained - shown[..., ::-1]).mean() > 0.1  # so that a mirrored one would be seen


def test_outside_the_film_stays_outside(films: tuple[Path, dict[str, PhantomFilm]]) -> None:
    """A hip close to the film's edge: what is beyond it is 0 in the stored region, and nothing else is."""
    bundle = read_bundle()
    one = read_film(films[0].parent / "left.dcm")
    with open_engine(bundle, "finder", device="auto") as finder:
        (hip,) = find_hips(one, finder, bundle.inputs, bundle.manifest.plausibility)
    assert isinstance(hip, Hip)
    left, top, width, height = hip.box_px
    edge = dataclasses.replace(hip, box_px=(one.shape[1] - width / 2, top, width, height))
    with Image.open(io.BytesIO(png16(stored_roi(one, edge)))) as image:
        outside = np.asarray(image) == 0
    assert outside[:, :100].all()  # a left hip is mirrored
    assert not outside[:, 156:].any()
    assert left > 0


def test_films_that_are_no_hips_in_use_are_left_out(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that judges the film, not its file, ends no training."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    child = pydicom.dcmread(films[0].parent / "right.dcm")
    child.PatientAge = "010Y"
    child.save_as(films[0].parent / "child.dcm")
    _, left_out = roi_table(changed(films[0], "child.csv", film="child.dcm"), listing=tmp_path / "listed.csv")
    codes = {one.row.film: one.code for one in left_out}
    assert codes == {"child.dcm": "immature", "implant.dcm": "not_measurable"}
    assert "child.dcm" in (tmp_path / "listed.csv").read_text()


def test_the_table_may_give_the_pixel_size_that_a_film_does_not_state(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bare = pydicom.dcmread(films[0].parent / "right.dcm")
    spacing_mm = float(bare.ImagerPixelSpacing[0])
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if keyword in bare:
            delattr(bare, keyword)
    bare.save_as(films[0].parent / "bare.dcm")
    table = changed(films[0], "bare.csv", film="bare.dcm")
    _, left_out = roi_table(table, listing=tmp_path / "listed.csv")
    assert ("bare.dcm", "no_spacing") in {(one.row.film, one.code) for one in left_out}
    assert "with the table's column x_detector_spacing_mm." in (tmp_path / "listed.csv").read_text()

    rows = read_table(table)
    given = {cut_rois.DETECTOR_SPACING: str(spacing_mm)}
    write_table(table, [dataclasses.replace(row, extra=given if row.film == "bare.dcm" else {}) for row in rows])
    made, left_out = roi_table(table)
    assert [one.row.film for one in left_out] == ["implant.dcm"]
    stated, _ = roi_table(films[0])
    (bare_roi, stated_roi) = (
        next(read_rois([row]).pixels for row in read_table(path) if row.side == "R") for path in (made, stated)
    )
    np.testing.assert_array_equal(bare_roi, stated_roi)

    write_table(table, [dataclasses.replace(row, extra={cut_rois.DETECTOR_SPACING: "-1"}) for row in rows])
    with pytest.raises(TableError, match=r"column x_detector_spacing_mm: '-1' is not a number above 0"):
        roi_table(table)
    both = [dataclasses.replace(rows[0], side=side, extra=extra) for side, extra in (("R", given), ("L", {}))]
    write_table(table, both)
    with pytest.raises(TableError, match=r"bare\.dcm, column x_detector_spacing_mm: its rows differ"):
        roi_table(table)


def test_a_film_that_the_disk_did_not_give_is_asked_for_again(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    class Unplugged(Crew):
        """The disk goes away once the films are looked up, and comes back."""

        def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
            folder = films[0].parent
            folder.rename(tmp_path / "away")
            yield from super().examine(tasks)
            (tmp_path / "away").rename(folder)

    with monkeypatch.context() as patched:
        patched.setattr(cut_rois, "Crew", Unplugged)
        with pytest.raises(TableError, match=r"right\.dcm \(file_unreadable\).*listed\.csv of the run folder lists"):
            roi_table(films[0], listing=tmp_path / "listed.csv")
    assert (tmp_path / "listed.csv").read_text().count("file_unreadable") == 3
    assert len(read_table(roi_table(films[0])[0])) == 2


def test_a_film_that_takes_its_worker_down_ends_no_training_process(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that kills its process: the film is named, the others are cut, and the owner goes on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(cut_rois, "Cutter", Dying)
        with pytest.raises(
            TableError, match=r"films that cannot be read: left\.dcm \(worker_lost\); export them again"
        ):
            roi_table(films[0], listing=tmp_path / "listed.csv")
    assert "worker_lost" in (tmp_path / "listed.csv").read_text()
    assert len(list((tmp_path / "bmd-edge" / "rois").rglob("*.json"))) == 2
    assert len(read_table(roi_table(films[0])[0])) == 2


def test_an_upgrade_cuts_anew(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of what a stored region depends on: the program's version, the preprocessing and the region's size."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = read_bundle()
    keys = {cut_rois._key(films[0], bundle)}
    other = {
        "__version__": "9.9",
        "BMD": dataclasses.replace(cut_rois.BMD, low_percentile=2.0),
        "ROI_PX": 512,
        "ROI_SPACING_MM": 0.5,
    }
    for name, value in other.items():
        with monkeypatch.context() as patched:
            patched.setattr(cut_rois, name, value)
            keys.add(cut_rois._key(films[0], bundle))
    with monkeypatch.context() as patched:
        patched.setattr("bmd_edge.bundle.network_input.VERSION", 99)
        keys.add(cut_rois._key(films[0], bundle))
    keys.add(cut_rois._key(films[0], dataclasses.replace(bundle, digest="0" * 64)))
    assert len(keys) == 2 + len(other) + 1


def test_errors_name_the_films(
    films: tuple[Path, dict[str, PhantomFilm]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TableError, match=r"no such film: gone\.dcm; paths are relative"):
        roi_table(changed(films[0], "missing.csv", film="gone.dcm"))
    whole = (films[0].parent / "right.dcm").read_bytes()
    (films[0].parent / "half.dcm").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"films that cannot be read: half\.dcm \(truncated\); export them again"):
        roi_table(changed(films[0], "broken.csv", film="half.dcm"))


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
    assert "1 hip is left out: 1 not_measurable (" in done.stderr
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
