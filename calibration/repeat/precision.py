"""Repeated films of one clinic -> its repeatability: the file that `bmd-edge follow --repeatability` takes."""

import dataclasses
import hashlib
import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import BundleError, TableError, UsageError
from bmd_edge.follow.repeatability import (
    MIN_DEGREES,
    SCHEMA,
    BetweenUnits,
    RepeatabilityFile,
    SiteRepeatability,
    open_repeatability,
)
from bmd_edge.measure.recalibration import open_recalibration
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.table.film_table import read_table
from calibration.pairs.answers import Progress, read_films
from calibration.pairs.finding import Finding
from calibration.repeat.longitudinal import changes_with_dexa, longitudinal_slope
from calibration.repeat.repeated_films import (
    SHORT_TERM_DAYS,
    TAKEN_UNDER,
    Hips,
    between_units,
    check_taken_under,
    hip_films,
    repeated_findings,
    short_term,
)
from calibration.statistics.agreement import LSC_FACTOR
from calibration.statistics.bootstrap import F64
from calibration.statistics.precision_error import repeatability

LEARNED_FROM = ("train", "val")

DXA_CV = 0.01
"""RMS-CV below what DXA itself reaches at the hip, on patients who stand up in between (1.3 % and more); a film, which
is to tell what DXA tells, does no better.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """The file, what of the table is in none of its figures, rows by reason, and what is doubtful in it."""

    file: RepeatabilityFile
    left_out: dict[str, int]
    findings: list[Finding]


def measure(
    bundle: VerifiedBundle,
    table: Path,
    recalibration: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Measured:
    """Measure how far a bundle's estimates of one hip differ, in every precision, through the shipped line and files.

    Raises:
        TableError: a row does not say why its film was taken, or a film is missing.
            Or the films of a hip agree better than DXA does.
        UsageError: fewer than 30 degrees of freedom.
    """
    everything = read_table(table)
    rows = [row for row in everything if row.split not in LEARNED_FROM]
    check_taken_under(table.name, rows)
    digest = open_recalibration(recalibration, bundle).digest if recalibration else None
    films, _ = read_films(
        bundle.root,
        {row.film: row.film_path for row in rows},
        device,
        threads,
        progress,
        recalibration,
        secrets.token_bytes(32),  # of this run alone: it tells patients apart, and is kept nowhere
    )
    found, between, models, without, copies = {}, {}, set(), 0, 0
    for precision in bundle.precisions("bmd"):
        hips, without, copies = hip_films(rows, films, precision)
        found[precision] = of_hips(hips)
        between[precision] = tuple(between_units(hips))
        models |= {film.model for group in short_term(hips) for film in group}
    file = RepeatabilityFile(
        schema=SCHEMA,
        source="clinic",
        bundle_digest=bundle.digest,
        recalibration=digest,
        table_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        taken_under=dict(sorted(Counter(row.extra[TAKEN_UNDER] for row in rows).items())),
        units=tuple(sorted(models)),
        precisions=found,
        between_units=between,
    )
    learned = len(everything) - len(rows)
    left_out = {"learned_from": learned, "without_a_number_or_date": without, "copies": copies}
    return Measured(file, left_out, repeated_findings(rows, films))


def of_hips(hips: Hips) -> dict[str, SiteRepeatability]:
    """Every site's figures. UsageError with fewer than 30 degrees of freedom."""
    groups = [(some[0].subject, np.stack([one.bmd_gcm2 for one in some])) for some in short_term(hips)]
    subjects, *changes = changes_with_dexa(hips)
    return {
        site: dataclasses.replace(
            site_repeatability([(subject, values[:, column]) for subject, values in groups]),
            slope=longitudinal_slope(subjects, *(one[:, column] for one in changes)),
        )
        for column, site in enumerate(SITES)
    }


def site_repeatability(groups: Sequence[tuple[str, F64]]) -> SiteRepeatability:
    """Figures of one site from repeated films: subject and estimates (films,) of each group, g/cm2.

    The upper limit is one-sided, 95 %: RMS-SD sqrt(df / chi2(0.05, df)) (Gluer 1995). Both hips of a subject stand on
    the same films, so its degrees of freedom count once.
    """
    facts = repeatability([values for _, values in groups])
    by_subject: dict[str, list[int]] = defaultdict(list)
    for subject, values in groups:
        by_subject[subject].append(len(values) - 1)
    degrees = sum(max(some) for some in by_subject.values())
    if degrees < MIN_DEGREES:
        raise UsageError(
            f"{degrees} degrees of freedom of films within {SHORT_TERM_DAYS} days by one X-ray unit, {MIN_DEGREES} are"
            " the least: 30 subjects with two films of a hip, or 15 with three"
        )
    sd = float(facts["rms_sd_gcm2"] or 0.0)
    high = sd * float(np.sqrt(degrees / stats.chi2.ppf(0.05, degrees)))
    if sd <= 0:
        raise TableError("the films of each hip give one number: they are copies of one film")
    if (cv := float(facts["rms_cv"] or 0.0)) < DXA_CV:
        raise TableError(
            f"films of one hip differ by {cv:.2%} (RMS-CV), scans by DXA itself by {DXA_CV:.1%} and more: these are"
            " copies of one exposure, such as two exports or processings of it, and no repeated films. Leave out all"
            " but one of each"
        )
    return SiteRepeatability(
        rms_sd_gcm2=round(sd, 5),
        rms_sd_high_gcm2=round(high, 5),
        rms_cv=round(float(facts["rms_cv"] or 0.0), 5),
        lsc_gcm2=round(LSC_FACTOR * sd, 4),
        lsc_high_gcm2=round(LSC_FACTOR * high, 4),
        degrees_of_freedom=degrees,
        hips=int(facts["hips"] or 0),
        films=int(facts["films"] or 0),
        slope=None,
    )


def check_file(path: Path) -> None:
    """UsageError where `path` holds something else, which would be lost; looked at before any film is read."""
    if path.exists():
        try:
            open_repeatability(path)
        except BundleError as error:
            raise UsageError("--out holds something else, which would be lost: give another --out") from error


def write_repeatability(path: Path, file: RepeatabilityFile) -> None:
    """Write the file, atomically; it holds no time and no patient, so the same table gives the same bytes."""
    with replace_file(path) as stream:
        stream.write(json.dumps(dataclasses.asdict(file), indent=1, allow_nan=False) + "\n")


def said(found: Measured) -> list[str]:
    """What was measured, line by line, and what more films would give."""
    lines = []
    for precision, sites in found.file.precisions.items():
        for site, one in sites.items():
            lines += [
                f"{site.replace('_', ' ')}, {precision}: RMS-SD {one.rms_sd_gcm2:.4f} g/cm2 (at most"
                f" {one.rms_sd_high_gcm2:.4f}, 95 %), RMS-CV {one.rms_cv:.1%}; {one.hips} hips, {one.films} films,"
                f" {one.degrees_of_freedom} degrees of freedom",
                f"  least significant change of two films {one.lsc_gcm2:.3f} g/cm2, at most {one.lsc_high_gcm2:.3f}",
                f"  {_slope(one)}",
            ]
        for units in found.file.between_units[precision]:
            lines.append(
                f"between units, {precision}: {' | '.join(units.units)}, {units.hips} hips with films of both:"
            )
            lines += [f"  {site.replace('_', ' ')} {_difference(units, site)} g/cm2" for site in SITES]
    why = ", ".join(f"{n} {name}" for name, n in found.file.taken_under.items())
    left_out = [f"{n} rows {name.replace('_', ' ')}" for name, n in found.left_out.items() if n]
    return [*lines, f"Films were taken under: {why}.", *([f"Left out: {', '.join(left_out)}."] if left_out else [])]


def _difference(units: BetweenUnits, site: str) -> str:
    known = f" ({units.low_gcm2[site]:+.3f} to {units.high_gcm2[site]:+.3f})" if units.low_gcm2 else ""
    return f"{units.difference_gcm2[site]:+.3f}{known}"


def _slope(one: SiteRepeatability) -> str:
    if one.slope is None:
        return "no longitudinal slope, so no rates: that needs DEXA with the films of 30 subjects, a year or more apart"
    slope = one.slope
    ends = f"{slope.low:.2f} to {slope.high:.2f}"
    return f"estimated change on DEXA's: {slope.slope:.2f} ({ends}), {slope.subjects} subjects"
