"""What a film's header says about scale, view, side, patient and device, and the films that are refused for it.

No value is guessed in silence: a spacing names its source, an assumption is flagged, and an unknown is `None`.
"""

import re
from dataclasses import dataclass
from datetime import date

from bmd_edge.errors import FilmRefused
from bmd_edge.header import Header

ASSUMED_MAGNIFICATION = 1.15  # +- 0.05: hip 12-17 cm above the detector at 110-120 cm
MAGNIFICATION_RANGE = (1.02, 1.6)  # an adult hip never lies on the detector
SPACING_RANGE_MM = (0.05, 1.0)
MAX_EXTENT_MM = 1400.0
ADULT_YEARS = 18.0
MAX_AGE_YEARS = 110.0  # anonymizers write births in 1900

_PIXEL_SPACING, _IMAGER_SPACING, _CALIBRATION = 0x00280030, 0x00181164, 0x00280A02
_ERMF, _SID, _SOD = 0x00181114, 0x00181110, 0x00181111
_BODY_PART, _SERIES, _PROTOCOL, _CODE_MEANING = 0x00180015, 0x0008103E, 0x00181030, 0x00080104
_SPACINGS_EQUAL = 0.01  # relative; DS values are rounded

# Defined terms of PS3.16 annex L and what old CR readers write; anything else is left to the finder.
_OTHER_PART_NAMES = """
SKULL HEAD BRAIN FACE FACIAL JAW MAXILLA MANDIBLE SINUS TEETH NECK CSPINE CERVICAL TSPINE THORACIC THORAX CHEST LUNG RIB
RIBS STERNUM HEART BREAST SHOULDER CLAVICLE SCAPULA ARM HUMERUS ELBOW FOREARM RADIUS ULNA WRIST HAND FINGER THUMB KNEE
PATELLA TIBIA FIBULA LOWERLEG CALF ANKLE FOOT FEET TOE TOES CALCANEUS HEEL LSPINE LUMBAR TLSPINE CTSPINE SPINE WHOLEBODY
"""
_OTHER_PARTS = frozenset(_OTHER_PART_NAMES.split())
_AMBIGUOUS_WORDS = frozenset(["HEAD", "NECK", "ARM"])  # femoral head and neck, C-arm
_ALLOWED_PARTS = frozenset(["HIP", "HIPS", "PELVIS", "FEMUR", "ABDOMEN"])

# PS3.16 CID 4010: antero-posterior and frontal, SNOMED CT and the SRT codes they replace
_AP_CODES = frozenset(["399348003", "R-10206", "399033003", "R-10202"])
_OTHER_VIEWS = re.compile(r"\b(frog|lauenstein|dunn|judet|inlet|outlet|false ?profile)", re.IGNORECASE)
_SIDE_VIEWS = re.compile(r"\b(lat|lateral|axial|oblique|obl|x-?table|cross-?table)\b", re.IGNORECASE)
_AP_WORD = re.compile(r"\b(a\.?p|frontal)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixel size at the detector in mm `(row, column)`, magnification of the hip, and where they came from."""

    detector_spacing_mm: tuple[float, float]
    magnification: float
    source: str
    flags: tuple[str, ...]


def read_scale(header: Header, shape: tuple[int, int], given_mm: float | None) -> Scale:
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


def _scale(header: Header, given_mm: float | None) -> Scale:
    if given_mm is not None:
        magnification, _, flags = _magnification(header)
        return Scale((given_mm, given_mm), magnification, "given", flags)
    imager, pixel = _pair(header, _IMAGER_SPACING), _pair(header, _PIXEL_SPACING)
    if pixel and (header.text(_CALIBRATION) in ("GEOMETRY", "FIDUCIAL") or (imager and not _equal(imager, pixel))):
        return _calibrated(pixel, imager)
    magnification, source, flags = _magnification(header)
    if imager:
        return Scale(imager, magnification, source, flags)
    if pixel:
        return Scale(pixel, magnification, "pixel_spacing_assumed", ("spacing_uncertain", *flags))
    if header.value(_IMAGER_SPACING) or header.value(_PIXEL_SPACING):
        raise FilmRefused("implausible_scale", "the pixel spacing is no positive number")
    raise FilmRefused("no_spacing")


def _calibrated(pixel: tuple[float, float], imager: tuple[float, float] | None) -> Scale:
    """PixelSpacing is in the plane of the hip; what it says about the detector must be possible."""
    if imager is None:
        return Scale(pixel, 1.0, "calibrated", ())
    ratios = (imager[0] / pixel[0], imager[1] / pixel[1])
    if not all(1.0 - _SPACINGS_EQUAL <= ratio <= MAGNIFICATION_RANGE[1] for ratio in ratios):
        raise FilmRefused("implausible_scale", "ImagerPixelSpacing and PixelSpacing contradict each other")
    if abs(ratios[0] / ratios[1] - 1) > _SPACINGS_EQUAL:
        raise FilmRefused("implausible_scale", "the two axes are calibrated differently")
    magnification = (ratios[0] + ratios[1]) / 2
    return Scale((pixel[0] * magnification, pixel[1] * magnification), magnification, "calibrated", ())


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


@dataclass(frozen=True, slots=True)
class Patient:
    """Age in years and sex ("F" or "M"); `None` when unknown."""

    age_years: float | None
    sex: str | None


def read_patient(header: Header) -> Patient:
    """Read age and sex; a stated age below 18 years is refused as `immature`."""
    sex = header.text(0x00100040)
    age = _age_years(header)
    if age is not None and age < ADULT_YEARS:
        raise FilmRefused("immature", "the header states an age below 18 years")
    return Patient(age, sex if sex in ("F", "M") else None)


def _age_years(header: Header) -> float | None:
    """PatientAge, else study date minus birth date; 000Y and 999Y are what anonymizers write for "unknown"."""
    stated = header.text(0x00101010)
    if stated:
        match = re.fullmatch(r"(\d{1,3})([DWMY])", stated)
        if match is None:
            header.note()
        else:
            age = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
            unknown = age == 0 or age > MAX_AGE_YEARS
            return None if unknown else round(age, 2)
    born = _date(header, 0x00100030)
    taken = _date(header, 0x00080022) or _date(header, 0x00080020)
    if born is None or taken is None:
        return None
    age = (taken - born).days / 365.25
    return round(age, 1) if 0 < age <= MAX_AGE_YEARS else None


def _date(header: Header, tag: int) -> date | None:
    text = header.text(tag)
    if not text:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        header.note()
        return None


def read_body_part(header: Header) -> str | None:
    """Return the body part in capitals; a known part without a hip is refused as `wrong_body_part`.

    Where no body part is stated, the names of the series and protocol are judged alike, but are no body part.
    """
    part = header.text(_BODY_PART)
    if part is None and (region := header.item(0x00082218)) is not None:
        part = region.text(_CODE_MEANING)
    stated = part or " ".join(header.texts(_SERIES) + header.texts(_PROTOCOL))
    words = set(re.findall(r"[A-Z]+", stated.upper()))
    words |= {"".join(re.findall(r"[A-Z]+", stated.upper()))}
    others = words & _OTHER_PARTS - (_AMBIGUOUS_WORDS if part is None else set())
    if others and not words & _ALLOWED_PARTS:
        raise FilmRefused("wrong_body_part", f"body part {min(others)}")
    return part and part.upper()


def read_view(header: Header) -> tuple[str | None, tuple[str, ...]]:
    """Return the view ("AP") or `None` with the flag `view_unknown`; any other stated view is refused, `wrong_view`."""
    stated = (header.text(0x00185101) or "").upper()
    text = " ".join(header.texts(_SERIES) + header.texts(_PROTOCOL))
    code = header.item(0x00540220)
    meaning = code.text(_CODE_MEANING) or "" if code else ""
    modifier = code.item(0x00540222) if code else None
    meaning = f"{meaning} {modifier.text(_CODE_MEANING) or ''}" if modifier else meaning
    if stated not in ("", "AP"):
        raise FilmRefused("wrong_view", "another view position")
    if _OTHER_VIEWS.search(meaning) or _SIDE_VIEWS.search(meaning) or "postero-anterior" in meaning.lower():
        raise FilmRefused("wrong_view", "the code of another view")
    # Series and protocol names: a frog-leg film is often labelled AP, "lateral" beside "AP" names a pair of films
    if _OTHER_VIEWS.search(text) or (not stated and _SIDE_VIEWS.search(text) and not _AP_WORD.search(text)):
        raise FilmRefused("wrong_view", "the series is named after another view")
    if (header.texts(0x00200020)[0] or "?")[0] in "AP":  # rows of the image run front to back
        raise FilmRefused("wrong_view", "patient orientation of a lateral film")
    if stated == "AP" or (code and (code.text(0x00080100) in _AP_CODES)):
        return "AP", ()
    return None, ("view_unknown",)


def read_side(header: Header) -> tuple[str | None, tuple[str, ...]]:
    """Return "R", "L", "B" (both) or `None`, and flags, from ImageLaterality, Laterality and PatientOrientation.

    PatientOrientation cannot tell which hip was filmed, but a film stored mirrored or turned (PS3.3 C.7.6.1.1.1: the
    rows of an AP film run to the patient's left, the columns to the feet) carries the flag `unusual_orientation`.
    """
    image, study = header.text(0x00200062), header.text(0x00200060)
    rows, columns = (*header.texts(0x00200020), "", "")[:2]
    flags: tuple[str, ...] = ()
    if (rows and rows[0] != "L") or (columns and columns[0] != "F"):
        flags = ("unusual_orientation",)
    sides = {side for side in (image, study) if side in ("R", "L")}
    if len(sides) == 2:
        return None, ("side_contradiction", *flags)
    if image == "B":
        return "B", flags
    return (sides.pop() if sides else None), flags


@dataclass(frozen=True, slots=True)
class Device:
    """What took the film, for drift strata: maker, model, tube voltage in kV, exposure index (IEC 62494-1)."""

    maker: str | None
    model: str | None
    kvp: float | None
    exposure_index: float | None


def read_device(header: Header) -> Device:
    """Read the device strata; numbers out of range are unknown."""
    kvp, index = header.decimal(0x00180060), header.decimal(0x00181411)
    return Device(
        header.text(0x00080070),
        header.text(0x00081090),
        kvp if kvp is not None and 20 <= kvp <= 200 else None,
        index if index is not None and index > 0 else None,
    )
