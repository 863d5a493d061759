"""Films that calibrate a bundle, and those that must not."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from export.bundle import calibration_films
from tests.support.small_runs import write_cohort
from trainer.images.cut_rois import CutOutcome


def test_dexa_of_another_scale_is_judged_on_the_hologic_scale(tmp_path: Path) -> None:
    """Guard, interval and the manifest's figures: T = -1 of a Lunar scanner is T = -1 here too."""
    lunar = {"femoral_neck": (0.821 + 0.023) / 0.939, "total_hip": (0.832 + 0.031) / 0.979}  # of the sBMD at T = -1
    table = write_cohort(tmp_path)
    rows = [dataclasses.replace(row, scale="lunar", bmd_gcm2=lunar) for row in read_table(table)]
    hologic = [(0.821 - 0.019) / 1.087, (0.832 - 0.006) / 1.008]
    np.testing.assert_allclose(calibration_films.dexa(rows), np.tile(hologic, (len(rows), 1)), atol=1e-9)
    np.testing.assert_array_equal(calibration_films.judging_hips(rows).dexa_gcm2, calibration_films.dexa(rows))
    assert calibration_films.facts(table, rows[:40], rows[40:]).bmd_mean_gcm2 == dict(
        zip(SITES, np.round(hologic, 4), strict=True)
    )


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope is no run folder: it has no split\.json"):
        calibration_films.check_apart(tmp_path / "nope", [])


@pytest.mark.parametrize("split", ["train", "val", "test", "calibrate"])
def test_a_film_under_two_names_is_refused(made: tuple[Path, VerifiedBundle], tmp_path: Path, split: str) -> None:
    folder, _ = made
    shutil.copytree(folder / "cohort", tmp_path / "cohort")
    table = tmp_path / "cohort" / "films.csv"
    rows = read_table(table)
    shutil.copy(rows[5].film_path, tmp_path / "cohort" / "roi" / "again.png")
    write_table(table, [*rows, dataclasses.replace(rows[5], film="roi/again.png", subject="other", split=split)])
    with pytest.raises(TableError, match=r"roi/\S+ of the split calibrate is the same as roi/\S+ of the split"):
        calibration_films.halves(table)


def test_films_of_one_maker_are_known_by_their_headers_names(tmp_path: Path) -> None:
    rows = read_table(write_cohort(tmp_path / "cohort"))

    def of(maker: str | None, **extra: str) -> tuple[str, ...]:
        facts = {"x_image": "roi", "x_spacing_mm": "0.65", **extra}
        return calibration_films.only_maker([dataclasses.replace(row, maker=maker, extra=facts) for row in rows])

    assert of("Acme") == ("Acme",)
    assert of("our unit", x_header_maker="ACME Medical") == ("ACME Medical",)
    assert of(None) == ("not stated",)
    for style in ("random", "wide"):  # the phantom's continuous styles
        assert of("Acme", x_maker_style=style) == ()
    assert calibration_films.only_maker(rows) == ()
    plain = {"x_image": "roi", "x_spacing_mm": "0.65"}
    relabelled = [
        dataclasses.replace(row, maker="AB"[k % 2], extra={**plain, "x_header_maker": "ACME"})
        for k, row in enumerate(rows)
    ]
    assert calibration_films.only_maker(relabelled) == ("ACME",)
    assert "several makers (A, B), every header ACME" in (calibration_films.makers_contradicted(relabelled) or "")
    two = [dataclasses.replace(row, extra=plain) for row in relabelled]
    assert calibration_films.only_maker(two) == ()
    assert calibration_films.makers_contradicted(two) is None


def test_hips_as_met_are_wide_neither_in_anatomy_nor_on_film(tmp_path: Path) -> None:
    row = read_table(write_cohort(tmp_path / "cohort"))[0]
    kinds = [
        (None, None),
        ("screening", "random"),
        ("screening", "Synthetic-A"),
        ("screening", "wide"),
        ("wide", "random"),
    ]
    rows = [
        dataclasses.replace(row, extra={"x_population": people, "x_maker_style": style} if people else {})
        for people, style in kinds
    ]
    assert calibration_films.as_met(rows).tolist() == [True, True, True, False, False]


def test_halves_share_no_subject_and_stay_the_same(made: tuple[Path, VerifiedBundle]) -> None:
    table = made[0] / "cohort" / "films.csv"
    ranges, guard = calibration_films.halves(table)
    assert len(ranges) + len(guard) == 88
    assert not {row.subject for row in ranges} & {row.subject for row in guard}
    assert calibration_films.halves(table) == (ranges, guard)


def test_dicom_films_are_cut_as_in_training(
    made: tuple[Path, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hospital's table names DICOM films: the export uses the regions that training used, from the same cache."""
    rois, said = made[0] / "cohort" / "films.csv", []
    refused = CutOutcome(read_table(rois)[0], None, "implant")
    monkeypatch.setattr("export.bundle.calibration_films.roi_table", lambda *_: (rois, [refused]))
    assert calibration_films.table_of_rois(tmp_path / "ours.csv", said.append) == rois
    assert said == ["ours.csv: 1 hip is left out: 1 implant (The hip holds an implant.)"]


def test_too_few_subjects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"films\.csv: 39 subjects .* 40 or more"):
        calibration_films.halves(write_cohort(tmp_path / "few", subjects=39))
    with pytest.raises(TableError, match="0 subjects"):
        calibration_films.halves(write_cohort(tmp_path / "other", split="train"))


def test_images_are_the_middle_of_the_files(made: tuple[Path, VerifiedBundle]) -> None:
    rows = read_table(made[0] / "cohort" / "films.csv")[:3]
    found = [image for batch in calibration_films.batches(rows, size=2) for image in batch]
    for row, image in zip(rows, found, strict=True):
        with Image.open(row.film_path) as stored:
            middle = np.asarray(stored)[16:240, 16:240].astype(np.float32).reshape(112, 2, 112, 2).mean((1, 3))
        np.testing.assert_allclose(image, normalize(middle / 65535, BMD), atol=1e-5)


def test_an_unusable_image_names_its_film(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    row = read_table(made[0] / "cohort" / "films.csv")[0]
    Image.fromarray(np.zeros((200, 200), np.uint16)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in ("small.png", "broken.png", "missing.png"):
        with pytest.raises(TableError, match=r"film roi/000000\.png"):
            list(calibration_films.batches([dataclasses.replace(row, film_path=tmp_path / name)]))
