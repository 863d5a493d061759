"""How display values become stored pixels: bits, MONOCHROME1, windows and VOI LUTs, as makers write them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored pixels and how to show them (PS3.3 C.11.2, C.8.11.3.1.2).

    pixels uint16 (rows, cols) below 2 ** bits; photometric MONOCHROME1 | MONOCHROME2; window (center, width) of a
    LINEAR VOI or None; lut: VOI LUT, uint16 (n,) of `lut_bits`, first mapped value 0, or None. At most one of window
    and lut is given.
    """

    pixels: NDArray[np.uint16]
    bits: int
    photometric: str
    window: tuple[float, float] | None = None
    lut: NDArray[np.uint16] | None = field(default=None, repr=False)
    lut_bits: int = 16

    def bone_bright(self) -> Array:
        """The film as it is measured, float32 0..1: LUT applied, then MONOCHROME1 inverted.

        A window is not applied: it would only hide gray levels that the file holds, and every region is brought to the
        range of its own pixels later.
        """
        if self.lut is not None:
            shown = self.lut[np.minimum(self.pixels, self.lut.size - 1)] / np.float32(2**self.lut_bits - 1)
        else:
            shown = self.pixels / np.float32(2**self.bits - 1)
        return np.asarray(1.0 - shown if self.photometric == "MONOCHROME1" else shown, np.float32)


def store(shown: Array, rng: np.random.Generator) -> Stored:
    """Stored form of display values (bone bright, nominal 0..1, not clipped): random bits, polarity and VOI variant."""
    bits = int(rng.choice([10, 11, 12, 12, 12, 14, 15, 16]))
    photometric = "MONOCHROME1" if rng.random() < 0.25 else "MONOCHROME2"
    upright = shown if photometric == "MONOCHROME2" else 1.0 - shown
    top = 2**bits - 1
    variant = rng.random()
    width = round(float(rng.uniform(0.45, 0.9)) * top)
    center = round(float(rng.uniform(0.5 * width, top - 0.5 * width)))
    curve = float(rng.uniform(0.7, 1.4))
    if variant < 0.35:
        return Stored(_integers(upright * top, top), bits, photometric)
    if variant < 0.55:
        return Stored(_integers(upright * top, top), bits, photometric, ((top + 1) / 2, top + 1.0))
    if variant < 0.85:
        return Stored(
            _integers((upright - 0.5) * (width - 1) + center - 0.5, top),
            bits,
            photometric,
            (float(center), float(width)),
        )
    stored = _integers(np.clip(upright, 0.0, 1.0) ** np.float32(1.0 / curve) * top, top)
    lut = np.round((np.arange(top + 1) / top) ** curve * 65535.0).astype(np.uint16)
    return Stored(stored, bits, photometric, None, lut)


def _integers(values: Array, top: int) -> NDArray[np.uint16]:
    return np.clip(np.rint(values), 0, top).astype(np.uint16)
