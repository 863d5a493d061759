"""What an export lacks is said in one list."""

from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import read_table, write_table
from export.bundle.requirements import lacking
from export.commands import export
from export.make_bundle import check_requirements
from tests.support.small_runs import write_cohort, write_run


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    rows = read_table(write_cohort(tmp_path / "few", subjects=12))
    said = list(lacking(rows, None, 1000))
    assert len(said) == 3
    assert said[0].startswith("12 subjects of the split calibrate have DEXA of every site, 40 are the least")
    assert said[1].startswith("24 hips of the split calibrate have DEXA of every site, INT8 needs 2000")
    assert "--training-data" in said[2]
    with pytest.raises(TableError, match=r"films\.csv: (?s:.)*12 subjects (?s:.)*--no-int8(?s:.)*--training-data"):
        check_requirements(tmp_path / "few" / "films.csv", None, int8=True)
    (run := write_run(tmp_path / "run", "vgg11_se") / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(TableError, match="12 subjects"):  # before any weight is looked at
        export([run.parent], tmp_path / "few" / "films.csv", tmp_path / "out")


def test_a_table_that_will_do_lacks_nothing(tmp_path: Path) -> None:
    table = write_cohort(tmp_path / "enough")
    rows = read_table(table)
    assert list(lacking(rows, "films of our clinic", 0)) == []
    check_requirements(table, "films of our clinic", int8=False)
    of_a_clinic = [replace(row, extra={}) for row in rows]
    assert list(lacking(of_a_clinic, "films of our clinic", 44)) == []
    of_a_phantom = [replace(row, extra={**row.extra, "x_scene": "hip"}) for row in rows]
    assert list(lacking(of_a_phantom, None, 0)) == []
    whole_films = [replace(row, extra={"x_image": "film", "x_scene": "hip"}) for row in rows]
    assert len(list(lacking(whole_films, None, 0))) == 1


def test_hips_without_dexa_of_a_site_do_not_count(tmp_path: Path) -> None:
    table = write_cohort(tmp_path / "one site")
    rows = [replace(row, bmd_gcm2={**row.bmd_gcm2, "total_hip": None}) for row in read_table(table)]
    write_table(table, rows)
    with pytest.raises(TableError, match="0 subjects of the split calibrate"):
        check_requirements(table, "films of our clinic", int8=False)
