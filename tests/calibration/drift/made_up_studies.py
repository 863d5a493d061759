"""Made-up studies in control, their reference, and the reports of a run that holds them."""

import numpy as np

from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.report.film_report import FilmReport, HipReport
from calibration.drift.control_charts import with_limits
from calibration.drift.studies import Seen
from calibration.drift.watched_features import measure


def studies(n: int, seed: int, d: int = 24) -> Seen:
    """Correlated facts and outputs, a ReLU-like embedding with a feature that never fires."""
    rng = np.random.default_rng(seed)
    female = rng.random(n) < 0.7
    size = 4.5 - 0.08 * female + rng.normal(0, 0.05, n)
    facts = np.column_stack([rng.normal(65, 10, n), female, size, rng.normal(71, 5, n)])
    bmd = np.column_stack([rng.normal(0.7, 0.12, n)] * 2) + rng.normal(0, 0.03, (n, 2))
    mix = np.random.default_rng(99).normal(0, 1, (8, d))
    embedding = np.maximum(np.column_stack([rng.normal(0, 1, (n, 7)), bmd[:, :1] * 8]) @ mix, 0)
    embedding[:, 3] = 0.0
    gray = rng.normal(0.4, 0.1, (n, 7))
    return Seen(facts, bmd, np.exp(rng.normal(-3.5, 0.2, (n, 2))), embedding, gray)


POOL = studies(1500, 0)
measured = measure(POOL)
REFERENCE = with_limits(measured, POOL)


def reports(seen: Seen, digest: str, both: bool = False, root: str = "1.2") -> list[FilmReport]:
    """Films as a run keeps them; with `both`, each shows two hips whose answers average to the study's."""
    made = []
    for k, (facts, bmd, spread, embedding, gray) in enumerate(
        zip(seen.facts, seen.bmd, seen.spread, seen.embedding, seen.gray, strict=True)
    ):
        age, female, size, kvp = facts
        points = {"head_center": (100.0, 100.0), "lesser_trochanter": (100.0, 100.0 + float(np.exp(size)) / 0.2)}
        hips = []
        for side, off in (("R", 0.01), ("L", -0.01)) if both else (("R", 0.0),):
            network = NetworkAnswer(
                tuple((bmd + off).tolist()), *(tuple(part.tolist()) for part in (spread, embedding, gray))
            )
            hips.append(HipReport(side=side, status="read", reason=None, landmarks_px=points, box_px=None,
                                  estimates=(), network=network))  # fmt: skip
        made.append(
            FilmReport(
                file=f"{k:05}.dcm", film_id=f"{k:016x}", status="read", reason=None, study_instance_uid=f"{root}.{k}",
                spacing_mm=(0.2, 0.2), age_years=float(age), sex="F" if female else "M", kvp=float(kvp),
                bundle="test", bundle_digest=digest, device="cpu", precision="fp32", hips=tuple(hips),
            )
        )  # fmt: skip
    return made
