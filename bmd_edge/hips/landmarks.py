"""What the finder says of one hip: six landmarks, its class, its embedding; and their geometry in millimeters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.film.film import Film

HEAD, NECK, _GREATER, LESSER, PROXIMAL, DISTAL = range(6)
CORE = slice(0, 4)  # what the region of interest stands on; the shaft may end early
Points = NDArray[np.float64]
_LEAST = 1e-9  # of a probability, where its logarithm is taken


@dataclass(frozen=True, slots=True)
class Look:
    """What one look of the finder gave.

    `points_px` (6, 2) in stored-image pixels, `peaks` (6,) and `kind` (6,) probabilities, `embedding` (d,).
    """

    points_px: Points
    peaks: NDArray[np.float64]
    kind: NDArray[np.float64]
    embedding: NDArray[np.float64]

    @property
    def score(self) -> float:
        """Mean peak of the four landmarks that the region of interest stands on, 0..1."""
        return float(self.peaks[CORE].mean())


def merged(looks: Sequence[Look]) -> Look:
    """What several looks at one hip say together: median of the landmarks, mean of log-odds and of embeddings."""
    kind = np.exp(np.mean([np.log(np.maximum(look.kind, _LEAST)) for look in looks], axis=0))
    odds = np.mean([log_odds(look.peaks) for look in looks], axis=0)
    return Look(
        points_px=np.median([look.points_px for look in looks], axis=0),
        peaks=1 / (1 + np.exp(-odds)),
        kind=kind / kind.sum(),
        embedding=np.mean([look.embedding for look in looks], axis=0),
    )


def log_odds(probability: Points) -> Points:
    """log(p / (1 - p)) of probabilities of any shape; those nearer to 0 or 1 than 1e-9 count as that near."""
    held = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(held / (1 - held)))


def shape_of(points_mm: Points) -> Points:
    """Landmarks (6, 2) -> (10,): relative to the head center, in units of head center to lesser trochanter."""
    relative = points_mm[1:] - points_mm[HEAD]
    return np.asarray(relative / max(float(np.hypot(*relative[LESSER - 1])), 1e-6)).ravel()


def to_mm(film: Film, points_px: Points) -> Points:
    """Points (n, 2) in stored-image pixels -> mm at the hip."""
    return points_px * (film.spacing_mm[1], film.spacing_mm[0])


def canonical(points_mm: Points) -> Points:
    """Mirror a left hip to a right one: the greater trochanter lies to the image left of the head."""
    mirrored = points_mm[_GREATER, 0] > points_mm[HEAD, 0]
    return points_mm * (-1.0, 1.0) if mirrored else points_mm
