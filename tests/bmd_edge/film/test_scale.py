"""The pixel size at the hip, where it comes from, and what is uncertain about it."""

import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.film.read import read_film
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


def test_a_given_spacing_overrides_the_header():
    bare = films.dicom_bytes(ImagerPixelSpacing=None, EstimatedRadiographicMagnificationFactor=None)
    film = read_film(bare, spacing_mm=0.2)
    assert (film.spacing_source, film.spacing_mm) == ("given", (0.2 / 1.15, 0.2 / 1.15))
    assert "magnification_assumed" in film.flags
    with pytest.raises(FilmRefused, match="implausible_scale"):
        read_film(bare, spacing_mm=3.0)
    with pytest.raises(ValueError, match="positive"):
        read_film(bare, spacing_mm=float("nan"))
