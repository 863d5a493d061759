"""Grayscale pipeline of one film as ONE table: stored value -> bone-bright 0..1.

Order of PS3.4 N.2 and PS3.3 C.11: Modality LUT -> VOI LUT -> Presentation LUT shape. The polarity is turned once, after
the VOI, in `_bone_bright` and nowhere else. A malformed display setting is ignored and flagged, never repaired.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmd_edge.dicom.header import Header

Values = NDArray[np.float64]

PHOTOMETRIC = 0x00280004
_PADDING, _PADDING_LIMIT = 0x00280120, 0x00280121
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_MODALITY_SEQUENCE, _VOI_SEQUENCE, _PRESENTATION_SHAPE = 0x00283000, 0x00283010, 0x20500020


@dataclass(frozen=True, slots=True)
class Display:
    """The table and what was odd about the header's display settings.

    `lookup` is float32 0..1, bone bright; the stored value `v` is shown as `lookup[v - first]`.
    """

    lookup: NDArray[np.float32]
    first: int
    flags: tuple[str, ...]


@dataclass(slots=True)
class _Table:
    """A LUT of PS3.3 C.11: `data` as stored, index 0 for input `first`."""

    data: Values
    first: int
    bits: int

    def __call__(self, x: Values) -> Values:
        index = np.clip(np.rint(x).astype(np.int64) - self.first, 0, len(self.data) - 1)
        return self.data[index]


@dataclass(slots=True)
class _Flags:
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name)


def read_display(header: Header, bits_stored: int, signed: bool) -> Display:
    """Compose the table of a film over every value that `bits_stored` bits can hold."""
    first = -(1 << (bits_stored - 1)) if signed else 0
    stored = np.arange(first, first + (1 << bits_stored), dtype=np.float64)
    flags = _Flags()
    modality, low, high = _modality(header, stored, signed, flags)
    shown = _voi(header, modality, low, high, flags)
    bright = _bone_bright(header, shown, flags)
    bright[_padding(header, stored, signed)] = 0.0
    lookup = bright.astype(np.float32)
    lookup.flags.writeable = False
    return Display(lookup, first, tuple(flags.names))


def _modality(header: Header, x: Values, signed: bool, flags: _Flags) -> tuple[Values, float, float]:
    """Apply the Modality LUT (PS3.3 C.11.1); also returns the range its output may have."""
    table = _table(header, _MODALITY_SEQUENCE, signed, flags)
    if table is not None:
        return table(x), 0.0, float((1 << table.bits) - 1)
    slope, intercept = header.decimal(_SLOPE), header.decimal(_INTERCEPT)
    if slope == 0 or (slope is None) != (intercept is None):
        flags.add("display_lookup_ignored")
        slope = intercept = None
    if slope is not None and intercept is not None:
        x = x * slope + intercept
    return x, float(x.min()), float(x.max())


def _voi(header: Header, x: Values, low: float, high: float, flags: _Flags) -> Values:
    """Apply the first VOI LUT, else the first window, else the full range (PS3.3 C.11.2); returns 0..1."""
    table = _table(header, _VOI_SEQUENCE, low < 0, flags)
    if table is not None:
        return table(x) / ((1 << table.bits) - 1)
    centers, widths = header.decimals(_CENTER), header.decimals(_WIDTH)
    if centers or widths or any(header.texts(_WIDTH)):
        shown = _window(header, x, centers, widths, flags)
        if shown is not None:
            return shown
        flags.add("display_lookup_ignored")
    return (x - low) / (high - low)


def _window(
    header: Header, x: Values, centers: list[float] | None, widths: list[float] | None, flags: _Flags
) -> Values | None:
    """Apply the first window; `None` where it is malformed."""
    if not centers or not widths or len(centers) != len(widths):
        return None
    if len(centers) > 1:
        flags.add("several_windows")
    center, width = centers[0], widths[0]
    function = header.text(_FUNCTION) or "LINEAR"
    if function == "LINEAR" and width >= 1:  # PS3.3 C.11.2.1.2.1
        if width == 1:
            return (x > center - 0.5).astype(np.float64)
        return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT" and width > 0:  # PS3.3 C.11.2.1.3.2
        return np.clip((x - center) / width + 0.5, 0.0, 1.0)
    if function == "SIGMOID" and width > 0:  # PS3.3 C.11.2.1.3.1
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -700.0, 700.0)))
    return None


def _table(header: Header, tag: int, signed_input: bool, flags: _Flags) -> _Table | None:
    """Read the first LUT of a sequence (PS3.3 C.11.1.1, C.11.2.1.1); `None` when absent, or malformed and flagged."""
    if tag not in header or not header.value(tag):
        return None
    item = header.item(tag)
    table = None if item is None else _item_table(item, signed_input)
    if table is None:
        flags.add("display_lookup_ignored")
    return table


def _item_table(item: Header, signed_input: bool) -> _Table | None:
    descriptor = item.words(_DESCRIPTOR)
    if len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    count = count or 1 << 16  # C.11.1.1: 0 stands for 65536 entries
    if signed_input and first >= 1 << 15:  # the second value has the sign of the input
        first -= 1 << 16
    size = len(item.value(_LUT_DATA))
    # 8-bit entries come one to a word or, packed, two to a word
    if size == 2 * count:
        data = np.array(item.words(_LUT_DATA), np.float64)
    elif bits == 8 and size == count + count % 2:
        data = np.frombuffer(item.value(_LUT_DATA), np.uint8, count).astype(np.float64)
    else:
        return None
    if not 8 <= bits <= 16 or count < 2 or data.max() >= 1 << bits or data.max() == data.min():
        return None
    return _Table(data, first, bits)


def _bone_bright(header: Header, shown: Values, flags: _Flags) -> Values:
    """Turn what is shown (0 black, 1 white) so that bone is bright, once.

    MONOCHROME1 shows its lowest value white (PS3.3 C.7.6.3.1.2), and a DX film then has the shape INVERSE (PS3.3
    C.8.11.3.1.2): two names of ONE inversion. Where they disagree the film is inverted if either says so, and flagged.
    """
    monochrome1 = header.text(PHOTOMETRIC) == "MONOCHROME1"
    shape = header.text(_PRESENTATION_SHAPE)
    if shape is not None and (shape == "INVERSE") != monochrome1:
        flags.add("polarity_uncertain")
    return 1.0 - shown if monochrome1 or shape == "INVERSE" else shown


def _padding(header: Header, stored: Values, signed: bool) -> NDArray[np.bool_]:
    """Stored values that stand for "no image here"; shown as background (PS3.3 C.7.5.1.1.2)."""
    value = header.integer(_PADDING, signed)
    if value is None:
        return np.zeros(len(stored), bool)
    limit = header.integer(_PADDING_LIMIT, signed)
    low, high = sorted((value, value if limit is None else limit))
    return np.asarray((stored >= low) & (stored <= high))
