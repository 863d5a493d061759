"""The pixel size at the hip, where it comes from, and what is uncertain about it."""

import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.film.read import read_film
from bmd_edge.film.scale import GivenSpacing
from tests.support import films


@pytest.mark.parametrize("spacing", [("0.1", "0.25"), ("0.25", "0.1")])
def test_pixels_that_are_more_than_twice_as_long_as_wide_are_refused(spacing):
    with pytest.raises(FilmRefused, match="implausible_scale"):
        read_film(films.dicom_bytes(films.pixels(), ImagerPixelSpacing=list(spacing)))


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


def test_a_given_spacing_fills_in_where_a_film_states_none():
    bare = films.dicom_bytes(ImagerPixelSpacing=None, EstimatedRadiographicMagnificationFactor=None)
    film = read_film(bare, spacing_mm=0.2)
    assert (film.spacing_source, film.spacing_mm) == ("given", (0.2 / 1.15, 0.2 / 1.15))
    assert {"spacing_given", "magnification_assumed"} <= set(film.flags)
    with pytest.raises(FilmRefused, match="implausible_scale"):
        read_film(bare, spacing_mm=3.0)
    with pytest.raises(ValueError, match="positive"):
        read_film(bare, spacing_mm=float("nan"))


def test_a_stated_spacing_gives_way_only_to_one_that_overrides():
    film = films.dicom_bytes()
    assert read_film(film, spacing_mm=0.2).spacing_mm == read_film(film).spacing_mm
    assert "spacing_given" not in read_film(film, spacing_mm=0.2).flags
    overridden = read_film(film, spacing_mm=GivenSpacing(0.2, override=True))
    assert (overridden.spacing_source, overridden.spacing_mm) == ("given", (0.2 / 1.2, 0.2 / 1.2))
    assert "spacing_overridden" in overridden.flags
    assert "spacing_overridden" not in read_film(film).flags


IMAGER_UNKNOWN = {"ImagerPixelSpacing": ["1", "1"]}


@pytest.mark.parametrize(
    ("elements", "source", "hip_mm"),
    [
        ({"PixelSpacing": ["1", "1"]}, "imager_ermf", 0.14 / 1.2),
        (IMAGER_UNKNOWN | {"PixelSpacing": ["0.7", "0.7"]}, "pixel_spacing_assumed", 0.7 / 1.2),
    ],
)
def test_exactly_one_is_no_spacing(elements, source, hip_mm):
    film = read_film(films.dicom_bytes(**elements))
    assert (film.spacing_source, film.spacing_mm) == (source, pytest.approx((hip_mm, hip_mm)))


def test_the_pixel_size_of_a_scan_is_that_of_the_detector():
    film = read_film(films.dicom_bytes(**IMAGER_UNKNOWN, NominalScannedPixelSpacing=["0.2", "0.2"]))
    assert (film.spacing_source, film.spacing_mm) == ("scanned_assumed", (0.2 / 1.2, 0.2 / 1.2))
    assert "spacing_scanned" in film.flags


def test_a_decimal_comma_is_read_and_flagged():
    film = read_film(films.dicom_bytes().replace(b"0.14", b"0,14"))
    assert (film.spacing_source, film.spacing_mm) == ("imager_ermf", (0.14 / 1.2, 0.14 / 1.2))
    assert {"decimal_comma", "header_irregular"} <= set(film.flags)
    assert "decimal_comma" not in read_film(films.dicom_bytes()).flags


@pytest.mark.parametrize(("text", "spacing"), [("0.14,0.14", (0.14, 0.14)), ("0.14, .15", (0.14, 0.15))])
def test_a_comma_between_two_numbers_is_read_and_flagged(text, spacing):
    film = read_film(films.patched(films.dicom_bytes(), b"0.14\\0.14", text.encode().ljust(9)))
    assert film.spacing_mm == pytest.approx((spacing[0] / 1.2, spacing[1] / 1.2))
    assert "decimal_comma" in film.flags


@pytest.mark.parametrize("text", ["0,14,0,14", "0.14,0.1.", "0.1,0.1,0", "0.20\\0\\.2", "0.14 0.14"])
def test_what_is_no_pair_with_a_comma_between_is_refused(text):
    with pytest.raises(FilmRefused, match="Imager Pixel Spacing is no pair of positive numbers"):
        read_film(films.patched(films.dicom_bytes(), b"0.14\\0.14", text.encode().ljust(9)[:9]))


@pytest.mark.parametrize("text", ["0,1,", ",140", "0,1a"])
def test_what_is_no_number_with_a_comma_is_refused(text):
    odd = films.dicom_bytes().replace(b"0.14", text.encode())
    with pytest.raises(FilmRefused, match="Imager Pixel Spacing is no pair of positive numbers"):
        read_film(odd)
    assert "spacing_given" in read_film(odd, spacing_mm=0.2).flags


RESAMPLED = {"PixelSpacing": ["0.105", "0.105"]}
DISTANCES = {"DistanceSourceToDetector": "1150", "DistanceSourceToPatient": "1000"}
DERIVED = {"ImageType": ["DERIVED", "PRIMARY"]}


@pytest.mark.parametrize(
    ("elements", "flags"),
    [
        ({"PixelSpacing": ["0.12", "0.12"]}, set()),
        (RESAMPLED, {"spacing_contradiction"}),
        (RESAMPLED | DERIVED, {"spacing_contradiction"}),
        (RESAMPLED | NO_ERMF | DISTANCES, {"spacing_contradiction"}),
        (RESAMPLED | NO_ERMF, set()),
        (RESAMPLED | NO_ERMF | DERIVED, {"calibration_uncertain"}),
        (RESAMPLED | DERIVED | {"PixelSpacingCalibrationType": "FIDUCIAL"}, set()),
        (DERIVED, set()),
        ({"EstimatedRadiographicMagnificationFactor": "1.3"} | DISTANCES, {"magnification_contradiction"}),
        ({"EstimatedRadiographicMagnificationFactor": "1.16"} | DISTANCES, set()),
    ],
)
def test_a_ratio_that_the_magnification_contradicts_is_a_doubt(elements, flags):
    film = read_film(films.dicom_bytes(**elements))
    doubts = {"spacing_contradiction", "calibration_uncertain", "magnification_contradiction"}
    assert set(film.flags) & doubts == flags
