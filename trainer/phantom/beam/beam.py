"""From mass maps to the detector signal: polyenergetic Beer-Lambert, scatter, heel effect, blur and noise.

Twenty bins of 5 keV x five materials (table made by ``make_beam_table.py``: spekpy spectra, xraydb attenuation), an
energy-integrating CsI detector. Mineral displaces soft tissue: a pixel's tissue thickness is reduced by mineral mass
/ 3.16 g/cm3 and, inside trabecular bone, replaced by marrow whose fat share rises with age.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from trainer.phantom.shapes.coarse_grid import block_mean, upsample

Array = NDArray[np.float32]

MINERAL_GCM3 = 3.16
CORTEX_GCM3 = 1.07
MUSCLE_GCM3, FAT_GCM3, MARROW_GCM3 = 1.05, 0.95, 1.03
METAL_GCM3 = 4.43
QUANTUM_EFFICIENCY = 0.55


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure: tube voltage (kV), added copper (mm), detector air kerma (uGy), scatter, heel and blur, drawn
    independently of the bone. `heel` and `cutoff`: how far the signal rises from the middle of the film to its lower
    and right edge.
    """

    kvp: float
    kerma_ugy: float
    scatter_at_20cm: float
    wide_scatter_share: float
    heel: float
    electronic_noise: float
    marrow_fat: float
    mtf_sigma_mm: float = 0.145
    glare_share: float = 0.07
    glare_sigma_mm: float = 6.0
    cutoff: float = 0.0
    copper_mm: float = 0.0

    @staticmethod
    def draw(rng: np.random.Generator, bmi: float, age_years: float, wide: bool = False) -> "Exposure":
        """Random exposure; kVp about 70 + 0.8 (BMI - 25), kerma log-normal around 2.2 uGy, grid scatter about 0.35 at
        20 cm. `wide`: far beyond any clinic, and independent of BMI and age.
        """
        if wide:
            return _wide(rng)
        return Exposure(
            kvp=float(np.clip(70.0 + 0.8 * (bmi - 25.0) + rng.normal(0.0, 4.0), 60.0, 90.0)),
            kerma_ugy=float(2.2 * np.exp(rng.normal(0.0, 0.35))),
            scatter_at_20cm=float(0.35 * np.exp(rng.normal(0.0, 0.35))),
            wide_scatter_share=float(rng.uniform(0.55, 0.85)),
            heel=float(rng.uniform(-0.12, 0.12)),
            electronic_noise=float(rng.uniform(0.001, 0.004)),
            marrow_fat=float(np.clip(0.30 + 0.60 * (age_years - 20.0) / 70.0 + rng.normal(0.0, 0.08), 0.25, 0.95)),
        )


def _wide(rng: np.random.Generator) -> Exposure:
    """Voltage and copper over the beam table, kerma log-uniform over a decade, scatter from a fine grid to none."""
    return Exposure(
        kvp=float(rng.uniform(56.0, 110.0)),
        kerma_ugy=float(0.7 * 10.0 ** rng.uniform(0.0, 1.0)),
        scatter_at_20cm=float(np.exp(rng.uniform(np.log(0.06), np.log(0.9)))),
        wide_scatter_share=float(rng.uniform(0.1, 1.0)),
        heel=float(rng.uniform(-0.3, 0.3)),
        electronic_noise=float(np.exp(rng.uniform(np.log(0.0005), np.log(0.006)))),
        marrow_fat=float(rng.uniform(0.2, 0.98)),
        mtf_sigma_mm=float(rng.uniform(0.05, 0.5)),
        glare_share=float(rng.uniform(0.0, 0.2)),
        glare_sigma_mm=float(rng.uniform(2.0, 15.0)),
        cutoff=float(rng.choice([0.0, rng.uniform(-0.25, 0.25)])),
        copper_mm=float(rng.choice([0.0, rng.uniform(0.0, 0.3)])),
    )


@dataclass(frozen=True, slots=True)
class Masses:
    """What the beam meets, per pixel: mineral and metal in g/cm2, tissue and marrow in cm, fat share 0..1; float32,
    one shape.
    """

    mineral_gcm2: Array
    metal_gcm2: Array
    tissue_cm: Array
    fat_share: Array
    marrow_cm: Array


@cache
def _table() -> dict[str, Array]:
    with np.load(Path(__file__).with_name("beam_table.npz")) as data:
        return {name: np.asarray(data[name], np.float32) for name in data.files if name != "materials"}


def spectrum(kvp: float, copper_mm: float = 0.0) -> tuple[Array, float]:
    """Absorbed-energy spectrum (20,), sum 1, and photons per mm2 and uGy, linear between the table's voltages (56-112
    kV) and copper filters (0-0.3 mm).
    """
    table = _table()
    volts, copper = (
        np.interp(value, table[name], np.arange(len(table[name])))
        for value, name in ((kvp, "kvp"), (copper_mm, "copper_mm"))
    )
    weights: Array = sum(share * table["spectrum"][i, j] for i, j, share in _corners(volts, copper))
    photons: float = sum(share * table["photons_per_mm2_per_ugy"][i, j] for i, j, share in _corners(volts, copper))
    return (weights / weights.sum()).astype(np.float32), float(photons)


def _corners(row: float, column: float) -> list[tuple[int, int, float]]:
    """The four cells around a place between rows and columns, and their shares in it."""
    i, j = int(row), int(column)
    low, left = 1.0 - (row - i), 1.0 - (column - j)
    cells = [(i, j, low * left), (i + 1, j, (1 - low) * left), (i, j + 1, low * (1 - left))]
    return [cell for cell in [*cells, (i + 1, j + 1, (1 - low) * (1 - left))] if cell[2] > 0.0]


@numba.njit(cache=True, fastmath=True)
def _transmit(mineral: Array, metal: Array, tissue: Array, fat: Array, marrow: Array, mu: Array, w: Array) -> Array:
    """Sum of w exp(-line) over the bins. The exponential is 2 ** -t = 2 ** share * 2 ** -whole with a polynomial for
    the share (relative error 2e-7) and an exponent set by its bits: the compiler makes eight of them at a time.
    """
    out = np.zeros(mineral.size, np.float32)
    for k in range(w.size):
        bone, muscle, fatter, marrowy, metallic = mu[0, k], mu[1, k], mu[2, k] - mu[1, k], mu[3, k], mu[4, k]
        for i in range(mineral.size):
            line = (
                bone * mineral[i] + tissue[i] * (muscle + fat[i] * fatter) + marrowy * marrow[i] + metallic * metal[i]
            )
            t = min(max(line, np.float32(0.0)) * np.float32(1.442695040888963), np.float32(120.0))
            whole = np.int32(t) + np.int32(1)
            share = np.float32(whole) - t
            power = np.float32(1.8775767e-3) * share + np.float32(8.9893397e-3)
            power = power * share + np.float32(5.5826318e-2)
            power = power * share + np.float32(2.4015361e-1)
            power = power * share + np.float32(6.9315308e-1)
            power = power * share + np.float32(9.9999994e-1)
            out[i] += w[k] * power * np.int32((np.int32(127) - whole) << np.int32(23)).view(np.float32)
    return out


def transmission(masses: Masses, exposure: Exposure) -> Array:
    """Share of the unattenuated detector signal that reaches each pixel without scatter; float32, shape of the maps,
    0..1.
    """
    weights, _ = spectrum(exposure.kvp, exposure.copper_mm)
    marrow_fat = exposure.marrow_fat
    per_gram = _table()["attenuation_cm2_per_g"]
    marrow = (1.0 - marrow_fat) * MARROW_GCM3 * per_gram[3] + marrow_fat * FAT_GCM3 * per_gram[2]
    mu = np.stack([per_gram[0], MUSCLE_GCM3 * per_gram[1], FAT_GCM3 * per_gram[2], marrow, per_gram[4]])
    keep = weights > 1e-5
    maps = (masses.mineral_gcm2, masses.metal_gcm2, masses.tissue_cm, masses.fat_share, masses.marrow_cm)
    mineral, metal, tissue, fat, marrow = (np.ascontiguousarray(m, np.float32).ravel() for m in maps)
    shares = np.ascontiguousarray(mu[:, keep], np.float32)
    return _transmit(mineral, metal, tissue, fat, marrow, shares, weights[keep]).reshape(masses.tissue_cm.shape)


def displaced(cortical: Array, trabecular: Array, bone_mm: Array, tissue_cm: Array) -> tuple[Array, Array]:
    """Tissue (cm) left after bone takes its room, and the marrow (cm) inside trabecular bone; both >= 0, shape of the
    inputs.

    Cortex of 1.07 g/cm3 is mineral plus soft tissue; trabecular room is bone length less cortex length less its
    mineral.
    """
    marrow = np.maximum(bone_mm / 10.0 - cortical / CORTEX_GCM3 - trabecular / MINERAL_GCM3, 0.0)
    left = np.maximum(tissue_cm - (cortical + trabecular) / MINERAL_GCM3 - marrow, 0.0)
    return left.astype(np.float32), marrow.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Coarse:
    """The whole film on a coarse grid: scatter and whole signal (unit: mean signal under the body = 1), and where the
    body is.
    """

    scatter: Array
    signal: Array
    body: NDArray[np.bool_]
    mean: float
    pixel_mm: float


def coarse_exposure(primary: Array, tissue_cm: Array, pixel_mm: float, exposure: Exposure) -> Coarse:
    """Scatter by two Gaussians, 28 and 9 mm, on the clipped primary; its share grows as thickness ** 1.3. Maps are
    coarse.
    """
    clipped = np.minimum(primary, 3.0 * np.median(primary))
    ratio = np.clip(exposure.scatter_at_20cm * (np.maximum(tissue_cm, 0.1) / 20.0) ** 1.3, 0.0, 1.3)
    source = ratio * clipped
    wide = gaussian_filter(source, 28.0 / pixel_mm, mode="nearest", truncate=2.5)
    near = gaussian_filter(source, 9.0 / pixel_mm, mode="nearest")
    share = exposure.wide_scatter_share
    scattered = (share * wide + (1.0 - share) * near).astype(np.float32)
    body = tissue_cm > 3.0
    signal = primary + scattered
    mean = float(signal[body].mean() if body.sum() > 20 else signal.mean())
    return Coarse(scattered, np.maximum(signal / np.float32(mean), np.float32(1e-4)), body, mean, pixel_mm)


def blur(signal: Array, exposure: Exposure, pixel_mm: float) -> Array:
    """Detector blur: a narrow Gaussian on most of the signal, wide glare on the rest (commonly 0.145 mm and 7 %)."""
    sharp = gaussian_filter(signal, exposure.mtf_sigma_mm / pixel_mm, mode="nearest", truncate=3.0)
    step = max(round(2.0 / pixel_mm), 1)
    glare = gaussian_filter(block_mean(signal, step), exposure.glare_sigma_mm / (pixel_mm * step), mode="nearest")
    share = exposure.glare_share
    blurred: Array = (1.0 - share) * sharp + share * upsample(glare, signal.shape, step)
    return blurred


def expose(
    primary: Array,
    coarse: Coarse,
    exposure: Exposure,
    pixel_mm: float,
    offset_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Array:
    """Linear detector signal, float32 > 0, 1.0 = the mean under the body: primary + scatter, heel, quantum noise,
    blur, electronics.

    `offset_mm` (x, y): where the window `primary` starts on the whole film of `coarse`.
    """
    offset = (offset_mm[1] / pixel_mm, offset_mm[0] / pixel_mm)
    signal = primary + upsample(coarse.scatter, primary.shape, coarse.pixel_mm / pixel_mm, offset)
    across = (np.arange(signal.shape[0], dtype=np.float32) + np.float32(offset[0])) * np.float32(pixel_mm)
    full = coarse.signal.shape[0] * coarse.pixel_mm
    signal *= (1.0 + exposure.heel * (2.0 * across / full - 1.0))[:, None] / np.float32(coarse.mean)
    if exposure.cutoff:
        sideways = (np.arange(signal.shape[1], dtype=np.float32) + np.float32(offset[1])) * np.float32(pixel_mm)
        signal *= 1.0 + exposure.cutoff * (2.0 * sideways / (coarse.signal.shape[1] * coarse.pixel_mm) - 1.0)
    photons = spectrum(exposure.kvp, exposure.copper_mm)[1] * exposure.kerma_ugy * pixel_mm**2 * QUANTUM_EFFICIENCY
    signal += np.sqrt(signal / np.float32(photons)) * rng.standard_normal(signal.shape, np.float32)
    signal = blur(signal, exposure, pixel_mm)
    signal += np.float32(exposure.electronic_noise) * rng.standard_normal(signal.shape, np.float32)
    return np.maximum(signal, np.float32(1e-4))
