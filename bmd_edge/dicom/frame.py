"""The one frame of a film: its size and depth as the header states them, its bytes as they lie in the file."""

from bmd_edge.dicom.elements import PIXEL_DATA
from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.layout import PixelLayout
from bmd_edge.pixels.transfer_syntaxes import EXPLICIT_BIG_ENDIAN


def read_layout(header: Header, most_pixels: int) -> PixelLayout:
    """Read and judge the size and depth of the pixels (PS3.3 C.7.6.3); more than `most_pixels` are `too_large`."""
    rows, columns = header.integer(0x00280010), header.integer(0x00280011)
    allocated, stored = header.integer(0x00280100), header.integer(0x00280101)
    if rows is None or columns is None or allocated is None or stored is None:
        raise FilmRefused("broken_dicom", "no image size or depth")
    if rows * columns > most_pixels:
        raise FilmRefused("too_large", f"{columns} x {rows} pixels")
    high = header.integer(0x00280102)
    signed = header.integer(0x00280103)
    if signed is None:
        header.note()
    elif signed > 1:
        raise FilmRefused("inconsistent_pixels", f"PixelRepresentation {signed}")
    pixel_data = header.element(PIXEL_DATA)
    big_words = header.transfer_syntax == EXPLICIT_BIG_ENDIAN and pixel_data is not None and pixel_data.vr == "OW"
    return PixelLayout(
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high is None else high,
        signed=bool(signed),
        # Overlay planes inside the pixels name the bit they lie in (retired: PS3.3-2004 C.9.2)
        overlay_bits=any((header.integer(0x60000102 + (n << 17)) or 0) > 0 for n in range(16)),
        swapped_words=big_words and allocated == 8,
    )


def frame_bytes(header: Header, body: bytes | bytearray, encapsulated: bool) -> bytes | memoryview:
    """Return the bytes of the one frame, the fragments joined (PS3.5 A.4)."""
    element = header.element(PIXEL_DATA)
    assert element is not None
    if encapsulated != (element.fragments is not None):
        raise FilmRefused("broken_dicom", "pixel data and transfer syntax disagree on encapsulation")
    if element.fragments is None:
        return header.value(PIXEL_DATA)
    starts = [body[start : start + 4] for start, _ in element.fragments]
    if not starts:
        raise FilmRefused("pixel_length", "no fragments")
    if any(start[:3] == b"\xff\xd8\xff" or start == b"\xff\x4f\xff\x51" for start in starts[1:]):
        raise FilmRefused("multi_frame", "several codestreams")
    return b"".join(body[start:end] for start, end in element.fragments)
