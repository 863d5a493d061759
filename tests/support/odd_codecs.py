"""Odd codestreams by name, each with the outcome it must have: part of `tests.support.odd_films`."""

import struct
from typing import Any

import imagecodecs
from numpy.typing import NDArray
from pydicom.encaps import encapsulate

from tests.support.films import (
    EXPLICIT,
    HTJ2K,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSLESS,
    NATIVE,
    RLE,
    Case,
    dataset,
    dicom_bytes,
    encoded,
    pixels,
    relabel,
    rle,
    written,
)

_LOSSY = frozenset({"lossy_compression"})


def _black_end() -> NDArray[Any]:
    frame = pixels()
    frame[-9:] = 0
    return frame


def _filled(stream: bytes) -> bytes:
    """With a fill byte before the end marker, as DCMTK writes it."""
    return stream[:-2] + b"\xff" + stream[-2:]


def _8_in_16(syntax: str) -> bytes:
    """The header allocates 16 bits for the 8 that are stored; the codestream may know of 8 only."""
    frame = pixels(bits=8)
    stream = rle(frame.astype("uint16")) if syntax == RLE else encoded(frame, syntax, 8)
    return dicom_bytes(frame.astype("uint16"), syntax, 8, how={"stream": stream})


def _jpeg_12_of_10() -> bytes:
    """JPEG knows 8 and 12 bits; the header states the 10 that the values need."""
    frame = pixels(bits=10)
    return dicom_bytes(frame, JPEG_EXTENDED, 10, how={"stream": encoded(frame, JPEG_EXTENDED, 12)})


def _denied(syntax: str, codecformat: str = "j2k") -> bytes:
    stream = imagecodecs.jpeg2k_encode(pixels(), codecformat=codecformat, level=60, bitspersample=12)
    return dicom_bytes(pixels(), syntax, how={"stream": bytes(stream)}, LossyImageCompression="00")


def codec_cases() -> list[Case]:
    frame = pixels()
    stream = encoded(frame, JPEG_2000_LOSSLESS, 12)
    lossless = encoded(frame, JPEG_LOSSLESS_SV1, 12)
    run = encoded(frame, RLE, 12)

    def film(syntax: str, data: bytes, **elements: Any) -> bytes:
        return dicom_bytes(frame, syntax, how={"stream": data}, **elements)

    cases = [Case(f"syntax_{syntax}", dicom_bytes(frame, syntax)) for syntax in (*NATIVE, *LOSSLESS)]
    cases += [
        Case("jpeg_8", dicom_bytes(bits=8, syntax=JPEG_BASELINE), None, frozenset({"lossy_compression"})),
        Case("jpeg_12", dicom_bytes(syntax=JPEG_EXTENDED), None, frozenset({"lossy_compression"})),
        Case("jpeg_2000_size", film(JPEG_2000_LOSSLESS, _resized_j2k(stream, 60000)), "inconsistent_pixels"),
        Case("jpeg_lossless_size", film(JPEG_LOSSLESS_SV1, _resized_jpeg(lossless)), "inconsistent_pixels"),
        Case("jpeg_2000_no_end", film(JPEG_2000_LOSSLESS, stream[:-40]), "decode_failed"),
        Case(
            "jpeg_2000_middle_cut", film(JPEG_2000_LOSSLESS, stream[: len(stream) // 2] + stream[-2:]), "decode_failed"
        ),
        Case("jpeg_2000_in_fragments", dicom_bytes(frame, JPEG_2000_LOSSLESS, fragments=5)),
        Case("jpeg_2000_in_jp2", film(JPEG_2000_LOSSLESS, _jp2(frame))),
        Case(
            "jpeg_lossless_cut", film(JPEG_LOSSLESS_SV1, lossless[: len(lossless) // 2] + b"\xff\xd9"), "decode_failed"
        ),
        Case("lossless_labelled_baseline", film(JPEG_BASELINE, lossless), "inconsistent_pixels"),
        Case("rle_one_segment", film(RLE, struct.pack("<L", 1) + run[4:]), "inconsistent_pixels"),
        Case("rle_bomb", film(RLE, _rle_bomb()), "decode_failed"),
        Case("rle_zeros_behind", film(RLE, run + bytes(6))),
        Case("rle_zeros_behind_black", dicom_bytes(_black_end(), RLE, how={"stream": rle(_black_end()) + bytes(7)})),
        Case("rle_more_behind", film(RLE, run + bytes([1, 7, 9, 0])), "decode_failed"),
        Case("jpeg_lossless_fill", film(JPEG_LOSSLESS_SV1, _filled(lossless))),
        Case("jpeg_lossless_6_fill", film(JPEG_LOSSLESS, _filled(encoded(frame, JPEG_LOSSLESS, 12, 6)))),
        Case("jpeg_12_fill", film(JPEG_EXTENDED, _filled(encoded(frame, JPEG_EXTENDED, 12))), None, _LOSSY),
        Case("j2k_9_7_denied", _denied(JPEG_2000), None, _LOSSY),
        Case("j2k_9_7_in_jp2", _denied(JPEG_2000, codecformat="jp2"), None, _LOSSY),
        Case("htj2k_9_7_denied", dicom_bytes(frame, HTJ2K, LossyImageCompression="00"), None, _LOSSY),
        Case("jpeg_ls_near", dicom_bytes(frame, JPEG_LS_NEAR), None, _LOSSY),
        Case("rle_short", film(RLE, rle(frame[:60])), "pixel_length"),
        Case("two_codestreams", _two_streams(stream), "multi_frame"),
        Case(
            "codestream_11_of_12",
            film(JPEG_2000_LOSSLESS, encoded(frame >> 1, JPEG_2000_LOSSLESS, 11)),
            "inconsistent_pixels",
        ),
        Case("codestream_16_of_12", film(JPEG_2000_LOSSLESS, encoded(frame, JPEG_2000_LOSSLESS, 16))),
        Case(
            "codestream_too_bright",
            film(JPEG_2000_LOSSLESS, encoded(frame * 16, JPEG_2000_LOSSLESS, 16)),
            "inconsistent_pixels",
        ),
        Case("j2k_unsigned_in_signed", _j2k_sign(frame * 16, "u"), "inconsistent_pixels"),
        Case("j2k_unsigned_in_signed_low_half", _j2k_sign(frame * 4, "u")),
        Case("j2k_signed", _j2k_sign(frame * 4, "i")),
        Case("native_in_fragments", _native_in_fragments(frame), "broken_dicom"),
        Case("jpeg_unencapsulated", _unencapsulated(lossless), "broken_dicom"),
    ]
    return cases + _maker_cases(encoded(frame, JPEG_LS, 12))


def _maker_cases(stream: bytes) -> list[Case]:
    """What makers write that the standard allows, or nearly."""
    cut, zero_before_end = (dicom_bytes(syntax=JPEG_LS, how={"stream": one}) for one in (
        stream[:-900] + b"\xff\xd9", stream[:-2] + b"\0" + stream[-2:]  # as samples of DICOM's working group 4
    ))  # fmt: skip
    return [
        Case("jpeg_ls_zero_before_end", zero_before_end),
        Case("jpeg_ls_cut", cut, "decode_failed"),
        *(Case(f"8_bits_in_16_{syntax}", _8_in_16(syntax)) for syntax in LOSSLESS),
        Case("jpeg_12_of_10", _jpeg_12_of_10(), None, _LOSSY),
    ]


def _resized_j2k(stream: bytes, size: int) -> bytes:
    return stream[:8] + struct.pack(">LL", size, size) + stream[16:]


def _resized_jpeg(stream: bytes) -> bytes:
    place = stream.index(b"\xff\xc3") + 5
    return stream[:place] + struct.pack(">HH", 60000, 60000) + stream[place + 4 :]


def _jp2(frame: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="jp2", reversible=True, level=0, bitspersample=12))


def _rle_bomb() -> bytes:
    segment = bytes([129, 7]) * 50_000
    return struct.pack("<16L", 2, 64, 64 + len(segment), *[0] * 13) + segment * 2


def _two_streams(stream: bytes) -> bytes:
    frame = pixels()
    made = dataset(frame)
    made.add_new("PixelData", "OB", encapsulate([stream, stream], has_bot=False))
    made["PixelData"].is_undefined_length = True
    return written(made, JPEG_2000_LOSSLESS)


def _j2k_sign(frame: NDArray[Any], kind: str) -> bytes:
    values = frame.astype(f"{kind}2")
    stream = imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True, level=0, bitspersample=16)
    return dicom_bytes(frame, JPEG_2000_LOSSLESS, 16, how={"stream": bytes(stream)}, PixelRepresentation=1)


def _native_in_fragments(frame: NDArray[Any]) -> bytes:
    made = dataset(frame)
    made.add_new("PixelData", "OB", encapsulate([frame.tobytes()], has_bot=False))
    made["PixelData"].is_undefined_length = True
    return relabel(written(made, RLE), RLE, EXPLICIT)


def _unencapsulated(stream: bytes) -> bytes:
    made = dataset(pixels())
    made.add_new("PixelData", "OB", stream + b"\0" * (len(stream) % 2))
    return relabel(written(made, EXPLICIT), EXPLICIT, JPEG_LOSSLESS_SV1)
