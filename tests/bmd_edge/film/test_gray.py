"""Bone is bright, by the film's own lookups and polarity, as pydicom applies them; 0..1 is what the film holds."""

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


def spread(levels):
    levels = np.asarray(levels, np.float64)
    return (levels - levels.min()) / np.ptp(levels)


def every_value(bits):
    return np.ones(1 << bits, np.intp)


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
    np.testing.assert_allclose(plain, spread(frame), atol=1e-6)
    inverse = read_film(
        films.dicom_bytes(frame, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    )
    np.testing.assert_allclose(bright(inverse), 1 - spread(frame), atol=1e-6)


def test_either_name_of_the_inversion_turns_the_film_once():
    """PresentationLUTShape alone says it too, beside MONOCHROME2; that they disagree is flagged."""
    frame = films.pixels()
    film = read_film(films.dicom_bytes(frame, PresentationLUTShape="INVERSE"))
    np.testing.assert_allclose(bright(film), 1 - spread(frame), atol=1e-6)
    assert "polarity_uncertain" in film.flags


def test_words_of_the_display_mean_the_same_in_small_letters():
    window = {"WindowCenter": "1800", "WindowWidth": "1500", "PhotometricInterpretation": "MONOCHROME1"}
    stated = {"VOILUTFunction": "SIGMOID", "PresentationLUTShape": "INVERSE"}
    film = read_film(films.dicom_bytes(**window, **stated))
    same = read_film(films.dicom_bytes(**window, **{name: word.capitalize() for name, word in stated.items()}))
    np.testing.assert_array_equal(bright(same), bright(film))
    assert same.flags == film.flags == ()
    linear = read_film(films.dicom_bytes(**window, VOILUTFunction="LINEAR", PresentationLUTShape="INVERSE"))
    assert np.abs(bright(linear) - bright(film)).max() > 0.05


@pytest.mark.parametrize(
    ("bits", "signed", "elements"),
    [
        (12, False, {"WindowCenter": "1000", "WindowWidth": "900"}),
        (16, False, {"WindowCenter": "30000", "WindowWidth": "50000"}),
        (10, True, {"WindowCenter": "-100", "WindowWidth": "600"}),
        (12, False, {"RescaleSlope": "2", "RescaleIntercept": "-100", "WindowCenter": "4000", "WindowWidth": "6000"}),
        (8, False, {"WindowCenter": "120", "WindowWidth": "200"}),
    ],
)
def test_a_sigmoid_window_agrees_with_pydicom(bits, signed, elements):
    data = films.dicom_bytes(films.pixels(40, 40, bits, signed), bits=bits, VOILUTFunction="SIGMOID", **elements)
    display = read_display(read_header(data)[0], signed, every_value(bits))
    made = pydicom.dcmread(io.BytesIO(data))
    stored = np.arange(display.first, display.first + len(display.lookup), dtype=np.int64)
    shown = apply_voi_lut(apply_modality_lut(stored, made), made)
    np.testing.assert_allclose(display.lookup, spread(shown), atol=2e-6)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT"])
@pytest.mark.parametrize(("center", "width"), [("1000", "200"), ("1000.5", "1"), ("30000", "65536")])
def test_a_linear_window_hides_no_level_that_the_film_holds(function, center, width):
    frame = films.pixels()
    film = read_film(films.dicom_bytes(frame, WindowCenter=center, WindowWidth=width, VOILUTFunction=function))
    np.testing.assert_allclose(bright(film), spread(frame), atol=1e-6)
    assert film.flags == ()


def test_the_range_is_that_of_the_pixels_not_of_the_header_or_of_the_table():
    frame = films.pixels(bits=10)
    full = bright(read_film(films.dicom_bytes(frame, bits=10)))
    assert (full.min(), full.max()) == (0, 1)
    dim_table = films.lut(list(range(1024)), bits=16)
    for film in (
        films.dicom_bytes(frame, bits=16),
        films.dicom_bytes(frame, bits=10, VOILUTSequence=dim_table),
        films.dicom_bytes(frame, bits=10, ModalityLUTSequence=dim_table),
    ):
        np.testing.assert_allclose(bright(read_film(film)), full, atol=1e-6)


def test_black_and_white_are_where_a_thousandth_of_the_film_lies():
    frame = films.pixels()
    plain = read_film(films.dicom_bytes(frame))
    assert 0 < plain.black < 0.1
    assert 0.9 < plain.white < 1
    dead = frame.copy()
    dead[0, :3] = 4095
    film = read_film(films.dicom_bytes(dead))
    share = (bright(film) > film.white).mean()
    assert film.white < bright(film)[0, 0] == 1
    assert share <= 0.001
    burned = read_film(films.dicom_bytes(np.minimum(frame, 1800)))
    assert burned.white == 1


@pytest.mark.parametrize(
    ("elements", "flagged"),
    [
        ({"VOILUTSequence": films.lut(list(range(4096))) + films.lut(list(range(4096)))}, True),
        ({"VOILUTSequence": films.lut(list(range(4096))), "WindowCenter": "2048", "WindowWidth": "4096"}, True),
        ({"WindowCenter": ["2048", "900"], "WindowWidth": ["4096", "300"]}, True),
        ({"VOILUTSequence": films.lut(list(range(4096)))}, False),
        ({"WindowCenter": "2048", "WindowWidth": "4096"}, False),
    ],
)
def test_a_choice_among_several_displays_is_said(elements, flagged):
    for syntax in (films.EXPLICIT, films.IMPLICIT):
        film = read_film(films.dicom_bytes(syntax=syntax, **elements))
        assert film.flags == (("several_windows",) if flagged else ())


def test_the_first_of_several_tables_is_used():
    frame = films.pixels()
    bent = [int(v) for v in np.sqrt(np.arange(4096) / 4095) * 4095]
    film = read_film(films.dicom_bytes(frame, VOILUTSequence=films.lut(bent) + films.lut(list(range(4096)))))
    np.testing.assert_allclose(bright(film), spread(np.array(bent)[frame]), atol=1e-6)


def test_a_negative_slope_turns_the_film_before_the_window():
    frame = films.pixels()
    film = read_film(
        films.dicom_bytes(frame, RescaleSlope="-2", RescaleIntercept="8190", WindowCenter="4095.5", WindowWidth="8191")
    )
    np.testing.assert_allclose(bright(film), 1 - spread(frame), atol=1e-6)


def test_luts_agree_with_pydicom():
    frame = films.pixels()
    modality = films.lut([int(v) for v in np.sqrt(np.arange(4096) / 4095) * 65535], bits=16)
    voi = films.lut([int(v) for v in (np.arange(60000) / 59999) ** 2 * 1023], first=3000, bits=10)
    data = films.dicom_bytes(frame, ModalityLUTSequence=modality, VOILUTSequence=voi)
    made = pydicom.dcmread(io.BytesIO(data))
    shown = apply_voi_lut(apply_modality_lut(frame, made), made)
    film = read_film(data)
    np.testing.assert_allclose(bright(film), spread(shown), atol=1e-6)
    assert "display_lookup_ignored" not in film.flags


def test_voi_lut_wins_over_a_window_and_signed_first_value_is_understood():
    frame = films.pixels(bits=12, signed=True)
    voi = films.lut([int(v) for v in np.linspace(0, 4095, 4096)], first=-2048)
    film = read_film(films.dicom_bytes(frame, VOILUTSequence=voi, WindowCenter="0", WindowWidth="50"))
    np.testing.assert_allclose(bright(film), spread(frame), atol=3e-4)


def test_a_lut_of_large_unsigned_values_begins_where_it_says():
    voi = films.lut(list(range(4096)), first=40_000)
    data = films.dicom_bytes(films.pixels(bits=16), bits=16, VOILUTSequence=voi)
    shown = apply_voi_lut(np.arange(1 << 16, dtype=np.uint16), pydicom.dcmread(io.BytesIO(data)))
    lookup = read_display(read_header(data)[0], False, every_value(16)).lookup
    assert lookup[40_000] == 0
    np.testing.assert_allclose(lookup, spread(shown), atol=1e-6)


def test_packed_and_padded_lut_data():
    frame = films.pixels(bits=8)
    values = np.arange(256)[::-1]
    for data in (values.astype("<u2").tobytes(), values.astype(np.uint8).tobytes()):
        voi = films.lut([0, 1], bits=8)
        voi[0].LUTDescriptor = [256, 0, 8]
        voi[0].LUTData = data
        film = read_film(films.dicom_bytes(frame, bits=8, VOILUTSequence=voi))
        np.testing.assert_allclose(bright(film), 1 - spread(frame), atol=1e-6)


@pytest.mark.parametrize("syntax", [films.IMPLICIT, films.BIG_ENDIAN])
def test_luts_in_other_byte_orders(syntax):
    frame = films.pixels()
    voi = films.lut([int(v) for v in np.arange(4096)[::-1]])
    if syntax == films.BIG_ENDIAN:
        voi[0].LUTData = np.arange(4096)[::-1].astype(">u2").tobytes()
    film = read_film(films.dicom_bytes(frame, syntax, VOILUTSequence=voi))
    np.testing.assert_allclose(bright(film), 1 - spread(frame), atol=1e-6)


def test_padding_is_background():
    frame = films.pixels()
    frame[:, :20] = 4095
    film = read_film(films.dicom_bytes(frame, PixelPaddingValue=4095))
    np.testing.assert_array_equal(bright(film)[:, :20], 0)
    np.testing.assert_allclose(bright(film)[:, 20:], spread(frame[:, 20:]), atol=1e-6)


def test_overlay_bits_and_high_bit():
    by_name = {
        case.name: read_film(case.data) for case in CASES if case.name in ("plain", "overlay_in_bit_15", "shifted_up")
    }
    for film in by_name.values():
        np.testing.assert_array_equal(film.stored, films.pixels())
