"""Pixel size and magnification of a film, and the films that are refused for them.

No value is guessed in silence: a spacing names its source, an assumption and a contradiction are flagged.
"""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

ASSUMED_MAGNIFICATION = 1.15  # +- 0.05: hip 12-17 cm above the detector at 110-120 cm
MAGNIFICATION_RANGE = (1.02, 1.6)  # an adult hip never lies on the detector
SPACING_RANGE_MM = (0.05, 1.0)
MAX_EXTENT_MM = 1400.0
_PIXEL_SPACING, _IMAGER_SPACING, _SCANNED_SPACING, _CALIBRATION = 0x00280030, 0x00181164, 0x00182010, 0x00280A02
_ERMF, _SID, _SOD = 0x00181114, 0x00181110, 0x00181111
_NAMES = {
    _IMAGER_SPACING: "Imager Pixel Spacing",
    _PIXEL_SPACING: "Pixel Spacing",
    _SCANNED_SPACING: "Nominal Scanned Pixel Spacing",
}
_NUMBERS = (*_NAMES, _ERMF, _SID, _SOD)
_UNKNOWN = [1.0, 1.0]  # what ITK, and so SimpleITK and 3D Slicer, writes for a spacing that it does not know
_SPACINGS_EQUAL = 0.01  # relative; DS values are rounded
_MAGNIFICATIONS_EQUAL = 0.04  # relative: the doubt about ASSUMED_MAGNIFICATION
_COMMA_NUMBER = re.compile(r"\d+(,\d+)?")
_COMMA_BETWEEN = re.compile(r"(\d*\.\d+), ?(\d*\.\d+)")


class GivenSpacing(NamedTuple):
    """The detector's pixel size in mm, for films that state none; with `override`, in place of what any film states."""

    mm: float
    override: bool = False


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


def read_scale(header: Header, shape: tuple[int, int], given: GivenSpacing | None) -> PixelSize:
    """Find the pixel size (PS3.3 10.7.1.3) and the magnification of a film of `shape` (rows, columns).

    Raises `FilmRefused`: `no_spacing`, `implausible_scale`.
    """
    scale = _scale(header, given)
    low, high = SPACING_RANGE_MM
    row, column = scale.detector_spacing_mm
    named = "the given pixel size" if scale.source == "given" else "the pixel size that the header states"
    if not (low <= row <= high and low <= column <= high) or max(row, column) > 2 * min(row, column):
        raise FilmRefused("implausible_scale", f"{named}: {row:g} x {column:g} mm")
    if max(row * shape[0], column * shape[1]) > MAX_EXTENT_MM:
        raise FilmRefused("implausible_scale", f"{named}: a film of {row * shape[0]:.0f} x {column * shape[1]:.0f} mm")
    doubts = {
        "spacing_not_square": not _equal((row, row), (column, column)),
        "decimal_comma": any("," in text for tag in _NUMBERS for text in header.texts(tag)),
    }
    return replace(scale, flags=(*scale.flags, *(flag for flag, stands in doubts.items() if stands)))


def _scale(header: Header, given: GivenSpacing | None) -> PixelSize:
    imager, pixel, scanned = (_pair(header, tag) for tag in _NAMES)
    magnification, source, flags = _magnification(header)
    stated = imager or pixel or scanned
    if given and (given.override or stated is None):
        flag = "spacing_given" if stated is None else "spacing_overridden"
        return PixelSize((given.mm, given.mm), magnification, "given", (flag, *flags))
    if pixel and (header.text(_CALIBRATION) in ("GEOMETRY", "FIDUCIAL") or (imager and not _equal(imager, pixel))):
        return _calibrated(header, pixel, imager)
    if imager:
        return PixelSize(imager, magnification, source, flags)
    if pixel:
        return PixelSize(pixel, magnification, "pixel_spacing_assumed", ("spacing_uncertain", *flags))
    if scanned:  # between points of the film, so at the detector
        return PixelSize(scanned, magnification, "scanned_assumed", ("spacing_scanned", *flags))
    for tag, name in _NAMES.items():
        if header.value(tag) and _decimals(header, tag) != _UNKNOWN:
            raise FilmRefused("implausible_scale", f"{name} is no pair of positive numbers")
    raise FilmRefused("no_spacing")


def _calibrated(header: Header, pixel: tuple[float, float], imager: tuple[float, float] | None) -> PixelSize:
    """Pixel Spacing is in the plane of the hip; what it says about the detector must be possible.

    Without a calibration type it may also be that of an image that was resampled after the exposure.
    """
    if imager is None:
        return PixelSize(pixel, 1.0, "calibrated", ())
    ratios = (imager[0] / pixel[0], imager[1] / pixel[1])
    if not all(1.0 - _SPACINGS_EQUAL <= ratio <= MAGNIFICATION_RANGE[1] for ratio in ratios):
        raise FilmRefused("implausible_scale", "Imager Pixel Spacing and Pixel Spacing contradict each other")
    if abs(ratios[0] / ratios[1] - 1) > _SPACINGS_EQUAL:
        raise FilmRefused("implausible_scale", "Pixel Spacing: the two axes are calibrated differently")
    magnification = (ratios[0] + ratios[1]) / 2
    flags: tuple[str, ...] = ()
    if header.text(_CALIBRATION) not in ("GEOMETRY", "FIDUCIAL"):
        stated = _stated_magnifications(header)
        if any(abs(magnification / one - 1) > _MAGNIFICATIONS_EQUAL for one in stated):
            flags = ("spacing_contradiction",)
        elif header.text(0x00080008) == "DERIVED":
            flags = ("calibration_uncertain",)
    return PixelSize((pixel[0] * magnification, pixel[1] * magnification), magnification, "calibrated", flags)


def _magnification(header: Header) -> tuple[float, str, tuple[str, ...]]:
    """Magnification, the source of an uncalibrated spacing, and flags."""
    stated = _stated_magnifications(header)
    if not stated:
        return ASSUMED_MAGNIFICATION, "imager_assumed", ("magnification_assumed",)
    apart = abs(stated[0] / stated[-1] - 1) > _MAGNIFICATIONS_EQUAL
    source = "imager_ermf" if _in_range(_decimal(header, _ERMF)) else "imager_sid_sod"
    return stated[0], source, ("magnification_contradiction",) * apart


def _stated_magnifications(header: Header) -> list[float]:
    """What the header says of the magnification in either way (PS3.3 C.8.11.7: ERMF = SID / SOD), the factor first."""
    sid, sod = _decimal(header, _SID), _decimal(header, _SOD)
    distances = sid / sod if sid and sod else None
    return [one for one in (_decimal(header, _ERMF), distances) if one is not None and _in_range(one)]


def _in_range(magnification: float | None) -> bool:
    """A magnification of exactly 1 is what many systems write when they do not know."""
    low, high = MAGNIFICATION_RANGE
    return magnification is not None and low <= magnification <= high


def _pair(header: Header, tag: int) -> tuple[float, float] | None:
    """Two positive numbers (row, column), else `None`, as for what stands for an unknown spacing."""
    numbers = _decimals(header, tag)
    if not numbers or numbers == _UNKNOWN:
        return None
    if len(numbers) != 2 or min(numbers) <= 0:
        header.note()
        return None
    return numbers[0], numbers[1]


def _decimals(header: Header, tag: int) -> list[float] | None:
    """As `Header.decimals`, but commas, unknown to the standard (PS3.5 6.2), are read, in numbers or between them."""
    texts = header.texts(tag)
    if not any("," in text for text in texts):
        return header.decimals(tag)
    header.note()
    if len(texts) == 1 and (pair := _COMMA_BETWEEN.fullmatch(texts[0])):
        return [float(number) for number in pair.groups()]
    return [float(text.replace(",", ".")) for text in texts] if all(map(_COMMA_NUMBER.fullmatch, texts)) else None


def _decimal(header: Header, tag: int) -> float | None:
    numbers = _decimals(header, tag)
    return numbers[0] if numbers else None


def _equal(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x / y - 1) <= _SPACINGS_EQUAL for x, y in zip(a, b, strict=True))
