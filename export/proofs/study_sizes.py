"""Proof of the sizes of studies: `python -m export.proofs.study_sizes --n 2000 --out FILE`.

Each aim is planned under assumptions, then so many studies of the planned number of enrolled subjects are drawn from
the same assumptions, with second hips and subjects without a number, and judged as `validate --plan` judges them, by
the bootstrap over subjects. The share of studies that show the aim is to be the planned one. All figures are synthetic.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bmd_edge.system.files import replace_file
from calibration.statistics import agreement, detection
from calibration.statistics.bootstrap import F64, Bootstrap, Figure, by_subject
from calibration.study.aims import MIN_OF_A_KIND, OF_SUBJECTS, Aim, aims
from calibration.study.assumptions import Assumptions
from calibration.study.sizes import POWER, size

AIMS = (
    "femoral_neck.bias_gcm2<=0.02", "femoral_neck.rmse_gcm2<=0.07", "femoral_neck.loa_gcm2=+-0.02",
    "femoral_neck.coverage=0.85..0.95", "sensitivity=0.90+-0.10", "specificity=0.90+-0.06", "auroc>=age-0.05",
    "auroc>=ost-0.05", "femoral_neck.int8_rmse_change<=0.02", "sensitivity>=0.95-0.10", "specificity>=0.95-0.05",
)  # fmt: skip
KNOWN = Assumptions(
    rmse_gcm2={"femoral_neck": 0.06, "total_hip": 0.06},
    bias_gcm2={"femoral_neck": 0.004, "total_hip": 0.004},
    int8_sd_gcm2=0.006,
    hips=1.5,
    prevalence=0.25,
    source="given for the proof",
)
SHORT_OF_PLAN = 0.03
"""The lower 95 % bound of the share that is reached may lie so far below the plan."""

RESAMPLES = 1000
_HOW = Bootstrap(resamples=RESAMPLES)


def study(aim: Aim, enrolled: int, rng: np.random.Generator) -> bool:
    """One study of so many enrolled subjects: whether it shows the aim."""
    subjects = int(rng.binomial(enrolled, 1 - KNOWN.left_out))
    if aim.figure == "auroc":
        return _auroc(aim, subjects, rng)
    return _share(aim, subjects, rng) if aim.figure in OF_SUBJECTS else _hips(aim, subjects, rng)


def _hips(aim: Aim, subjects: int, rng: np.random.Generator) -> bool:
    who = np.repeat(np.arange(subjects), 1 + (rng.random(subjects) < KNOWN.hips - 1))
    site = aim.site or ""
    bias, sd = KNOWN.bias_gcm2[site], float(np.sqrt(KNOWN.rmse_gcm2[site] ** 2 - KNOWN.bias_gcm2[site] ** 2))
    common, own = rng.standard_normal(subjects)[who], rng.standard_normal(len(who))
    error = bias + sd * (np.sqrt(KNOWN.hip_r) * common + np.sqrt(1 - KNOWN.hip_r) * own)
    estimate = rng.normal(0.7, 0.13, len(who))
    half = np.full(len(who), stats.norm.ppf(0.5 + KNOWN.coverage / 2) * sd)
    dexa = estimate - error
    center = estimate - bias
    data = agreement.Data(estimate, dexa, center - half, center + half, np.full(len(who), 0.015))
    if aim.figure == "int8_rmse_change":
        other = data._replace(x=estimate + rng.normal(0, KNOWN.int8_sd_gcm2, len(who)))

        def change(weights: F64) -> dict[str, F64]:
            first, second = (agreement.figures(one, weights)["rmse_gcm2"] for one in (data, other))
            return {"change": second / first - 1}

        return _at_most(by_subject(change, who.astype(str).tolist(), _HOW)["change"], aim.margin)
    return _shown(aim, by_subject(lambda w: agreement.figures(data, w), who.astype(str).tolist(), _HOW))


def _shown(aim: Aim, found: Mapping[str, Figure]) -> bool:
    if aim.figure == "loa_gcm2":
        return all(_width(found[name]) <= 2 * aim.margin for name in ("loa_low_gcm2", "loa_high_gcm2"))
    figure = found[aim.figure]
    if aim.figure == "rmse_gcm2":
        return _at_most(figure, aim.margin)
    return figure.low is not None and aim.least <= figure.low and _at_most(figure, aim.most)


def _at_most(figure: Figure, limit: float) -> bool:
    return figure.high is not None and figure.high <= limit


def _width(figure: Figure) -> float:
    return np.inf if figure.low is None or figure.high is None else figure.high - figure.low


def _share(aim: Aim, subjects: int, rng: np.random.Generator) -> bool:
    low = rng.random(subjects) < KNOWN.prevalence
    right = rng.random(subjects) < (aim.expected or 0.0)
    called: NDArray[np.bool_] = low == right
    found = by_subject(lambda w: detection.two_way(called, low, w), np.arange(subjects).astype(str).tolist(), _HOW)
    if aim.floor:
        low_end = found[aim.figure].low
        return low_end is not None and low_end >= aim.least
    return _width(found[aim.figure]) <= 2 * aim.margin


def _auroc(aim: Aim, subjects: int, rng: np.random.Generator) -> bool:
    dexa, noise, other = rng.standard_normal((3, subjects))
    worst = max(KNOWN.rmse_gcm2.values())
    r = float(np.sqrt(1 - (worst**2 - KNOWN.bias_gcm2["femoral_neck"] ** 2) / KNOWN.bmd_sd_gcm2**2))
    r_other = KNOWN.r_age if aim.against == "age" else KNOWN.r_ost
    low = dexa <= stats.norm.ppf(KNOWN.prevalence)
    if min(low.sum(), (~low).sum()) < MIN_OF_A_KIND:
        return False
    scores = r * dexa + np.sqrt(1 - r**2) * noise, r_other * dexa + np.sqrt(1 - r_other**2) * other

    def difference(weights: F64) -> dict[str, F64]:
        first, second = (detection.areas(one, low, weights)["auroc"] for one in scores)
        return {"difference": first - second}

    found = by_subject(difference, np.arange(subjects).astype(str).tolist(), _HOW)["difference"]
    return found.low is not None and found.low >= -aim.margin


def reached(text: str, n: int, seed: int) -> dict[str, Any]:
    """One aim: its size, and in how many of n studies of it the aim was shown."""
    (aim,) = aims(text)
    planned = size(aim, KNOWN)
    shown = sum(study(aim, planned.enrolled, np.random.default_rng((seed, AIMS.index(text), k))) for k in range(n))
    low = float(stats.binomtest(shown, n, alternative="greater").proportion_ci(0.95, method="exact").low)
    return {
        "aim": text,
        "subjects": planned.subjects,
        "enrolled": planned.enrolled,
        "planned": POWER,
        "studies": n,
        "shown": shown,
        "reached": shown / n,
        "reached_low": round(low, 6),
        "holds": low >= POWER - SHORT_OF_PLAN,
    }


def main() -> None:
    """Run the proof and write it; ends with 1 if a size falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="studies of each aim")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = [reached(text, given.n, given.seed) for text in AIMS]
    facts = {
        "command": f"python -m export.proofs.study_sizes --n {given.n} --seed {given.seed} --out {given.out.name}",
        "synthetic": True,
        "n": given.n,
        "resamples": RESAMPLES,
        "assumptions": asdict(KNOWN),
        "aims": found,
    }
    with replace_file(given.out) as file:
        file.write(json.dumps(facts, indent=1) + "\n")
    raise SystemExit(0 if all(one["holds"] for one in found) else 1)


if __name__ == "__main__":
    main()
