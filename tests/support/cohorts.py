"""Answers of a made-up bundle for made-up films with DEXA: validation without pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import HeadlineCuts, PrecisionCalibration, SiteCalibration
from bmd_edge.bundle.error_budget import LIMITS, SiteShift
from bmd_edge.errors import HipRefused
from bmd_edge.measure.estimate import estimates
from bmd_edge.report.film_report import FilmReport, HipReport, film_headline
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from calibration.pairs.answers import FilmAnswers
from tests.support.screening import drawn_bundle

POINTS = HeadlineCuts(low_suspected_t=-2.6, refer_for_dxa_t=-1.9, cases=100, others=300)
SHIFT = {"fp32": 0.0, "int8": 0.002}


def made_bundle() -> VerifiedBundle:
    """A bundle of two precisions with operating points and a budget, without files."""
    bundle = drawn_bundle()
    interval = {site: SiteCalibration(1.7, 0.9, 100) for site in SITES}
    calibration = {name: PrecisionCalibration("0" * 64, interval, POINTS) for name in ("fp32", "int8")}
    site = SiteShift(1000, True, LIMITS, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (), {})
    guard = {"int8": dict.fromkeys(SITES, site)}
    return replace(bundle, calibration=calibration, manifest=replace(bundle.manifest, guard=guard))


def cohort(subjects: int = 90, seed: int = 0) -> tuple[list[HipRow], list[FilmAnswers]]:
    """Rows and answers: two subjects in three on a pelvis film, every sixth filmed twice, a refusal now and then."""
    rng = np.random.default_rng(seed)
    rows: list[HipRow] = []
    films: list[FilmAnswers] = []
    for k in range(subjects):
        sides = "RL" if k % 3 else "RL"[k // 3 % 2]
        facts = {
            "age_years": float(rng.integers(44, 90)),
            "sex": "FFM"[k % 3],
            "maker": f"Maker {'ABC'[k % 7 % 3]}",
        }
        neck = rng.normal(0.70, 0.14)
        dexa = {side: np.clip(neck + np.array([0, 0.13]) + rng.normal(0, 0.03, 2), 0.5, 1.2) for side in sides}
        for repeat in range(2 if k % 6 == 0 else 1):
            film = f"films/{k:03d}-{repeat}.dcm"
            reason = "implant" if k % 17 == 5 else None
            films.append(answers(film, f"{k:08x}{repeat:08x}", {s: (v, reason) for s, v in dexa.items()}, rng, **facts))
            for side in sides:
                scale = "lunar" if k % 11 == 0 else "hologic"
                rows.append(
                    HipRow(
                        film=film,
                        subject=f"S{k:03d}",
                        side=side,
                        split="test",
                        bmd_gcm2={site: round(float(dexa[side][n]), 3) for n, site in enumerate(SITES)},
                        scale=scale,
                        bmi=None if k % 13 == 0 else float(rng.integers(17, 40)),
                        **facts,
                    )
                )
    return rows, films


def answers(film: str, film_id: str, hips: dict, rng: np.random.Generator, **facts: object) -> FilmAnswers:
    """A film whose hips (side -> (BMD by site, refusal or None)) are estimated with noise, INT8 a little off."""
    noise = {side: rng.normal(0, 0.05, 2) for side in hips}
    shift = {side: rng.normal(0, 0.003, 2) for side in hips}
    reports = {}
    for precision, offset in SHIFT.items():
        found = []
        for side, (true, reason) in hips.items():
            value = 0.71 + 0.85 * (true - 0.70) + noise[side] + (precision == "int8") * (shift[side] + offset)
            found.append(_hip(side, value, reason, facts))
        read = any(hip.status == "read" for hip in found)
        reports[precision] = FilmReport(
            file=film,
            film_id=film_id,
            status="read" if read else "refused",
            reason=None if read else found[0].reason,
            spacing_mm=(0.2, 0.2),
            spacing_source="imager_ermf" if int(film_id[:8], 16) % 2 else "imager_assumed",
            bundle="test",
            bundle_digest="ab" * 32,
            device="cpu",
            precision=precision,
            band=film_headline(found, POINTS),
            hips=tuple(found),
            **facts,
        )
    return FilmAnswers(film, film_id, reports)


def _hip(side: str, value: np.ndarray, reason: str | None, facts: dict) -> HipReport:
    numbers = ()
    if reason is None:
        calibration = made_bundle().calibration["fp32"]
        try:
            numbers = estimates(value, [0.05, 0.05], calibration, facts["age_years"], facts["sex"])
        except HipRefused as error:
            reason = error.code
    status = "refused" if reason else "read"
    return HipReport(side=side, status=status, reason=reason, landmarks_px={}, box_px=None, estimates=numbers)


def table_of(folder: Path, rows: list[HipRow]) -> Path:
    """The rows as a film table; its films do not exist."""
    path = folder / "films.csv"
    write_table(path, rows)
    return path
