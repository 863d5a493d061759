"""The reference of the drift charts: how the films that a bundle was calibrated with look to it, as moments.

Four groups of features of a study (`studies`) are watched, each by one chart (`control_charts`):

    film        age, sex, size of the hip in mm (head center to lesser trochanter), tube voltage
    embedding   principal components of the BMD network's embedding, and what they leave (the Q statistic of Jackson and
                Mudholkar, Technometrics 1979;21:341-349)
    output      the network's BMD and spread, before any recalibration
    image       gray levels and contrast of the network's input, which show the processing

Only moments are kept, no patient's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.drift.studies import F64, FACTS, Seen

COMPONENTS = 6
MIN_STUDIES = 100
_KNOWN_SHARE = 0.5  # a fact that fewer of the reference's studies state is not watched


@dataclass(frozen=True, slots=True)
class Watched:
    """One group of features: names (p), mean (p,), covariance (p, p), and the control limit of its chart."""

    names: tuple[str, ...]
    mean: F64
    covariance: F64
    limit: float = np.inf

    def scores(self, values: F64) -> F64:
        """Features (n, p) -> scores (n, p) of mean 0 and covariance 1 in the reference.

        An unknown value stands at its expectation given the known ones, which moves no chart. A single odd study is
        pulled in to a length that one in a thousand of a Gaussian reference reaches, so that it alone raises no alarm.
        """
        offset = _filled(values - self.mean, self.covariance)
        scores = np.linalg.solve(np.linalg.cholesky(self.covariance), offset.T).T
        length = np.linalg.norm(scores, axis=1, keepdims=True)
        pulled: F64 = scores * np.minimum(1.0, _longest(len(self.mean)) / np.maximum(length, 1e-12))
        return pulled


def _longest(p: int) -> float:
    """Square root of the 99.9 % quantile of chi-squared with p degrees (Wilson and Hilferty 1931)."""
    return float(np.sqrt(p * (1 - 2 / (9 * p) + 3.0902 * np.sqrt(2 / (9 * p))) ** 3))


def _filled(offset: F64, covariance: F64) -> F64:
    filled = offset.copy()
    for place in np.flatnonzero(~np.isfinite(offset).all(1)):
        known = np.isfinite(offset[place])
        inside = np.linalg.solve(covariance[np.ix_(known, known)], offset[place, known])
        filled[place, ~known] = covariance[np.ix_(~known, known)] @ inside
    return filled


@dataclass(frozen=True, slots=True)
class DriftReference:
    """The reference of one precision: studies it is made of, the embedding's axes, and the four groups.

    axes (COMPONENTS, d): rows turn an embedding, less its mean and over its SD, into principal components.
    """

    studies: int
    embedding_mean: F64
    embedding_sd: F64
    axes: F64
    watched: dict[str, Watched]

    def features(self, seen: Seen) -> dict[str, F64]:
        """Features of each group, (n, p)."""
        groups = _groups(self, seen)
        return {name: groups[name][:, _kept(name, watched)] for name, watched in self.watched.items()}

    def around(self, seen: Seen) -> "DriftReference":
        """The same with the means of these studies. UsageError with fewer than 100 of them."""
        if len(seen) < MIN_STUDIES:
            raise UsageError(f"the baseline has {len(seen)} studies with a number, {MIN_STUDIES} are the least")
        watched = {}
        for name, values in self.features(seen).items():
            known = np.isfinite(values)
            mean = np.where(known, values, 0.0).sum(0) / np.maximum(known.sum(0), 1)
            watched[name] = replace(self.watched[name], mean=np.where(known.any(0), mean, self.watched[name].mean))
        return replace(self, watched=watched)

    def scores(self, seen: Seen) -> dict[str, F64]:
        """`Watched.scores` of each group."""
        return {name: self.watched[name].scores(values) for name, values in self.features(seen).items()}


_NAMES = {
    "film": FACTS,
    "embedding": (*(f"component {k + 1}" for k in range(COMPONENTS)), "remainder"),
    "image": ("mean gray", "gray SD", "gray skewness", *(f"contrast at {1 << k} pixels" for k in range(4))),
    "output": (*(f"BMD {site}" for site in SITES), *(f"spread {site}" for site in SITES)),
}


def _kept(name: str, watched: Watched) -> list[int]:
    return [_NAMES[name].index(one) for one in watched.names]


def _groups(axes: DriftReference, seen: Seen) -> dict[str, F64]:
    standard = (seen.embedding - axes.embedding_mean) / axes.embedding_sd
    parts = standard @ axes.axes.T
    left = np.sum(standard**2, axis=1) - np.sum(parts**2, axis=1)
    return {
        "film": seen.facts,
        "embedding": np.column_stack([parts, np.log(np.maximum(left, 1e-6))]),
        "image": seen.gray,
        "output": np.column_stack([seen.bmd, np.log(seen.spread)]),
    }


def measure(seen: Seen) -> DriftReference | None:
    """Reference of these studies, without control limits; None with fewer than 100 of them."""
    if len(seen) < MIN_STUDIES:
        return None
    mean, sd = seen.embedding.mean(0), seen.embedding.std(0, ddof=1)
    sd = np.maximum(sd, 1e-3 * sd.max() + 1e-9)  # a feature that never fires has no spread
    _, _, axes = np.linalg.svd((seen.embedding - mean) / sd, full_matrices=False)
    bare = DriftReference(len(seen), mean, sd, axes[:COMPONENTS], {})
    watched = {}
    for name, values in _groups(bare, seen).items():
        known = np.isfinite(values)
        kept = [
            k for k in range(values.shape[1]) if known[:, k].mean() >= _KNOWN_SHARE and np.ptp(values[known[:, k], k])
        ]
        whole = values[np.ix_(known[:, kept].all(1), np.array(kept, np.intp))]
        if not kept or len(whole) < MIN_STUDIES:
            continue
        covariance = np.cov(whole.T).reshape(len(kept), len(kept))
        floor = 1e-6 * np.diag(np.diag(covariance))
        watched[name] = Watched(tuple(_NAMES[name][k] for k in kept), whole.mean(0), covariance + floor)
    return DriftReference(bare.studies, mean, sd, bare.axes, watched)


def to_dict(reference: DriftReference) -> dict[str, Any]:
    """As JSON, to six digits."""
    return {
        "studies": reference.studies,
        "embedding_mean": _rounded(reference.embedding_mean),
        "embedding_sd": _rounded(reference.embedding_sd),
        "axes": _rounded(reference.axes),
        "watched": {
            name: {
                "names": list(group.names),
                "mean": _rounded(group.mean),
                "covariance": _rounded(group.covariance),
                "limit": float(f"{group.limit:.6g}"),
            }
            for name, group in reference.watched.items()
        },
    }


def from_dict(facts: Mapping[str, Any]) -> DriftReference:
    """The inverse of `to_dict`. KeyError or ValueError if it is something else."""
    return DriftReference(
        int(facts["studies"]),
        np.asarray(facts["embedding_mean"], np.float64),
        np.asarray(facts["embedding_sd"], np.float64),
        np.asarray(facts["axes"], np.float64),
        {
            name: Watched(
                tuple(group["names"]),
                np.asarray(group["mean"], np.float64),
                np.asarray(group["covariance"], np.float64),
                float(group["limit"]),
            )
            for name, group in facts["watched"].items()
        },
    )


def _rounded(values: F64) -> Any:
    return np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist()
