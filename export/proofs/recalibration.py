"""Proof of the recalibration: `python -m export.proofs.recalibration BUNDLE --pool TABLE --out FILE`.

A clinic's deviation is planted on the network's answers (offset +0.05 g/cm2, slope 0.9), 40 subjects are drawn at
random, the recalibration is fitted on them and judged on 500 other subjects, 200 times. The same with nothing planted:
what it costs where there is nothing to correct. All figures are synthetic.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from calibration.drift.studies import F64
from calibration.fit.site_line import fit_site
from export.proofs.phantom_rois import RoiAnswers, answers_of, named, rows_named, run

DRAWS, SUBJECTS, OTHERS = 200, 40, 500
PLANTED = {"offset +0.05, slope 0.9": (0.05, 0.9), "nothing": (0.0, 1.0)}


def draws(pool: RoiAnswers, column: int, offset: float, slope: float, seed: int = 0) -> dict[str, Any]:
    """Figures of one site: |bias| on others, RMSE against doing nothing, coverage of the new intervals.

    UsageError where the pool has fewer than 540 subjects.
    """
    rng = np.random.default_rng(seed)
    bmd, spread = offset + slope * pool.bmd[:, column], slope * pool.spread[:, column]
    dexa = pool.dexa[:, column]
    subjects = np.array([row.subject for row in pool.rows])
    names, which = np.unique(subjects, return_inverse=True)
    if len(names) < SUBJECTS + OTHERS:
        raise UsageError(f"the pool has {len(names)} subjects, {SUBJECTS + OTHERS} are needed")
    figures, refused = [], 0
    for _ in range(DRAWS):
        order = rng.permutation(len(names))
        mine, others = (np.isin(which, part) for part in (order[:SUBJECTS], order[SUBJECTS : SUBJECTS + OTHERS]))
        try:
            line = fit_site(bmd[mine], spread[mine], dexa[mine], subjects[mine].tolist()).line
        except UsageError:  # a slope or shift that cannot be believed: the clinic is told to check its table
            refused += 1
            continue
        error = line.intercept_gcm2 + line.slope * bmd[others] - dexa[others]
        figures.append(
            (
                abs(error.mean()),
                _rms(error) / _rms(bmd[others] - dexa[others]) - 1,
                np.mean(np.abs(error) <= line.scale * line.slope * spread[others]),
                abs((bmd[others] - dexa[others]).mean()),
            )
        )
    if not figures:
        raise UsageError("no line of these draws can be believed: less was to be planted")
    bias, worse, covered, before = np.array(figures).T
    return {
        "draws": DRAWS,
        "refused": refused,
        "subjects": SUBJECTS,
        "other_subjects": OTHERS,
        "abs_bias_gcm2": _quantiles(bias),
        "abs_bias_before_gcm2": _quantiles(before),
        "rmse_change": {"mean": round(float(worse.mean()), 4), **_quantiles(worse)},
        "mean_coverage": round(float(covered.mean()), 4),
    }


def _rms(values: F64) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _quantiles(values: F64) -> dict[str, float]:
    """Median and 90th percentile, each with the 95 % interval of its order statistics."""
    ordered, n = np.sort(values), len(values)
    found: dict[str, float] = {}
    for name, level in (("median", 0.5), ("p90", 0.9)):
        reach = 1.96 * np.sqrt(n * level * (1 - level))
        low, high = (int(np.clip(round(n * level + sign * reach), 0, n - 1)) for sign in (-1, 1))
        found |= {name: float(np.quantile(values, level)), f"{name}_low": ordered[low], f"{name}_high": ordered[high]}
    return {name: round(float(value), 4) for name, value in found.items()}


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.recalibration", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument(
        "--pool", required=True, metavar="TABLE[:SPLITS]", help="ROIs with DEXA of 540 subjects or more"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    bundle, precisions = read_bundle(asked.bundle), {}
    for precision in bundle.precisions("bmd"):
        pool = answers_of(bundle, precision, rows_named(asked.pool))
        precisions[precision] = {
            site: {name: draws(pool, column, *planted) for name, planted in PLANTED.items()}
            for column, site in enumerate(SITES)
        }
        for site, found in precisions[precision].items():
            planted, nothing = found.values()
            bias = planted["abs_bias_gcm2"]
            say(
                f"{precision} {site}: planted |bias| median {bias['median']:.4f}, p90 {bias['p90']:.4f} g/cm2;"
                f" nothing planted: RMSE {nothing['rmse_change']['mean']:+.1%} on average"
            )
        refusal = _refusal(pool, 10)
    facts = {
        "command": "python -m export.proofs.recalibration " + " ".join(named(one) for one in arguments),
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "pool_hips": len(pool.rows),
        "with_10_films": refusal,
        "precisions": precisions,
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return 0


def _refusal(pool: RoiAnswers, n: int) -> str:
    """What a clinic with n films is told."""
    try:
        fit_site(pool.bmd[:n, 0], pool.spread[:n, 0], pool.dexa[:n, 0], [row.subject for row in pool.rows[:n]])
    except UsageError as error:
        return str(error)
    return "accepted"


if __name__ == "__main__":
    run(main)
