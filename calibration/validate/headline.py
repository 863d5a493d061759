"""The headline of a film against DEXA: does the lowest T-score of its hips find low bone mass?"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.measure.headline import lowest_t_score
from bmd_edge.measure.t_score import t_score
from bmd_edge.report.film_report import FilmReport
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.pairs import Pair
from calibration.statistics import detection
from calibration.statistics.bootstrap import F64, by_subject
from calibration.validate.one_site import areas_of, with_exact_shares


def headline_data(
    kept: Sequence[Pair], films: Sequence[FilmAnswers], precision: str
) -> tuple[F64, F64, list[str], list[str | None]]:
    """Films that have an estimated and a DXA T-score: lowest estimated T, not rounded; lowest DXA T; subject; band.

    Lowest of both sites and of the hips of the film, as the headline of a report.
    """
    dexa: dict[str, float] = {}
    subject: dict[str, str] = {}
    for one in kept:
        for site, value in one.dexa_gcm2.items():
            if value is not None and one.has_t_score:
                dexa[one.film] = min(dexa.get(one.film, np.inf), t_score(site, value))
                subject[one.film] = one.subject
    shown = [film for film in films if film.film in dexa and _lowest(film.reports[precision]) is not None]
    return (
        np.array([_lowest(film.reports[precision]) for film in shown], np.float64),
        np.array([dexa[film.film] for film in shown], np.float64),
        [subject[film.film] for film in shown],
        [film.reports[precision].band for film in shown],
    )


def _lowest(report: FilmReport) -> float | None:
    return lowest_t_score(estimate for hip in report.hips for estimate in hip.estimates)


def headline(
    kept: Sequence[Pair], films: Sequence[FilmAnswers], bundle: VerifiedBundle, precision: str
) -> dict[str, Any]:
    """Areas by film for both targets; sensitivity and the rest where the bundle holds cuts."""
    estimate, dexa, subject, bands = headline_data(kept, films, precision)
    points = bundle.calibration[precision].operating_points
    facts: dict[str, Any] = {
        "films": len(subject),
        "subjects": len(set(subject)),
        "operating_points": asdict(points) if points else None,
        "targets": {f"{t:g}": areas_of(estimate, dexa <= t, subject) for t in detection.TARGETS},
        "at_operating_points": None,
    }
    if points and len(subject):
        cuts = {"low_suspected": ("low_suspected",), "refer_for_dxa": ("low_suspected", "refer_for_dxa")}
        facts["at_operating_points"] = {
            f"{t:g}": {
                cut: _two_way(np.array([band in called for band in bands]), dexa <= t, subject)
                for cut, called in cuts.items()
            }
            for t in detection.TARGETS
        }
    return facts


def _two_way(called: detection.Bools, low: detection.Bools, subject: Sequence[str]) -> dict[str, Any]:
    found = by_subject(lambda w: detection.two_way(called, low, w), subject)
    n = {"sensitivity": low, "specificity": ~low, "ppv": called, "npv": ~called}
    counts = {
        "true_low": called & low,
        "missed": ~called & low,
        "false_low": called & ~low,
        "true_other": ~called & ~low,
    }
    return {
        **{name: int(cell.sum()) for name, cell in counts.items()},
        **with_exact_shares(found, {name: int(cell.sum()) for name, cell in n.items()}),
    }
