"""Proof of pooling: `python -m export.proofs.study_pooling --n 1000 --out FILE`.

Sets of five clinics are drawn, each with its own number of subjects and its own mean difference from DEXA: in one kind
of set one clinic is off by 0.05 g/cm2 and the others by nothing, in the other all are drawn around a mean. Each clinic
gives its summary's bias and variance (jackknife by subject, rounded as they leave the clinic). The random effect's 95 %
interval is to hold the mean of the clinics' true biases, or the mean they were drawn around. It speaks of all clinics
like these, so of five that are given it says too little: the fixed effect is of these alone, each weighed by its
precision (Rice et al., J R Stat Soc A 2018;181:205-227), and its interval is to hold that mean of their true biases.
All figures are synthetic.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bmd_edge.system.files import replace_file
from calibration.statistics.bootstrap import F64
from calibration.study.pool import combined
from calibration.study.summary import jackknife

CLINICS, OFF_GCM2, SD_GCM2, BETWEEN_GCM2 = 5, 0.05, 0.06, 0.02
SUBJECTS = (60, 300)


def pooled_set(kind: str, rng: np.random.Generator) -> tuple[bool, bool, bool, bool]:
    """One set of clinics: whether the random effect's and the fixed one's interval hold the mean, the fixed one's that
    of these clinics weighed by precision, and the prediction a new clinic.
    """
    one_off = np.array([OFF_GCM2, *[0.0] * (CLINICS - 1)])
    true = one_off if kind == "one off" else rng.normal(0, BETWEEN_GCM2, CLINICS)
    truth = float(one_off.mean()) if kind == "one off" else 0.0
    effects, variances = np.array([_clinic(one, rng) for one in true]).T
    found = combined(effects, variances)
    new = truth if kind == "one off" else float(rng.normal(0, BETWEEN_GCM2))
    of_these = float((true / variances).sum() / (1 / variances).sum())
    return (
        _holds(found["random"], truth),
        _holds(found["fixed"], truth),
        _holds(found["fixed"], of_these),
        _holds(found["prediction"], new),
    )


def _clinic(bias: float, rng: np.random.Generator) -> tuple[float, float]:
    differences = rng.normal(bias, SD_GCM2, int(rng.integers(*SUBJECTS)))

    def mean(weights: F64) -> dict[str, F64]:
        return {"bias_gcm2": np.asarray(weights @ differences / weights.sum(-1))}

    found = jackknife(mean, [str(k) for k in range(len(differences))])["bias_gcm2"]
    return round(found.estimate, 6), float(f"{found.variance:.2g}")


def _holds(interval: tuple[float, float, float], truth: float) -> bool:
    return interval[1] <= truth <= interval[2]


def covered(kind: str, n: int, seed: int) -> dict[str, Any]:
    """How many of n sets hold the truth."""
    held = np.array([pooled_set(kind, np.random.default_rng((seed, k))) for k in range(n)]).sum(0)
    interval = stats.binomtest(int(held[0]), n).proportion_ci(0.95, method="exact")
    return {
        "sets": n,
        "random": int(held[0]),
        "random_low": round(float(interval.low), 6),
        "random_high": round(float(interval.high), 6),
        "fixed": int(held[1]),
        "fixed_of_these": int(held[2]),
        "prediction": int(held[3]),
    }


def main() -> None:
    """Run the proof and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="sets of five clinics of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    facts = {
        "command": f"python -m export.proofs.study_pooling --n {given.n} --seed {given.seed} --out {given.out.name}",
        "synthetic": True,
        "n": given.n,
        "clinics": CLINICS,
        "kinds": {kind: covered(kind, given.n, given.seed) for kind in ("one off", "drawn around a mean")},
    }
    with replace_file(given.out) as file:
        file.write(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
