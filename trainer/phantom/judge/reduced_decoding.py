"""What decoding a film only as far as the networks need does to its estimates, on phantom films with fine pixels.

Each film is written as JPEG 2000, as HTJ2K and uncompressed, and read twice: whole, and reduced as in use. Films are
kept in the user's cache folder, as those of a score.
"""

import io
from collections.abc import Callable
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless, JPEG2000Lossless

from bmd_edge import read_film
from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.jobs import Loaded
from bmd_edge.sites import SITES
from bmd_edge.system.places import phantom_cache
from trainer.phantom.film.scene import VERSION, FilmSpec
from trainer.phantom.judge import score

_FIRST_SEED = 4_000_000_000
_ENCODERS: dict[UID, Callable[[NDArray[np.integer], int], bytes]] = {
    ExplicitVRLittleEndian: lambda pixels, _bits: pixels.tobytes(),
    JPEG2000Lossless: lambda pixels, bits: bytes(
        imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, level=0, bitspersample=bits)
    ),
    HTJ2KLossless: lambda pixels, _bits: bytes(imagecodecs.htj2k_encode(pixels, reversible=True)),
}


def compare(
    bundle: Path | None,
    n: int,
    seed: int,
    pixel_mm: float,
    *,
    precision: str,
    workers: int,
    progress: Callable[[], None],
) -> dict[str, Any]:
    """Read `n` single intact hips both ways; returns the figures, differences in g/cm2 per transfer syntax and site."""
    folder = phantom_cache() / f"reduced-{seed}-{pixel_mm:g}mm-v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    specs = [FilmSpec(_FIRST_SEED + 1_000_000 * seed + k, side="RL"[k % 2], pixel_mm=pixel_mm) for k in range(n)]
    found: list[dict[str, Any]] = []
    digest, pool = score.readers(bundle, precision, workers)
    with pool:
        for done in as_completed([pool.submit(partial(read_both_ways, folder=folder), spec) for spec in specs]):
            found += done.result()
            progress()
    facts = {"synthetic": True, "n_films": n, "seed": seed, "pixel_mm": pixel_mm, "precision": precision}
    facts["bundle_digest"] = digest
    return {**facts, "syntaxes": {uid.name: _figures([f for f in found if f["syntax"] == uid]) for uid in _ENCODERS}}


def read_both_ways(spec: FilmSpec, folder: Path) -> list[dict[str, Any]]:
    """Read one film in a worker, in each transfer syntax: the step it is reduced by, and the differences."""
    kept = score.kept_film(spec, folder).dicom
    pixels, rows = read_film(kept).stored, []
    for syntax in _ENCODERS:
        data = _written(kept, pixels, syntax)
        whole, reduced = _read(data, 0.0), _read(data, score.opened().coarsest_mm)
        rows.append({"syntax": syntax, "step": reduced[1], "same": _outcome(whole[0]) == _outcome(reduced[0])})
        numbers = [_numbers(report) for report, _ in (whole, reduced)]
        rows[-1]["moved"] = [b - a for a, b in zip(*numbers, strict=True)] if rows[-1]["same"] else []
    return rows


def _read(data: bytes, coarsest_mm: float) -> tuple[FilmReport, int]:
    film = read_film(data, coarsest_mm=coarsest_mm)
    return score.opened().measure(Loaded(film.film_id, film)), film.reduced.step if film.reduced else 1


def _outcome(report: FilmReport) -> list[tuple[str | None, str, str | None]]:
    return [(hip.side, hip.status, hip.reason) for hip in report.hips] or [(None, report.status, report.reason)]


def _numbers(report: FilmReport) -> list[NDArray[np.float64]]:
    return [np.array([row.bmd_gcm2 for row in hip.estimates]) for hip in report.hips if hip.estimates]


def _written(kept: bytes, pixels: NDArray[np.integer], syntax: UID) -> bytes:
    """The kept film with its pixels in another transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(kept))
    data = _ENCODERS[syntax](pixels, dataset.BitsStored)
    dataset.file_meta.TransferSyntaxUID = syntax
    packed = syntax.is_encapsulated
    del dataset.PixelData
    dataset.add_new("PixelData", "OB" if packed else "OW", encapsulate([data]) if packed else data)
    dataset["PixelData"].is_undefined_length = packed
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    steps = [row["step"] for row in rows]
    moved = np.abs([hip for row in rows for hip in row["moved"]]).reshape(-1, len(SITES))
    return {
        "reduced_by": {str(step): steps.count(step) for step in sorted(set(steps))},
        "other_outcome": sum(not row["same"] for row in rows),
        "n_hips": len(moved),
        "moved_gcm2": {
            site: {"median": _quantile(column, 0.5), "p99": _quantile(column, 0.99), "largest": _quantile(column, 1.0)}
            for site, column in zip(SITES, moved.T, strict=True)
        },
    }


def _quantile(values: NDArray[np.float64], q: float) -> float | None:
    return round(float(np.quantile(values, q)), 4) if len(values) else None
