"""Pixel size and magnification of a film, and the films that are refused for them.

No value is guessed in silence: a spacing names its source, and an assumption is flagged.
"""

from dataclasses import dataclass

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

ASSUMED_MAGNIFICATION = 1.15  # +- 0.05: hip 12-17 cm above the detector at 110-120 cm
MAGNIFICATION_RANGE = (1.02, 1.6)  # an adult hip never lies on the detector
SPACING_RANGE_MM = (0.05, 1.0)
MAX_EXTENT_MM = 1400.0
_PIXEL_SPACING, _IMAGER_SPACING, _CALIBRATION = 0x00280030, 0x00181164, 0x00280A02
_ERMF, _SID, _SOD = 0x00181114, 0x00181110, 0x00181111
_SPACINGS_EQUAL = 0.01  # relative; DS values are rounded


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Pixel size at the detector in mm `(row, column)`, magnification of the hip, and where they came from."""

    detector_spacing_mm: tuple[float, float]
    magnification: float
    source: str
    flags: tuple[str, ...]

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size `(row, column)` in mm at the hip."""
        return self.detector_spacing_mm[0] / self.magnification, self.detector_spacing_mm[1] / self.magnification


def read_scale(header: Header, shape: tuple[int, int], given_mm: float | None) -> PixelSize:
    """Find the pixel size (PS3.3 10.7.1.3) and the magnification of a film of `shape` (rows, columns).

    `given_mm` is the detector's pixel size and overrides the header. Raises `FilmRefused`: `no_spacing`,
    `implausible_scale`.
    """
    scale = _scale(header, given_mm)
    low, high = SPACING_RANGE_MM
    row, column = scale.detector_spacing_mm
    if not (low <= row <= high and low <= column <= high) or max(row, column) > 2 * min(row, column):
        raise FilmRefused("implausible_scale", f"{row:g} x {column:g} mm")
    if max(row * shape[0], column * shape[1]) > MAX_EXTENT_MM:
        raise FilmRefused("implausible_scale", f"a film of {row * shape[0]:.0f} x {column * shape[1]:.0f} mm")
    return scale


def _scale(header: Header, given_mm: float | None) -> PixelSize:
    if given_mm is not None:
        magnification, _, flags = _magnification(header)
        return PixelSize((given_mm, given_mm), magnification, "given", flags)
    imager, pixel = _pair(header, _IMAGER_SPACING), _pair(header, _PIXEL_SPACING)
    if pixel and (header.text(_CALIBRATION) in ("GEOMETRY", "FIDUCIAL") or (imager and not _equal(imager, pixel))):
        return _calibrated(pixel, imager)
    magnification, source, flags = _magnification(header)
    if imager:
        return PixelSize(imager, magnification, source, flags)
    if pixel:
        return PixelSize(pixel, magnification, "pixel_spacing_assumed", ("spacing_uncertain", *flags))
    if header.value(_IMAGER_SPACING) or header.value(_PIXEL_SPACING):
        raise FilmRefused("implausible_scale", "the pixel spacing is no positive number")
    raise FilmRefused("no_spacing")


def _calibrated(pixel: tuple[float, float], imager: tuple[float, float] | None) -> PixelSize:
    """PixelSpacing is in the plane of the hip; what it says about the detector must be possible."""
    if imager is None:
        return PixelSize(pixel, 1.0, "calibrated", ())
    ratios = (imager[0] / pixel[0], imager[1] / pixel[1])
    if not all(1.0 - _SPACINGS_EQUAL <= ratio <= MAGNIFICATION_RANGE[1] for ratio in ratios):
        raise FilmRefused("implausible_scale", "ImagerPixelSpacing and PixelSpacing contradict each other")
    if abs(ratios[0] / ratios[1] - 1) > _SPACINGS_EQUAL:
        raise FilmRefused("implausible_scale", "the two axes are calibrated differently")
    magnification = (ratios[0] + ratios[1]) / 2
    return PixelSize((pixel[0] * magnification, pixel[1] * magnification), magnification, "calibrated", ())


def _magnification(header: Header) -> tuple[float, str, tuple[str, ...]]:
    """Magnification, the source of an uncalibrated spacing, and flags (PS3.3 C.8.11.7: ERMF = SID / SOD)."""
    low, high = MAGNIFICATION_RANGE
    stated = header.decimal(_ERMF)
    if stated is not None and low <= stated <= high:
        return stated, "imager_ermf", ()
    sid, sod = header.decimal(_SID), header.decimal(_SOD)
    if sid and sod and low <= sid / sod <= high:
        return sid / sod, "imager_sid_sod", ()
    # A magnification of exactly 1 is what many systems write when they do not know
    return ASSUMED_MAGNIFICATION, "imager_assumed", ("magnification_assumed",)


def _pair(header: Header, tag: int) -> tuple[float, float] | None:
    """Two positive numbers (row, column), else `None`."""
    numbers = header.decimals(tag)
    if not numbers:
        return None
    if len(numbers) != 2 or min(numbers) <= 0:
        header.note()
        return None
    return numbers[0], numbers[1]


def _equal(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x / y - 1) <= _SPACINGS_EQUAL for x, y in zip(a, b, strict=True))
