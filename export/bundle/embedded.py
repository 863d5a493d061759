"""A new network beside the embedded bundle's, on the same hips: whoever trains one learns whether it was worth it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.statistics.bootstrap import F64, Figure, by_subject
from export.bundle import calibration_films
from export.int8.choose import answers


@dataclass(frozen=True, slots=True)
class OneSite:
    """RMSE (g/cm2) of one site on the judging hips, and the difference new minus embedded, below 0 where the new one is
    better; 95 % intervals by bootstrap over subjects, who are the same for both.
    """

    hips: int
    subjects: int
    rmse_gcm2: Figure
    embedded_gcm2: Figure
    difference_gcm2: Figure

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "not shown to be better", by the interval of the difference."""
        _, low, high = self.difference_gcm2
        if low is None or high is None or low <= 0 <= high:
            return "not shown to be better"
        return "better" if high < 0 else "worse"


@dataclass(frozen=True, slots=True)
class AgainstEmbedded:
    """The comparison at each site, and the version of the embedded bundle."""

    version: str
    sites: dict[str, OneSite]

    def facts(self) -> dict[str, Any]:
        """The comparison as plain values."""
        sites = {
            site: {
                "hips": one.hips,
                "subjects": one.subjects,
                "rmse_gcm2": one.rmse_gcm2._asdict(),
                "embedded_rmse_gcm2": one.embedded_gcm2._asdict(),
                "difference_gcm2": one.difference_gcm2._asdict(),
                "verdict": one.verdict,
            }
            for site, one in self.sites.items()
        }
        return {"bundle": self.version, "sites": sites, "sentences": list(self.sentences())}

    def sentences(self) -> Iterator[str]:
        """One a site, and what follows where the new network is not better."""
        for site, one in self.sites.items():
            value, low, high = one.difference_gcm2
            interval = "" if low is None or high is None else f" (95 % interval {low:+.4f} to {high:+.4f})"
            yield (
                f"{site.replace('_', ' ')}: RMSE {one.rmse_gcm2.value:.4f} g/cm2, the embedded bundle {self.version}"
                f" has {one.embedded_gcm2.value:.4f} on the same {one.hips} hips of {one.subjects} subjects:"
                f" {value:+.4f}{interval}, {one.verdict}"
            )
        if any(one.verdict != "better" for one in self.sites.values()):
            yield (
                "this network is not shown to be better than the embedded one at every site: `bmd-edge calibrate`"
                " adapts the embedded bundle to your films without a training"
            )


def against_embedded(
    bmd_gcm2: NDArray[np.floating], judging: Sequence[HipRow], embedded: VerifiedBundle
) -> AgainstEmbedded:
    """Compare the estimates (n, sites) of the judging hips with those of a bundle's fp32 network, which sees each hip
    as its own input asks for.
    """
    images = list(calibration_films.batches(judging, spec=embedded.inputs["bmd"]))
    theirs, label = answers(embedded.model_bytes("bmd", "fp32"), images).bmd, calibration_films.dexa(judging)
    subject = [row.subject for row in judging]
    found = {}
    for column, site in enumerate(SITES):
        squares = [(one[:, column].astype(np.float64) - label[:, column]) ** 2 for one in (bmd_gcm2, theirs)]
        known = by_subject(partial(_figures, squares), subject)
        found[site] = OneSite(len(subject), len(set(subject)), known["rmse"], known["embedded"], known["difference"])
    return AgainstEmbedded(embedded.manifest.version, found)


def _figures(squares: Sequence[F64], weights: F64) -> dict[str, F64]:
    new, embedded = (np.sqrt(weights @ one / weights.sum(-1)) for one in squares)
    return {"rmse": new, "embedded": embedded, "difference": new - embedded}
