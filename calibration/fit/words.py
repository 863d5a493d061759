"""A recalibration in words, for the terminal."""

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.errors import reasons_said
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.in_words import counted
from calibration.fit.recalibration import Calibrated
from calibration.fit.site_line import HALF_WIDTH_GCM2


def said(found: Calibrated) -> list[str]:
    """What was fitted, line by line, with what is needed for more."""
    lines = []
    for precision, sites in found.fits.items():
        for site, fit in sites.items():
            line, needed = fit.line, counted(fit.subjects_for_aim, "subject")
            lines += [
                f"{site.replace('_', ' ')}, {precision}: DEXA = {line.intercept_gcm2:+.3f} + {line.slope:.3f} x film,"
                f" {counted(line.hips, 'hip')} of {counted(line.subjects, 'subject')}",
                f"  mean shift known to +-{fit.half_width_gcm2:.3f} g/cm2 (95 %); {needed} would"
                f" give +-{HALF_WIDTH_GCM2}. SD left {fit.residual_sd_gcm2:.3f} g/cm2",
            ]
        lines.append(f"headline, {precision}: {_headline(found.file.operating_points[precision])}")
    lines.append(
        "DXA scales: "
        + ", ".join(f"{counted(n, 'hip')} {scale}" for scale, n in found.file.scales.items())
        + "; converted to Hologic (Lu 2001, Hanson 1997)"
    )
    if found.left_out:
        lines.append(f"hips without a number: {reasons_said(found.left_out)}")
    return [*lines, RESEARCH_USE]


def _headline(points: HeadlineCuts | None) -> str:
    if points is None:
        return f"none; its cuts take {CUTS_TAKE}, with age, sex and DXA of both sites"
    return (
        f"low suspected at an estimated T <= {points.low_suspected_t:.2f}, DXA advised at T <="
        f" {points.refer_for_dxa_t:.2f}, fitted on {counted(points.cases, 'subject')} with low BMD and"
        f" {points.others} without"
    )
