import dataclasses
from pathlib import Path

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import read_table, write_table
from trainer.images.roi_files import read_rois
from trainer.images.rows import read_rows
from trainer.images.whole_films import read_films


def changed(cohort: Path, where: str, **changes: object) -> Path:
    """The cohort's table with the first row of `x_image = where` changed."""
    rows = read_table(cohort)
    index = next(index for index, row in enumerate(rows) if row.extra["x_image"] == where)
    extra = {**rows[index].extra, **{key: str(value) for key, value in changes.items() if key.startswith("x_")}}
    other = {key: value for key, value in changes.items() if not key.startswith("x_")}
    rows[index] = dataclasses.replace(rows[index], extra={key: text for key, text in extra.items() if text}, **other)
    path = cohort.with_name("changed.csv")
    write_table(path, rows)
    return path


@pytest.mark.parametrize(
    ("where", "changes", "message"),
    [
        ("roi", {"film": "roi/none.png"}, r"film roi/none\.png: cannot be read"),
        ("roi", {"bmd_gcm2": {"femoral_neck": None, "total_hip": None}}, "no BMD"),
        ("roi", {"x_spacing_mm": "wide"}, "x_spacing_mm: 'wide' is not a number above 0"),
        ("roi", {"x_spacing_mm": "0"}, "x_spacing_mm: '0' is not a number above 0"),
        ("roi", {"x_spacing_mm": "inf"}, "x_spacing_mm: 'inf' is not a number above 0"),
        ("roi", {"x_spacing_mm": "0.5"}, "256 x 256 pixels of 0.65 mm, this one has 256 x 256 of 0.5 mm"),
        ("film", {"x_kind": "elbow"}, "x_kind: 'elbow' is not one of intact"),
        ("film", {"x_head_center_x": ""}, "an intact hip needs head_center"),
        ("film", {"x_head_center_x": "left"}, "are not numbers"),
    ],
)
def test_table_errors_name_the_film(cohort: Path, where: str, changes: dict[str, object], message: str) -> None:
    rows = read_rows(changed(cohort, where, **changes), where, ["train", "val"])
    with pytest.raises(TableError, match=message):
        (read_rois if where == "roi" else read_films)(rows)


def test_no_such_split(cohort: Path) -> None:
    with pytest.raises(TableError, match="x_image = roi and split = calibrate"):
        read_rows(cohort, "roi", ["calibrate"])
