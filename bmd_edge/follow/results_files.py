"""The results of several screening runs, read back together: which films they tell of, each image once."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.report.film_report import SCHEMA_VERSION, FilmReport
from bmd_edge.report.kept_report import report_of
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES
from bmd_edge.system.own_files import mistaken
from bmd_edge.version import __version__


def reports_in(results: Sequence[Path]) -> list[FilmReport]:
    """The reports in folders of `bmd-edge screen`, or in their results.jsonl, named by folder where there are several.

    A film that several runs hold counts once, as the last of them has it. Of one image under two patients both are
    marked as `other_patient`.

    Raises:
        UsageError: a place holds no results, or those of another version; the runs made pseudonyms with several keys.
    """
    if not results:
        raise UsageError("follow needs the --out folder of a screening run, or several")
    for place in results:
        if place.name != "results.jsonl" and (said := mistaken(place, "results")):
            raise UsageError(said)
        if place.is_file() and place.name != "results.jsonl":
            raise UsageError(f"{visible(str(place))} is a file: give the folder, the --out of `bmd-edge screen`")
    files = [place / "results.jsonl" if place.is_dir() else place for place in results]
    _check_keys(results)
    of_image: dict[str, list[FilmReport]] = defaultdict(list)
    for place, file in zip(results, files, strict=True):
        for report in _read(file, visible(str(place))):
            name = f"{file.parent.name}/{report.file}" if len(files) > 1 else report.file
            of_image[report.pixel_digest or f"{report.film_id} {name}"].append(replace(report, file=name))
    found = []
    for reports in of_image.values():
        if len({one.patient_pseudonym for one in reports} - {None}) > 1:
            found += [replace(one, copy="other_patient") for one in reports]
        else:
            marked = [one for one in reports if one.copy in ("conflict", "other_patient")]
            found.append((marked or [replace(one, copy=None) for one in reports])[-1])
    return found


def page_facts(results: Sequence[Path], reports: Sequence[FilmReport]) -> dict[str, Any]:
    """What pages say at their head and foot of bundles and notice, as `RunSummary` does of one run."""
    runs = [_run(place) for place in results]
    bundles = {report.bundle: report.bundle_digest for report in reports}
    return {
        "versions": {"bmd-edge": __version__},
        "bundle": visible(", ".join(bundles) or "none"),
        "bundle_digest": "".join(bundles.values()) if len(bundles) == 1 else "",
        "device": ", ".join(sorted({report.device for report in reports})),
        "precision": ", ".join(sorted({report.precision for report in reports})),
        "notice": visible(" ".join(dict.fromkeys(str(run.get("notice") or "") for run in runs))),
    }


def _run(place: Path) -> dict[str, Any]:
    """The run.json beside results; empty where there is none."""
    try:
        found = json.loads(((place if place.is_dir() else place.parent) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(file: Path, place: str) -> list[FilmReport]:
    if not file.is_file():
        raise UsageError(f"{place} holds no results: give the --out folder of `bmd-edge screen`")
    found = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                data = json.loads(line)
                version = data["schema_version"]
                if version == SCHEMA_VERSION:
                    found.append(_whole(report_of(data, data["film_now"])))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UsageError(f"{place} holds a damaged results.jsonl: run `bmd-edge screen` again") from error
            if version != SCHEMA_VERSION:
                raise UsageError(f"{place} holds results of another version: run `bmd-edge screen` again, with --fresh")
    return found


def _whole(report: FilmReport) -> FilmReport:
    """The report, each of whose hips with a number has one of every site: a mean of none would be 0."""
    if any(hip.status == "read" and {one.site for one in hip.estimates} != set(SITES) for hip in report.hips):
        raise ValueError
    return report


def _check_keys(results: Sequence[Path]) -> None:
    """Pseudonyms of two keys link nobody, and would show every patient's films as those of several."""
    if len({_run(place).get("patient_key") for place in results} - {None}) > 1:
        raise UsageError(
            "these runs name patients by different keys, so nothing links their films: share one (`bmd-edge key`), then"
            " run `bmd-edge screen` again"
        )
