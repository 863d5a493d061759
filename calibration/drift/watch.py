"""Have films moved away from those that a bundle was calibrated with? Charts over screening runs, and what moved."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.ledger_file import NAME
from bmd_edge.system.own_files import mistaken
from calibration.drift.control_charts import WEIGHT, t2
from calibration.drift.studies import F64, Seen, of_reports
from calibration.drift.watched_features import DriftReference, Watched, from_dict

NAMED_SD = 3.0
"""A feature is named as moved where its average lies this many of its standard errors from the reference."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A feature that has moved: its recent average and the reference's mean in its own unit, and by how many SDs."""

    feature: str
    now: float
    reference: float
    standard_errors: float


@dataclass(frozen=True, slots=True)
class ChartResult:
    """One chart at the end of the runs: highest and last T2 against the limit, the study of the first alarm (counted
    from 1, and the film_id of its first film), and what had moved at the last study in alarm, most first.
    """

    limit: float
    highest: float
    last: float
    alarm_at: int | None
    film_id: str | None
    moved: tuple[Moved, ...]


def reference_in(bundle: VerifiedBundle, precision: str) -> DriftReference:
    """The bundle's drift reference for a precision. BundleError if it holds none."""
    stored = bundle.drift()
    if precision not in stored:
        raise BundleError("the bundle holds no drift reference: export it with 100 subjects or more to calibrate with")
    try:
        return from_dict(stored[precision])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError("drift.json breaks its contract: export the bundle again") from error


def reports_of(run: Path, bundle: VerifiedBundle) -> list[FilmReport]:
    """What a screening run keeps of its films, sorted by path. UsageError if it was no run of this bundle."""
    if not (run / NAME).is_file():
        if said := mistaken(run, "results"):
            raise UsageError(said)
        raise UsageError(f"{run} holds no screening run: give the --out folder of `bmd-edge screen`")
    with closing(Ledger(run, to_read=True)) as ledger:
        known = list(ledger.reports())
    # What an earlier bundle said of films that are not there any more has stayed
    reports = [report for report in known if report.film_now == "there" or report.bundle_digest == bundle.digest]
    if any(report.bundle_digest != bundle.digest for report in reports):
        raise UsageError(f"{run} was screened with another bundle: name that one with --bundle")
    return reports


def watch(
    reports: Sequence[FilmReport], bundle: VerifiedBundle, baseline: Sequence[FilmReport] = ()
) -> tuple[dict[str, ChartResult], int]:
    """All charts over films in their order, and the number of studies with a number.

    With a `baseline`, films of a time known to be good, the charts start from its means instead of the bundle's; spread
    and limits stay those of the bundle, which are wider than one clinic's.

    Raises:
        UsageError: the films were measured in more than one precision, none has a number, the baseline has fewer than
            100 studies, or half of the films or more are those of the baseline.
        BundleError: the bundle holds no reference.
    """
    precisions = sorted({report.precision for report in (*reports, *baseline)})
    if len(precisions) > 1:
        raise UsageError(f"the runs were made in {' and '.join(precisions)}: look at one precision at a time")
    seen, names = of_reports(reports)
    if not names:
        raise UsageError(
            "no film of these runs has a number, and drift is seen in numbers: tens of studies with one are the least"
        )
    same = {report.film_id for report in reports if report.film_id} & {report.film_id for report in baseline}
    if 2 * len(same) >= len(reports):
        raise UsageError(
            f"{len(same)} of {len(reports)} films of these runs are the baseline's own, whose means they cannot leave:"
            " give --baseline a run of other films, of a time before"
        )
    reference = reference_in(bundle, precisions[0])
    if baseline:
        reference = reference.around(of_reports(baseline)[0])
    return charts_over(reference, seen, names), len(seen)


def charts_over(reference: DriftReference, seen: Seen, names: Sequence[str]) -> dict[str, ChartResult]:
    """Every chart over studies in order; names (n,) are their films'."""
    features, found = reference.features(seen), {}
    for name, scores in reference.scores(seen).items():
        watched = reference.watched[name]
        values, _ = t2(scores)
        over = np.flatnonzero(values > watched.limit)
        first = int(over[0]) if over.size else None
        found[name] = ChartResult(
            limit=watched.limit,
            highest=float(values.max()),
            last=float(values[-1]),
            alarm_at=None if first is None else first + 1,
            film_id=None if first is None else names[first],
            moved=_moved(watched, features[name][: over[-1] + 1]) if over.size else (),
        )
    return found


def _moved(watched: Watched, features: F64) -> tuple[Moved, ...]:
    """Features whose weighted average over the last of these studies is far from the reference; one at least."""
    offset = np.where(np.isfinite(features), features - watched.mean, 0.0)
    weights = WEIGHT * (1 - WEIGHT) ** np.arange(len(offset))[::-1]
    error = np.sqrt(np.diag(watched.covariance) * np.sum(weights**2))
    average = weights @ offset
    found = [
        Moved(feature, _natural(feature, mean + moved), _natural(feature, mean), float(moved / sd))
        for feature, mean, moved, sd in zip(watched.names, watched.mean, average, error, strict=True)
    ]
    found.sort(key=lambda one: -abs(one.standard_errors))
    return tuple(one for one in found if abs(one.standard_errors) >= NAMED_SD) or tuple(found[:1])


def _natural(feature: str, value: float) -> float:
    return float(np.exp(value)) if feature == "size" or feature.startswith("spread") else float(value)


_SENTENCES = {
    "age": "age {now:.1f} years, reference {reference:.1f}",
    "female": "women {now:.0%}, reference {reference:.0%}",
    "size": "head to lesser trochanter {now:.1f} mm, reference {reference:.1f}: is the pixel spacing right?",
    "kvp": "tube voltage {now:.1f} kV, reference {reference:.1f}",
    "remainder": "films unlike those of the reference: another maker or processing?",
}


def sentence(moved: Moved) -> str:
    """What moved, for people."""
    facts: dict[str, Any] = {"now": moved.now, "reference": moved.reference}
    if moved.feature in _SENTENCES:
        return _SENTENCES[moved.feature].format(**facts)
    if moved.feature.startswith(("mean gray", "gray", "contrast")):
        return f"{moved.feature} {moved.now:.2f}, reference {moved.reference:.2f}: another maker or processing?"
    if moved.feature.startswith("component"):
        return f"embedding, {moved.feature}: {moved.standard_errors:+.1f} standard errors"
    return f"{moved.feature.replace('_', ' ')} {moved.now:.3f} g/cm2, reference {moved.reference:.3f}"
