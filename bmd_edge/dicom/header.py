"""DICOM file bytes -> the few header values a film needs.

Only values that are asked for are decoded, so names, birth texts and private data are never touched. Nothing is
printed, no global setting is changed, any number of threads may read at once. Anything irregular that does not touch
the pixels is counted in `Header.irregular`.
"""

import math
import re
import struct
from collections.abc import Iterator

from bmd_edge.dicom.deflate import inflate
from bmd_edge.dicom.elements import TRANSFER_SYNTAX, Element, Walk
from bmd_edge.dicom.other_files import other_kind
from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.transfer_syntaxes import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN

MAX_TEXT_BYTES = 1024
_MACH_O = tuple(bytes.fromhex(magic) for magic in ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe"))
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # PS3.5 6.2, DS and IS
_META = re.compile(rb"\x02\x00[\x00-\x16]\x00(UL|OB|UI|SH|AE)", re.DOTALL)  # PS3.10 7.1, where the preamble was lost
_EXECUTABLES = (b"MZ", b"\x7fELF", b"%PDF", b"#!", b"PK\x03\x04", *_MACH_O)


class Header:
    """The elements of one data set or sequence item and typed access to them; `None` stands for absent or unusable."""

    def __init__(self, walk: Walk, elements: dict[int, Element], syntax: str = "") -> None:
        self._walk = walk
        self._elements = elements
        self.transfer_syntax = syntax

    @property
    def irregular(self) -> int:
        """How many breaches of the standard were met so far, none of them touching the pixels."""
        return self._walk.irregular

    @property
    def trailing(self) -> bool:
        """Whether bytes follow the end of the data set."""
        return self._walk.trailing

    def note(self) -> None:
        """Count one more irregularity."""
        self._walk.irregular += 1

    def __contains__(self, tag: int) -> bool:
        return tag in self._elements

    def element(self, tag: int) -> Element | None:
        """Return where the value of `tag` lies."""
        return self._elements.get(tag)

    def value(self, tag: int) -> memoryview:
        """Return the raw bytes of a value; empty when absent."""
        element = self._elements.get(tag)
        return memoryview(self._walk.data)[element.start : element.end] if element else memoryview(b"")

    def texts(self, tag: int) -> list[str]:
        """Return the values of a text element: ASCII, without control characters or padding."""
        raw = bytes(self.value(tag)[:MAX_TEXT_BYTES]).decode("ascii", "replace")
        clean = re.sub(r"[^ -\[\]-~\\]", " ", raw)
        return [part.strip() for part in clean.split("\\")]

    def text(self, tag: int) -> str | None:
        """Return the first value of a text element, at most 64 characters."""
        return self.texts(tag)[0][:64] or None

    def uid(self, tag: int) -> str | None:
        """Return a UID (PS3.5 section 9)."""
        text = self.text(tag)
        if text and not re.fullmatch(r"[0-9][0-9.]{0,63}", text):
            self.note()
            return None
        return text

    def decimals(self, tag: int) -> list[float] | None:
        """Return the values of a DS or IS element; `None` when absent, empty or not all of them finite numbers."""
        texts = self.texts(tag)
        if not any(texts):
            return None
        numbers = [float(text) if _DECIMAL.fullmatch(text) else math.nan for text in texts]
        if not all(map(math.isfinite, numbers)):
            self.note()
            return None
        return numbers

    def decimal(self, tag: int) -> float | None:
        """Return the first value of a DS or IS element."""
        numbers = self.decimals(tag)
        return numbers[0] if numbers else None

    def integer(self, tag: int, signed: bool = False) -> int | None:
        """Return a US (or SS) value; a wrong length is refused, as these describe the pixels."""
        raw = bytes(self.value(tag))
        if not raw:
            return None
        if len(raw) != 2:
            raise FilmRefused("broken_dicom", f"element {tag:08X} has {len(raw)} bytes")
        return int.from_bytes(raw, "little" if self._walk.little else "big", signed=signed)

    def words(self, tag: int) -> tuple[int, ...]:
        """Return a US, SS or OW value as unsigned 16-bit integers."""
        raw = bytes(self.value(tag))
        order = "<" if self._walk.little else ">"
        return struct.unpack(f"{order}{len(raw) // 2}H", raw[: len(raw) // 2 * 2])

    def item(self, tag: int) -> "Header | None":
        """Return the first item of a sequence; `None` when absent, empty or malformed."""
        element = self._elements.get(tag)
        if element is None or element.start == element.end:
            return None
        try:
            item = self._walk.first_item(element)
        except FilmRefused:
            self.note()
            return None
        return None if item is None else Header(self._walk, item[0])

    def values(self) -> Iterator[tuple[int, "memoryview | list[Header]"]]:
        """Every element's tag with its raw value, or with the items of a sequence, where it is a sound one."""
        for tag, element in self._elements.items():
            yield tag, self._items(element) or self.value(tag)

    def _items(self, element: Element) -> "list[Header] | None":
        """The items of a sequence; None where it is none, is empty or malformed."""
        if element.fragments is not None or element.vr not in ("SQ", "UN", ""):
            return None
        items, pos = [], element.start
        try:
            while pos < element.end:
                item = self._walk.first_item(Element("SQ", pos, element.end))
                if item is None:
                    return None
                items.append(Header(self._walk, item[0]))
                pos = item[1]
        except FilmRefused:
            return None
        return items

    def several_items(self, tag: int) -> bool:
        """Whether a sequence goes on behind its first item."""
        element = self._elements.get(tag)
        if element is None or element.end - element.start < 8:
            return False
        try:
            item = self._walk.first_item(element)
        except FilmRefused:
            return False  # counted where the item is asked for
        return item is not None and item[1] < element.end


def read_header(data: bytes) -> tuple[Header, bytes | bytearray]:
    """Walk a DICOM file.

    Returns the header and the bytes its elements point into (other than `data` where the data set was deflated).
    Raises `FilmRefused`: `empty_file`, a code of `other_kind`, `truncated`, `broken_dicom`, `too_large` (deflate bomb).
    """
    if not data:
        raise FilmRefused("empty_file")
    begin = 132 if data[128:132] == b"DICM" else 0
    if not begin and not _META.match(data):
        raise FilmRefused(other_kind(data))
    meta = Walk(data, explicit=True, little=True)
    elements, start = meta.group_2(begin)
    syntax = Header(meta, elements).text(TRANSFER_SYNTAX)
    if syntax is None:
        raise FilmRefused("broken_dicom", "no transfer syntax")
    trailing = 0
    body: bytes | bytearray = data
    if syntax == DEFLATED:
        body, trailing = inflate(data[start:])
        start = 0
    walk = Walk(body, explicit=syntax != IMPLICIT_LITTLE_ENDIAN, little=syntax != EXPLICIT_BIG_ENDIAN)
    # PS3.10 7.1: the preamble is free, but an executable one is a known way to smuggle programs
    walk.irregular = meta.irregular + (not begin or meta.data[:4].startswith(_EXECUTABLES))
    header = Header(walk, walk.data_set(start), syntax)
    walk.trailing = walk.trailing or trailing > 1
    return header, body
