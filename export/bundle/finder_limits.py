"""`bmd_edge.bundle.manifest.Plausibility`, measured on films with known landmarks that the finder was not fitted to.

Each limit is set so that it alone refuses a stated share of intact hips; bad films are not needed, and none is used.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bmd_edge.bundle.manifest import LANDMARKS, Plausibility
from bmd_edge.engine.base import Engine
from bmd_edge.errors import TableError
from bmd_edge.film.film import Film
from bmd_edge.hips.finder import close_up, survey
from bmd_edge.hips.landmarks import Look, canonical, merged, shape_of
from bmd_edge.table.film_table import HipRow, read_table
from export.onnx_file.from_run import SPECS

# Shares of intact hips that each check may refuse, half of them of wide anatomy, on films beyond any clinic's. Most go
# to the class head, which tells a broken or growing hip from a sound one best; how many it costs of ordinary films,
# `bmd-edge phantom score` says. Its word on the survey is a second opinion: shafts that are broken far below the hip.
REFUSED_SHARE = {
    "intact": 0.03, "survey_intact": 0.01, "peak": 0.002, "agreement": 0.002, "shape": 0.002, "embedding": 0.001,
}  # fmt: skip
FLAGGED_SHARE = 0.01
UNSURE_SHARE = 0.08
"""Of intact hips, those that are flagged or refused since the class head is less sure of them."""
_MARGIN = 1.25  # real films are less alike than the phantom's, so limits on distances are set wider than measured
_CORE = slice(0, 4)


@dataclass(frozen=True, slots=True)
class KnownHip:
    """An intact hip on a film with its true landmarks (6, 2), (x, y) in pixels of the film."""

    film: Film
    side: str
    points_px: NDArray[np.float64]


def intact_hips(table: Path, splits: Collection[str]) -> Iterator[KnownHip]:
    """The intact hips of some splits of a phantom's film table that its whole films (16-bit PNG, bone bright) show."""
    whole = {"x_image": "film", "x_kind": "intact", "x_cut_off": "0"}
    for row in read_table(table):
        if row.split in splits and all(row.extra.get(name) == value for name, value in whole.items()):
            film = film_from_png(row.film_path, float(row.extra["x_spacing_mm"]))
            yield KnownHip(film, row.side, _points(row))


def measure(finder: Engine, hips: Iterable[KnownHip]) -> Plausibility:
    """Look at every hip as the runtime does and turn what was seen into the manifest's `plausibility` block.

    Raises:
        TableError: there are fewer than 100 hips; the limits are tail quantiles.
        BundleError: a limit would refuse nothing, the finder is too poor.
    """
    known = list(hips)
    if len(known) < 100:
        raise TableError(
            f"plausibility takes 100 intact hips on whole films, and there are {len(known)}: name a table of the"
            " phantom with --finder-table (`bmd-edge phantom --pelves 150` and more makes such films), and its splits"
            " with --finder-split"
        )
    seen = [_look_twice(finder, hip) for hip in known]
    true_shapes = np.stack([shape_of(canonical(_to_mm(hip.film, hip.points_px))) for hip in known])
    shapes = np.stack(
        [shape_of(canonical(_to_mm(h.film, close.points_px))) for h, (_, close) in zip(known, seen, strict=True)]
    )
    moved = [_moved_mm(hip.film, first, close) for hip, (first, close) in zip(known, seen, strict=True)]
    embeddings = np.stack([close.embedding for _, close in seen])
    shape_distance = _distances(shapes, true_shapes, 1e-2)
    embedding_distance = _distances(embeddings, embeddings, 1e-2)
    shape_mean, shape_precision = _moments(true_shapes, 1e-2)
    embedding_mean, embedding_precision = _moments(embeddings, 1e-2)
    sure = [float(close.kind[0]) for _, close in seen]
    return Plausibility(
        min_peak=_low([min(first.score, close.score) for first, close in seen], REFUSED_SHARE["peak"], 0.15, 0.5),
        max_disagreement_mm=max(_high(moved, "agreement"), 8.0),
        min_intact=_low(sure, REFUSED_SHARE["intact"], 0.05, 0.8),
        shape_mean=shape_mean,
        shape_precision=shape_precision,
        max_shape_distance=_high(shape_distance, "shape"),
        embedding_mean=embedding_mean,
        embedding_precision=embedding_precision,
        flag_embedding_distance=float(np.quantile(embedding_distance, 1 - FLAGGED_SHARE)),
        max_embedding_distance=_high(embedding_distance, "embedding"),
        flag_intact=_low(sure, UNSURE_SHARE, 0.1, 0.95),
        min_survey_intact=_low([float(first.kind[0]) for first, _ in seen], REFUSED_SHARE["survey_intact"], 0.05, 0.8),
    )


def _look_twice(finder: Engine, hip: KnownHip) -> tuple[Look, Look]:
    first = survey(hip.film, finder, SPECS)["RL".index(hip.side)]
    return first, merged(close_up(hip.film, finder, SPECS, hip.side, first.points_px))


def film_from_png(path: Path, spacing_mm: float) -> Film:
    """A phantom's whole film as a `Film`: 16-bit gray, bone bright, `spacing_mm` at the hip, no header."""
    with Image.open(path) as image:
        return film_of_gray(np.asarray(image).astype(np.uint16), spacing_mm)


def film_of_gray(stored: NDArray[np.uint16], spacing_mm: float) -> Film:
    """Gray values (rows, columns), 0..65535 and bone bright, as a `Film` without header facts."""
    return Film(
        film_id="",
        stored=stored,
        lookup=np.linspace(0, 1, 65536, dtype=np.float32),
        lookup_first=0,
        spacing_mm=(spacing_mm, spacing_mm),
        spacing_source="given",
    )


def _points(row: HipRow) -> NDArray[np.float64]:
    return np.array([[float(row.extra[f"x_{name}_{axis}"]) for axis in "xy"] for name in LANDMARKS])


def _to_mm(film: Film, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    return points_px * (film.spacing_mm[1], film.spacing_mm[0])


def _moved_mm(film: Film, first: Look, close: Look) -> float:
    return float(np.median(np.hypot(*_to_mm(film, close.points_px - first.points_px)[_CORE].T)))


def _precision(values: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Inverse covariance; `floor`, a share of the mean variance, keeps directions without spread from dominating."""
    covariance = np.cov(values.T)
    return np.linalg.inv(covariance + floor * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))


def _distances(values: NDArray[np.float64], reference: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    offset = values - reference.mean(axis=0)
    squared: NDArray[np.float64] = np.einsum("ni,ij,nj->n", offset, _precision(reference, floor), offset)
    return np.sqrt(squared)


def _moments(values: NDArray[np.float64], floor: float) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Mean and precision, rounded for the manifest."""
    rounded = np.round(_precision(values, floor), 4)
    return tuple(np.round(values.mean(axis=0), 6).tolist()), tuple(map(tuple, rounded.tolist()))


def _high(values: NDArray[np.float64] | list[float], check: str) -> float:
    return round(_MARGIN * float(np.quantile(values, 1 - REFUSED_SHARE[check])), 4)


def _low(values: list[float], share: float, least: float, most: float) -> float:
    """A lower limit of probabilities, as measured: what tells a sound hip from a broken one gets no margin."""
    return round(float(np.clip(np.quantile(values, share), least, most)), 4)
