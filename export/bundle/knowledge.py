"""Whether a network is shown to know more than is known without a film; one that is not is refused."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.knowledge import SiteKnowledge
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.pairs.hip_size import size_in_table_mm
from calibration.statistics.knowledge import knowledge, of_person
from export.bundle.calibration_films import dexa

REMEDY = (
    "Train on more hips with DEXA, or see whether films and DEXA belong together. --unproven REASON makes the bundle"
    " all the same: the reason stands beside every number, and no film gets a T-score or a headline"
)

NOT_SHOWN = "This network is not shown to know more than the mean, or than age, sex and size of the hip."


def knowledge_on(rows: Sequence[HipRow], bmd_gcm2: NDArray[np.floating]) -> dict[str, SiteKnowledge]:
    """What the estimates (n, sites) of hips with DEXA of every site show, by site."""
    person = of_person(
        [row.age_years for row in rows], [row.sex for row in rows], [size_in_table_mm(row) for row in rows]
    )
    estimate, label = np.asarray(bmd_gcm2, np.float64), dexa(rows)
    subject = [row.subject for row in rows]
    return {site: knowledge(estimate[:, k], label[:, k], person, subject) for k, site in enumerate(SITES)}


def check_knowledge(known: Mapping[str, SiteKnowledge], unproven: str | None) -> None:
    """BundleError where a site is not shown to know anything, and nobody said for what reason the bundle is made."""
    lacking = [(site, code, one) for site, found in known.items() for code, one in found.not_shown()]
    if lacking and not unproven:
        codes = ", ".join(dict.fromkeys(code for _, code, _ in lacking))
        said = "; ".join(f"{site.replace('_', ' ')}: {one.sentence()}" for site, _, one in lacking)
        raise BundleError(f"the network is refused ({codes}), it is not shown to know more: {said}. {REMEDY}")


def notice_and_reason(
    said: str, known: Mapping[str, Mapping[str, SiteKnowledge]], unproven: str | None
) -> tuple[str, str | None]:
    """What stands beside every number, and the reason where it is needed: a network that knows enough has none."""
    lacking = any(True for sites in known.values() for found in sites.values() for _ in found.not_shown())
    if not (lacking and unproven):
        return said, None
    return f"{said} {NOT_SHOWN} Made all the same, for this reason: {unproven}", unproven
