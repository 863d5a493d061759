"""Did it get worse? What can be seen without DEXA, each as a ratio of the adapted network to its parent.

Nothing here knows whether estimates became truer: an error that all films of the clinic share leaves every figure as it
was. Hips of one film differ by half as much as of two people in truth, so a figure near 1 is no proof.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import TableError
from calibration.statistics.bootstrap import by_subject

F64 = NDArray[np.float64]
WORSE = 1.1
"""A ratio from which on, with its whole 95 % interval above 1, the adapted network is refused."""

BLIND = (
    "no proxy knows whether the estimates became truer: an error that all films of the clinic share, of level or of"
    " slope, is seen by DEXA alone"
)
MEANINGS = {
    "hips_apart": "both hips of a film differ more",
    "repeats_apart": "films of one hip of one day differ more",
    "spread": "the network is less sure of the clinic's films",
    "embedding_distance": "the clinic's films lie farther from those with DEXA",
    "forgotten": "phantom films with a known BMD are read worse",
}
"""What a figure above 1 says."""
UNLEARNED = {"forgotten": "it refuses nothing: no weight has changed, and the bundle is for films of this maker alone"}
"""What is told and not judged where norms alone get to know the clinic's films: those of a site that is far from all
others take most, and read others' worst."""
ABSENT = {
    "hips_apart": "no film shows both hips",
    "repeats_apart": "no hip has two films of one day (by Patient ID, side and date)",
}
"""Why there may be no such figure."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one network says of the clinic's hips, and of phantom hips with their BMD: arrays (n, sites) g/cm2, and
    embeddings (n, d).
    """

    bmd: F64
    spread: F64
    embedding: F64
    phantom_bmd: F64
    phantom_embedding: F64


@dataclass(frozen=True, slots=True)
class Hips:
    """The clinic's hips, (n,) each: whose, on which film, and names that films of one hip of one day share, None where
    person or day are not known; `copies` says of two places whether they show the same pixels.
    """

    person: Sequence[str]
    film: Sequence[str]
    day: Sequence[str | None]
    copies: Callable[[int, int], bool] = lambda _one, _other: False


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of the adapted network over that of its parent, with its 95 % interval; None where there is none."""

    value: float
    low: float | None
    high: float | None

    @property
    def worse(self) -> bool:
        """Whether it is `WORSE` beyond chance."""
        return self.value >= WORSE and self.low is not None and self.low > 1


def proxies(
    before: Seen, after: Seen, hips: Hips, phantom_dexa: F64, phantom_subject: Sequence[str]
) -> dict[str, Ratio]:
    """Every figure of `MEANINGS` that exists.

    Args:
        before: of the parent.
        after: of the adapted network, for the same hips.
        hips: which of them may be compared.
        phantom_dexa: (m, sites) g/cm2, NaN where unknown.
        phantom_subject: (m,).
    """
    found = {
        "spread": _ratio([one.spread.mean(1) for one in (before, after)], hips.person),
        "embedding_distance": _ratio([_away(one) for one in (before, after)], hips.person),
        "forgotten": _ratio(
            [np.nanmean((one.phantom_bmd - phantom_dexa) ** 2, 1) for one in (before, after)], phantom_subject, np.sqrt
        ),
    }
    repeats = [two for two in pairs(hips.day) if not hips.copies(*two)]
    for name, places in (("hips_apart", pairs(hips.film)), ("repeats_apart", repeats)):
        if places:
            one, other = (list(some) for some in zip(*places, strict=True))
            apart = [np.abs(seen.bmd[one] - seen.bmd[other]).mean(1) for seen in (before, after)]
            found[name] = _ratio(apart, [hips.person[place] for place in one])
    return {name: found[name] for name in MEANINGS if name in found}


def pairs(names: Sequence[str | None]) -> list[tuple[int, int]]:
    """All pairs of places that share a name."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name is not None:
            places.setdefault(name, []).append(place)
    return [two for some in places.values() for two in combinations(some, 2)]


def _away(seen: Seen) -> F64:
    """Distance of each embedding (n,) from the mean of the phantom's, in their SDs along the axes."""
    sd = seen.phantom_embedding.std(0)
    there = sd > 1e-3 * sd.max()
    away = (seen.embedding - seen.phantom_embedding.mean(0))[:, there] / sd[there]
    distance: F64 = np.sqrt((away**2).mean(1))
    return distance


def _ratio(values: Sequence[F64], who: Sequence[str], of: Callable[[F64], F64] = lambda mean: mean) -> Ratio:
    """Of the means of two arrays (n,), resampled by `who`."""

    def figures(weights: F64) -> Mapping[str, F64]:
        with np.errstate(all="ignore"):
            first, second = (of(weights @ one / weights.sum(-1)) for one in values)
            return {"ratio": second / first}

    found = by_subject(figures, who)["ratio"]
    return Ratio(float("inf") if found.value is None else found.value, found.low, found.high)


def check(found: Mapping[str, Ratio], excused: Collection[str] = ()) -> None:
    """TableError that names every figure that got worse and is not excused."""
    worse = [
        f"{name}: {MEANINGS[name]}, {one.value:.2f} times ({one.low:.2f} to {one.high:.2f})"
        for name, one in found.items()
        if one.worse and name not in excused
    ]
    if worse:
        raise TableError(
            f"the adapted network is refused, it got worse: {'; '.join(worse)}. Use the bundle as it is, or give more"
            " films of one kind"
        )


def said(found: Mapping[str, Ratio], excused: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """A sentence for each figure of `MEANINGS`, and for each that does not exist; `excused`: why one refuses none."""
    lines = []
    for name, meaning in MEANINGS.items():
        one = found.get(name)
        if one is None:
            lines.append(f"{name.replace('_', ' ')}: not measured, {ABSENT[name]}")
            continue
        ends = "no interval, so it refuses nothing" if one.low is None else f"{one.low:.2f} to {one.high:.2f}"
        line = f"{name.replace('_', ' ')}: {one.value:.2f} times that of the parent ({ends}); above 1: {meaning}"
        lines.append(f"{line}; {excused[name]}" if name in excused else line)
    return lines


def facts(found: Mapping[str, Ratio]) -> dict[str, Any]:
    """The figures as plain values, each with its meaning."""
    return {name: {**asdict(one), "above_1": MEANINGS[name]} for name, one in found.items()}
