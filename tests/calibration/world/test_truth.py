"""What a film table says of a hip."""

import re
from dataclasses import replace

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow, write_table
from calibration.world.truth import truth_of
from calibration.world.world import NamedTable, read_rows


def row_with(**cells):
    extra = {f"x_{name}": text for name, text in cells.items()}
    return HipRow(film="a.dcm", subject="S", side="R", split="test", extra=extra)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"status": "broken"}, "x_status: 'broken' is not one of intact, fracture"),
        ({"head_center_x_px": "12"}, "x_head_center_y_px: empty beside"),
        ({"head_center_x_px": "12", "head_center_y_px": "a"}, "x_head_center_y_px: 'a' is not a number"),
        ({"head_center_x_px": "12", "head_center_y_px": "nan"}, "'nan' is not a number"),
        ({"head_centre_x_px": "12"}, "no such landmark; they are head_center"),
        ({"mm_per_px": "0"}, "x_mm_per_px: must be above 0"),
    ],
)
def test_a_broken_column_is_named(cells, said):
    with pytest.raises(TableError, match=re.escape(said)):
        truth_of(row_with(**cells))


def test_a_hip_with_dexa_is_intact_unless_the_table_says_otherwise():
    labelled = HipRow(film="a.dcm", subject="S", side="R", split="test", bmd_gcm2={"total_hip": 0.8}, scale="hologic")
    assert truth_of(labelled).status == "intact"
    assert truth_of(replace(labelled, extra={"x_status": "implant"})).status == "implant"
    assert truth_of(row_with()).status == "unknown"


def test_a_cohort_of_the_phantom_is_read_by_its_own_columns(tmp_path):
    cells = {"kind": "intact", "cut_off": "1", "head_center_x": "3", "head_center_y": "4", "spacing_mm": "0.3"}
    dicom = row_with(image="dicom", maker_style="Synthetic-C", **cells)
    truth = truth_of(dicom)
    assert (truth.status, truth.landmarks_px, truth.mm_per_px) == ("cut_off", {"head_center": (3, 4)}, 0.3)
    assert truth.style == "Synthetic-C"
    write_table(tmp_path / "films.csv", [dicom, replace(dicom, film="b.png", extra={"x_image": "roi"})])
    assert read_rows(NamedTable("synthetic", "a", tmp_path / "films.csv"), "test").rows == [dicom]
