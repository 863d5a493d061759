"""Films from odd but valid bytes: the right pixels with the right facts, or a coded refusal, never a printed word."""

import io
import itertools
import logging
import os
import struct
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import films
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from bmd_edge.dicom.header import read_header
from bmd_edge.errors import FLAGS, REFUSALS, FilmFailed, FilmRefused
from bmd_edge.film.area_average import resample, resample_weights
from bmd_edge.film.film import Film, film_id
from bmd_edge.film.gray import read_display
from bmd_edge.film.read import read_bytes, read_film
from bmd_edge.film.scale import read_scale

CASES = films.cases()
FILE_CODES = {
    "empty_file", "not_dicom", "truncated", "broken_dicom", "no_pixels", "not_radiograph", "not_for_presentation",
    "not_grayscale", "multi_frame", "too_large", "unsupported_syntax", "unsupported_depth", "decode_failed",
    "pixel_length", "inconsistent_pixels", "wrong_body_part", "wrong_view", "no_spacing", "implausible_scale",
    "poor_exposure", "immature",
}  # fmt: skip


def bright(film):
    """The whole film as bone-bright floats."""
    return film.lookup[film.stored.astype(np.int64) - film.lookup_first]


def flags_of(**elements):
    return set(read_film(films.dicom_bytes(**elements)).flags)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_named_film_gets_its_outcome(case):
    if case.code is None:
        film = read_film(case.data)
        assert case.flags <= set(film.flags) <= set(FLAGS)
    else:
        with pytest.raises(FilmRefused) as caught:
            read_film(case.data)
        assert caught.value.code == case.code


def test_every_refusal_of_a_film_has_a_case_and_most_cases_are_accepted():
    assert {case.code for case in CASES if case.code} == FILE_CODES <= set(REFUSALS)
    assert sum(case.code is None for case in CASES) > 50
    assert len({case.name for case in CASES}) == len(CASES)


def _burnt():
    frame = np.full((120, 90), 4095, np.uint16)
    frame[:2] = 0
    return frame


CHECKS = {
    "not_for_presentation": {"PresentationIntentType": "FOR PROCESSING"},
    "not_radiograph": {"Modality": "CT"},
    "not_grayscale": {"PhotometricInterpretation": "PALETTE COLOR"},
    "multi_frame": {"NumberOfFrames": "2"},
    "too_large": {"Rows": 60_000, "Columns": 60_000},
    "unsupported_syntax": {"syntax": b"1.2.840.10008.1.2.9\0"},
    "wrong_body_part": {"BodyPartExamined": "CHEST"},
    "wrong_view": {"ViewPosition": "LL"},
    "immature": {"PatientAge": "010Y"},
    "no_spacing": {"ImagerPixelSpacing": None},
    "out_of_memory": {"most_bytes": 1000},
    "broken_dicom": {"syntax": b"1.2.840.10008.1.2.5\0"},  # encapsulated, which the pixel data are not
    "unsupported_depth": {"BitsStored": 7, "HighBit": 6},
    "pixel_length": {"Rows": 121},
    "poor_exposure": {"frame": _burnt()},
}
"""What each check refuses, in the order of the checks."""


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(CHECKS, 2)])
def test_of_two_reasons_the_one_that_is_checked_first_is_told(first, second):
    elements = CHECKS[second] | CHECKS[first]
    syntax, most_bytes = elements.pop("syntax", None), elements.pop("most_bytes", None)
    data = films.dicom_bytes(**elements)
    if syntax:
        data = films.patched(data, b"1.2.840.10008.1.2.1\0", syntax)
    with pytest.raises((FilmRefused, FilmFailed)) as caught:
        read_film(data, most_bytes=most_bytes)
    assert caught.value.code == first


# --- pixels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_the_same_film_in_every_lossless_syntax(bits):
    frame = films.pixels(200, 150, bits)
    read = [read_film(films.dicom_bytes(frame, syntax, bits)) for syntax in (*films.NATIVE, *films.LOSSLESS)]
    for film in read:
        np.testing.assert_array_equal(film.stored, frame)
        np.testing.assert_array_equal(film.lookup, read[0].lookup)
    assert len({film.film_id for film in read}) == len(read)


def test_fragments_are_joined():
    frame = films.pixels()
    for syntax in (films.JPEG_LOSSLESS_SV1, films.JPEG_LS, films.JPEG_2000_LOSSLESS):
        film = read_film(films.dicom_bytes(frame, syntax, fragments=7))
        np.testing.assert_array_equal(film.stored, frame)


@pytest.mark.parametrize("shape", ["INVERSE", None])
def test_monochrome1_twin_gives_the_same_region(shape):
    frame = films.pixels()
    one = films.dicom_bytes(frame, WindowCenter="1700", WindowWidth="2500")
    # v -> 4095 - v turns a LINEAR window's center c into 4096 - c (PS3.3 C.11.2.1.2.1)
    mirrored = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": shape}
    two = films.dicom_bytes(4095 - frame, WindowCenter="2396", WindowWidth="2500", **mirrored)
    box = (3.3, -5, 70, 110)
    a, b = (read_film(data).region(*box, shape=(40, 30)) for data in (one, two))
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert np.nanstd(a) > 0.1


def test_bone_is_bright_whatever_the_polarity():
    frame = films.pixels()
    plain = bright(read_film(films.dicom_bytes(frame)))
    np.testing.assert_allclose(plain, frame / 4095, atol=1e-6)
    inverse = read_film(
        films.dicom_bytes(frame, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    )
    np.testing.assert_allclose(bright(inverse), 1 - frame / 4095, atol=1e-6)


def test_either_name_of_the_inversion_turns_the_film_once():
    """PresentationLUTShape alone says it too, beside MONOCHROME2; that they disagree is flagged."""
    frame = films.pixels()
    film = read_film(films.dicom_bytes(frame, PresentationLUTShape="INVERSE"))
    np.testing.assert_allclose(bright(film), 1 - frame / 4095, atol=1e-6)
    assert "polarity_uncertain" in film.flags


@pytest.mark.parametrize("spacing", [("0.1", "0.25"), ("0.25", "0.1")])
def test_pixels_that_are_more_than_twice_as_long_as_wide_are_refused(spacing):
    with pytest.raises(FilmRefused, match="implausible_scale"):
        read_film(films.dicom_bytes(films.pixels(), ImagerPixelSpacing=list(spacing)))


@pytest.mark.parametrize(
    ("bits", "signed", "elements"),
    [
        (12, False, {"WindowCenter": "1000", "WindowWidth": "1500"}),
        (12, False, {"WindowCenter": "1000.5", "WindowWidth": "1"}),
        (12, False, {"WindowCenter": "1000", "WindowWidth": "1500", "VOILUTFunction": "LINEAR_EXACT"}),
        (12, False, {"WindowCenter": "1000", "WindowWidth": "900", "VOILUTFunction": "SIGMOID"}),
        (16, False, {"WindowCenter": "30000", "WindowWidth": "50000"}),
        (10, True, {"WindowCenter": "-100", "WindowWidth": "600"}),
        (12, False, {"RescaleSlope": "2", "RescaleIntercept": "-100", "WindowCenter": "4000", "WindowWidth": "6000"}),
        (8, False, {"WindowCenter": "120", "WindowWidth": "200"}),
    ],
)
def test_window_agrees_with_pydicom(bits, signed, elements):
    frame = films.pixels(40, 40, bits, signed)
    data = films.dicom_bytes(frame, bits=bits, **elements)
    display = read_display(read_header(data)[0], bits, signed)
    lookup, first = display.lookup, display.first
    made = pydicom.dcmread(io.BytesIO(data))
    stored = np.arange(first, first + len(lookup), dtype=np.int64)
    shown = apply_voi_lut(apply_modality_lut(stored, made), made).astype(np.float64)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if "RescaleSlope" in elements:
        low, high = low * 2 - 100, high * 2 - 100
    np.testing.assert_allclose(lookup, (shown - low) / (high - low), atol=2e-6)


def test_a_negative_slope_turns_the_film_before_the_window():
    frame = films.pixels()
    film = read_film(
        films.dicom_bytes(frame, RescaleSlope="-2", RescaleIntercept="8190", WindowCenter="4095.5", WindowWidth="8191")
    )
    np.testing.assert_allclose(bright(film), 1 - frame / 4095, atol=1e-6)


def test_luts_agree_with_pydicom():
    frame = films.pixels()
    modality = films.lut([int(v) for v in np.sqrt(np.arange(4096) / 4095) * 65535], bits=16)
    voi = films.lut([int(v) for v in (np.arange(60000) / 59999) ** 2 * 1023], first=3000, bits=10)
    data = films.dicom_bytes(frame, ModalityLUTSequence=modality, VOILUTSequence=voi)
    made = pydicom.dcmread(io.BytesIO(data))
    shown = apply_voi_lut(apply_modality_lut(frame, made), made)
    film = read_film(data)
    np.testing.assert_allclose(bright(film), shown / 1023, atol=1e-6)
    assert "display_lookup_ignored" not in film.flags


def test_voi_lut_wins_over_a_window_and_signed_first_value_is_understood():
    frame = films.pixels(bits=12, signed=True)
    voi = films.lut([int(v) for v in np.linspace(0, 4095, 4096)], first=-2048)
    film = read_film(films.dicom_bytes(frame, VOILUTSequence=voi, WindowCenter="0", WindowWidth="50"))
    np.testing.assert_allclose(bright(film), (frame.astype(float) + 2048) / 4095, atol=3e-4)


def test_a_lut_of_large_unsigned_values_begins_where_it_says():
    voi = films.lut(list(range(4096)), first=40_000)
    data = films.dicom_bytes(films.pixels(bits=16), bits=16, VOILUTSequence=voi)
    shown = apply_voi_lut(np.arange(1 << 16, dtype=np.uint16), pydicom.dcmread(io.BytesIO(data)))
    lookup = read_display(read_header(data)[0], 16, False).lookup
    assert lookup[40_000] == 0
    np.testing.assert_allclose(lookup, shown / 4095, atol=1e-6)


def test_packed_and_padded_lut_data():
    frame = films.pixels(bits=8)
    values = np.arange(256)[::-1]
    for data in (values.astype("<u2").tobytes(), values.astype(np.uint8).tobytes()):
        voi = films.lut([0, 1], bits=8)
        voi[0].LUTDescriptor = [256, 0, 8]
        voi[0].LUTData = data
        film = read_film(films.dicom_bytes(frame, bits=8, VOILUTSequence=voi))
        np.testing.assert_allclose(bright(film), 1 - frame / 255, atol=1e-6)


@pytest.mark.parametrize("syntax", [films.IMPLICIT, films.BIG_ENDIAN])
def test_luts_in_other_byte_orders(syntax):
    frame = films.pixels()
    voi = films.lut([int(v) for v in np.arange(4096)[::-1]])
    if syntax == films.BIG_ENDIAN:
        voi[0].LUTData = np.arange(4096)[::-1].astype(">u2").tobytes()
    film = read_film(films.dicom_bytes(frame, syntax, VOILUTSequence=voi))
    np.testing.assert_allclose(bright(film), 1 - frame / 4095, atol=1e-6)


def test_without_a_window_the_full_range_is_used():
    film = read_film(films.dicom_bytes(films.pixels(bits=10), bits=10))
    assert film.lookup[0] == 0
    assert film.lookup[-1] == 1
    assert np.all(np.diff(film.lookup) > 0)


def test_padding_is_background():
    frame = films.pixels()
    frame[:, :20] = 4095
    film = read_film(films.dicom_bytes(frame, PixelPaddingValue=4095))
    np.testing.assert_array_equal(bright(film)[:, :20], 0)
    assert bright(film)[:, 20:].min() > 0


def test_overlay_bits_and_high_bit():
    by_name = {
        case.name: read_film(case.data) for case in CASES if case.name in ("plain", "overlay_in_bit_15", "shifted_up")
    }
    for film in by_name.values():
        np.testing.assert_array_equal(film.stored, films.pixels())


def test_arrays_are_read_only():
    film = read_film(films.dicom_bytes())
    for array in (film.stored, film.lookup):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# --- regions --------------------------------------------------------------------------------------------------------


def supersampled(values, left, top, width, height, shape, n=32):
    """Mean of `n` x `n` points in each output pixel, none outside the film; exact for boxes on a 1/n grid."""
    x = left + width * (np.arange(shape[1] * n) + 0.5) / (shape[1] * n)
    y = top + height * (np.arange(shape[0] * n) + 0.5) / (shape[0] * n)
    grid = np.full((len(y), len(x)), np.nan)
    rows, columns = (y >= 0) & (y < values.shape[0]), (x >= 0) & (x < values.shape[1])
    grid[np.ix_(rows, columns)] = values[np.ix_(y[rows].astype(int), x[columns].astype(int))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(grid.reshape(shape[0], n, shape[1], n), axis=(1, 3))


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 90, 120, (120, 90)),
        (0, 0, 90, 120, (30, 45)),
        (10.25, 20.5, 60, 80, (20, 15)),
        (-20, -12, 140, 152, (38, 35)),
        (30.125, 40.75, 10, 10, (40, 40)),
        (80, 110, 32, 32, (16, 16)),
        (12, 9, 66.5, 7.25, (1, 19)),
        (-300, 0, 200, 50, (4, 4)),
    ],
)
def test_region_equals_a_supersampled_oracle(box):
    film = read_film(films.dicom_bytes())
    *place, shape = box
    got = film.region(*place, shape=shape)
    expected = supersampled(bright(film).astype(np.float64), *place, shape)
    assert got.dtype == np.float32
    assert got.shape == shape
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    # The oracle's points are exact only where the box lies on their grid
    np.testing.assert_allclose(got, expected, atol=2e-3 if shape == (1, 19) else 2e-6)


def test_region_of_a_tall_film_in_strips_equals_one_product():
    frame = films.pixels(2500, 700, seed=3)
    film = read_film(films.dicom_bytes(frame, ImagerPixelSpacing=["0.15", "0.15"]))
    got = film.region(-7.3, 100.7, 650, 2390.1, shape=(301, 77))
    down, across = resample_weights(100.7, 2390.1, 301, 2500), resample_weights(-7.3, 650, 77, 700)
    np.testing.assert_allclose(got, down @ bright(film) @ across.T, atol=2e-6)


def test_resample_of_an_array_is_the_same_mathematics():
    film = read_film(films.dicom_bytes())
    box, shape = (5.5, -3, 70, 100), (50, 35)
    np.testing.assert_allclose(resample(bright(film), *box, shape), film.region(*box, shape=shape), atol=1e-6)
    identity = resample(films.pixels(), 0, 0, 90, 120, (120, 90))
    np.testing.assert_array_equal(identity, films.pixels())


def test_region_makes_no_full_size_float_copy():
    frame = np.tile(films.pixels(500, 500), (8, 6))
    film = read_film(films.dicom_bytes(frame))
    tracemalloc.start()
    film.region(0, 0, 3000, 4000, shape=(224, 224))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * 4 * frame.size


def test_weights_sum_to_one_inside_and_zero_outside():
    sums = resample_weights(-10.5, 40, 16, 20).sum(axis=1)
    assert set(np.round(sums, 5)) == {0.0, 1.0}
    np.testing.assert_allclose(resample_weights(1, 2, 1, 4), [[0, 0.5, 0.5, 0]])


def test_an_empty_box_is_a_mistake_of_the_caller():
    film = read_film(films.dicom_bytes())
    for box in ((0, 0, 0, 10), (0, 0, 10, -1), (float("nan"), 0, 10, 10)):
        with pytest.raises(ValueError, match="empty box"):
            film.region(*box, shape=(4, 4))


# --- facts ----------------------------------------------------------------------------------------------------------

NO_ERMF = {"EstimatedRadiographicMagnificationFactor": None}


@pytest.mark.parametrize(
    ("elements", "source", "hip_mm", "flags"),
    [
        ({}, "imager_ermf", 0.14 / 1.2, set()),
        ({"PixelSpacing": ["0.14", "0.14"]}, "imager_ermf", 0.14 / 1.2, set()),
        ({"PixelSpacing": ["0.12", "0.12"]}, "calibrated", 0.12, set()),
        ({"PixelSpacing": ["0.14", "0.14"], "PixelSpacingCalibrationType": "FIDUCIAL"}, "calibrated", 0.14, set()),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": ["0.12", "0.12"], "PixelSpacingCalibrationType": "GEOMETRY"},
            "calibrated", 0.12, set(),
        ),
        (
            NO_ERMF | {"DistanceSourceToDetector": "1150", "DistanceSourceToPatient": "1000"},
            "imager_sid_sod", 0.14 / 1.15, set(),
        ),
        (NO_ERMF, "imager_assumed", 0.14 / 1.15, {"magnification_assumed"}),
        ({"EstimatedRadiographicMagnificationFactor": "1"}, "imager_assumed", 0.14 / 1.15, {"magnification_assumed"}),
        (
            NO_ERMF | {"ImagerPixelSpacing": None, "PixelSpacing": ["0.2", "0.2"]},
            "pixel_spacing_assumed", 0.2 / 1.15, {"spacing_uncertain", "magnification_assumed"},
        ),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": ["0.2", "0.2"]},
            "pixel_spacing_assumed", 0.2 / 1.2, {"spacing_uncertain"},
        ),
    ],
)  # fmt: skip
def test_spacing_and_its_source(elements, source, hip_mm, flags):
    film = read_film(films.dicom_bytes(**elements))
    assert film.spacing_source == source
    assert film.spacing_mm == pytest.approx((hip_mm, hip_mm))
    scale_flags = {"spacing_uncertain", "magnification_assumed"}
    assert set(film.flags) & scale_flags == flags


def test_spacing_is_row_then_column():
    film = read_film(films.dicom_bytes(ImagerPixelSpacing=["0.14", "0.2"]))
    assert film.spacing_mm == (0.14 / 1.2, 0.2 / 1.2)


@pytest.mark.parametrize(
    ("elements", "detector_mm"),
    [
        ({"PixelSpacing": ["0.12", "0.12"]}, 0.14),
        ({"PixelSpacing": ["0.1405", "0.1405"], "PixelSpacingCalibrationType": "GEOMETRY"}, 0.14),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": ["0.12", "0.12"], "PixelSpacingCalibrationType": "GEOMETRY"},
            0.12,
        ),
    ],
)
def test_a_calibrated_film_keeps_the_pixel_size_of_its_detector(elements, detector_mm):
    """The magnification is the ratio of both sizes, not what the header estimates."""
    size = read_scale(read_header(films.dicom_bytes(**elements))[0], (100, 100), None)
    assert size.detector_spacing_mm == pytest.approx((detector_mm, detector_mm))
    assert size.magnification == pytest.approx(detector_mm / float(elements["PixelSpacing"][0]))


def test_a_given_spacing_overrides_the_header():
    bare = films.dicom_bytes(ImagerPixelSpacing=None, EstimatedRadiographicMagnificationFactor=None)
    film = read_film(bare, spacing_mm=0.2)
    assert (film.spacing_source, film.spacing_mm) == ("given", (0.2 / 1.15, 0.2 / 1.15))
    assert "magnification_assumed" in film.flags
    with pytest.raises(FilmRefused, match="implausible_scale"):
        read_film(bare, spacing_mm=3.0)
    with pytest.raises(ValueError, match="positive"):
        read_film(bare, spacing_mm=float("nan"))


@pytest.mark.parametrize(
    ("elements", "side"),
    [({"ImageLaterality": "L"}, "L"), ({"ImageLaterality": "B"}, "B"), ({"ImageLaterality": "U"}, None),
     ({"ImageLaterality": None, "Laterality": "L"}, "L"), ({"ImageLaterality": None}, None),
     ({"Laterality": "L"}, None)],
)  # fmt: skip
def test_side(elements, side):
    assert read_film(films.dicom_bytes(**elements)).side == side


@pytest.mark.parametrize(
    ("elements", "age"),
    [({}, 68), ({"PatientAge": "999Y"}, None), ({"PatientAge": "000Y"}, None), ({"PatientAge": "816M"}, 68),
     ({"PatientAge": None}, 68.2), ({"PatientAge": None, "PatientBirthDate": None}, None),
     ({"PatientAge": None, "PatientBirthDate": "19000101"}, None),
     ({"PatientAge": None, "PatientBirthDate": "20240517"}, None),
     ({"PatientAge": None, "PatientBirthDate": "2O240517"}, None)],
)  # fmt: skip
def test_age(elements, age):
    assert read_film(films.dicom_bytes(**elements)).age_years == age


def test_sex_and_device():
    film = read_film(films.dicom_bytes())
    assert (film.sex, film.maker, film.model, film.kvp, film.exposure_index) == ("F", "Acme", "Ray 1", 75.0, 250.0)
    assert (film.view, film.body_part, film.sop_instance_uid) == ("AP", "HIP", "1.2.826.0.1.3680043.10.1")
    odd = films.dicom_bytes(PatientSex="O", KVP="0", ExposureIndex="-1")
    odd = read_film(films.patched(odd, b"1.2.826.0.1.3680043.10.2", b"../../../../../../../etc"))
    assert (odd.sex, odd.kvp, odd.exposure_index, odd.study_instance_uid) == (None, None, None, None)
    assert odd.warnings == 1
    assert "header_irregular" in odd.flags


def test_control_characters_never_leave_the_header():
    film = read_film(films.dicom_bytes(Manufacturer="Ac\x1b[31mme\r\n<b>", BodyPartExamined="HIP\x00\x07"))
    assert film.maker == "Ac [31mme  <b>"
    assert film.body_part == "HIP"


# --- robustness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.IMPLICIT, films.DEFLATED, films.RLE, films.JPEG_LOSSLESS])
def test_a_cut_file_is_never_a_film(syntax):
    data = films.dicom_bytes(syntax=syntax)
    cuts = {*np.linspace(0, len(data) - 2, 60).astype(int), *range(len(data) - 12, len(data))}
    for cut in sorted(cuts):
        if syntax == films.DEFLATED and cut == len(data) - 1:
            continue  # the pad byte after the deflate stream
        with pytest.raises(FilmRefused) as caught:
            read_film(data[:cut])
        assert caught.value.code in ("empty_file", "not_dicom", "truncated", "broken_dicom", "no_pixels")


def mutated(data, rng):
    """Flip, insert, delete or repeat bytes, mostly in the header."""
    raw = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(132, min(len(raw), 1500) if rng.random() < 0.8 else len(raw)))
        what = rng.integers(4)
        if what == 0:
            raw[at] ^= 1 << int(rng.integers(8))
        elif what == 1:
            raw[at : at + 4] = rng.integers(0, 256, 4, np.uint8).tobytes()
        elif what == 2:
            del raw[at : at + int(rng.integers(1, 9))]
        else:
            raw[at:at] = raw[at : at + int(rng.integers(1, 40))]
    return bytes(raw)


@pytest.mark.parametrize(
    "syntax", [films.EXPLICIT, films.IMPLICIT, films.BIG_ENDIAN, *films.LOSSLESS, films.JPEG_EXTENDED]
)
def test_mutants_are_films_or_refusals(syntax):
    frame = films.pixels(60, 50)
    voi = films.lut(list(range(4096)))
    data = films.dicom_bytes(frame, syntax, VOILUTSequence=voi if syntax != films.BIG_ENDIAN else None)
    rng = np.random.default_rng(7)
    for _ in range(60):
        try:
            film = read_film(mutated(data, rng))
        except FilmRefused:
            continue
        index = film.stored.astype(np.int64) - film.lookup_first
        assert 0 <= index.min() <= index.max() < len(film.lookup)
        assert np.isfinite(film.lookup).all()
        assert 0 <= film.lookup.min() <= film.lookup.max() <= 1
        assert 0.05 / 1.6 <= min(film.spacing_mm) <= max(film.spacing_mm) <= 1.0


def test_nothing_is_logged_printed_or_warned_and_no_error_names_the_patient(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pydicom").setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for case in CASES:
            try:
                text = repr(read_film(case.data))
            except FilmRefused as refused:
                text = f"{refused} {refused.detail} {refused.__cause__}"
            assert films.CANARY not in text, case
    assert caplog.records == []
    assert caught == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_canary_is_in_the_file():
    assert films.CANARY.encode() in films.dicom_bytes()


def test_many_threads_read_the_same():
    chosen = [case for case in CASES if case.code is None][:24]
    alone = [read_film(case.data) for case in chosen]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read_film, [case.data for case in chosen] * 3))
    for i, film in enumerate(together):
        expected = alone[i % len(alone)]
        assert film.film_id == expected.film_id
        assert (film.flags, film.warnings) == (expected.flags, expected.warnings)
        np.testing.assert_array_equal(film.stored, expected.stored)


def undefined_length(tag, items, vr=b"SQ"):
    """A sequence of undefined length of items of undefined length, explicit VR little endian."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff%s\xfe\xff\x0d\xe0\0\0\0\0"
    start = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFF)
    return start + b"".join(item % body for body in items) + b"\xfe\xff\xdd\xe0\0\0\0\0"


def explicit(tag, vr, value):
    if vr == b"OW":
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def implicit(tag, value):
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def test_sequences_of_undefined_length():
    """The VOI LUT is found inside one; a private UN sequence, implicit inside (PS3.5 6.2.2), is stepped over."""
    values = np.arange(4096)[::-1].astype("<u2").tobytes()
    body = explicit(0x00283002, b"US", struct.pack("<3H", 4096, 0, 12)) + explicit(0x00283006, b"OW", values)
    voi = undefined_length(0x00283010, [body, body])
    private = undefined_length(0x00291010, [implicit(0x00291011, b"ABCD"), b""], b"UN")
    frame = films.pixels()
    film = read_film(films.before_pixels(voi + private))
    np.testing.assert_allclose(bright(film), 1 - frame / 4095, atol=1e-6)


def test_an_unclosed_sequence_is_refused():
    whole = films.before_pixels(undefined_length(0x00291010, [b""]))
    with pytest.raises(FilmRefused) as caught:
        read_film(films.patched(whole, b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0"))
    assert caught.value.code in ("truncated", "broken_dicom")


def test_a_wrong_group_length_of_the_file_meta_is_harmless():
    for syntax in (films.EXPLICIT, films.IMPLICIT, films.RLE):
        data = bytearray(films.dicom_bytes(syntax=syntax))
        data[140:144] = struct.pack("<L", 10)
        np.testing.assert_array_equal(read_film(bytes(data)).stored, films.pixels())


def test_eight_bit_big_endian_film_in_words():
    frame = films.pixels(bits=8)
    made = films.dataset(frame, 8)
    made.add_new("PixelData", "OW", frame.reshape(-1, 2)[:, ::-1].tobytes())
    np.testing.assert_array_equal(read_film(films.written(made, films.BIG_ENDIAN)).stored, frame)


# --- sources --------------------------------------------------------------------------------------------------------


def test_path_bytes_and_data_set_are_the_same_film(tmp_path):
    data = films.dicom_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    from_path, from_bytes = read_film(path), read_film(data)
    from_data_set = read_film(pydicom.dcmread(io.BytesIO(data)))
    assert from_path.film_id == from_bytes.film_id == film_id(data)
    for film in (from_path, from_data_set):
        for field in fields(Film):
            if field.name in ("stored", "lookup"):
                np.testing.assert_array_equal(getattr(film, field.name), getattr(from_bytes, field.name))
            elif field.name != "film_id":
                assert getattr(film, field.name) == getattr(from_bytes, field.name)


def test_a_data_set_that_cannot_be_written_is_refused():
    with pytest.raises(FilmRefused, match="broken_dicom"):
        read_film(films.dataset(films.pixels()))
    with pytest.raises(TypeError, match="a film is a path, bytes or a pydicom data set, not dict"):
        read_film({})


def test_odd_places_on_disk(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").write_bytes(b"")
    for name, code in ((".", "not_a_regular_file"), ("fifo", "not_a_regular_file"), ("empty", "empty_file")):
        with pytest.raises(FilmRefused) as caught:
            read_film(tmp_path / name)
        assert caught.value.code == code
    with pytest.raises(FilmFailed) as failed:
        read_film(tmp_path / "Doe_Jane.dcm")
    assert failed.value.code == "file_unreadable"
    assert "Doe" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_large_file_is_judged_by_its_first_bytes(tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    with pytest.raises(FilmRefused, match="not_dicom"):
        read_bytes(path)
    with path.open("r+b") as file:
        file.write(bytes(128) + b"DICM")
    with pytest.raises(FilmRefused, match="too_large"):
        read_bytes(path)


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.JPEG_2000_LOSSLESS, films.HTJ2K_LOSSLESS])
@pytest.mark.parametrize("step", [2, 4])
def test_a_reduced_film_shows_the_same_in_the_same_places(syntax: str, step: int) -> None:
    smooth = np.asarray(Image.fromarray(films.pixels(60, 45)).resize((362, 480), Image.Resampling.BICUBIC))
    data = films.dicom_bytes(smooth, syntax)
    whole, reduced = read_film(data), read_film(data, coarsest_mm=step * 0.14 / 1.2 + 1e-9)
    assert (whole.reduced, reduced.reduced.step) == (None, step)
    assert (reduced.shape, reduced.spacing_mm) == (whole.shape, whole.spacing_mm)
    for box in ((20.5, 31.0, 200.0, 300.0), (-40.0, -20.0, 300.0, 200.0), (100.0, 100.0, 64.0, 64.0)):
        was, now = (film.region(*box, shape=(16, 16)) for film in (whole, reduced))
        np.testing.assert_array_equal(np.isnan(was), np.isnan(now))
        assert np.nanmax(np.abs(was - now)) < 0.01


def test_a_film_is_reduced_only_as_far_as_asked() -> None:
    data = films.dicom_bytes(ImagerPixelSpacing=["0.14", "0.2"])
    for coarsest_mm, step in ((0.0, None), (0.3, None), (0.34, 2), (0.66, 2), (0.67, 4), (9.0, 4)):
        film = read_film(data, coarsest_mm=coarsest_mm)
        assert (film.reduced and film.reduced.step) == step
