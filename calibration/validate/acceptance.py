"""Limits that a reviewer set before the films were measured, and a verdict against each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.report.pages import SITE_NAMES
from bmd_edge.sites import SITES, misnamed
from calibration.pairs.finding import Finding
from calibration.statistics.bootstrap import MIN_SUBJECTS

FIGURES = ("r", "ccc", "rmse_gcm2", "mae_gcm2", "bias_gcm2", "slope", "within_lsc", "coverage", "auroc")
"""What a limit may be set for; bias counts by its size, AUROC is that of T <= -2.5 by hip."""
_FORM = re.compile(r"(?:(?P<site>\w+)\.)?(?P<figure>\w+)\s*(?P<sense><=|>=)\s*(?P<value>\d*\.?\d+)")


@dataclass(frozen=True, slots=True)
class Limit:
    """`figure` of a site (None: of every site) is at most, or at least, `value`."""

    figure: str
    sense: str
    value: float
    site: str | None = None


def limit(text: str) -> Limit:
    """From `rmse_gcm2<=0.07` or `femoral_neck.r>=0.85`; UsageError says what can be written."""
    found = _FORM.fullmatch(text.strip())
    if not found or found["figure"] not in FIGURES or found["site"] not in (None, *SITES):
        form = f"write FIGURE<=VALUE or FIGURE>=VALUE, of one site SITE.FIGURE<=VALUE; sites are {', '.join(SITES)}"
        raise UsageError(f"--accept {text}: {misnamed(text, FIGURES)}{form}")
    return Limit(found["figure"], found["sense"], float(found["value"]), found["site"])


def accept(facts: dict[str, Any], limits: Sequence[Limit]) -> None:
    """Put the verdicts, and a finding for each limit that is not met, into the content of validation.json."""
    facts["acceptance"] = verdicts(limits, facts["precisions"][facts["primary"]]["sites"])
    facts["findings"] = [*map(asdict, findings(facts["acceptance"])), *facts["findings"]]


def verdicts(limits: Sequence[Limit], sites: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each limit against the figure's whole 95 % interval: met, missed, or not shown where it holds the limit.

    `sites` are the primary precision's in validation.json.
    """
    found = []
    for one in limits:
        for site in SITES if one.site is None else (one.site,):
            figure = _figure(sites[site], one.figure)
            facts = {**asdict(one), "site": site, "hips": sites[site]["hips"], "measured": figure}
            found.append(facts | {"verdict": _verdict(one, figure)})
    return found


def _figure(site: Mapping[str, Any], name: str) -> dict[str, float | None]:
    found = site["detection"]["targets"]["-2.5"]["auroc"] if name == "auroc" else site["figures"][name]
    return dict(found)


def _verdict(one: Limit, figure: Mapping[str, float | None]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "not_shown"
    if one.figure == "bias_gcm2":
        low, high = (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if one.sense == "<=":
        return "met" if high <= one.value else "missed" if low > one.value else "not_shown"
    return "met" if low >= one.value else "missed" if high < one.value else "not_shown"


def findings(accepted: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """An error for each limit that is not met: what is not shown is not accepted."""
    for one in accepted:
        if one["verdict"] != "met":
            measured = one["measured"]
            few = f", no interval: {MIN_SUBJECTS} subjects are the least"
            ends = few if measured["low"] is None else f" ({measured['low']:.3f} to {measured['high']:.3f})"
            value = "no value" if measured["value"] is None else f"{measured['value']:.3f}{ends}"
            said = "missed" if one["verdict"] == "missed" else "not shown to be met"
            sentence = f"{SITE_NAMES[one['site']]}: {one['figure']} {one['sense']} {one['value']:g} is {said}: {value}."
            yield Finding(f"acceptance_{one['verdict']}", "error", sentence, one["hips"])
