"""Proof of the intervals: `python -m export.proofs.intervals BUNDLE --fresh TABLE --unseen TABLE --out FILE`.

Two proofs. Of the procedure: one pool is split at random 200 times by subject, calibrated on one half and judged on the
other; the mean coverage has to be 90 %. Of what ships: the bundle's own scales on hips that neither training, nor
quantization, nor calibration has seen, with intervals by bootstrap over subjects; by subgroup too, and makers that no
training saw apart, without a promise. All figures are synthetic: the pool is the digital hip phantom's.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.calibration import OperatingPoints
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.table.film_table import HipRow
from calibration.drift.studies import F64
from calibration.fit.headline_cuts import lowest_by_subject
from calibration.fit.intervals import COVERAGE
from calibration.statistics.bootstrap import Bootstrap, by_subject
from calibration.statistics.conformal import conformal_scale
from export.proofs.phantom_rois import RoiAnswers, answers_of, named, rows_named, run

SPLITS, REPEATS = 200, 1_000
MIN_SUBGROUP = 400
FINDING_BELOW = 0.88
AGES = ((0, 60), (60, 70), (70, 80), (80, 200))


def procedure(scores: F64, subjects: Sequence[str], splits: int = SPLITS, seed: int = 0) -> dict[str, float]:
    """Mean and SD of the coverage over random splits of a pool by subject, half and half.

    scores (n,): |error| over predicted spread.
    """
    rng = np.random.default_rng(seed)
    which = np.unique(np.asarray(subjects), return_inverse=True)[1]
    covered = []
    for _ in range(splits):
        first = rng.permutation(which.max() + 1)[: (which.max() + 1) // 2]
        calibrating = np.isin(which, first)
        scale = conformal_scale(scores[calibrating], np.ones(calibrating.sum()), COVERAGE)
        covered.append(float(np.mean(scores[~calibrating] <= scale)))
    return {
        "splits": splits,
        "hips": len(scores),
        "subjects": int(which.max()) + 1,
        "mean_coverage": float(np.mean(covered)),
        "sd_coverage": float(np.std(covered, ddof=1)),
        "standard_error": float(np.std(covered, ddof=1) / np.sqrt(splits)),
    }


def share(inside: NDArray[np.bool_], subjects: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Share of hips inside their interval, with the 95 % percentile interval of a bootstrap over subjects."""

    def covered(weights: F64) -> dict[str, F64]:
        return {"coverage": weights @ inside.astype(np.float64) / weights.sum(-1)}

    how = Bootstrap(seed, REPEATS, "percentile", min_subjects=2)
    found = by_subject(covered, subjects, how)["coverage"]
    value, low, high = (np.nan if one is None else one for one in found)
    return {
        "hips": len(inside),
        "subjects": len(set(subjects)),
        "coverage": value,
        "low": low,
        "high": high,
    }


def subgroups(rows: Sequence[HipRow]) -> dict[str, NDArray[np.bool_]]:
    """Masks of the subgroups of at least 400 hips: sex, age, side, BMI."""
    ages = np.array([np.nan if row.age_years is None else row.age_years for row in rows])
    bmi = np.array([np.nan if row.bmi is None else row.bmi for row in rows])
    masks = {f"sex {sex}": np.array([row.sex == sex for row in rows]) for sex in "FM"}
    masks |= {f"age {low} to {high - 1}": (ages >= low) & (ages < high) for low, high in AGES}
    masks |= {f"side {side}": np.array([row.side == side for row in rows]) for side in "RL"}
    masks |= {"BMI below 25": bmi < 25, "BMI 25 to 30": (bmi >= 25) & (bmi < 30), "BMI 30 and above": bmi >= 30}
    return {name: mask for name, mask in masks.items() if mask.sum() >= MIN_SUBGROUP}


def prove(fresh: RoiAnswers, unseen: RoiAnswers | None, scales: Mapping[str, float]) -> dict[str, Any]:
    """Every figure of one precision, site by site; `scales` are the bundle's."""
    found = {}
    subjects = [row.subject for row in fresh.rows]
    for column, site in enumerate(SITES):
        scores = np.abs(fresh.bmd - fresh.dexa)[:, column] / fresh.spread[:, column]
        inside = scores <= scales[site]
        groups = {
            name: share(inside[mask], [one for one, kept in zip(subjects, mask, strict=True) if kept])
            for name, mask in subgroups(fresh.rows).items()
        }
        found[site] = {
            "procedure": procedure(scores, subjects),
            "shipped": share(inside, subjects),
            "half_width_gcm2": _spread_of(scales[site] * fresh.spread[:, column]),
            "subgroups": groups,
            "findings": [name for name, one in groups.items() if one["high"] < FINDING_BELOW],
        }
        if unseen is not None:
            outside = np.abs(unseen.bmd - unseen.dexa)[:, column] / unseen.spread[:, column] <= scales[site]
            found[site]["unseen_makers"] = share(outside, [row.subject for row in unseen.rows])
    return found


def headline(fresh: RoiAnswers, points: OperatingPoints | None) -> dict[str, Any] | None:
    """Sensitivity at the cut for referral and specificity at that for suspicion, on subjects who may have a T-score."""
    if points is None:
        return None
    estimated, low = lowest_by_subject(fresh.rows, fresh.bmd)
    names = [f"{k}" for k in range(len(low))]
    found = estimated <= points.refer_for_dxa_t, estimated > points.low_suspected_t
    return {
        "cuts": {"low_suspected_t": points.low_suspected_t, "refer_for_dxa_t": points.refer_for_dxa_t},
        "sensitivity": share(found[0][low], names[: int(low.sum())]),
        "specificity": share(found[1][~low], names[: int((~low).sum())]),
    }


def _spread_of(half_widths: F64) -> dict[str, float]:
    """10th, 50th and 90th percentile: the width follows difficulty."""
    return dict(zip(("p10", "p50", "p90"), np.quantile(half_widths, (0.1, 0.5, 0.9)).round(4).tolist(), strict=True))


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.intervals", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    splits = "and its splits to use (default calibrate)"
    parser.add_argument(
        "--fresh",
        action="append",
        required=True,
        metavar="TABLE[:SPLITS]",
        help=f"ROIs with DEXA, {splits}; repeatable",
    )
    parser.add_argument("--unseen", metavar="TABLE[:SPLITS]", help="the same, of makers that no training saw")
    parser.add_argument("--condition", help="of --unseen only the rows with this x_condition")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    bundle, headlines = read_bundle(asked.bundle), {}
    fresh = [row for one in asked.fresh for row in rows_named(one)]
    fresh = [row for row in fresh if row.extra.get("x_condition", "none") == "none"]
    unseen = rows_named(asked.unseen) if asked.unseen else []
    if asked.condition:
        unseen = [row for row in unseen if row.extra.get("x_condition") == asked.condition]
    precisions = {}
    for precision in bundle.precisions("bmd"):
        sites = bundle.calibration[precision].sites
        scales = {site: numbers.scale for site, numbers in sites.items()}
        other = answers_of(bundle, precision, unseen) if unseen else None
        answers = answers_of(bundle, precision, fresh)
        precisions[precision] = prove(answers, other, scales)
        headlines[precision] = headline(answers, bundle.calibration[precision].operating_points)
        for site, one in precisions[precision].items():
            shipped, tried = one["shipped"], one["procedure"]
            say(
                f"{precision} {site}: {shipped['coverage']:.1%} ({shipped['low']:.1%} to {shipped['high']:.1%}) of"
                f" {shipped['hips']} fresh hips; procedure {tried['mean_coverage']:.2%} over {tried['splits']} splits"
            )
    facts = {
        "command": "python -m export.proofs.intervals " + " ".join(named(one) for one in arguments),
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "calibrated_on_hips": {name: one.sites[SITES[0]].n for name, one in bundle.calibration.items()},
        "wanted": COVERAGE,
        "precisions": precisions,
        "headline": headlines,
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    run(main)
