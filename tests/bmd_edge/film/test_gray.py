"""Bone is bright, by the film's own window, lookups and polarity, as pydicom applies them."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from bmd_edge.dicom.header import read_header
from bmd_edge.film.gray import read_display
from bmd_edge.film.read import read_film
from tests.support import films, odd_films
from tests.support.films import bright

CASES = odd_films.cases()


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
