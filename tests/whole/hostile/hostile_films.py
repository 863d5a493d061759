"""Films of the catalogue of hostile inputs that no other kit makes."""

import itertools
import struct
from collections.abc import Callable

import numpy as np

from bmd_edge.dicom.elements import MAX_DEPTH
from tests.support import films, odd_films
from tests.support.films import Case


def gaps() -> list[Case]:
    """Films of the catalogue that `films.cases()` does not make."""
    return [*_files(), *_elements(), *_texts(), *_pixels(), *_streams()]


def _files() -> list[Case]:
    whole = films.dicom_bytes()
    other = {
        "pdf": b"%PDF-1.7\n", "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF", "program": b"\x7fELF\2\1\1",
    }  # fmt: skip
    preambles = {
        "elf": b"\x7fELF", "mach_o": b"\xcf\xfa\xed\xfe", "pdf": b"%PDF", "script": b"#!/bin/sh",
    }  # fmt: skip
    return [
        *(Case(name, start + bytes(1000), "not_dicom") for name, start in other.items()),
        Case("zip", b"PK\x03\x04" + bytes(1000), "broken_packed_file"),
        *(
            Case(f"{name}_preamble", start + whole[len(start) :], None, frozenset({"header_irregular"}))
            for name, start in preambles.items()
        ),
        Case("explicit_labelled_implicit", odd_films._relabelled(films.EXPLICIT, films.IMPLICIT), "truncated"),
        Case("little_labelled_big", odd_films._relabelled(films.EXPLICIT, films.BIG_ENDIAN), "broken_dicom"),
        Case("big_labelled_little", _big_labelled_little(), "broken_dicom"),
    ]


def _big_labelled_little() -> bytes:
    big = films.dicom_bytes(syntax=films.BIG_ENDIAN)
    little = films.dicom_bytes()
    start = big.index(struct.pack(">HH", 0x0008, 0x0016), 132)
    return little[: little.index(struct.pack("<HH", 0x0008, 0x0016), 132)] + big[start:]


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _long(length: int, vr: bytes = b"OB") -> bytes:
    return struct.pack("<HH2sHL", 0x0029, 0x1001, vr, 0, length)


def _elements() -> list[Case]:
    irregular = frozenset({"header_irregular"})
    whole = films.dicom_bytes()
    rows = _element(0x00280010, b"US", struct.pack("<H", 120))
    private = b"".join(_element((0x0029 + 2 * (i >> 12)) << 16 | 0x1000 + i % 4096, b"LO", b"") for i in range(25_000))
    return [
        Case("length_2_gb", films.before_pixels(_long(2 << 30)), "truncated"),
        Case("length_fffffffe", films.before_pixels(_long(0xFFFFFFFE)), "truncated"),
        Case("ob_of_undefined_length", films.before_pixels(_long(0xFFFFFFFF)), "broken_dicom"),
        Case("nested_20000", films.nested(20_000), "broken_dicom"),
        Case("nested_one_too_deep", films.nested(MAX_DEPTH + 1), "broken_dicom"),
        Case("nested_cap", films.nested(MAX_DEPTH)),
        Case("private_1000000", films.before_pixels(private * 40), "broken_dicom"),
        Case("text_of_16_mb", films.before_pixels(_long(16 << 20, b"UT") + b" " * (16 << 20))),
        Case("out_of_order", films.before_pixels(_element(0x00080070, b"LO", b"Acme")), None, irregular),
        Case("unknown_vr", films.before_pixels(_long(4, b"ZZ") + b"abcd"), None, irregular),
        Case(
            "rows_as_ul",
            films.patched(whole, rows, _element(0x00280010, b"UL", struct.pack("<L", 120))),
            "broken_dicom",
        ),
        Case("rows_as_ss", films.patched(whole, rows, rows.replace(b"US", b"SS"))),
        Case("odd_value", films.before_pixels(_element(0x00291001, b"LO", b"odd"))),
    ]


def _texts() -> list[Case]:
    latin = films.dicom_bytes(SpecificCharacterSet="ISO_IR 100", PatientName="0123456789ABCDEF")
    return [
        Case("padded_with_spaces", films.dicom_bytes(Modality="DX  ", ViewPosition="AP \0")),
        Case("no_such_charset", films.patched(latin, b"ISO_IR 100", b"ISO_IR 999")),
        Case("escapes_in_a_name", films.patched(latin, b"0123456789ABCDEF", b"\x1b$)C\xff\x1b(B^\x1b[31m\xc3(")),
        Case("name_of_10_kb", films.dicom_bytes(PatientName="X" * 10_000, Manufacturer="Y" * 10_000)),
    ]


def _pixels() -> list[Case]:
    frame = films.pixels()
    high = films.pixels(signed=True)
    floats = films.dataset(frame)
    floats.add_new("FloatPixelData", "OF", np.full(frame.size, np.nan, "<f4").tobytes())
    return [
        Case("one_pixel_too_many", films.dicom_bytes(Rows=10_001, Columns=10_000), "too_large"),
        Case("no_columns", films.dicom_bytes(Columns=0), "inconsistent_pixels"),
        Case("swapped", films.dicom_bytes(frame, Rows=90, Columns=120), "inconsistent_pixels"),
        Case("swapped_rle", films.dicom_bytes(frame, films.RLE, Rows=90, Columns=120), "inconsistent_pixels"),
        Case("wide", films.dicom_bytes(films.pixels(60, 200))),
        Case("square", films.dicom_bytes(films.pixels(100, 100))),
        Case("shifted_but_not_said", films.dicom_bytes(frame << 4), "inconsistent_pixels"),
        Case("unsigned_labelled_signed", films.dicom_bytes(frame, PixelRepresentation=1), "inconsistent_pixels"),
        Case(
            "signed_labelled_unsigned",
            films.dicom_bytes((high & 0xFFF).astype(np.uint16), PixelRepresentation=0),
            "inconsistent_pixels",
        ),
        Case("signed", films.dicom_bytes(high)),
        Case("low_values_labelled_signed", films.dicom_bytes(frame >> 1, PixelRepresentation=1)),
        Case("pixel_representation_2", films.dicom_bytes(PixelRepresentation=2), "inconsistent_pixels"),
        Case("float_pixels", films.written(floats), "no_pixels"),
    ]


def _streams() -> list[Case]:
    frame = films.pixels()

    def film(syntax: str, stream: bytes, change: Callable[[bytes], bytes] = bytes) -> bytes:
        return films.dicom_bytes(frame, syntax, how={"stream": change(stream)})

    lossless, near = films.JPEG_LOSSLESS_SV1, films.JPEG_LS
    stream = films.encoded(frame, films.JPEG_2000_LOSSLESS, 12)
    return [
        Case("jpeg_ls_labelled_j2k", film(films.JPEG_2000, films.encoded(frame, near, 12)), "decode_failed"),
        Case("bad_huffman_table", film(lossless, films.encoded(frame, lossless, 12), _bad_huffman), "decode_failed"),
        Case("bad_jpeg_ls_preset", film(near, films.encoded(frame, near, 12), _bad_preset), "decode_failed"),
        Case("fragment_missing", _fragments(stream, drop=2), "decode_failed"),
        Case("no_fragments", _fragments(b""), "pixel_length"),
        Case("wrong_offset_table", _fragments(stream, table=struct.pack("<3L", 7, 1 << 31, 0))),
        Case("empty_fragment_at_the_end", _fragments(stream, end=struct.pack("<HHL", 0xFFFE, 0xE000, 0))),
    ]


def _bad_huffman(stream: bytes) -> bytes:
    place = stream.index(b"\xff\xc4") + 5
    return stream[:place] + b"\xff" * 16 + stream[place + 16 :]


def _bad_preset(stream: bytes) -> bytes:
    scan = stream.index(b"\xff\xda")  # ITU-T T.87 C.2.4.1.1: MAXVAL, three thresholds, RESET
    return stream[:scan] + b"\xff\xf8\x00\x0d\x01" + struct.pack(">5H", 4095, 9, 3, 1, 0) + stream[scan:]


def _fragments(stream: bytes, table: bytes = b"", drop: int | None = None, end: bytes = b"") -> bytes:
    """A JPEG 2000 film of four fragments, made by hand."""
    size = len(stream) // 4 // 2 * 2
    cuts = [0, size, 2 * size, 3 * size, len(stream)] if stream else []
    parts = [stream[a:b] + b"\0" * ((b - a) % 2) for a, b in itertools.pairwise(cuts)]
    items = [table, *(part for i, part in enumerate(parts) if i != drop)]
    body = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)
    plain = films.dicom_bytes(syntax=films.JPEG_2000_LOSSLESS)
    start = plain.rindex(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)) + 12
    return plain[:start] + body + end + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
