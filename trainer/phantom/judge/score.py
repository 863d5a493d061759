"""How well a bundle reads fresh phantom films: the whole line, from DICOM bytes to estimates, against the truth.

The headers name neither body part, view, side nor age, so that every refusal and every side is the networks' own. All
figures are synthetic. Films are kept in the user's cache folder (about 1.3 MB each): a score that was interrupted goes
on, and the next bundle is scored on the same films in a tenth of the time.
"""

import io
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from bmd_edge import FilmReport, Screener, open_bundle
from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.report.film_report import HipReport
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from bmd_edge.system.places import phantom_cache
from calibration.statistics.agreement import plain_figures
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.scene import CASES, VERSION, FilmSpec
from trainer.phantom.film.view import PhantomHip
from trainer.phantom.film.write_dicom import write_dicom

REFUSAL_CASES = CASES[1:]
SCORE_PIXEL_MM = 0.3
_SEEDS_OF_A_SCORE = 1_000_000  # scores of different seeds share no film; a cohort's 62-bit seeds do not meet them
_FIRST_SEED = 3_000_000_000
_SAME_HIP_MM = 30.0
_SILENT = (
    "BodyPartExamined",
    "ViewPosition",
    "ImageLaterality",
    "PatientAge",
    "PatientBirthDate",
    "PatientOrientation",
)
_REFUSED_SHARE, _PELVIS_SHARE, _WIDE_SHARE = 0.3, 0.2, 0.2


@dataclass(frozen=True, slots=True)
class HipScore:
    """One true hip and what became of it; errors in mm at the hip, BMD in g/cm2 per site, None without a number."""

    case: str
    pose: str
    side: str
    found_side: str | None
    status: str
    reason: str | None
    landmark_errors_mm: tuple[float, ...]
    label_gcm2: tuple[float, ...]
    true_gcm2: tuple[float, ...]
    estimate_gcm2: tuple[float, ...]
    low_gcm2: tuple[float, ...]
    high_gcm2: tuple[float, ...]


def specs(n: int, seed: int) -> list[FilmSpec]:
    """The films of a score: 30 % refusal cases, the rest intact (a fifth pelves, a fifth single hips in wide poses)."""
    made = []
    for k in range(n):
        number = _FIRST_SEED + seed * _SEEDS_OF_A_SCORE + k
        draw = np.random.default_rng([seed, k])
        kind = "pelvis" if draw.random() < _PELVIS_SHARE else "hip"
        case = str(draw.choice(REFUSAL_CASES)) if draw.random() < _REFUSED_SHARE else "intact"
        pose = "wide" if case == "intact" and draw.random() < _WIDE_SHARE else "bmd"
        side = str(draw.choice(["R", "L"]))
        made.append(FilmSpec(number, kind, side, case, pose, pixel_mm=SCORE_PIXEL_MM))
    return made


def score(
    bundle: Path | None, n: int, seed: int, *, precision: str = "auto", workers: int = 2, progress: Callable[[], None]
) -> dict[str, Any]:
    """Score a bundle (None = the embedded one) on `n` fresh films; `progress` is called after each film."""
    films = specs(n, seed)
    folder = phantom_cache() / f"score-{seed}-v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    hips: list[HipScore] = []
    digest, pool = readers(bundle, precision, workers)
    with pool:
        for done in as_completed([pool.submit(score_film, spec, folder) for spec in films]):
            hips += done.result()
            progress()
    facts = {"synthetic": True, "n_films": n, "seed": seed, "precision": precision, "bundle_digest": digest}
    return {**facts, **summary(hips)}


def summary(hips: Iterable[HipScore]) -> dict[str, Any]:
    """Turn scored hips into the figures: finder, refusals, BMD. Shares are 0..1, errors in mm and g/cm2."""
    hips = list(hips)
    intact = [hip for hip in hips if hip.case == "intact"]
    found = [hip for hip in intact if hip.found_side is not None]
    errors = np.array([hip.landmark_errors_mm for hip in found]).reshape(-1, len(LANDMARKS))
    usual = [hip for hip in intact if hip.pose == "bmd"]
    cases = {case: [hip for hip in hips if hip.case == case] for case in REFUSAL_CASES}
    bad = [hip for group in cases.values() for hip in group]
    return {
        "n_intact_hips": len(intact),
        "landmark_error_median_mm": _quantile(errors, 0.5),
        "landmark_error_p95_mm": _quantile(errors, 0.95),
        "landmark_errors_mm": {
            name: {"median": _quantile(column, 0.5), "p95": _quantile(column, 0.95)}
            for name, column in zip(LANDMARKS, errors.T, strict=True)
        },
        "found_share": _share(intact, lambda hip: hip.found_side is not None),
        "side_right_share": _share(found, lambda hip: hip.found_side == hip.side),
        "good_hips_refused_share": _share(usual, lambda hip: hip.status != "read"),
        "wide_pose_hips_refused_share": _share(
            [h for h in intact if h.pose == "wide"], lambda hip: hip.status != "read"
        ),
        "good_hips_refused_reasons": _reasons(usual),
        "refusal_cases_refused_share": _share(bad, lambda hip: hip.status != "read"),
        "refusal_cases": {
            case: {
                "n": len(group),
                "refused_share": _share(group, lambda hip: hip.status != "read"),
                "reasons": _reasons(group),
            }
            for case, group in cases.items()
        },
        "bmd": {site: _agreement([h for h in usual if h.status == "read"], k) for k, site in enumerate(SITES)},
    }


def _share(hips: list[HipScore], holds: Callable[[HipScore], bool]) -> float | None:
    return round(sum(map(holds, hips)) / len(hips), 4) if hips else None


def _quantile(values: NDArray[np.float64], q: float) -> float | None:
    return round(float(np.quantile(values, q)), 3) if values.size else None


def _reasons(hips: list[HipScore]) -> dict[str, int]:
    given = sorted(hip.reason for hip in hips if hip.reason)
    return {reason: given.count(reason) for reason in dict.fromkeys(given)}


def _agreement(hips: list[HipScore], site: int) -> dict[str, float | int | None]:
    """Agreement of the estimate with the DXA-like label of one site; slope is OLS of the label on the estimate."""
    if len(hips) < 3:
        return {"n": len(hips)}
    label, estimate = (np.array([getattr(hip, name)[site] for hip in hips]) for name in ("label_gcm2", "estimate_gcm2"))
    low, high = (np.array([getattr(hip, name)[site] for hip in hips]) for name in ("low_gcm2", "high_gcm2"))
    found = plain_figures(estimate, label)
    figures = {name: found[name] for name in ("r", "rmse_gcm2", "bias_gcm2", "slope", "intercept_gcm2")} | {
        "coverage_of_90_percent_interval": np.mean((low <= label) & (label <= high)),
        "median_interval_width_gcm2": np.median(high - low),
        "label_sd_gcm2": np.std(label),
    }
    return {"n": len(hips), **{name: round(float(value), 4) for name, value in figures.items()}}


# -- one film, in a worker ----------------------------------------------------------------------------------------

_screener: Screener | None = None


def readers(bundle: Path | None, precision: str, workers: int) -> tuple[str, ProcessPoolExecutor]:
    """The digest of a bundle (None = the embedded one), and processes that each hold a screener of it.

    Raises:
        EngineError, UsageError: it cannot be opened; found out here, for a process that cannot start says nothing.
    """
    opened = open_bundle(bundle)
    opened.screener(device="cpu", precision=precision, threads=1).close()
    spawn = get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    return opened.digest, ProcessPoolExecutor(workers, spawn, open_screener, (bundle, precision))


def open_screener(bundle: Path | None, precision: str) -> None:
    """Give this worker its screener, with one thread."""
    global _screener
    _screener = Screener(open_bundle(bundle), device="cpu", precision=precision, threads=1)


def opened() -> Screener:
    """The screener of this worker."""
    assert _screener is not None
    return _screener


@dataclass(frozen=True, slots=True)
class ScoreFilm:
    """A film to score: DICOM bytes, the spacing of a pixel at the hip, and the hips that are on it."""

    dicom: bytes
    spacing_mm: float
    hips: tuple[PhantomHip, ...]


def score_film(spec: FilmSpec, folder: Path) -> list[HipScore]:
    """Read one film in a worker, making it if `folder` does not hold it."""
    made = kept_film(spec, folder)
    report = opened().read(made.dicom)
    matches = {hip.side: _match(hip, made.spacing_mm, report) for hip in made.hips}
    scores = [_hip_score(spec, hip, matches[hip.side], report) for hip in made.hips if _counts(spec, hip)]
    matched = [seen for match in matches.values() if match for seen in (match[0],)]
    # A number where no hip is counts as a film without a hip that was read.
    stray = sum(seen.status == "read" and seen not in matched for seen in report.hips)
    if not made.hips or stray:
        scores.append(_nothing_there(spec, bool(stray), report.reason))
    return scores


def kept_film(spec: FilmSpec, folder: Path) -> ScoreFilm:
    """The film from its two files in `folder`, which are made if they are missing."""
    picture, truth = folder / f"{spec.seed}.dcm", folder / f"{spec.seed}.json"
    if not truth.exists():
        made = film(spec)
        facts = {"spacing_mm": made.spacing_mm, "hips": [asdict(hip) for hip in made.hips]}
        replace_bytes(picture, silent_dicom(made))
        replace_bytes(truth, json.dumps(facts).encode())  # last: it says that both are there
    facts = json.loads(truth.read_text(encoding="utf-8"))
    return ScoreFilm(picture.read_bytes(), facts["spacing_mm"], tuple(PhantomHip(**hip) for hip in facts["hips"]))


def _counts(spec: FilmSpec, hip: PhantomHip) -> bool:
    """A hip counts if it is whole, or if it is the one that the case is about."""
    return (
        hip.kind == spec.case or (spec.case == "cut_off" and hip.cut_off) or (hip.kind == "intact" and not hip.cut_off)
    )


def silent_dicom(made: PhantomFilm) -> bytes:
    """The film as DICOM bytes whose header gives nothing away: no body part, view, side or age."""
    buffer = io.BytesIO()
    write_dicom(buffer, made, "jpeg-ls")
    dataset = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    for keyword in _SILENT:
        if keyword in dataset:
            del dataset[keyword]
    silent = io.BytesIO()
    dataset.save_as(silent, enforce_file_format=True)
    return silent.getvalue()


def _match(hip: PhantomHip, spacing_mm: float, report: FilmReport) -> tuple[HipReport, tuple[float, ...]] | None:
    """The reported hip that lies where this one is, with the errors of its landmarks in mm at the hip."""
    if not all(name in hip.landmarks_px for name in LANDMARKS):
        return None
    truth = np.array([hip.landmarks_px[name] for name in LANDMARKS])
    for seen in report.hips:
        if len(seen.landmarks_px) == len(LANDMARKS):
            points = np.array([seen.landmarks_px[name] for name in LANDMARKS])
            errors_mm = np.hypot(*(points - truth).T) * spacing_mm
            if np.median(errors_mm[:4]) < _SAME_HIP_MM:
                return seen, tuple(errors_mm.tolist())
    return None


def _hip_score(
    spec: FilmSpec, hip: PhantomHip, match: tuple[HipReport, tuple[float, ...]] | None, report: FilmReport
) -> HipScore:
    seen, errors_mm = match or (None, ())
    label, true = hip.label_bmd_gcm2, hip.true_bmd_gcm2
    numbers = seen.estimates if seen else ()
    return HipScore(
        case="cut_off" if hip.cut_off else hip.kind,
        pose=spec.pose,
        side=hip.side,
        found_side=seen.side if seen else None,
        status=seen.status if seen else "refused",
        reason=seen.reason if seen else report.reason or "not_found",
        landmark_errors_mm=errors_mm,
        label_gcm2=tuple(label[site] for site in SITES) if label else (),
        true_gcm2=tuple(true[site] for site in SITES) if true else (),
        estimate_gcm2=tuple(estimate.bmd_gcm2 for estimate in numbers),
        low_gcm2=tuple(estimate.low_gcm2 for estimate in numbers),
        high_gcm2=tuple(estimate.high_gcm2 for estimate in numbers),
    )


def _nothing_there(spec: FilmSpec, read: bool, reason: str | None) -> HipScore:
    status = "read" if read else "refused"
    return HipScore("not_a_hip", spec.pose, spec.side, None, status, reason, (), (), (), (), (), ())
