"""The files that say a run's results to machines: results.jsonl, results.csv, run.json.

Neither results file holds a time or a run id, so two runs over the same films compare byte by byte. None of them holds
a patient's name or id, or the path of the folder. The pages for people are in `bmd_edge.report.pages`.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmd_edge.film.film import FACTS
from bmd_edge.measure.estimate import who_range
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, HipReport, RunSummary, flags_of
from bmd_edge.report.safe_text import safe_cell
from bmd_edge.sites import SITES
from bmd_edge.system.csv_cells import csv_line
from bmd_edge.system.files import replace_file


def write_jsonl(path: Path, reports: Iterable[FilmReport]) -> None:
    """Write one object per file, atomically."""
    with replace_file(path) as file:
        for report in reports:
            file.write(json_line(report) + "\n")


def json_line(report: FilmReport) -> str:
    """One line of results.jsonl: ASCII, so that no name in it can harm a terminal or an old reader."""
    return json.dumps(report.to_dict(), allow_nan=False)


def write_run(path: Path, summary: RunSummary) -> None:
    """Write run.json, atomically."""
    with replace_file(path) as file:
        file.write(json.dumps(asdict(summary), indent=2, allow_nan=False) + "\n")


# -- results.csv --------------------------------------------------------------------------------------------------

_UID_COLUMNS = ("sop_instance_uid", "study_instance_uid", "series_instance_uid")
_FACT_COLUMNS = tuple(name for name in FACTS if name not in ("spacing_mm", *_UID_COLUMNS))
_RUN_COLUMNS = ("bundle", "bundle_digest", "recalibration", "device", "precision")
_FILE_COLUMNS = ("file", "film_id", "film_now", "copy", "copy_of")
_BAND_COLUMNS = ("band", "band_meaning")
CSV_COLUMNS = (
    *_FILE_COLUMNS, "side", "status", "reason", *_BAND_COLUMNS,
    *(f"{part}_{site}{unit}" for site in SITES for part, unit in
      (("bmd", "_gcm2"), ("low", "_gcm2"), ("high", "_gcm2"), ("t_score", ""), ("who_range", ""))),
    "t_score_reason", "flags", "spacing_row_mm", "spacing_column_mm", *_FACT_COLUMNS,
    *_UID_COLUMNS, *_RUN_COLUMNS, "use",
)  # fmt: skip


def write_csv(path: Path, reports: Iterable[FilmReport]) -> None:
    """Write one row per hip, atomically; a file without a hip is one row with an empty side."""
    with replace_file(path) as file:
        file.write(csv_line(CSV_COLUMNS))
        for report in reports:
            file.writelines(csv_line(safe_cell(row.get(name)) for name in CSV_COLUMNS) for row in _rows(report))


def _rows(report: FilmReport) -> list[dict[str, Any]]:
    film = {name: getattr(report, name) for name in (*_BAND_COLUMNS, *FACTS, *_RUN_COLUMNS, *_FILE_COLUMNS)}
    film |= {"status": report.status, "reason": report.reason, "use": RESEARCH_USE}
    if report.spacing_mm:
        film |= {"spacing_row_mm": report.spacing_mm[0], "spacing_column_mm": report.spacing_mm[1]}
    return [film | _hip_cells(hip) for hip in report.hips] or [film]


def _hip_cells(hip: HipReport) -> dict[str, Any]:
    cells: dict[str, Any] = {"side": hip.side, "status": hip.status, "reason": hip.reason}
    for estimate in hip.estimates:
        site = estimate.site
        cells |= {f"{part}_{site}_gcm2": getattr(estimate, f"{part}_gcm2") for part in ("bmd", "low", "high")}
        cells |= {f"t_score_{site}": estimate.t_score, f"who_range_{site}": who_range(estimate)}
        cells["t_score_reason"] = estimate.t_score_reason
    cells["flags"] = " ".join(flags_of(hip))
    return cells
