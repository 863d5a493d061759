"""Left and right, exchanged between film and DEXA: seen in subjects with both hips."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from bmd_edge.sites import SITES
from calibration.pairs.finding import Finding
from calibration.pairs.pairs import Pair
from calibration.statistics.bootstrap import F64

MIN_PAIRED = 10
"""Subjects with both hips that are needed before left and right can be compared."""


def exchanged_sides(pairs: Sequence[Pair], precision: str) -> Iterator[Finding]:
    """Left and right swapped between film and DEXA, in the whole table or for single subjects.

    Of a subject with both hips, the estimates' difference between right and left is compared with DEXA's, means of the
    sites. In the whole table the two correlate (by rank, so that no single subject decides); a single subject is an
    outlier (beyond the Bonferroni limit of 5 %, in robust SDs) that becomes ordinary when its sides are exchanged.
    """
    subjects = _both_hips(pairs, precision)
    if len(subjects) < MIN_PAIRED:
        return
    estimate, dexa = np.array([(one[1], one[2]) for one in subjects]).T
    found = stats.spearmanr(estimate, dexa) if estimate.std() and dexa.std() else None
    if found is not None and found.statistic < 0 and found.pvalue < 0.01:
        sentence = (
            f"Right and left look exchanged throughout the table: in {len(subjects)} subjects with both hips the "
            f"difference between the sides has a rank correlation of {found.statistic:.2f} with DEXA's. The figures "
            "cannot be trusted."
        )
        yield Finding("sides_swapped", "error", sentence, 2 * len(subjects))
        return
    off, swapped = estimate - dexa, estimate + dexa
    sd = float(stats.median_abs_deviation(off, scale="normal"))
    limit = float(stats.norm.isf(0.025 / len(subjects))) * sd
    outliers = (np.abs(off) > limit) & (np.abs(swapped) < stats.norm.isf(0.025) * sd)
    films = tuple(sorted({name for k in np.flatnonzero(outliers) for name in subjects[k][0]}))
    if outliers.any():
        sentence = (
            f"Of {len(subjects)} subjects with both hips {outliers.sum()} fit their DEXA only if right and left are "
            "exchanged; check the sides of film and DEXA."
        )
        yield Finding("sides_swapped_subject", "warning", sentence, 2 * int(outliers.sum()), films)


def _both_hips(pairs: Sequence[Pair], precision: str) -> list[tuple[set[str], float, float]]:
    """(film_ids, right minus left of the estimates, right minus left of DEXA) per subject with both, means of sites."""
    sides: dict[str, dict[str, list[tuple[F64, F64]]]] = defaultdict(lambda: defaultdict(list))
    films: dict[str, set[str]] = defaultdict(set)
    for one in pairs:
        estimate, dexa = one.answers[precision].bmd_gcm2, one.dexa_gcm2
        if estimate and all(dexa[site] is not None for site in SITES):
            values = np.array([[estimate[site] for site in SITES], [dexa[site] for site in SITES]])
            sides[one.subject][one.side].append((values[0], values[1]))
            films[one.subject].add(one.film_id or one.film)
    both = []
    for subject, hips in sides.items():
        if set(hips) == {"R", "L"}:
            right, left = (np.mean(hips[side], axis=(0, 2)) for side in "RL")
            estimated, measured = right - left
            both.append((films[subject], float(estimated), float(measured)))
    return both
