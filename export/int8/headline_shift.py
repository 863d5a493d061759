"""What quantization does to the headline: subjects that a reader sees under another word, each model with its own cuts.

The headline stands on the lowest T-score of both sites and sides, and the cuts are fitted anew for each model, so a
budget of single sites does not bound it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.error_budget import ErrorBudget
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, exact_t, t_score
from bmd_edge.sites import SITES
from calibration.fit.headline_cuts import cuts

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeadlineShift:
    """Of `subjects` subjects with a headline, the film ids of those with another one, and the share `allowed`."""

    subjects: int
    turned: tuple[str, ...]
    allowed: float

    @property
    def share(self) -> float:
        """Of subjects with another headline."""
        return len(self.turned) / self.subjects

    @property
    def passed(self) -> bool:
        """Whether no more have another one than may."""
        return self.share <= self.allowed

    def sentence(self) -> str:
        """For people."""
        return (
            f"{len(self.turned)} of {self.subjects} subjects ({self.share:.1%}) get another headline, allowed"
            f" {self.allowed:.1%}"
        )


def headline_shift(
    fp32_gcm2: F64,
    other_gcm2: F64,
    dexa_gcm2: F64,
    subjects: Sequence[str],
    film_ids: Sequence[str],
    limits: ErrorBudget,
) -> HeadlineShift | None:
    """Compare the headlines of hips that may have a T-score; None where they are too few for cuts.

    Args:
        fp32_gcm2: estimates (n, sites) of the fp32 model; as a reader sees them, rounded to 0.0001.
        other_gcm2: those of the quantized one.
        dexa_gcm2: DEXA (n, sites), to which the cuts of both are fitted.
        subjects: of each hip.
        film_ids: of each hip; a subject is named by the first.
        limits: what may change. A headline stands on two sites, so twice the share of one site's hips may turn.
    """
    names, first, groups = np.unique(np.asarray(subjects), return_index=True, return_inverse=True)
    low = _lowest(t_score, dexa_gcm2, groups, len(names)) <= OSTEOPOROSIS_T
    words = []
    for values in (fp32_gcm2, other_gcm2):
        lowest = _lowest(exact_t, np.round(values, 4), groups, len(names))
        found = cuts(lowest[low], lowest[~low])
        if found is None:
            return None
        words.append((lowest <= found.low_suspected_t).astype(int) + (lowest <= found.refer_for_dxa_t))
    turned = np.flatnonzero(words[0] != words[1])
    return HeadlineShift(len(names), tuple(film_ids[first[k]] for k in turned), len(SITES) * limits.flip_share)


def _lowest(t_of: Callable[[str, float], float], values: F64, groups: NDArray[np.intp], count: int) -> F64:
    """The lowest T-score of each subject, (count,)."""
    lowest = np.full(count, np.inf)
    for column, site in enumerate(SITES):
        found = [t_of(site, value) for value in values[:, column].tolist()]
        np.minimum.at(lowest, groups, found)
    return lowest
