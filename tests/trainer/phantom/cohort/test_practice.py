"""Half of the DICOM films to calibrate with, half to validate on."""

from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.table.film_table import HipRow, read_table, write_table
from trainer.phantom.cohort.practice import check_split, share_out


def test_half_of_the_subjects_with_all_their_films(tmp_path: Path) -> None:
    table = tmp_path / "films.csv"
    dicom, roi = {"x_image": "dicom"}, {"x_image": "roi"}
    rows = [
        HipRow(film=f"dicom/{k}-{pose}.dcm", subject=f"D{k}", side=side, split="test", extra=dicom)
        for k in range(6)
        for pose in range(2)
        for side in "RL"
    ]
    rows += [HipRow(film="roi/0.png", subject="L0", side="R", split="test", extra=roi)]
    write_table(table, rows)
    share_out(table, "test")
    assert read_table(table) == rows
    share_out(table, "calibrate")
    splits = {row.subject: row.split for row in read_table(table)}
    assert splits == {"D0": "calibrate", "D1": "test", "D2": "calibrate", "D3": "test", "D4": "calibrate", "D5": "test",
                      "L0": "test"}  # fmt: skip
    wrong = "--split: DICOM films are of none such, 'train' is not one of test, calibrate"
    with pytest.raises(UsageError, match=wrong):
        check_split("train")
