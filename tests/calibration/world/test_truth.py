"""What a film table says of a hip."""

import re
from dataclasses import replace

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow, write_table
from calibration.world.truth import not_read, truth_of
from calibration.world.world import NamedTable, read_rows


def row_with(**cells):
    extra = {f"x_{name}": text for name, text in cells.items()}
    return HipRow(film="a.dcm", subject="S", side="R", split="test", extra=extra)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"status": "broken"}, "x_status: 'broken' is not one of intact, fracture"),
        ({"status": "Intakt"}, "borderline, unknown (did you mean intact?)"),
        ({"kind": "intakt"}, "x_kind: 'intakt' is not one of intact, fracture"),
        ({"head_center_x_px": "12"}, "x_head_center_y_px: empty beside"),
        ({"head_center_x_px": "12", "head_center_y_px": "a"}, "x_head_center_y_px: 'a' is not a number"),
        ({"head_center_x_px": "12", "head_center_y_px": "nan"}, "'nan' is not a number"),
        ({"head_centre_x_px": "12"}, "'head_centre' is not one of head_center, "),
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


HEADER = "film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split"


def table_of(folder, column, *cells):
    """A table of one further column; its last row alone is of the split test."""
    splits = [*["val"] * (len(cells) - 1), "test"]
    rows = [f"{n}.dcm,P{n},R,70,F,,,,{split},{cell}" for n, (split, cell) in enumerate(zip(splits, cells, strict=True))]
    (folder / "films.csv").write_text("\n".join([f"{HEADER},{column}", *rows]) + "\n")
    return NamedTable("real", "ours", folder / "films.csv")


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("x_status", ("intact", "fractur", "intact"), "row 3 (film 1.dcm, side R), column x_status: 'fractur' is not"),
        ("x_image", ("dicom", "DICOM", "dicom"), "row 3 (film 1.dcm, side R), column x_image: 'DICOM' is not one of"),
        ("x_mm_per_px", ("0.1", "a", "0.1"), "row 3 (film 1.dcm, side R), column x_mm_per_px: 'a' is not a number"),
        ("x_spacing_mm", ("0.1", "a", "0.1"), "row 3 (film 1.dcm, side R), column x_spacing_mm: 'a' is not a number"),
    ],
)
def test_a_row_of_another_split_is_read_too_and_named_as_a_spreadsheet_does(tmp_path, column, cells, said):
    with pytest.raises(TableError, match=re.escape(f"films.csv: {said}")):
        read_rows(table_of(tmp_path, column, *cells), "test")


def test_unknown_is_a_status(tmp_path):
    assert [one.status for one in read_rows(table_of(tmp_path, "x_status", "unknown"), "test").truths] == ["unknown"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("x_staus",), ["Column x_staus is not read (did you mean x_status?); if so, rename it."]),
        (("x_staus", "x_status"), []),
        (("x_mm_per_pixel",), ["Column x_mm_per_pixel is not read (did you mean x_mm_per_px?); if so, rename it."]),
        (("x_note", "x_weight_kg", "x_kvp", "x_kind", "x_head_center_x", "x_spacing_mm"), []),
    ],
)  # fmt: skip
def test_a_column_that_is_nearly_one_of_these_is_named(columns, said):
    row = replace(row_with(), extra=dict.fromkeys(columns, "1"))
    assert [(one.severity, one.sentence) for one in not_read([row])] == [("warning", one) for one in said]
