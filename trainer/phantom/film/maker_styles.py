"""The maker's "for presentation" processing: log, exposure recognition on the body, multi-scale contrast, S-curve.

Eight named styles, Synthetic-A to -H, from flat latitude compression to the strong multi-scale local contrast of
modern DR: A-E train, F serves validation and drift, G and H are held out. ``random_style`` draws from a continuous
space around and beyond all of them.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from trainer.phantom.film.display_steps import PLAIN, Steps, draw_steps, finished, respond, sharpened, smoothed
from trainer.phantom.shapes.coarse_grid import block_mean, upsample

Array = NDArray[np.float32]

BAND_MM = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True, slots=True)
class Style:
    """Processing settings. `gains`: one per band (sigma 0.5 .. 32 mm); `base`: gain of what is coarser; `power` < 1
    lifts weak detail.

    `soft_level`, `bone_level`: display values (0..1) that soft tissue and dense bone are brought to; `steep`: of the
    S-curve; `gamma`: applied last; `low_pct`, `high_pct`: percentiles of the body's histogram taken as soft tissue
    and dense bone; `steps`: what a wide random style does besides.
    """

    name: str
    base: float
    gains: tuple[float, ...]
    power: float = 1.0
    soft_level: float = 0.30
    bone_level: float = 0.90
    steep: float = 0.6
    gamma: float = 1.0
    low_pct: float = 25.0
    high_pct: float = 98.0
    denoise_mm: float = 0.0
    steps: Steps = PLAIN


STYLES: dict[str, Style] = {
    "A": Style("Synthetic-A", 1.0, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), steep=0.7),
    "B": Style("Synthetic-B", 0.75, (1.0, 1.1, 1.2, 1.2, 1.1, 1.0, 0.9), steep=0.5),
    "C": Style("Synthetic-C", 0.55, (1.3, 1.6, 1.8, 1.6, 1.3, 1.0, 0.8), power=0.9, soft_level=0.33),
    "D": Style("Synthetic-D", 0.9, (0.7, 0.9, 1.0, 1.1, 1.1, 1.0, 1.0), gamma=0.85, bone_level=0.86, denoise_mm=0.25),
    "E": Style("Synthetic-E", 0.40, (1.2, 1.8, 2.2, 2.0, 1.5, 1.0, 0.6), power=0.85, soft_level=0.36, bone_level=0.87),
    "F": Style("Synthetic-F", 0.65, (1.8, 1.7, 1.4, 1.2, 1.0, 0.9, 0.8), gamma=1.15, soft_level=0.27, steep=0.5),
    "G": Style(
        "Synthetic-G", 0.85, (0.9, 1.0, 1.3, 1.5, 1.5, 1.3, 1.0), gamma=1.1, soft_level=0.25, bone_level=0.93, steep=0.8
    ),
    "H": Style(
        "Synthetic-H", 0.32, (1.6, 2.3, 2.5, 2.2, 1.5, 0.9, 0.5), power=0.8, soft_level=0.38, bone_level=0.85, steep=0.4
    ),
}
TRAINING_MAKERS = ("A", "B", "C", "D", "E")
HELD_OUT_MAKERS = ("G", "H")
SITE = r"S[0-9]{1,9}"
"""Name of a site's style."""


def random_style(rng: np.random.Generator, wide: bool = False) -> Style:
    """A style from the continuous space: random compression, band gains, weak-detail power, levels, gamma and
    denoising. `wide`: beyond what makers do, with levels that clip and the extra steps.
    """
    if wide:
        return _wide_style(rng)
    base = float(rng.uniform(0.25, 1.05))
    peak, width = rng.uniform(-0.5, 5.0), rng.uniform(1.0, 2.5)
    height = rng.uniform(0.0, 1.6) * (1.2 - 0.8 * base) + rng.normal(0.0, 0.12)
    bands = np.arange(len(BAND_MM))
    slide = 1.0 + (base - 1.0) * np.clip((bands - 2.0) / 5.0, 0.0, 1.0)
    gains = slide + height * np.exp(-0.5 * ((bands - peak) / width) ** 2) + rng.normal(0.0, 0.06, bands.size)
    soft = rng.uniform(0.14, 0.50)
    return Style(
        name="random",
        base=base,
        gains=tuple(float(g) for g in np.clip(gains, 0.2, 3.2)),
        power=float(rng.uniform(0.75, 1.05)),
        soft_level=float(soft),
        bone_level=float(rng.uniform(max(soft + 0.25, 0.70), 0.98)),
        steep=float(rng.uniform(0.0, 1.0)),
        gamma=float(np.exp(rng.normal(0.0, 0.22))),
        low_pct=float(rng.uniform(10.0, 40.0)),
        high_pct=float(rng.uniform(94.0, 99.7)),
        denoise_mm=float(rng.choice([0.0, 0.0, rng.uniform(0.15, 0.5)])),
    )


def _wide_style(rng: np.random.Generator) -> Style:
    """Wider in every setting. A third of the styles clips: bone above an upper level that lies within the bone, or
    tissue below a lower one.
    """
    base = float(rng.uniform(0.18, 1.15))
    peak, width = rng.uniform(-1.0, 6.0), rng.uniform(0.7, 3.0)
    height = rng.uniform(0.0, 1.9) * (1.2 - 0.8 * base) + rng.normal(0.0, 0.15)
    bands = np.arange(len(BAND_MM))
    slide = 1.0 + (base - 1.0) * np.clip((bands - 2.0) / 5.0, 0.0, 1.0)
    bump = height * np.exp(-0.5 * ((bands - peak) / width) ** 2)
    gains = slide + bump + rng.normal(0.0, rng.uniform(0.0, 0.3), bands.size)
    soft = rng.uniform(0.08, 0.52)
    clips_bone, clips_soft = rng.random(2) < 0.2
    return Style(
        name="wide",
        base=base,
        gains=tuple(float(g) for g in np.clip(gains, 0.25, 3.6)),
        power=float(rng.uniform(0.65, 1.15)) if rng.random() < 0.7 else 1.0,
        soft_level=0.0 if clips_soft else float(soft),
        bone_level=1.0 if clips_bone else float(rng.uniform(soft + 0.28, 1.0)),
        steep=float(rng.uniform(0.0, 1.0)),
        gamma=float(np.exp(rng.normal(0.0, 0.35))),
        low_pct=float(rng.uniform(5.0, 45.0)),
        high_pct=float(rng.uniform(82.0, 93.0) if clips_bone else rng.uniform(93.0, 99.9)),
        denoise_mm=float(rng.choice([0.0, 0.0, rng.uniform(0.15, 0.7)])),
        steps=draw_steps(rng),
    )


def style_of(name: str) -> Style:
    """The style of one letter A..H, or of a site, "S" and its number: one of the wide ones, the same on all its films.

    Raises:
        KeyError: another name; it says what there is.
    """
    if name in STYLES:
        return STYLES[name]
    if not re.fullmatch(SITE, name):
        raise KeyError(f"no maker's style {name!r}: there are {', '.join(STYLES)} and S1, S2 ...")
    rng = np.random.default_rng(int(name.removeprefix("S")))
    return replace(random_style(rng, wide=True), name=f"Synthetic-{name}")


@dataclass(frozen=True, slots=True)
class Levels:
    """What exposure recognition found on the body's histogram: of the log signal (median, spread) and of the shaped
    one (low, high).
    """

    median: float
    spread: float
    low: float
    high: float


def recognize(signal: Array, body: NDArray[np.bool_], style: Style, pixel_mm: float) -> Levels:
    """Exposure recognition on the whole film, seen coarsely: percentiles of the BODY's histogram, never of the
    image's.
    """
    log = respond(signal, style.steps.linear)
    where = body if body.sum() > 20 else np.ones_like(body)
    median = float(np.median(log[where]))
    spread = max(float(np.subtract(*np.percentile(log[where], [97.0, 15.0]))), 0.15)
    shown = _bands(np.clip(log, median - 3.5, median + 4.0), style, pixel_mm, spread)
    low, high = np.percentile(shown[where], [style.low_pct, style.high_pct])
    high = max(high, low + 0.05)
    below, above = style.steps.level_error
    low, high = low + below * (high - low), high + above * (high - low)
    return Levels(median, spread, float(low), float(max(high, low + 0.05)))


def process(signal: Array, levels: Levels, style: Style, pixel_mm: float) -> Array:
    """Linear detector signal -> display values, bone bright, float32; nominal range 0..1, NOT clipped."""
    steps, log = style.steps, respond(signal, style.steps.linear)
    if style.denoise_mm > 0:
        log = gaussian_filter(log, style.denoise_mm / pixel_mm, truncate=3.0)
    if steps.smooth_mm > 0:
        log = smoothed(log, steps, levels.spread, pixel_mm)
    shown = _bands(np.clip(log, levels.median - 3.5, levels.median + 4.0), style, pixel_mm, levels.spread)
    if steps.sharp > 0:
        shown = sharpened(shown, steps, pixel_mm)
    shown = _curve((shown - np.float32(levels.low)) / np.float32(levels.high - levels.low), style)
    return finished(shown, steps, pixel_mm)


def _bands(log: Array, style: Style, pixel_mm: float, spread: float) -> Array:
    """Sum of the gained difference-of-Gaussian bands and the compressed base; coarse bands on coarse grids."""
    levels, steps = [log], [1]
    for sigma in BAND_MM:
        step = max(int(sigma / pixel_mm / 2.0), 1)
        grid = block_mean(log, step)
        inner = np.sqrt(max((sigma / pixel_mm) ** 2 - (step**2 - 1) / 12.0, 0.01)) / step
        levels.append(gaussian_filter(grid, inner, mode="nearest", truncate=3.0))
        steps.append(step)
    total = np.float32(style.base) * levels[-1]
    step = steps[-1]
    for gain, fine, coarse, own, below in reversed(
        list(zip(style.gains, levels[:-1], levels[1:], steps[:-1], steps[1:], strict=True))
    ):
        if own != step:
            total = _resize(total, fine.shape, step, own)
            step = own
        band = fine - (coarse if own == below else _resize(coarse, fine.shape, below, own))
        total = total + np.float32(gain) * (_weak(band, style.power, spread) if style.power != 1.0 else band)
    return total


def _resize(coarse: Array, shape: tuple[int, int], step_in: int, step_out: int) -> Array:
    return upsample(coarse, shape, step_in / step_out)


def _weak(band: Array, power: float, spread: float) -> Array:
    """Lift weak detail against strong: sign(b) s (|b| / s) ** power with the slope bounded near zero."""
    scale = np.float32(0.25 * spread)
    size = np.abs(band) / scale
    return (band * (size + np.float32(0.08)) ** np.float32(power - 1.0)).astype(np.float32, copy=False)


def _curve(linear: Array, style: Style) -> Array:
    """0 -> soft_level, 1 -> bone_level, with toe and shoulder of strength `steep`, then the gamma (defined below 0 as
    linear).
    """
    straight = style.soft_level + (style.bone_level - style.soft_level) * linear
    sigmoid = 1.0 / (1.0 + np.exp(np.clip(-4.6 * (straight - 0.5), -30, 30), dtype=np.float32))
    shown: Array = (1.0 - style.steep) * straight + style.steep * ((sigmoid - 0.5) * 1.18 + 0.5)
    if style.gamma == 1.0:
        return shown.astype(np.float32)
    return np.where(shown > 0, np.maximum(shown, 1e-6) ** np.float32(style.gamma), shown).astype(np.float32)
