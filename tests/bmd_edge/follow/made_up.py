"""Reports of made-up visits: one hip, at given dates with given estimates."""

from typing import Any

from bmd_edge.follow.repeatability import SCHEMA, LongitudinalSlope, RepeatabilityFile, SiteRepeatability
from bmd_edge.measure.estimate import Estimate
from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.sites import SITES

DIGEST = "ab" * 32
HALF = 0.1
LANDMARKS = {"greater_trochanter": (100.0, 100.0), "lesser_trochanter": (100.0, 220.0)}


def visited(taken: str | None, *bmd_gcm2: float, side: str | None = "R", **facts: Any) -> FilmReport:
    """A film of a hip: its estimate, one for both sites or one for each."""
    flags = facts.pop("flags", ())
    landmarks = facts.pop("landmarks_px", LANDMARKS)
    estimates = tuple(
        Estimate(site, value, round(value - HALF, 4), round(value + HALF, 4), None, "no_age", flags)
        for site, value in zip(SITES, bmd_gcm2 * (2 // len(bmd_gcm2)), strict=True)
    )
    known: dict[str, Any] = {
        "file": f"{side}-{taken}-{bmd_gcm2[0]}.dcm",
        "film_id": None,
        "status": "read",
        "reason": None,
        "bundle": "test-1",
        "bundle_digest": DIGEST,
        "device": "cpu",
        "precision": "int8",
        "acquisition_date": taken,
        "patient_pseudonym": "pt-a",
        "spacing_mm": (0.5, 0.5),
        "spacing_source": "imager_ermf",
        "unit_pseudonym": "un-a",
        "maker": "Drawn",
        "model": "One",
        "hips": (
            HipReport(side=side, status="read", reason=None, landmarks_px=landmarks, box_px=None, estimates=estimates),
        ),
    }
    return FilmReport(**(known | facts))


def known(
    source: str = "clinic", sd: float = 0.02, high: float = 0.025, slope: tuple[float, float, float] | None = None
) -> RepeatabilityFile:
    """A repeatability with the same figures for both sites."""
    line = slope and LongitudinalSlope(*slope, subjects=40)
    one = SiteRepeatability(sd, high, 0.03, round(2.77 * sd, 4), round(2.77 * high, 4), 40, 40, 80, line)
    units = ("Drawn One",) if source == "clinic" else ()
    return RepeatabilityFile(SCHEMA, source, DIGEST, None, None, {}, units, {"int8": dict.fromkeys(SITES, one)}, {})
