"""What the marks of the charts mean, and whose precision draws their bands: a key that is right for what it stands by.

It stands once on the screen for all hips, and on paper on each card, which may be handed on alone.
"""

from collections.abc import Sequence

from bmd_edge.follow.change import Followed, figures_of, precision_from
from bmd_edge.follow.repeatability import RepeatabilityFile, SiteRepeatability
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES

SITE_WORDS = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
BAND_WORDS = {
    "clinic": "95 of 100 unchanged hips end in here",
    "other_unit": "of another X-ray unit: judges nothing",
    "phantom": "of a digital phantom: judges nothing",
}
"""What is written at a band, by whose precision draws it."""


def marks(hips: Sequence[Followed]) -> list[str]:
    """What dots, bars, bands, letters and lines mean, of those that the charts of these hips have."""
    drawn = {one.precision_from for hip in hips for one in hip.changes}
    lines = [
        "Dots are estimates in g/cm². Bars are the 90 % interval of each estimate alone: how far it may lie from a DXA."
        " They do not judge change, whether they overlap or not.",
    ]
    if "clinic" in drawn:
        lines.append(
            "The gray band judges change, and of the last dot only: of 100 hips that have not changed, at least 95 have"
            " their last dot inside it, at every visit and at both sites. Inside it a difference cannot be told from"
            " chance, whatever course the dots seem to take. Orange marks a last dot beyond it, and nothing else."
        )
    if drawn & {"other_unit", "phantom"}:
        lines.append(
            "A dashed band is as wide as that of 95 of 100 unchanged hips would be where its precision was measured,"
            " which was not on the X-ray unit of these films. It judges nothing: whether a dot lies inside or outside"
            " it does not say whether the hip changed."
        )
    if None in drawn:
        lines.append("Where no band is drawn, no precision is known: whether the hip changed cannot be said.")
    if any(len(hip.series.parts) > 1 for hip in hips):
        lines.append(
            "Dots of one letter are compared with each other, and with no others."
            + " What stands before and after an upright dashed line is not compared."
            * any(hip.series.cuts for hip in hips)
        )
    return lines


def rests_on(hips: Sequence[Followed], known: RepeatabilityFile | None) -> list[str]:
    """Whose precision the bands are drawn by: where it was measured, on how many hips, and what it comes to."""
    visits = [one.first for hip in hips for one in hip.changes]
    if known is None or not any(figures_of(visit, known) for visit in visits):
        return []
    foreign = sorted({visit.unit for visit in visits if precision_from(visit, known) == "other_unit"})
    whose = "Precision: not this clinic's, but that of films of a digital phantom (synthetic)"
    if known.source == "clinic":
        whose = f"Precision: this clinic's, measured on {visible(', '.join(known.units))} (by maker and model)"
    if foreign:
        whose += f", not on {visible(', '.join(foreign))}, whose bands are dashed"
    figures = [one for visit in visits if (one := figures_of(visit, known))]
    return list(dict.fromkeys(f"{whose}: {_figures(one)}" for one in figures))


def _figures(figures: dict[str, SiteRepeatability]) -> str:
    sites = " and ".join(f"{figures[site].lsc_high_gcm2:.3f} ({SITE_WORDS[site].lower()})" for site in SITES)
    return (
        f"{counted(min(one.hips for one in figures.values()), 'hip')} with repeated films. Least significant change of"
        f" two films, at its upper 95 % limit: {sites} g/cm²; the width of a band also counts both sites, every visit,"
        " and the films of its two visits."
    )
