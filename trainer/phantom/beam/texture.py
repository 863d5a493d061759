"""Trabecular texture: oriented noise steered along the compressive, tensile and shaft lines, and the lines of the
groups themselves, multiplied onto trabecular mass.

A bank of band-limited noise tiles (eight orientations and one isotropic, at two scales) is made once per process and
pixel size; a film takes shifted windows of it. The texture has no part wider than about 9 mm and is centered by
mass, so imaged mass = labeled mass.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trainer.phantom.beam.trabecular_lines import GROUPS, lines, visibility
from trainer.phantom.shapes.coarse_grid import upsample

Array = NDArray[np.float32]

ORIENTATIONS = 8
TILE_PX = 512
RELATIVE_SD = 0.115
PEAKS_PER_MM = (0.60, 0.31, 0.17)
LONGEST_MM = 9.0
WIDE_STRENGTH = (0.05, 0.35)
WEIGHT_STEP_PX = 12
BANK_SEED = 20260101
LOWEST_FACTOR = 0.15


@dataclass(frozen=True, slots=True)
class TextureLook:
    """Texture of one subject: overall strength, share of oriented noise, coarseness 0..1, weights of the three systems
    of oriented noise, contrast of the groups' lines against the noise, and how much of each group is left.
    """

    strength: float
    oriented: float
    coarseness: float
    compressive: float
    tensile: float
    shaft: float
    lines: float
    groups: tuple[float, ...]

    @staticmethod
    def draw(rng: np.random.Generator, latent_b: float | None) -> "TextureLook":
        """Random look, tied to the latent bone state statistically (r about 0.35, as Singh grade is), never a
        function of it. latent_b None (the wide population): a strength of its own, log-uniform .05 to .35.
        """
        if latent_b is None:
            low, high = np.log(WIDE_STRENGTH)
            strength, latent_b = float(np.exp(rng.uniform(low, high))), float(rng.normal(0.0, 2.0))
        else:
            strength = float(np.clip(RELATIVE_SD * np.exp(rng.normal(0.0, 0.22)), 0.05, 0.22))
        state = 0.35 * latent_b + np.sqrt(1 - 0.35**2) * rng.standard_normal()
        tensile = float(np.clip(0.8 + 0.2 * state + rng.normal(0, 0.25), 0.0, 1.4))
        grade = float(np.clip(4.3 + 1.1 * state, 0.5, 6.5))
        return TextureLook(
            strength=strength,
            oriented=float(np.clip(0.62 - 0.05 * state + rng.normal(0, 0.10), 0.2, 0.9)),
            coarseness=float(np.clip(0.55 - 0.10 * state + rng.normal(0, 0.2), 0.0, 1.0)),
            compressive=float(np.clip(1.0 + rng.normal(0, 0.2), 0.4, 1.5)),
            tensile=0.0 if rng.random() < 0.06 else tensile,
            shaft=float(np.clip(0.7 + rng.normal(0, 0.25), 0.1, 1.3)),
            lines=float(np.clip(rng.normal(1.3, 0.4), 0.2, 2.4)),
            groups=visibility(grade, rng.normal(0.0, 0.6, len(GROUPS))),
        )


@lru_cache(maxsize=4)
def _bank(pixel_um: int) -> Array:
    """Tiles (3 scales, 9, TILE, TILE) float32, zero mean, unit SD before the pixel's blur; index 8 is isotropic.
    Orientation k runs along k * 22.5 degrees.
    """
    rng = np.random.default_rng(BANK_SEED)
    mm = pixel_um / 1000.0
    fy = np.fft.fftfreq(TILE_PX, mm)[:, None]
    fx = np.fft.rfftfreq(TILE_PX, mm)[None, :]
    radius, angle = np.hypot(fx, fy), np.arctan2(fy, fx)
    blur = np.sinc(fx * mm) * np.sinc(fy * mm)
    bank = np.empty((len(PEAKS_PER_MM), ORIENTATIONS + 1, TILE_PX, TILE_PX), np.float32)
    for scale, peak in enumerate(PEAKS_PER_MM):
        band = _band(radius, peak)
        # what finer pixels would hold: the band's energy in the plane, against that below this pixel's limit
        fine = np.linspace(0.0, 4.0, 800)[1:]
        energy = _band(fine, peak) ** 2 * fine
        kept = np.sqrt(energy[fine < 0.5 / mm].sum() / energy.sum())
        for k in range(ORIENTATIONS + 1):
            across = angle - (np.pi * k / ORIENTATIONS + np.pi / 2)
            steer = np.exp((np.cos(2.0 * across) - 1.0) * 3.5) if k < ORIENTATIONS else 1.0
            noise = np.fft.rfft2(rng.standard_normal((TILE_PX, TILE_PX))) * band * steer
            sharp = np.fft.irfft2(noise, s=(TILE_PX, TILE_PX)).std()
            bank[scale, k] = np.fft.irfft2(noise * blur, s=(TILE_PX, TILE_PX)) * (kept / sharp)
    return bank


def _band(per_mm: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    seen: NDArray[np.float64] = np.exp(-0.5 * (np.log(np.maximum(per_mm, 1e-6) / peak) / 0.45) ** 2)
    return seen * (per_mm > 1.0 / LONGEST_MM)


def bank_key(pixel_mm: float) -> int:
    """Pixel size rounded to 0.05 mm, in micrometers: films of nearly the same pitch share one bank."""
    return max(round(pixel_mm / 0.05), 1) * 50


def _window(tile: Array, shape: tuple[int, int], shift: NDArray[np.int64]) -> Array:
    rows = (np.arange(shape[0]) + shift[0]) % TILE_PX
    cols = (np.arange(shape[1]) + shift[1]) % TILE_PX
    seen: Array = tile[rows[:, None], cols[None, :]]
    return seen


def orientation_weights(
    look: TextureLook, points_px: dict[str, tuple[float, float]], shape: tuple[int, int], step: int
) -> Array:
    """Weights (9, h, w) on a coarse grid (`step` px): share of each orientation, and of the isotropic part, at each
    place.

    `points_px`: head_center, neck_base, lesser_trochanter, greater_trochanter, shaft_top, shaft_end on the film.
    """
    p = {name: np.asarray(xy, float) for name, xy in points_px.items()}
    unit = max(float(np.linalg.norm(p["head_center"] - p["lesser_trochanter"])), 1e-3)
    y, x = np.meshgrid((np.arange(shape[0]) + 0.5) * step, (np.arange(shape[1]) + 0.5) * step, indexing="ij")
    head, base = p["head_center"], p["neck_base"]
    shaft = p["shaft_end"] - p["shaft_top"]
    medial = 0.5 * (p["shaft_top"] + p["lesser_trochanter"])
    systems = (
        (look.compressive, _direction(medial - head), _near(x, y, head, medial, 0.28 * unit)),
        (
            look.tensile,
            _tensile_angle(x, y, head, p["greater_trochanter"]),
            _near(x, y, head, p["greater_trochanter"], 0.30 * unit),
        ),
        (look.shaft, _direction(shaft), _near(x, y, base, p["shaft_end"], 0.35 * unit)),
    )
    weights = np.zeros((ORIENTATIONS + 1, *x.shape), np.float32)
    for strength, angle, place in systems:
        weights[:ORIENTATIONS] += strength * place * _steer(angle)
    total = np.sqrt((weights**2).sum(axis=0))
    weights *= look.oriented / np.maximum(total, 0.25)
    weights[ORIENTATIONS] = np.sqrt(np.maximum(1.0 - (weights[:ORIENTATIONS] ** 2).sum(axis=0), 0.05))
    return weights


def _direction(vector: NDArray[np.float64]) -> float:
    return float(np.arctan2(vector[1], vector[0]))


def _tensile_angle(
    x: NDArray[np.float64], y: NDArray[np.float64], head: NDArray[np.float64], tip: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The tensile arch: circles about a point below the line from the trochanter to the head."""
    mid = 0.5 * (head + tip)
    center = mid + np.array([0.0, 0.9 * np.linalg.norm(head - tip)])
    angle: NDArray[np.float64] = np.arctan2(y - center[1], x - center[0]) + np.pi / 2
    return angle


def _near(
    x: NDArray[np.float64], y: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    edge = b - a
    t = np.clip(((x - a[0]) * edge[0] + (y - a[1]) * edge[1]) / max(float(edge @ edge), 1e-6), 0.0, 1.0)
    distance = np.hypot(x - a[0] - t * edge[0], y - a[1] - t * edge[1])
    nearness: NDArray[np.float64] = np.exp(-0.5 * (distance / reach) ** 2)
    return nearness


def _steer(angle: NDArray[np.float64] | float) -> Array:
    own = np.pi * np.arange(ORIENTATIONS)[:, None, None] / ORIENTATIONS
    return np.exp((np.cos(2.0 * (np.asarray(angle)[None] - own)) - 1.0) * 4.0).astype(np.float32)


def textured(
    trabecular: Array,
    look: TextureLook,
    points_px: dict[str, tuple[float, float]] | None,
    pixel_mm: float,
    rng: np.random.Generator,
) -> Array:
    """Trabecular mass (g/cm2) with its texture, same total mass: float32 of the input's shape; `pixel_mm` at the hip.

    `points_px` None gives the isotropic texture of pelvis and spine.
    """
    shifts = rng.integers(0, TILE_PX, (len(PEAKS_PER_MM), ORIENTATIONS + 1, 2))
    inside = np.nonzero(trabecular > 0)
    if inside[0].size == 0:
        return trabecular
    area = tuple(slice(int(i.min()), int(i.max()) + 1) for i in inside)
    mass = trabecular[area]
    bank = _bank(bank_key(pixel_mm))
    corner = (area[0].start, area[1].start)
    step, shape = WEIGHT_STEP_PX, (-(-mass.shape[0] // WEIGHT_STEP_PX), -(-mass.shape[1] // WEIGHT_STEP_PX))
    if points_px is None:
        weights = np.zeros((ORIENTATIONS + 1, *shape), np.float32)
        weights[ORIENTATIONS] = 1.0
    else:
        moved = {k: (x - corner[1], y - corner[0]) for k, (x, y) in points_px.items()}
        weights = orientation_weights(look, moved, shape, step)
    factor = _mix(bank, weights, look.coarseness, shifts, mass.shape, step)
    if points_px is not None:
        factor += np.float32(look.lines) * lines(
            mass, moved, pixel_mm, look.groups, look.coarseness, rng, bank_key(pixel_mm)
        )
    out = trabecular.copy()
    out[area] = _apply(mass, factor * np.float32(look.strength))
    return out


def _mix(
    bank: Array, weights: Array, coarse: float, shifts: NDArray[np.int64], shape: tuple[int, int], step: int
) -> Array:
    total = np.zeros(shape, np.float32)
    gains = np.sqrt(np.maximum(1.0 - np.abs(2.0 * coarse - np.arange(3.0)), 0.0)).astype(np.float32)
    for k in range(weights.shape[0]):
        if not weights[k].any():
            continue
        place = upsample(weights[k], shape, step)
        for scale in np.flatnonzero(gains):
            total += place * (gains[scale] * _window(bank[scale, k], shape, shifts[scale, k]))
    return total


def _apply(mass: Array, texture: Array) -> Array:
    """mass * (1 + texture), floored and rescaled so that the total is exact to float precision."""
    textured_mass = mass * np.maximum(1.0 + texture, np.float32(LOWEST_FACTOR))
    before, after = float(mass.sum(dtype=np.float64)), float(textured_mass.sum(dtype=np.float64))
    exact: Array = textured_mass * np.float32(before / after)
    return exact
