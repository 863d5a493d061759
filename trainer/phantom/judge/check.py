"""Measures the phantom against what it has to show: each row a target, the value found, pass or fail."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bmd_edge.errors import TableError
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, bmd_at
from bmd_edge.table.film_table import HipRow, read_table
from trainer.phantom.beam.texture import TextureLook, textured
from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.bodies import bodies_of, landmarks
from trainer.phantom.body.pose import HipPose, Pose
from trainer.phantom.cohort.make import make_cohort
from trainer.phantom.cohort.plan import CohortConfig, cohort_path
from trainer.phantom.film.dxa_label import population
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.judge.features import hand_features, naive_gray, ridge_r
from trainer.phantom.shapes.ray_march import Body, Geometry, Projection, project
from trainer.phantom.shapes.sdf import CORTICAL_GCM3, Grid

Array = NDArray[np.float64]

LOW_NECK_GCM2 = round(bmd_at("femoral_neck", OSTEOPOROSIS_T), 6)


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the table: what is checked, the target in words, the value, and whether it is met (None: for
    information).
    """

    name: str
    target: str
    value: str
    ok: bool | None


def check(
    hips: int = 300,
    people: int = 400,
    workers: int = 2,
    table: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Target]:
    """All findings, one after the other.

    `people`: subjects of the population rows; `hips`: regions of the film rows, made in the cache folder, or read from
    the film table of a cohort (its labelled regions).

    Raises:
        TableError: the table is broken, or holds none.
    """
    rows = _labelled(table, hips) if table else []
    yield from population_rows(people)
    yield mass_row()
    yield texture_row()
    yield from landmark_rows()
    if table is None:
        config = CohortConfig(labelled=hips, calibrate=0, unlabelled=0, style="named", seed=97)
        rows = _labelled(make_cohort(config, cohort_path(config), workers, progress), hips)
    yield from information_rows(rows)
    yield from independence_rows(rows)
    yield from speed_rows()


def _labelled(table: Path, hips: int) -> list[HipRow]:
    rows = [row for row in read_table(table) if row.extra.get("x_image") == "roi" and row.scale is not None]
    if not rows:
        raise TableError(f"{table.name}: no labelled regions; give the film table of a cohort of `bmd-edge phantom`")
    return rows[:hips]


def population_rows(people: int) -> Iterator[Target]:
    """Femoral neck BMD of a screening population: mean, spread, share at T <= -2.5, ties to total hip, age and the
    other side.
    """
    p = population(people, 11, pairs=min(people, 150))
    neck, total = p.neck_gcm2, p.total_gcm2
    low = float(np.mean(neck <= LOW_NECK_GCM2))
    yield _between("neck BMD, mean g/cm2", float(neck.mean()), 0.68, 0.72)
    yield _between("neck BMD, SD g/cm2", float(neck.std(ddof=1)), 0.12, 0.16)
    yield _between("share with T <= -2.5", low, 0.10, 0.20)
    yield Target("total hip above neck, g/cm2", "> 0", f"{(total - neck).mean():.3f}", bool((total - neck).mean() > 0))
    yield _between("r(neck, total hip)", _r(neck, total), 0.80, 0.92)
    yield _between("r(neck, age)", _r(neck, p.age_years), -0.50, -0.30)
    if p.neck_other_gcm2.size:
        yield _between("r(right, left neck)", _r(neck[: p.neck_other_gcm2.size], p.neck_other_gcm2), 0.82, 0.96)
    facts = np.stack([p.age_years, p.sex == "F", p.bmi], axis=1).astype(float)
    yield _between("r of age + sex + BMI", ridge_r(facts, neck), 0.35, 0.55)


def shell_error(
    radius_mm: float = 21.9, cortex_mm: float = 0.7, trabecular_gcm3: float = 0.2, pixel_mm: float = 0.3
) -> float:
    """Relative error of the imaged mass of a spherical shell with a trabecular core, against the exact mass."""
    step = 1.5
    line = np.arange(-radius_mm - 6.0, radius_mm + 6.0 + step, step)
    x, y, z = np.meshgrid(line, line, line, indexing="ij")
    distance = (np.sqrt(x * x + y * y + z * z) - radius_mm).astype(np.float32)
    inner = np.empty((*distance.shape, 2), np.float32)
    inner[..., 0], inner[..., 1] = cortex_mm, trabecular_gcm3
    grid = Grid(distance, inner, (float(line[0]),) * 3, step)
    n = int(2 * (radius_mm + 4) / pixel_mm)
    geometry = Geometry(1, 1, pixel_mm, (n, n), (-n * pixel_mm / 2, n * pixel_mm / 2), parallel=True)
    maps = project([Body("shell", "pelvis", grid, np.eye(3), np.zeros(3))], geometry)
    grams = float((maps.cortical_gcm2 + maps.trabecular_gcm2).sum(dtype=np.float64)) * (pixel_mm / 10) ** 2
    core = _ball_cm3(radius_mm - cortex_mm)
    return grams / (CORTICAL_GCM3 * (_ball_cm3(radius_mm) - core) + trabecular_gcm3 * core) - 1.0


def _ball_cm3(radius_mm: float) -> float:
    return 4.0 / 3.0 * np.pi * (radius_mm / 10.0) ** 3


def mass_row() -> Target:
    """Mass of known shells: thin and thick, all pixel sizes in use."""
    errors = [shell_error(cortex_mm=c, pixel_mm=p) for c in (0.7, 1.95, 5.4) for p in (0.2, 0.35)]
    worst = max(errors, key=abs)
    return Target("mass error of a known shell", "< 0.5 %", f"{100 * worst:+.2f} %", bool(abs(worst) < 0.005))


def texture_error(seed: int = 3) -> float:
    """Relative change of trabecular mass by the texture, on a femur."""
    maps, lines, spacing = _femur_maps(seed, 0.36)
    plain = maps.femur_trabecular_gcm2["R"]
    rng = np.random.default_rng(seed)
    out = textured(plain, TextureLook.draw(rng, 0.0), lines, spacing, rng)
    return float(out.sum(dtype=np.float64) / plain.sum(dtype=np.float64) - 1.0)


def texture_row() -> Target:
    """Imaged mass = labeled mass after the texture."""
    worst = max((texture_error(seed) for seed in (1, 2, 3)), key=abs)
    return Target("mass change by the texture", "< 0.05 %", f"{100 * worst:+.4f} %", bool(abs(worst) < 5e-4))


def _femur_maps(seed: int, pixel_mm: float) -> tuple[Projection, dict[str, tuple[float, float]], float]:
    subject = Subject.draw(seed)
    pose = Pose(right=HipPose(rotation_deg=12.0, adduction_deg=4.0))
    body = bodies_of(subject, pose, ("R",), with_pelvis=False)
    center = (-subject.pelvis.half_hip_distance_mm - 25.0, -35.0)
    geometry = Geometry.centered(center, (230.0, 190.0), pixel_mm)
    return project(body, geometry), landmarks(subject, "R", pose, geometry).texture_px, geometry.spacing_mm


def landmark_errors_px(seed: int, pixel_mm: float = 0.3) -> dict[str, float]:
    """How far (px) the shadow goes on beyond the two silhouette landmarks, up for the greater and medially for the
    lesser.
    """
    maps, lines, _ = _femur_maps(seed, pixel_mm)
    reach = round(2.0 / pixel_mm)
    gx, gy = lines["greater_trochanter"]
    lx, ly = lines["lesser_trochanter"]
    bone = np.asarray(maps.bone_mm > 0.0)
    upward = np.any(bone[:, int(gx) - reach : int(gx) + reach], axis=1)[::-1]
    medially = np.any(bone[int(ly) - reach : int(ly) + reach], axis=0)
    above = _run(upward, bone.shape[0] - int(gy) - 3)
    beyond = _run(medially, int(lx) - 3)
    return {"greater_trochanter": gy - (bone.shape[0] - above), "lesser_trochanter": beyond - lx}


def _run(line: NDArray[np.bool_], start: int) -> int:
    """Index after the run of bone that holds `start`."""
    free = np.flatnonzero(~line[start:])
    return start + int(free[0]) if free.size else line.size


def landmark_rows() -> Iterator[Target]:
    """Silhouette landmarks against the projected shadow."""
    found = [landmark_errors_px(seed) for seed in range(20, 32)]
    for name in ("greater_trochanter", "lesser_trochanter"):
        median = float(np.median([abs(f[name]) for f in found]))
        yield Target(f"{name} re-projection, median px", "< 0.5 (+ 0.5 of the raster)", f"{median:.2f}", median < 1.0)


def load_roi(row: HipRow) -> tuple[Array, dict[str, tuple[float, float]]]:
    """A region of a cohort (256, 256) float64 0..1, and its landmarks (x, y) in its pixels."""
    with Image.open(row.film_path) as image:
        roi = np.asarray(image, np.float64) / 65535.0
    names = [n[2:-2] for n in row.extra if n.endswith("_x")]
    return roi, {n: (float(row.extra[f"x_{n}_x"]), float(row.extra[f"x_{n}_y"])) for n in names}


def information_rows(rows: Sequence[HipRow]) -> Iterator[Target]:
    """How much of BMD naive gray, and hand-made features, give away."""
    loaded = [load_roi(row) for row in rows]
    neck = _neck(rows)
    gray = _r(np.array([naive_gray(*item) for item in loaded]), neck)
    yield Target("r of naive gray level", "|r| < .35", f"{gray:.2f}", abs(gray) < 0.35)
    features = np.stack([hand_features(*item) for item in loaded])
    r = ridge_r(features, neck)
    yield Target("r of hand-made features, ridge", "about .70 (.60-.80)", f"{r:.2f}", 0.60 <= r <= 0.80)


def independence_rows(rows: Sequence[HipRow]) -> Iterator[Target]:
    """Nothing but the bone may depend on BMD: maker, side, file order and film seed are within noise of r = 0."""
    neck = _neck(rows)
    limit = 3.3 / np.sqrt(len(rows))
    makers = sorted({row.extra["x_maker_style"] for row in rows})
    columns = {
        "side": np.array([row.side == "R" for row in rows], float),
        "file order": np.arange(len(rows), dtype=float),
        "film seed": np.array([int(row.extra["x_seed"]) % 100_003 for row in rows], float),
        **{m: np.array([row.extra["x_maker_style"] == m for row in rows], float) for m in makers},
    }
    worst = max(columns, key=lambda name: abs(_r(columns[name], neck)))
    r = _r(columns[worst], neck)
    yield Target(
        f"r of BMD with maker, side, order (worst: {worst})", f"|r| < {limit:.2f}", f"{r:+.3f}", bool(abs(r) < limit)
    )


def speed_rows() -> Iterator[Target]:
    """CPU seconds a film, new subjects, after a warm-up."""
    for name, spec, limit in (
        ("region of a hip", FilmSpec(0, region="roi", pixel_mm=0.42), 0.6),
        ("single hip film", FilmSpec(0), 0.8),
        ("pelvis film", FilmSpec(0, kind="pelvis"), 1.5),
    ):
        film(replace(spec, seed=990))
        spent = []
        for k in range(4):
            start = time.process_time()
            film(replace(spec, seed=1000 + k))
            spent.append(time.process_time() - start)
        seconds = float(np.median(spent))
        yield Target(f"CPU-s, {name}", f"<= {limit}", f"{seconds:.2f}", seconds <= limit)


def _neck(rows: Sequence[HipRow]) -> Array:
    return np.array([row.bmd_gcm2["femoral_neck"] for row in rows], float)


def _r(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if np.std(a) > 0 else 0.0


def _between(name: str, value: float, low: float, high: float) -> Target:
    return Target(name, f"{low:g} to {high:g}", f"{value:.3f}", low <= value <= high)
