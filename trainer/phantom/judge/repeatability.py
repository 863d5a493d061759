"""How far estimates of one hip differ when only the pose and the exposure do: several films of each of many subjects.

All figures are synthetic. Films are kept in the user's cache folder, as those of `trainer.phantom.judge.score`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.sites import SITES
from bmd_edge.system.places import phantom_cache
from calibration.statistics import precision_error
from trainer.phantom.film.maker_styles import TRAINING_MAKERS
from trainer.phantom.film.scene import VERSION, FilmSpec
from trainer.phantom.judge.score import SCORE_PIXEL_MM, readers, score_film

_FIRST_SEED, _SUBJECTS_OF_A_SEED, _MOST_POSES = 5_000_000_000, 100_000, 100


def specs(subjects: int, poses: int, seed: int) -> list[list[FilmSpec]]:
    """The films of each subject: one hip, one maker, another pose and exposure each time."""
    found = []
    for subject in range(subjects):
        first = _FIRST_SEED + (seed * _SUBJECTS_OF_A_SEED + subject) * _MOST_POSES
        style = TRAINING_MAKERS[subject % len(TRAINING_MAKERS)]
        side = "RL"[subject % 2]
        found.append(
            [
                FilmSpec(first + k, "hip", side, style=style, pixel_mm=SCORE_PIXEL_MM, subject_seed=first)
                for k in range(poses)
            ]
        )
    return found


def repeatability(
    bundle: Path | None,
    subjects: int,
    poses: int,
    seed: int,
    *,
    precision: str = "auto",
    workers: int = 2,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Read `poses` films of each subject with a bundle (None: the embedded one); `progress` is called after each."""
    folder = phantom_cache() / f"repeat-{seed}-v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    groups = specs(subjects, poses, seed)
    digest, pool = readers(bundle, precision, workers)
    with pool:
        running = [[pool.submit(score_film, spec, folder) for spec in group] for group in groups]
        found = []
        for group in running:
            estimates = []
            for future in group:
                hip = next(iter(future.result()), None)
                estimates.append(hip.estimate_gcm2 if hip and hip.estimate_gcm2 else (np.nan,) * len(SITES))
                progress()
            found.append(estimates)
    facts = {"synthetic": True, "n_subjects": subjects, "poses": poses, "seed": seed, "precision": precision}
    return {**facts, "bundle_digest": digest, "bmd": precision_errors(np.array(found))}


def precision_errors(estimates_gcm2: NDArray[np.float64]) -> dict[str, dict[str, float | int]]:
    """Precision of repeated estimates (subjects, repeats, sites) g/cm2, NaN where a film got no number.

    RMS-SD, RMS-CV and least significant change of `calibration.statistics.precision_error` over the subjects with two
    numbers at least.
    """
    found: dict[str, dict[str, float | int]] = {}
    for column, site in enumerate(SITES):
        kept = [one[np.isfinite(one)] for one in estimates_gcm2[:, :, column]]
        facts = precision_error.repeatability(kept)
        found[site] = {"n_subjects": int(facts["hips"] or 0)}
        if found[site]["n_subjects"]:
            cv, sd, least = (float(facts[name] or 0.0) for name in ("rms_cv", "rms_sd_gcm2", "lsc_gcm2"))
            found[site] |= {
                "n_films": int(facts["films"] or 0),
                "rms_cv_percent": round(100 * cv, 2),
                "rms_sd_gcm2": round(sd, 4),
                "least_significant_change_gcm2": round(least, 4),
            }
    return found
