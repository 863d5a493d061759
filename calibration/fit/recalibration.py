"""Films with DEXA of one clinic -> its recalibration of a bundle, in every precision.

The line moves the estimates, so the headline's cuts are fitted anew too, on estimates that the line of all other
subjects has corrected; where the films hold too few subjects for that, the recalibrated bundle gives no headline.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.errors import TableError, UsageError, reasons_said
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.measure.recalibration import SCHEMA, RecalibrationFile
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.in_words import counted
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.table.dxa_scales import to_hologic
from bmd_edge.table.film_table import HipRow, read_table
from calibration.fit.headline_cuts import fit_headline_cuts
from calibration.fit.site_line import MIN_SUBJECTS, SiteFit, fit_site
from calibration.pairs.answers import FilmAnswers, Progress, read_films
from calibration.pairs.dexa_checks import dexa_findings, refuse_errors
from calibration.pairs.finding import Finding, weight
from calibration.pairs.learned_from import CALIBRATE, Known
from calibration.pairs.pairs import pair
from calibration.pairs.table_checks import contradictions, examine


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted: `fits` is precision -> site -> fit; `left_out` counts hips without a number by reason.

    `findings` say what is doubtful in the table; the hips of those with `left_out` are in no fit.
    """

    file: RecalibrationFile
    fits: dict[str, dict[str, SiteFit]]
    left_out: dict[str, int]
    findings: list[Finding]


def calibrate(
    bundle: VerifiedBundle,
    table: Path,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Calibrated:
    """Recalibrate a bundle with the films of a table's split `calibrate`, through the shipped line and files.

    Raises:
        TableError: no such rows, a film is missing, or the table cannot be right (a finding of severity "error").
        UsageError: too few subjects, or a line that cannot be believed; see `calibration.fit.site_line.fit_site`.
    """
    rows = [row for row in read_table(table) if row.split == CALIBRATE and any(row.bmd_gcm2.values())]
    if not rows:
        raise TableError(
            f"{table.name}: no row of the split {CALIBRATE} has DEXA: put the films to calibrate with there"
        )
    if (subjects := len({row.subject for row in rows})) < MIN_SUBJECTS:
        raise TableError(
            f"{table.name}: {counted(subjects, 'subject')} with DEXA in the split {CALIBRATE}, {MIN_SUBJECTS} with film"
            " and DEXA are the least"
        )
    refuse_errors(table.name, dexa_findings(rows))  # said before films are read for minutes
    films = {row.film: row.film_path for row in rows}
    found, _ = read_films(bundle.root, films, device, threads, progress)
    rows, findings = checked(table.name, rows, found)
    fits, points, left_out = {}, {}, Counter[str]()
    for precision in bundle.precisions("bmd"):
        reports = {one.film: one.reports[precision] for one in found}
        answers = [_answer(row, reports[row.film]) for row in rows]
        left_out = Counter(one for one in answers if isinstance(one, str))
        try:
            fits[precision] = fit_sites_of(rows, answers)
        except UsageError as error:
            raise UsageError(f"{error}; hips without a number: {reasons_said(left_out) or 'none'}") from error
        points[precision] = fit_cuts(rows, answers, fits[precision])
    scales = Counter(row.scale or "" for row in rows)
    file = RecalibrationFile(
        schema=SCHEMA,
        bundle_digest=bundle.digest,
        table_sha256=_sha256(table),
        scales=dict(sorted(scales.items())),
        precisions={name: {site: fit.line for site, fit in sites.items()} for name, sites in fits.items()},
        operating_points=points,
    )
    return Calibrated(file, fits, dict(left_out), findings)


def checked(table: str, rows: list[HipRow], films: list[FilmAnswers]) -> tuple[list[HipRow], list[Finding]]:
    """The rows that may be fitted to, and what is doubtful in the table, as `validate` has it; TableError of errors."""
    pairs = pair(rows, films)
    rigor = examine(rows, pairs, Known(), next(iter(films[0].reports)))
    findings = refuse_errors(table, [*rigor.findings, *contradictions(rows, pairs, films)])
    return [row for row in rows if (row.film, row.side) not in rigor.left_out], sorted(findings, key=weight)


def fit_sites_of(rows: list[HipRow], answers: list[NetworkAnswer | str]) -> dict[str, SiteFit]:
    """Fit every site from the network's answers for the rows; text stands for a hip without one."""
    fits = {}
    for column, site in enumerate(SITES):
        hips = [
            (answer.bmd_gcm2[column], answer.spread_gcm2[column], to_hologic(value, site, row.scale or ""), row.subject)
            for row, answer in zip(rows, answers, strict=True)
            if isinstance(answer, NetworkAnswer) and (value := row.bmd_gcm2[site]) is not None
        ]
        bmd, spread, dexa = np.array([hip[:3] for hip in hips], np.float64).reshape(-1, 3).T
        try:
            fits[site] = fit_site(bmd, spread, dexa, [hip[3] for hip in hips])
        except UsageError as error:
            raise UsageError(f"{site.replace('_', ' ')}: {error}") from error
    return fits


def fit_cuts(rows: list[HipRow], answers: list[NetworkAnswer | str], fits: dict[str, SiteFit]) -> HeadlineCuts | None:
    """The headline's cuts on corrected estimates; None with too few subjects (`headline_cuts.MIN_SUBJECTS`).

    Hips without DEXA at every site are left out: low BMD at the other site would go unseen.
    """
    corrected = np.full((len(rows), len(SITES)), np.nan)
    answered = np.array([isinstance(answer, NetworkAnswer) for answer in answers])
    for column, site in enumerate(SITES):
        fitted = answered & np.array([row.bmd_gcm2[site] is not None for row in rows])
        corrected[fitted, column] = fits[site].left_out_gcm2
    whole = np.flatnonzero(np.isfinite(corrected).all(axis=1))
    return fit_headline_cuts([rows[index] for index in whole], corrected[whole])


def _answer(row: HipRow, report: FilmReport) -> NetworkAnswer | str:
    """What the network said of the row's hip, or the code why nothing."""
    for hip in report.hips:
        if hip.side == row.side:
            return hip.network or hip.reason or "hip_not_found"
    return report.reason or "hip_not_found"


def check_file(path: Path, bundle: VerifiedBundle, table: Path) -> None:
    """Look at the file that a recalibration is going to be written to, before any film is read.

    Raises:
        UsageError: it holds another one, with which results may have been made, or something else.
    """
    if not path.exists() or not table.is_file():  # a missing table is said where it is read
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same = (found["bundle_digest"], found["table_sha256"]) == (bundle.digest, _sha256(table))
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        what = "--out holds a recalibration of another bundle or table, or something else, which would be lost"
        raise UsageError(f"{what}: give another --out, or delete it")


def _sha256(table: Path) -> str:
    return hashlib.sha256(table.read_bytes()).hexdigest()


def write_recalibration(path: Path, file: RecalibrationFile) -> None:
    """Write the file of a recalibration, atomically; it holds no time, so the same table gives the same bytes."""
    with replace_file(path) as stream:
        stream.write(json.dumps(dataclasses.asdict(file), indent=1, allow_nan=False) + "\n")
