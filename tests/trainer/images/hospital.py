"""A hospital's folder: three films and a table without any column of ours."""

import dataclasses
from pathlib import Path

from bmd_edge.table.film_table import read_table, write_table
from trainer.phantom.film.scene import FilmSpec

SPECS = {
    "right.dcm": FilmSpec(11, "hip", "R"),
    "left.dcm": FilmSpec(12, "hip", "L"),
    "implant.dcm": FilmSpec(13, "hip", "R", "implant"),
}


def changed(table: Path, name: str, **changes: object) -> Path:
    rows = read_table(table)
    rows[0] = dataclasses.replace(rows[0], **changes)
    write_table(table.with_name(name), rows)
    return table.with_name(name)
