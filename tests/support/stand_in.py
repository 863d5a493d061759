"""A crude stand-in cohort: disks and bars whose brightness and texture follow the label, with known landmarks; and what
a bundle might say of one.
"""

from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.table.film_table import HipRow, write_table
from export.proofs.phantom_rois import RoiAnswers
from trainer.images.rows import read_rows
from trainer.images.whole_films import TrainingFilm, read_films

SHAPE_MM = np.array([(20.0, -30.0), (0.0, -10.0), (-40.0, -20.0), (-5.0, 30.0), (-15.0, 55.0), (-18.0, 85.0)])
"""Landmarks of a canonical hip about the ROI's center, x to image right, y down."""


def hip_signal(
    shape: tuple[int, int], center_px: NDArray[np.float64], spacing_mm: float, bmd: float, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A bone-bright drawing of a canonical hip and its (6, 2) landmarks in pixels."""
    points = center_px + SHAPE_MM * rng.uniform(0.92, 1.08) / spacing_mm
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    signal = np.zeros(shape)

    def bar(start: NDArray[np.float64], end: NDArray[np.float64], radius_mm: float, level: float) -> None:
        along = end - start
        share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
        near = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]) < radius_mm / spacing_mm
        signal[near] = np.maximum(signal[near], level)

    head, neck, greater, lesser, _, distal = points
    bar(head, head + 0.1, 24, 0.35 + 0.3 * bmd)
    bar(head, neck, 16, 0.35 + 0.5 * bmd)
    bar(neck, greater, 15, 0.3 + 0.4 * bmd)
    bar(neck, distal, 15, 0.5)
    bar(lesser - 6, lesser, 6, 0.6)
    grain = gaussian_filter(rng.standard_normal(shape), 1.2)
    return signal * (1 + 0.25 * (1 - bmd) * grain), points


def expose(signal: NDArray[np.float64], rng: Generator) -> NDArray[np.uint16]:
    """Soft tissue, gain, noise and 16 bits."""
    y, x = np.mgrid[: signal.shape[0], : signal.shape[1]] / max(signal.shape)
    image = 0.25 + 0.15 * np.sin(3 * x + rng.uniform(0, 6)) * np.cos(3 * y + rng.uniform(0, 6))
    image = (image + signal) * rng.uniform(0.45, 0.75) + rng.normal(0, 0.01, signal.shape)
    return (np.clip(gaussian_filter(image, 0.7), 0, 1) * 65535).astype(np.uint16)


def write_png(path: Path, pixels: NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def split_of(index: int) -> str:
    return "val" if index % 4 == 0 else "train"


def roi_row(folder: Path, index: int) -> HipRow:
    rng = np.random.default_rng([1, index])
    bmd = float(rng.uniform(0.4, 1.1))
    signal, _ = hip_signal((256, 256), np.array([128.0, 128.0]) + rng.normal(0, 2, 2), 0.65, bmd, rng)
    write_png(folder / f"roi/{index:06d}.png", expose(signal, rng))
    labels: dict[str, float | None] = {"femoral_neck": round(bmd, 4), "total_hip": round(bmd * 1.1 + 0.05, 4)}
    extra = {"x_image": "roi", "x_kind": "intact", "x_spacing_mm": "0.65"}
    return HipRow(film=f"roi/{index:06d}.png", subject=f"S{index}", side="R", split=split_of(index), scale="hologic",
                  age_years=60.0, sex="F", bmd_gcm2=labels, extra=extra)  # fmt: skip


def film_rows(folder: Path, index: int) -> list[HipRow]:
    """A pelvis (kind 0), a left hip (1) with an implant in every other one, or no hip (2)."""
    rng = np.random.default_rng([2, index])
    kind, name = index % 3, f"film/{index:06d}.png"
    shape = (330, 420) if kind == 0 else (300, 260)
    hips: dict[str, tuple[str, NDArray[np.float64]]] = {}
    signal = np.zeros(shape)
    if kind == 0:
        for side, x in (("R", 110.0), ("L", 310.0)):
            hips[side] = ("intact", draw(signal, side, np.array([x, 150.0]) + rng.normal(0, 8, 2), rng))
    elif kind == 1:
        hips["L"] = ("intact", draw(signal, "L", np.array([140.0, 130.0]) + rng.normal(0, 10, 2), rng))
        if index % 2:
            x, y = hips["L"][1][0].astype(int)
            signal[max(0, y - 15) : y + 15, max(0, x - 15) : x + 15] = 1.2
            hips["L"] = ("implant", hips["L"][1])
    else:
        signal[100:200, 30 : 30 + int(rng.integers(20, 150))] = 0.6
        hips["R"] = ("not_a_hip", np.full((6, 2), np.nan))
    write_png(folder / name, expose(signal, rng))
    return [film_row(name, index, side, *facts) for side, facts in hips.items()]


def draw(signal: NDArray[np.float64], side: str, center: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    width = signal.shape[1]
    at = np.array([width - center[0], center[1]]) if side == "L" else center
    hip, points = hip_signal((signal.shape[0], width), at, 0.9, float(rng.uniform(0.5, 1.0)), rng)
    if side == "L":
        hip, points = hip[:, ::-1], np.stack([width - points[:, 0], points[:, 1]], 1)
    np.maximum(signal, hip, out=signal)
    return points


def film_row(name: str, index: int, side: str, kind: str, points: NDArray[np.float64]) -> HipRow:
    extra = {"x_image": "film", "x_kind": kind, "x_spacing_mm": "0.9"}
    for landmark, (x, y) in zip(LANDMARKS, points, strict=True):
        if np.isfinite(x):
            extra |= {f"x_{landmark}_x": f"{x:.2f}", f"x_{landmark}_y": f"{y:.2f}"}
    return HipRow(film=name, subject=f"F{index}", side=side, split=split_of(index), extra=extra)


def make(folder: Path, n_rois: int, n_films: int) -> Path:
    """Write a cohort; returns its film table."""
    rows = [roi_row(folder, index) for index in range(n_rois)]
    for index in range(n_films):
        rows += film_rows(folder, index)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "films.csv", rows)
    return folder / "films.csv"


def films_of(cohort: Path) -> list[TrainingFilm]:
    return read_films(read_rows(cohort, "film", ["train", "val"]))


def phantom_answers(n: int, seed: int, worse: str | None = None) -> RoiAnswers:
    """Answers of a bundle for hips of n subjects, men and women by turns; those of sex `worse` err twice as much as
    their spread says.
    """
    rng = np.random.default_rng(seed)
    rows = tuple(
        HipRow(film=f"{k}.png", subject=f"s{k}", side="RL"[k // 2 % 2], split="calibrate", sex="FM"[k % 2],
               age_years=float(rng.uniform(50, 90)), bmi=float(rng.uniform(18, 38)))
        for k in range(n)
    )  # fmt: skip
    dexa = rng.normal(0.75, 0.13, (n, 2))
    spread = rng.uniform(0.02, 0.06, (n, 2))
    error = rng.normal(0, 1, (n, 2)) * spread
    error[[row.sex == worse for row in rows]] *= 2
    return RoiAnswers(rows, dexa, dexa + error, spread, np.zeros((n, 1)), np.zeros((n, 7)))
