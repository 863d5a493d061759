"""When the finder's class head is sure enough for its word to be said; what it is less sure of is a doubt, no disease.

The probabilities from which on it is sure are measured on fresh phantom films of known and held-out makers (`python -m
export.proofs.class_head`, export/results/class_head.json), each the larger of two: from the first on what is named is
right (lower 95 % bound at least .95), from the second on likelier than not even where only one hip in a hundred has it.
The second is the larger everywhere; all of the 6 to 79 looks at hips that each then names were right. How it does on
patients' films is not known.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS

SURE_CLOSE_UP = {"implant": 0.959, "fracture": 0.959, "wrong_view": 0.965, "immature": 0.966}
SURE_SURVEY = {"implant": 0.962, "fracture": 0.962, "wrong_view": 0.962, "immature": 0.962}


def named(kind: NDArray[np.float64], sure: Mapping[str, float], age_years: float | None) -> str | None:
    """The class that a look is sure of, None without one.

    Args:
        kind: (6,) probabilities in the order of `KINDS`.
        sure: the least probability of each class that may be named.
        age_years: what the header states. Only adults have one here, whom nobody calls immature.
    """
    likeliest = max(sure, key=lambda name: kind[KINDS.index(name)])
    if likeliest == "immature" and age_years is not None:
        return None
    return likeliest if kind[KINDS.index(likeliest)] >= sure[likeliest] else None
