"""How a film says that it is to be shown, in the words of a presentation state, which takes the place of all of it.

The order and what counts as malformed are those of reading (`bmd_edge.film.gray`): the first VOI LUT, else the first
window; what is malformed is left out.
"""

from fractions import Fraction

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from bmd_edge.dicom.header import Header

_PHOTOMETRIC, _SHAPE, _SIGNED = 0x00280004, 0x20500020, 0x00280103
_IMAGER_SPACING, _SPACING, _ASPECT = 0x00181164, 0x00280030, 0x00280034
_MODALITY, _VOI, _TYPE = 0x00283000, 0x00283010, 0x00283004
_DESCRIPTOR, _DATA = 0x00283002, 0x00283006
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_FINEST = 10_000
"""The greatest number of an aspect ratio."""


def display_of(header: Header) -> Dataset:
    """Modality LUT, VOI LUT, polarity and aspect of a film's pixels, as attributes of a presentation state.

    PS3.3 C.11.1, C.11.8, C.11.6 and C.10.4. MONOCHROME1 is the shape INVERSE: a presentation state that says IDENTITY
    shows such a film inverted.
    """
    made = Dataset()
    signed = header.integer(_SIGNED) == 1
    _put_modality(made, header, signed)
    _put_voi(made, header, _may_be_negative(made, signed))
    photometric, shape = ((header.text(tag) or "").upper() for tag in (_PHOTOMETRIC, _SHAPE))
    made.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" or shape == "INVERSE" else "IDENTITY"
    return made


def aspect_of(header: Header) -> tuple[int, int]:
    """Height and width of a pixel as whole numbers; (1, 1) where the film states neither size nor ratio."""
    for tag in (_SPACING, _IMAGER_SPACING, _ASPECT):
        stated = header.decimals(tag)
        if stated and len(stated) == 2 and min(stated) > 0:
            ratio = Fraction(stated[0] / stated[1]).limit_denominator(_FINEST)
            if 0 < ratio.numerator <= _FINEST:
                return ratio.numerator, ratio.denominator
    return 1, 1


def _put_modality(made: Dataset, header: Header, signed: bool) -> None:
    table = _table(header, _MODALITY, signed)
    if table is not None:
        item = header.item(_MODALITY)
        table.ModalityLUTType = (item.text(_TYPE) if item else None) or "US"  # unspecified
        made.ModalityLUTSequence = [table]
        return
    slope, intercept = header.decimal(_SLOPE), header.decimal(_INTERCEPT)
    if slope and intercept is not None and (slope, intercept) != (1.0, 0.0):
        made.RescaleSlope, made.RescaleIntercept = _decimal(slope), _decimal(intercept)
        made.RescaleType = "US"


def _may_be_negative(made: Dataset, signed: bool) -> bool:
    """Whether what the VOI LUT gets has a sign; the entries of a Modality LUT have none."""
    if "ModalityLUTSequence" in made:
        return False
    return signed or float(made.get("RescaleIntercept", 0)) < 0 or float(made.get("RescaleSlope", 1)) < 0


def _put_voi(made: Dataset, header: Header, signed: bool) -> None:
    item = Dataset()
    table = _table(header, _VOI, signed)
    if table is not None:
        item.VOILUTSequence = [table]
    else:
        centers, widths = header.decimals(_CENTER), header.decimals(_WIDTH)
        if not centers or not widths or len(centers) != len(widths):
            return
        function = (header.text(_FUNCTION) or "LINEAR").upper()
        least = {"LINEAR": 1.0, "LINEAR_EXACT": 0.0, "SIGMOID": 0.0}.get(function)
        if least is None or widths[0] < least or widths[0] <= 0:
            return
        item.WindowCenter, item.WindowWidth = _decimal(centers[0]), _decimal(widths[0])
        if function != "LINEAR":
            item.VOILUTFunction = function
    made.SoftcopyVOILUTSequence = [item]


def _table(header: Header, tag: int, signed: bool) -> Dataset | None:
    """The first LUT of a sequence (PS3.3 C.11.1.1, C.11.2.1.1), None where there is none or it is malformed."""
    found = header.item(tag) if tag in header else None
    descriptor = found.words(_DESCRIPTOR) if found else ()
    if found is None or len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    entries, size = count or 1 << 16, len(found.value(_DATA))
    if size == 2 * entries:
        words = np.array(found.words(_DATA), "<u2")
    elif bits == 8 and size == entries + entries % 2:  # packed, two to a word
        words = np.frombuffer(found.value(_DATA), np.uint8, entries).astype("<u2")
    else:
        return None
    if not 8 <= bits <= 16 or entries < 2 or int(words.max()) >= 1 << bits or words.min() == words.max():
        return None
    made = Dataset()
    numbers = [n - (1 << 16) if signed and n >= 1 << 15 else n for n in (count, first, bits)]
    made[0x00283002] = DataElement(0x00283002, "SS" if signed else "US", numbers)
    made[0x00283006] = DataElement(0x00283006, "OW", words.tobytes())
    return made


def _decimal(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)
