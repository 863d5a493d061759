"""Odd but valid DICOM films made in memory, each with the outcome it must have.

`dicom_bytes(...)` writes one film; `CASES` names them: `Case(name, data, code, flags)` where `code` is the refusal or
`None` for a film that must be read. Every refusal has a twin that differs in one thing and must still be accepted.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
DX_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
CT = "1.2.840.10008.5.1.4.1.1.2"

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
LOSSLESS = (RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL)
LOSSY = (JPEG_BASELINE, JPEG_EXTENDED, JPEG_LS_NEAR, JPEG_2000, HTJ2K)

CANARY = "CANARY"
"""Stands in every element that names the patient, the place or a person."""


def pixels(rows: int = 120, columns: int = 90, bits: int = 12, signed: bool = False, seed: int = 0) -> NDArray[Any]:
    """A film-like field without any symmetry: a slope, two blobs and noise, within `bits` bits."""
    y, x = np.mgrid[:rows, :columns] / max(rows, columns)
    field = 0.2 + 0.3 * x + 0.15 * y + 0.3 * np.exp(-((x - 0.2) ** 2 + (y - 0.6) ** 2) / 0.01)
    field += np.random.default_rng(seed).normal(0, 0.01, field.shape)
    values = np.clip(field, 0, 1) * ((1 << bits) - 1)
    if signed:
        return np.rint(values - (1 << (bits - 1))).astype(np.int8 if bits == 8 else np.int16)
    return np.rint(values).astype(np.uint8 if bits == 8 else np.uint16)


def rle(frame: NDArray[Any]) -> bytes:
    """PS3.5 annex G: byte planes, most significant first, each PackBits-coded."""
    size = frame.dtype.itemsize
    planes = frame.astype(frame.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, size)
    segments = [bytes(imagecodecs.packbits_encode(np.ascontiguousarray(planes[:, i]).tobytes())) for i in range(size)]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:i])) for i in range(size)]
    return struct.pack("<16L", size, *offsets, *[0] * (15 - size)) + b"".join(segments)


def encoded(frame: NDArray[Any], syntax: str, bits: int, predictor: int = 1) -> bytes:
    """Encode one frame as the codestream of `syntax`."""
    raw = frame.view(f"u{frame.dtype.itemsize}")  # JPEG knows no sign
    if syntax == RLE:
        return rle(raw)
    if syntax in (JPEG_BASELINE, JPEG_EXTENDED):
        return bytes(imagecodecs.jpeg8_encode(raw, 98, bitspersample=8 if bits <= 8 else 12))
    if syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        # A signed value is its 16-bit pattern
        depth = 8 * raw.dtype.itemsize if frame.dtype.kind == "i" else bits
        return bytes(imagecodecs.jpeg8_encode(raw, lossless=True, predictor=predictor, bitspersample=depth))
    if syntax in (JPEG_LS, JPEG_LS_NEAR):
        return bytes(imagecodecs.jpegls_encode(raw, 2 if syntax == JPEG_LS_NEAR else 0))
    if syntax in (JPEG_2000_LOSSLESS, JPEG_2000):
        lossy: dict[str, Any] = {"level": 60} if syntax == JPEG_2000 else {"reversible": True, "level": 0}
        return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", bitspersample=bits, **lossy))
    if syntax == HTJ2K:
        return bytes(imagecodecs.htj2k_encode(frame, 1e-3, reversible=False))
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True))


def _set(dataset: Dataset, name: str, value: Any) -> None:
    """Set an element past pydicom's own checks: films break rules."""
    tag = Tag(name)
    ignored = pydicom.config.IGNORE
    dataset[tag] = DataElement(tag, pydicom.datadict.dictionary_VR(tag).split(" ")[0], value, validation_mode=ignored)


def dataset(frame: NDArray[Any], bits: int = 12, **elements: Any) -> Dataset:
    """A complete AP hip film without pixel data; `elements` by keyword replace or (`None`) remove elements."""
    facts: dict[str, Any] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": "1.2.826.0.1.3680043.10.1",
        "StudyInstanceUID": "1.2.826.0.1.3680043.10.2",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.10.3",
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION",
        "StudyDate": "20240517",
        "PatientName": f"{CANARY}^NAME",
        "PatientID": f"{CANARY}-ID",
        "PatientBirthDate": "19560301",
        "PatientAge": "068Y",
        "PatientSex": "F",
        "PatientComments": f"{CANARY} comment",
        "InstitutionName": f"{CANARY} hospital",
        "OperatorsName": f"{CANARY}^OPERATOR",
        "Manufacturer": "Acme",
        "ManufacturerModelName": "Ray 1",
        "BodyPartExamined": "HIP",
        "ViewPosition": "AP",
        "ImageLaterality": "R",
        "PatientOrientation": ["L", "F"],
        "KVP": "75",
        "ExposureIndex": "250",
        "ImagerPixelSpacing": ["0.14", "0.14"],
        "EstimatedRadiographicMagnificationFactor": "1.2",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": frame.shape[0],
        "Columns": frame.shape[1],
        "BitsAllocated": 8 * frame.dtype.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(frame.dtype.kind == "i"),
        "PresentationLUTShape": "IDENTITY",
    }
    facts.update(elements)
    made = Dataset()
    for name, value in facts.items():
        if value is not None:
            _set(made, name, value)
    return made


def written(made: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Write a data set as a DICOM file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", DX)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3")
    buffer = BytesIO()
    little = syntax != BIG_ENDIAN
    pydicom.dcmwrite(buffer, made, implicit_vr=syntax == IMPLICIT, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


def with_pixels(made: Dataset, frame: NDArray[Any], syntax: str, bits: int, fragments: int = 1, **how: Any) -> Dataset:
    """Add the pixel data of `frame` in the encoding of `syntax`."""
    if syntax in NATIVE:
        raw = frame.astype(frame.dtype.newbyteorder(">" if syntax == BIG_ENDIAN else "<")).tobytes()
        made.add_new("PixelData", "OB" if frame.dtype.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
        return made
    stream = how.get("stream") or encoded(frame, syntax, bits, how.get("predictor", 1))
    made.add_new("PixelData", "OB", encapsulate([stream], fragments_per_frame=fragments, has_bot=False))
    made["PixelData"].is_undefined_length = True
    return made


def dicom_bytes(
    frame: NDArray[Any] | None = None,
    syntax: str = EXPLICIT,
    bits: int = 12,
    fragments: int = 1,
    how: dict[str, Any] | None = None,
    **elements: Any,
) -> bytes:
    """Write one film; `how` may hold `predictor` or a ready `stream`, `elements` as for `dataset`."""
    frame = pixels(bits=bits) if frame is None else frame
    made = dataset(frame, bits, **elements)
    return written(with_pixels(made, frame, syntax, bits, fragments, **(how or {})), syntax)


def sequence(**elements: Any) -> list[Dataset]:
    """A sequence of one item."""
    item = Dataset()
    for name, value in elements.items():
        _set(item, name, value)
    return [item]


def lut(values: list[int], first: int = 0, bits: int = 12) -> list[Dataset]:
    """The one item of a Modality or VOI LUT sequence."""
    item = Dataset()
    count = len(values) % 65536
    vr = "SS" if first < 0 else "US"
    # pydicom writes all three values of the descriptor with one VR
    item.add_new("LUTDescriptor", vr, [count, first, bits])
    item.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
    return [item]


@dataclass(frozen=True)
class Case:
    """One film: `code` is the refusal it must get, or `None`; `flags` must stand on a film that is read."""

    name: str
    data: bytes
    code: str | None = None
    flags: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return self.name


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the one place where `old` occurs."""
    assert data.count(old) == 1, data.count(old)
    return data.replace(old, new)


def _view_code(code: str, meaning: str) -> list[Dataset]:
    return sequence(CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning=meaning)


def nested(depth: int) -> bytes:
    """A film with `depth` private sequences of undefined length inside each other."""
    sequence_start = struct.pack("<HH2sHL", 0x0029, 0x1010, b"SQ", 0, 0xFFFFFFFF)
    item_start = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return before_pixels((sequence_start + item_start) * depth + ends * depth)


def many_elements(count: int) -> bytes:
    """A film with `count` empty private elements."""
    return before_pixels(b"".join(struct.pack("<HH2sH", 0x0029, 0x1000 + i % 0xE000, b"CS", 0) for i in range(count)))


def before_pixels(elements: bytes) -> bytes:
    """A plain film with more elements, already encoded in Explicit VR Little Endian."""
    base = dicom_bytes()
    place = base.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    return base[:place] + elements + base[place:]


def _shape_cases() -> list[Case]:
    whole = dicom_bytes()
    padded_odd = pixels(101, 91, 8)
    return [
        Case("plain", whole),
        Case("empty", b"", "empty_file"),
        Case("text", b"Dear colleague,\n" * 40, "not_dicom"),
        Case("no_preamble", whole[132:], "not_dicom"),
        Case("cut_in_pixels", whole[:-100], "truncated"),
        Case("cut_in_header", whole[:400], "truncated"),
        Case("odd_length_padded", dicom_bytes(padded_odd, bits=8)),
        Case("second_file_appended", whole + whole, None, frozenset({"trailing_data"})),
        Case("zeros_appended", whole + bytes(512), None, frozenset({"trailing_data"})),
        Case("element_after_pixels", whole + struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, 8) + bytes(8)),
        Case("executable_preamble", b"MZ" + whole[2:], None, frozenset({"header_irregular"})),
        Case("tiff_preamble", b"II*\0" + whole[4:]),
        Case("no_transfer_syntax", patched(whole, b"1.2.840.10008.1.2.1\0", bytes(20)), "broken_dicom"),
        Case("implicit_labelled_explicit", _relabelled(IMPLICIT, EXPLICIT), "broken_dicom"),
        Case("nested_20", nested(20)),
        Case("nested_300", nested(300), "broken_dicom"),
        Case("elements_10000", many_elements(10_000)),
        Case("elements_400000", many_elements(400_000), "broken_dicom"),
        Case("unknown_syntax", _relabelled(EXPLICIT, "1.2.840.10008.1.2.4.102"), "unsupported_syntax"),
        Case("twice_the_rows", _doubled_rows(different=True), "broken_dicom"),
        Case("rows_twice_the_same", _doubled_rows(different=False), None, frozenset({"header_irregular"})),
        Case("deflated", dicom_bytes(syntax=DEFLATED)),
        Case("deflate_bomb", _deflate_bomb(), "too_large"),
    ]


def _relabelled(real: str, label: str) -> bytes:
    made = written(with_pixels(dataset(pixels()), pixels(), real, 12), real)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = label
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DX, "1.2.3"
    head = BytesIO()
    pydicom.filewriter.write_file_meta_info(head, meta, enforce_standard=True)
    start = made.index(struct.pack("<HH", 0x0008, 0x0016))
    return bytes(128) + b"DICM" + head.getvalue() + made[start:]


def _doubled_rows(different: bool) -> bytes:
    whole = dicom_bytes()
    rows = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 120)
    return patched(whole, rows, rows + (rows[:-2] + struct.pack("<H", 60) if different else rows))


def _deflate_bomb() -> bytes:
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    plain = dicom_bytes(syntax=DEFLATED)
    meta = plain[: plain.index(DEFLATED.encode()) + len(DEFLATED) + len(DEFLATED) % 2]
    # Group length covers exactly these elements
    body = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 100 << 20)
    return _with_group_length(meta) + packer.compress(body + bytes(100 << 20)) + packer.flush()


def _with_group_length(meta: bytes) -> bytes:
    length = len(meta) - (132 + 12)
    return meta[: 132 + 8] + struct.pack("<L", length) + meta[132 + 12 :]


def _kind_cases() -> list[Case]:
    frame = pixels()
    rgb = Dataset()
    rgb.update(dataset(frame, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", BitsAllocated=8))
    rgb.add_new("PixelData", "OB", bytes(frame.size * 3))
    return [
        Case("cr", dicom_bytes(SOPClassUID=CR, Modality="CR", PresentationIntentType=None, PresentationLUTShape=None)),
        Case("sc_with_spacing", dicom_bytes(SOPClassUID=SC, Modality="OT")),
        Case("sc_without_spacing", dicom_bytes(SOPClassUID=SC, Modality="OT", ImagerPixelSpacing=None), "no_spacing"),
        Case("sc_of_an_mr", dicom_bytes(SOPClassUID=SC, Modality="MR"), "not_radiograph"),
        Case("ct", dicom_bytes(SOPClassUID=CT, Modality="CT"), "not_radiograph"),
        Case("no_sop_class", dicom_bytes(SOPClassUID=None), "broken_dicom"),
        Case("dx_processing", dicom_bytes(SOPClassUID=DX_PROCESSING), "not_for_presentation"),
        Case("dx_intent_processing", dicom_bytes(PresentationIntentType="FOR PROCESSING"), "not_for_presentation"),
        Case("no_pixels", written(dataset(frame)), "no_pixels"),
        Case("rgb", written(rgb), "not_grayscale"),
        Case("palette", dicom_bytes(PhotometricInterpretation="PALETTE COLOR"), "not_grayscale"),
        Case("one_frame_stated", dicom_bytes(NumberOfFrames="1")),
        Case("two_frames", dicom_bytes(NumberOfFrames="2"), "multi_frame"),
        Case("frames_overflow", dicom_bytes(NumberOfFrames="2147483647"), "multi_frame"),
        Case("huge", dicom_bytes(Rows=60000, Columns=60000), "too_large"),
        Case("no_rows", dicom_bytes(Rows=0), "inconsistent_pixels"),
        Case("rows_missing", dicom_bytes(Rows=None), "broken_dicom"),
        Case("one_row_less", dicom_bytes(Rows=119), "pixel_length"),
        Case("one_row_more", dicom_bytes(Rows=121), "pixel_length"),
        Case("one_bit", dicom_bytes(BitsAllocated=1, BitsStored=1, HighBit=0), "unsupported_depth"),
        Case("32_bits", dicom_bytes(frame.astype(np.uint32), bits=32), "unsupported_depth"),
        Case("high_bit_too_low", dicom_bytes(HighBit=7), "inconsistent_pixels"),
        Case("high_bit_missing", dicom_bytes(HighBit=None)),
        Case("bits_above_stored", dicom_bytes(frame | 0x8000), "inconsistent_pixels"),
        Case("overlay_in_bit_15", _with_overlay(frame)),
        Case("shifted_up", dicom_bytes(frame << 4, HighBit=15)),
        Case("blank", dicom_bytes(np.full_like(frame, 700)), "poor_exposure"),
        Case("saturated", dicom_bytes(_saturated(frame)), "poor_exposure"),
        Case("collimated", dicom_bytes(_collimated(frame))),
        Case("two_levels", dicom_bytes(np.where(frame > 1200, 3000, 200).astype(np.uint16)), "poor_exposure"),
    ]


def _with_overlay(frame: NDArray[Any]) -> bytes:
    bits = (np.arange(frame.size).reshape(frame.shape) % 7 == 0).astype(np.uint16) << 15
    made = with_pixels(dataset(frame), frame | bits, EXPLICIT, 12)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 15)
    return written(made)


def _saturated(frame: NDArray[Any]) -> NDArray[Any]:
    burnt = np.full_like(frame, 4095)
    burnt[:2] = frame[:2]
    return burnt


def _collimated(frame: NDArray[Any]) -> NDArray[Any]:
    cut = np.zeros_like(frame)
    cut[30:80, 20:60] = frame[30:80, 20:60]
    return cut


def _codec_cases() -> list[Case]:
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
    return cases


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
    return _relabel(written(made, RLE), RLE, EXPLICIT)


def _unencapsulated(stream: bytes) -> bytes:
    made = dataset(pixels())
    made.add_new("PixelData", "OB", stream + b"\0" * (len(stream) % 2))
    return _relabel(written(made, EXPLICIT), EXPLICIT, JPEG_LOSSLESS_SV1)


def _relabel(data: bytes, old: str, new: str) -> bytes:
    def element(uid: str) -> bytes:
        raw = uid.encode() + b"\0" * (len(uid) % 2)
        return struct.pack("<HH2sH", 2, 0x10, b"UI", len(raw)) + raw

    return patched(data, element(old), element(new))


def _fact_cases() -> list[Case]:
    film = dicom_bytes
    uncertain = frozenset({"spacing_uncertain", "magnification_assumed"})
    return [
        Case("chest", film(BodyPartExamined="CHEST"), "wrong_body_part"),
        Case("left_hand", film(BodyPartExamined="LEFT HAND"), "wrong_body_part"),
        Case("pelvis", film(BodyPartExamined="PELVIS")),
        Case("abdomen", film(BodyPartExamined="ABDOMEN")),
        Case("no_part", film(BodyPartExamined=None)),
        Case("strange_part", film(BodyPartExamined="BECKEN")),
        Case(
            "part_by_code",
            film(BodyPartExamined=None, AnatomicRegionSequence=_view_code("1", "Chest")),
            "wrong_body_part",
        ),
        Case("chest_series", film(BodyPartExamined=None, SeriesDescription="Chest ap erect"), "wrong_body_part"),
        Case("chest_series_of_a_hip", film(SeriesDescription="Chest and hip AP")),
        Case("neck_series", film(BodyPartExamined=None, SeriesDescription="Femoral neck AP")),
        Case("lateral", film(ViewPosition="LL"), "wrong_view"),
        Case("pa", film(ViewPosition="PA"), "wrong_view"),
        Case(
            "lateral_code", film(ViewPosition=None, ViewCodeSequence=_view_code("399067008", "lateral")), "wrong_view"
        ),
        Case("ap_code", film(ViewPosition=None, ViewCodeSequence=_view_code("399348003", "antero-posterior"))),
        Case("frog_series", film(SeriesDescription="Hip frog-leg"), "wrong_view"),
        Case("lateral_series", film(ViewPosition=None, SeriesDescription="HIP LAT"), "wrong_view"),
        Case("pair_series", film(SeriesDescription="HIP AP + LAT")),
        Case("lateral_orientation", film(PatientOrientation=["A", "F"]), "wrong_view"),
        Case("mirrored", film(PatientOrientation=["R", "F"]), None, frozenset({"unusual_orientation"})),
        Case("no_view", film(ViewPosition=None), None, frozenset({"view_unknown"})),
        Case("sides_differ", film(Laterality="L"), None, frozenset({"side_contradiction"})),
        Case("child", film(PatientAge="017Y"), "immature"),
        Case("infant", film(PatientAge="005M"), "immature"),
        Case("child_by_birth", film(PatientAge=None, PatientBirthDate="20100101"), "immature"),
        Case("age_18", film(PatientAge="018Y")),
        Case("age_000Y", film(PatientAge="000Y")),
        Case("age_999Y", film(PatientAge="999Y")),
        Case("age_in_words", film(PatientAge="68"), None, frozenset({"header_irregular"})),
        Case("no_spacing", film(ImagerPixelSpacing=None), "no_spacing"),
        Case("spacing_zero", film(ImagerPixelSpacing=["0", "0"]), "implausible_scale"),
        Case("spacing_nan", film(ImagerPixelSpacing=["nan", "nan"]), "implausible_scale"),
        Case("spacing_in_meters", film(ImagerPixelSpacing=["0.00014", "0.00014"]), "implausible_scale"),
        Case("spacing_too_large", film(ImagerPixelSpacing=["1.4", "1.4"]), "implausible_scale"),
        Case("spacing_conflict", film(PixelSpacing=["1.0", "1.0"]), "implausible_scale"),
        Case("spacing_not_square", film(ImagerPixelSpacing=["0.14", "0.2"])),
        Case("calibrated", film(PixelSpacing=["0.12", "0.12"])),
        Case("pixel_spacing_only", _pixel_spacing_only(), None, uncertain),
        Case("film_of_3_meters", _long_film(), "implausible_scale"),
        Case(
            "several_windows",
            film(WindowCenter=["2048", "900"], WindowWidth=["4096", "300"]),
            None,
            frozenset({"several_windows"}),
        ),
        Case("window_width_0", film(WindowCenter="2048", WindowWidth="0"), None, frozenset({"display_lookup_ignored"})),
        Case("voi_lut_short", film(VOILUTSequence=_short_lut()), None, frozenset({"display_lookup_ignored"})),
        Case("slope_zero", film(RescaleSlope="0", RescaleIntercept="0"), None, frozenset({"display_lookup_ignored"})),
        Case("polarity_contradiction", film(PresentationLUTShape="INVERSE"), None, frozenset({"polarity_uncertain"})),
    ]


def _pixel_spacing_only() -> bytes:
    return dicom_bytes(
        ImagerPixelSpacing=None, EstimatedRadiographicMagnificationFactor=None, PixelSpacing=["0.2", "0.2"]
    )


def _long_film() -> bytes:
    return dicom_bytes(pixels(3200, 20), ImagerPixelSpacing=["0.9", "0.9"])


def _short_lut() -> list[Dataset]:
    made = lut(list(range(4096)))
    made[0].LUTData = made[0].LUTData[:100]
    return made


def cases() -> list[Case]:
    """Every named film, made anew."""
    makers: tuple[Callable[[], list[Case]], ...] = (_shape_cases, _kind_cases, _codec_cases, _fact_cases)
    return [case for make in makers for case in make()]
