"""The truth: areal BMD of a femur as a perfect DXA scanner would read it, and the label a real one would give.

A parallel AP beam crosses the femur alone, its neck parallel to the table. Femoral neck: a box 15 mm along the neck
axis centered at 0.60 of the neck length, full width. Total hip: from the proximal edge of that box to 12 mm below the
lesser trochanter. BMD = mineral mass over the mask of bone (path > 2.5 mm) / its area. The scale is declared `hologic`.
"""

from dataclasses import dataclass

import numpy as np

from trainer.phantom.body.anatomy import Femur, Subject
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.body.pose import about_y
from trainer.phantom.shapes.ray_march import Body, Geometry, project

NECK_BOX_MM = 15.0
MASK_PATH_MM = 2.5
BELOW_LESSER_MM = 12.0
PRECISION_SD = 0.020
PIXEL_MM = 1.0


def true_bmd(femur: Femur) -> dict[str, float]:
    """Exact areal BMD, g/cm2 HA: {"femoral_neck", "total_hip"}, of a femur in the DXA pose."""
    return {"femoral_neck": _neck_bmd(femur), "total_hip": _total_bmd(femur)}


def dxa_label(true_gcm2: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """The same values as a scanner reports them: a precision error of about 2 %, and three decimals."""
    return {site: round(value * (1.0 + rng.normal(0.0, PRECISION_SD)), 3) for site, value in true_gcm2.items()}


def _neck_bmd(femur: Femur) -> float:
    """The neck axis is laid along the columns; of every line across it the run of bone that holds the axis counts."""
    pixel = 0.5 * PIXEL_MM
    angle = femur.neck_shaft_deg - 90.0
    center = 0.60 * femur.neck_length_mm
    half = 2.2 * femur.neck_half_mm
    rows = 2 * int(half / pixel)
    cols = round(NECK_BOX_MM / pixel)
    geometry = Geometry(1, 1, pixel, (rows, cols), (center - NECK_BOX_MM / 2, rows * pixel / 2), parallel=True)
    body = Body("femur", "femur_L", femur_grid(femur), about_y(-angle), np.zeros(3))
    maps = project([body], geometry)
    bone = maps.bone_mm > MASK_PATH_MM
    middle = rows // 2
    above = np.logical_and.accumulate(bone[:middle][::-1], 0)[::-1]
    below = np.logical_and.accumulate(bone[middle:], 0)
    mask = np.concatenate([above, below])
    return float((maps.cortical_gcm2 + maps.trabecular_gcm2)[mask].mean(dtype=np.float64))


def _total_bmd(femur: Femur) -> float:
    bottom = -femur.lesser_drop_mm - BELOW_LESSER_MM
    top = 1.1 * femur.head_radius_mm
    left, right = -femur.head_radius_mm, femur.shaft_offset_mm + 1.6 * femur.head_radius_mm
    rows, cols = int((top - bottom) / PIXEL_MM), int((right - left) / PIXEL_MM)
    geometry = Geometry(1, 1, PIXEL_MM, (rows, cols), (left, bottom + rows * PIXEL_MM), parallel=True)
    maps = project([Body("femur", "femur_L", femur_grid(femur), np.eye(3), np.zeros(3))], geometry)
    x = left + (np.arange(cols) + 0.5) * PIXEL_MM
    z = bottom + (rows - np.arange(rows) - 0.5) * PIXEL_MM
    axis = femur.neck_axis
    along = x[None, :] * axis[0] + z[:, None] * axis[2]
    mask = (maps.bone_mm > MASK_PATH_MM) & (along > 0.60 * femur.neck_length_mm - NECK_BOX_MM / 2)
    return float((maps.cortical_gcm2 + maps.trabecular_gcm2)[mask].mean(dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Population:
    """A screening population as DXA would see it; every array float64 (n,), sex "F" or "M".

    neck_other_gcm2: the neck of the other hip, for the first subjects only (as many as it has entries).
    """

    age_years: np.ndarray
    sex: np.ndarray
    bmi: np.ndarray
    neck_gcm2: np.ndarray
    total_gcm2: np.ndarray
    neck_other_gcm2: np.ndarray


def population(n: int, seed: int, pairs: int = 0) -> Population:
    """True BMD of the right hip of n subjects, and of the left one of the first `pairs`; about 0.1 CPU-s a hip."""
    subjects = [Subject.draw(int(s)) for s in np.random.SeedSequence(seed).generate_state(n)]
    values = np.array([[t["femoral_neck"], t["total_hip"]] for t in (true_bmd(s.femora["R"]) for s in subjects)])
    other = np.array([_neck_bmd(s.femora["L"]) for s in subjects[:pairs]])
    facts = np.array([(s.age_years, s.bmi) for s in subjects])
    return Population(facts[:, 0], np.array([s.sex for s in subjects]), facts[:, 1], values[:, 0], values[:, 1], other)
