"""Films that judge, as the script beside them (score.py) takes them, turned into film tables with truth.

The script and its films lie outside the project, beside the real films of `BMD_EDGE_REAL_FILMS`; nothing of them is
kept here but the names of their columns.
"""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.table.film_table import HipRow, read_table, write_table

REAL_FILMS = Path(os.environ.get("BMD_EDGE_REAL_FILMS", Path(__file__).parents[2] / ".." / "shared" / "fixtures"))
JUDGE = REAL_FILMS.parent / "judge"
SCRIPT = JUDGE / "score.py"

HEAD_ON_FILM_MM = 55.0  # what the script takes a head to measure on a real film
UNMEASURED_MM_PER_PX = 0.2
STATUS = {"fractured": "fracture"}


def table_of_foreign(folder: Path) -> Path:
    """films.csv and landmarks.json of a folder -> table.csv beside them."""
    marks = json.loads((folder / "landmarks.json").read_text(encoding="utf-8"))
    rows = []
    for row in read_table(folder / "films.csv"):
        mark = marks.get(Path(row.film).name)
        if mark:
            scale = {"x_mm_per_px": repr(mark["pitch_mm"] / mark["magnification"])}
            rows.append(with_truth(row, row.extra | scale, mark["hips"][row.side]))
    write_table(folder / "table.csv", rows)
    return folder / "table.csv"


def table_of_real(folder: Path, landmarks: Path) -> Path:
    """landmarks.csv, and films in folder/films without a hip in folder/not_hips -> folder/table.csv."""
    with landmarks.open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    rows = []
    for name in dict.fromkeys(one["file"] for one in known):
        some = [one for one in known if one["file"] == name]
        radii = [float(one["head_radius_px"]) for one in some if one["head_radius_px"]]
        mm_per_px = HEAD_ON_FILM_MM / (2 * float(np.median(radii))) if radii else UNMEASURED_MM_PER_PX
        stem = Path(name.replace(" ", "_")).stem
        for one in some:
            borderline = one["use"] == "extra" and one["status"] not in ("hidden", "intact")
            status = "borderline" if borderline else STATUS.get(one["status"], one["status"])
            points = {n: (one[f"{n}_x"], one[f"{n}_y"]) for n in LANDMARKS if one[f"{n}_x"]}
            row = HipRow(film=f"films/{stem}.dcm", subject=stem, side=one["side"], split="test")
            rows.append(with_truth(row, {"x_status": status, "x_mm_per_px": repr(mm_per_px)}, points))
    for film in sorted((folder / "not_hips").glob("*.dcm")):
        row = HipRow(film=f"not_hips/{film.name}", subject=film.stem, side="R", split="test")
        rows.append(with_truth(row, {"x_status": "not_a_hip"}, {}))
    write_table(folder / "table.csv", rows)
    return folder / "table.csv"


def with_truth(row: HipRow, extra: dict[str, str], points: dict[str, Any]) -> HipRow:
    """The row with landmarks and other columns of its truth."""
    cells = {f"x_{name}_{axis}_px": str(v) for name, xy in points.items() for axis, v in zip("xy", xy, strict=True)}
    return replace(row, extra={**extra, **cells})
