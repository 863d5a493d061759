"""Odd films by name, each with the outcome it must have: a refusal's code, or none where the film must be read.

Every refusal has a twin that differs in one thing and must still be accepted.
"""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset

from tests.support.films import (
    CR,
    CT,
    DEFLATED,
    DX,
    DX_PROCESSING,
    EXPLICIT,
    IMPLICIT,
    RLE,
    SC,
    Case,
    before_pixels,
    collimated,
    dataset,
    dicom_bytes,
    lut,
    many_elements,
    nested,
    patched,
    pixels,
    saturated,
    sequence,
    with_overlay,
    with_pixels,
    written,
)
from tests.support.odd_codecs import codec_cases

_LOSSY = frozenset({"lossy_compression"})


def _view_code(code: str, meaning: str) -> list[Dataset]:
    return sequence(CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning=meaning)


def _shape_cases() -> list[Case]:
    whole = dicom_bytes()
    padded_odd = pixels(101, 91, 8)
    return [
        Case("plain", whole),
        Case("empty", b"", "empty_file"),
        Case("text", b"Dear colleague,\n" * 40, "not_dicom"),
        Case("no_preamble", whole[132:], None, frozenset({"header_irregular"})),
        Case("no_file_meta", whole[whole.index(struct.pack("<HH", 8, 0x16)) :], "not_dicom"),
        Case("icon_compressed", _with_icon(closed=True)),
        Case("icon_never_closed", _with_icon(closed=False), "broken_dicom"),
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


def _with_icon(closed: bool) -> bytes:
    """A film with a compressed icon in its header (PS3.5 A.4: undefined length, in fragments)."""
    end, item = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0), struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    start = struct.pack("<HH2sHL", 0x0088, 0x0200, b"SQ", 0, 0xFFFFFFFF) + item
    icon = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    fragment = struct.pack("<HHL", 0xFFFE, 0xE000, 6) + b"\xff\xd8\1\2\xff\xd9"
    closing = end if closed else b""
    return before_pixels(start + icon + fragment + closing + struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + end)


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
        Case("cr", _cr()),
        Case("sc_with_spacing", dicom_bytes(SOPClassUID=SC, Modality="OT")),
        Case("sc_without_spacing", dicom_bytes(SOPClassUID=SC, Modality="OT", ImagerPixelSpacing=None), "no_spacing"),
        Case("sc_of_an_mr", dicom_bytes(SOPClassUID=SC, Modality="MR"), "not_radiograph"),
        Case("ct", dicom_bytes(SOPClassUID=CT, Modality="CT"), "not_radiograph"),
        Case("no_sop_class", dicom_bytes(SOPClassUID=None), "broken_dicom"),
        Case("dx_processing", dicom_bytes(SOPClassUID=DX_PROCESSING), "not_for_presentation"),
        Case("dx_intent_processing", dicom_bytes(PresentationIntentType="FOR PROCESSING"), "not_for_presentation"),
        Case("cr_processing", _cr(PresentationIntentType="FOR PROCESSING"), "not_for_presentation"),
        Case(
            "sc_processing",
            dicom_bytes(SOPClassUID=SC, PresentationIntentType="For Processing"),
            "not_for_presentation",
        ),
        Case("image_type_raw", _raw(ImageType=["ORIGINAL", "PRIMARY", "", "RAW"]), "not_for_presentation"),
        Case("image_type_raw_cr", _cr(ImageType=["ORIGINAL", "PRIMARY", "RAW_DATA"]), "not_for_presentation"),
        Case("linear_pixels", _raw(ImageType=["ORIGINAL", "PRIMARY", "", "DRAWN"])),
        Case("no_pixels", written(dataset(frame)), "no_pixels"),
        Case("rgb", written(rgb), "not_grayscale"),
        Case("palette", dicom_bytes(PhotometricInterpretation="PALETTE COLOR"), "not_grayscale"),
        Case("one_frame_stated", dicom_bytes(NumberOfFrames="1")),
        Case("two_frames", dicom_bytes(NumberOfFrames="2"), "multi_frame"),
        Case("frames_0", dicom_bytes(NumberOfFrames="0"), None, frozenset({"header_irregular"})),
        Case("padded_to_512", _padded(bytes(512 - frame.nbytes % 512)), None, frozenset({"header_irregular"})),
        Case("padded_with_more_pixels", _padded(frame[:3].tobytes()), "pixel_length"),
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
        Case("bits_above_stored", dicom_bytes(frame | 0x8000)),
        Case("bits_above_stored_here_and_there", dicom_bytes(_spare_bits(frame))),
        Case("bits_above_stored_rle", dicom_bytes(_spare_bits(frame), RLE)),
        Case("bits_of_the_picture_above_stored", dicom_bytes(pixels(bits=14)), "inconsistent_pixels"),
        Case("overlay_in_bit_15", with_overlay(frame)),
        Case("shifted_up", dicom_bytes(frame << 4, HighBit=15)),
        Case("blank", dicom_bytes(np.full_like(frame, 700)), "poor_exposure"),
        Case("saturated", dicom_bytes(saturated(frame)), "poor_exposure"),
        Case("collimated", dicom_bytes(collimated(frame))),
        Case("two_levels", dicom_bytes(np.where(frame > 1200, 3000, 200).astype(np.uint16)), "poor_exposure"),
    ]


def _cr(**elements: Any) -> bytes:
    facts = {"PresentationIntentType": None, "PresentationLUTShape": None, **elements}
    return dicom_bytes(SOPClassUID=CR, Modality="CR", **facts)


def _raw(**elements: Any) -> bytes:
    return dicom_bytes(PixelIntensityRelationship="LIN", PixelIntensityRelationshipSign=1, **elements)


def _padded(tail: bytes) -> bytes:
    made = dataset(pixels())
    made.add_new("PixelData", "OW", pixels().tobytes() + tail)
    return written(made)


def _spare_bits(frame: NDArray[Any]) -> NDArray[Any]:
    quarter = np.random.default_rng(1).random(frame.shape) < 0.25
    return frame | (quarter.astype(np.uint16) << 13)


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
        Case("no_spacing", film(ImagerPixelSpacing=None), "no_spacing"),
        Case("spacing_zero", film(ImagerPixelSpacing=["0", "0"]), "implausible_scale"),
        Case("spacing_nan", film(ImagerPixelSpacing=["nan", "nan"]), "implausible_scale"),
        Case("spacing_in_meters", film(ImagerPixelSpacing=["0.00014", "0.00014"]), "implausible_scale"),
        Case("spacing_too_large", film(ImagerPixelSpacing=["1.4", "1.4"]), "implausible_scale"),
        Case("spacing_conflict", film(PixelSpacing=["0.9", "0.9"]), "implausible_scale"),
        Case("spacing_unknown", film(ImagerPixelSpacing=["1", "1"]), "no_spacing"),
        Case("spacing_not_square", film(ImagerPixelSpacing=["0.14", "0.2"]), None, frozenset({"spacing_not_square"})),
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


def _spelling_cases() -> list[Case]:
    irregular = frozenset({"header_irregular"})
    return [
        Case("age_in_words", dicom_bytes(PatientAge="68 YEARS"), None, irregular),
        Case("age_without_unit", dicom_bytes(PatientAge="68"), None, frozenset({"age_spelling"})),
        Case("dates_with_points", dicom_bytes(StudyDate="2024.05.17"), None, irregular),
        Case("words_in_small_letters", dicom_bytes(Modality="dx", PhotometricInterpretation="Monochrome2")),
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
    makers: tuple[Callable[[], list[Case]], ...] = (
        _shape_cases, _kind_cases, codec_cases, _fact_cases, _spelling_cases,
    )  # fmt: skip
    return [case for make in makers for case in make()]
