"""Grayscale pipeline of one film as ONE table: stored value -> bone-bright 0..1.

Order of PS3.4 N.2 and PS3.3 C.11: Modality LUT -> VOI LUT -> Presentation LUT shape. The polarity is turned once, after
the VOI, in `_bone_bright` and nowhere else. A malformed display setting is ignored and flagged, never repaired.

0 and 1 are the least and the greatest level that the film holds, whatever its header's bits could hold. So a linear
window changes nothing: it would only hide levels that are there.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmd_edge.dicom.header import Header

Values = NDArray[np.float64]
Counts = NDArray[np.intp]

_RARE = 0.001  # share of a film

PHOTOMETRIC = 0x00280004
_PADDING, _PADDING_LIMIT = 0x00280120, 0x00280121
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_MODALITY_SEQUENCE, _VOI_SEQUENCE, _PRESENTATION_SHAPE = 0x00283000, 0x00283010, 0x20500020


@dataclass(frozen=True, slots=True)
class Display:
    """The table and what was odd about the header's display settings.

    `lookup` is float32 0..1, bone bright; the stored value `v` is shown as `lookup[v - first]`. A thousandth of the
    film lies at or below the level `black`, another at or above `white`.
    """

    lookup: NDArray[np.float32]
    first: int
    black: float
    white: float
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


def read_display(header: Header, signed: bool, counts: Counts) -> Display:
    """Compose the table of a film; `counts` says how many pixels hold each of the values that its bits can hold."""
    first = -(len(counts) // 2) if signed else 0
    stored = np.arange(first, first + len(counts), dtype=np.float64)
    flags = _Flags()
    modality = _modality(header, stored, signed, flags)
    shown = _voi(header, modality, flags)
    padding = _padding(header, stored, signed)
    held = (counts > 0) & ~padding
    bright = _bone_bright(header, _spread(shown, held), flags)
    black, white = _ends(bright[held], counts[held])
    bright[padding] = 0.0
    lookup = bright.astype(np.float32)
    lookup.flags.writeable = False
    return Display(lookup, first, black, white, tuple(flags.names))


def _spread(shown: Values, held: NDArray[np.bool_]) -> Values:
    """Bring the levels of the held values to 0..1; what is not held is clipped to these."""
    if not held.any():
        return np.zeros_like(shown)
    low, high = shown[held].min(), shown[held].max()
    return np.asarray(np.clip((shown - low) / max(high - low, 1e-9), 0.0, 1.0))


def _ends(levels: Values, counts: Counts) -> tuple[float, float]:
    """The levels below and above which lies a thousandth of the film, so that a few dead pixels mean nothing."""
    if not len(levels):
        return 0.0, 1.0
    order = np.argsort(levels)
    share = np.cumsum(counts[order]) / counts.sum()
    black, white = np.searchsorted(share, (_RARE, 1 - _RARE))
    return float(levels[order[black]]), float(levels[order[white]])


def _modality(header: Header, x: Values, signed: bool, flags: _Flags) -> Values:
    """Apply the Modality LUT (PS3.3 C.11.1)."""
    table = _table(header, _MODALITY_SEQUENCE, signed, flags)
    if table is not None:
        return table(x)
    slope, intercept = header.decimal(_SLOPE), header.decimal(_INTERCEPT)
    if slope == 0 or (slope is None) != (intercept is None):
        flags.add("display_lookup_ignored")
        slope = intercept = None
    return x if slope is None or intercept is None else x * slope + intercept


def _voi(header: Header, x: Values, flags: _Flags) -> Values:
    """Apply the first VOI LUT, else the first window (PS3.3 C.11.2); they are alternatives of one another."""
    table = _table(header, _VOI_SEQUENCE, x.min() < 0, flags)
    centers, widths = header.decimals(_CENTER), header.decimals(_WIDTH)
    stated = bool(centers or widths or any(header.texts(_WIDTH)))
    several = header.several_items(_VOI_SEQUENCE) or len(centers or ()) > 1
    if several or (table is not None and centers and widths):
        flags.add("several_windows")
    if table is not None:
        return table(x)
    if stated:
        shown = _window(header, x, centers, widths)
        if shown is not None:
            return shown
        flags.add("display_lookup_ignored")
    return x


def _window(header: Header, x: Values, centers: list[float] | None, widths: list[float] | None) -> Values | None:
    """Apply the first window; `None` where it is malformed."""
    if not centers or not widths or len(centers) != len(widths):
        return None
    center, width = centers[0], widths[0]
    function = (header.text(_FUNCTION) or "LINEAR").upper()
    if (function == "LINEAR" and width >= 1) or (function == "LINEAR_EXACT" and width > 0):
        return x  # PS3.3 C.11.2.1.2.1, C.11.2.1.3.2: a straight line, and the ends that it hides
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
    photometric, shape = ((header.text(tag) or "").upper() for tag in (PHOTOMETRIC, _PRESENTATION_SHAPE))
    monochrome1, inverse = photometric == "MONOCHROME1", shape == "INVERSE"
    if shape and inverse != monochrome1:
        flags.add("polarity_uncertain")
    return 1.0 - shown if monochrome1 or inverse else shown


def _padding(header: Header, stored: Values, signed: bool) -> NDArray[np.bool_]:
    """Stored values that stand for "no image here"; shown as background (PS3.3 C.7.5.1.1.2)."""
    value = header.integer(_PADDING, signed)
    if value is None:
        return np.zeros(len(stored), bool)
    limit = header.integer(_PADDING_LIMIT, signed)
    low, high = sorted((value, value if limit is None else limit))
    return np.asarray((stored >= low) & (stored <= high))
