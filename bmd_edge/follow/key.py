"""What the marks of the charts mean, and whose precision draws their bands: a key that is right for what it stands by.

It stands once on the screen for all hips, and on paper on each card, which may be handed on alone.
"""

from collections.abc import Collection, Sequence

from bmd_edge.follow.change import Followed, figures_of, precision_from
from bmd_edge.follow.doubts import has_band
from bmd_edge.follow.repeatability import RepeatabilityFile
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible

SITE_WORDS = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
BAND_WORDS = "95 of 100 unchanged hips end in here"
"""What is written at a band."""
LOWER, HIGHER, UNCLEAR, NOT_SHOWN = "LOWER", "HIGHER", "UNCLEAR", "NOT SHOWN"
"""What stands at the head of a box of words."""


def marks(hips: Sequence[Followed], labels: Collection[str]) -> list[str]:
    """What dots, bars, bands, letters and lines mean, of those that the charts of these hips have, and the labels of
    their boxes.
    """
    changes = [(hip, one) for hip in hips for one in hip.changes]
    banded = [one for hip, one in changes if has_band(hip, one)]
    lines = [
        "Dots are estimates in g/cm². Bars are the 90 % interval of each estimate alone: how far it may lie from a DXA."
        " They do not judge change, whether they overlap or not.",
    ]
    if banded:
        lines.append(
            "The gray band judges change, by the middle of the last dot only: of 100 hips that have not changed, at"
            " least 95 have it inside, at every visit and at both sites. Inside it a difference cannot be told from"
            " chance, whatever course the dots seem to take."
        )
    if told := [one for one in (LOWER, HIGHER) if one in labels]:
        lines.append(
            f"{' and '.join(told)}: a change beyond chance that nothing speaks against. Up to 5 in 100 unchanged hips"
            " are told a change at some visit: among many patients there are some."
        )
    if UNCLEAR in labels:
        lines.append("UNCLEAR: no change is told, or one only just beyond chance or that something speaks against.")
    if len(banded) < len(changes):
        lines.append("Where no band is drawn, none judges: the words of the card say why.")
    if any(len(hip.series.parts) > 1 for hip in hips):
        lines.append(
            "Dots of one letter are compared with each other, and with no others; of letters at one time, one has its"
            " band drawn."
            + " What stands before and after an upright dashed line is not compared."
            * any(hip.series.cuts for hip in hips)
        )
    return lines


def rests_on(hips: Sequence[Followed], known: RepeatabilityFile | None) -> list[str]:
    """Whose precision judges: where it was measured and on how many hips. What it comes to each hip says of itself."""
    visits = [one.first for hip in hips for one in hip.changes]
    if known is None or not any(figures_of(visit, known) for visit in visits):
        return []
    if known.source != "clinic":
        return ["Precision: this clinic's has not been measured, so no change can be told, however the dots lie."]
    whose = f"Precision: this clinic's, measured on {visible(', '.join(known.units))} (by maker and model)"
    if foreign := sorted({visit.unit for visit in visits if precision_from(visit, known) == "other_unit"}):
        whose += f", not on {visible(', '.join(foreign))}, of whose films no change can be told"
    figures = [one for visit in visits if (one := figures_of(visit, known))]
    hips_measured = (min(site.hips for site in one.values()) for one in figures)
    return list(dict.fromkeys(f"{whose}: {counted(n, 'hip')} with repeated films." for n in hips_measured))
