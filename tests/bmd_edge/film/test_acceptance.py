"""What is refused as a film, in every class that a film may have."""

import numpy as np
import pytest

from bmd_edge.errors import REFUSALS, FilmRefused
from bmd_edge.film.acceptance import EXPOSURE_SAMPLE, level_counts
from bmd_edge.film.read import read_film
from bmd_edge.pixels.layout import PixelLayout
from tests.support import films


@pytest.mark.parametrize("kind", [films.CR, films.DX, films.SC])
@pytest.mark.parametrize(
    "elements",
    [
        {"PresentationIntentType": "FOR PROCESSING"},
        {"PresentationIntentType": None, "ImageType": ["ORIGINAL", "PRIMARY", "", "RAW"]},
        {"ImageType": ["DERIVED", "PRIMARY", "UNPROCESSED"]},
    ],
)
def test_raw_pixels_are_refused_in_every_class(kind, elements):
    with pytest.raises(FilmRefused, match="not_for_presentation"):
        read_film(films.dicom_bytes(SOPClassUID=kind, **elements))


def test_a_film_that_lost_its_sop_class_with_the_patients_name_is_told_so():
    with pytest.raises(FilmRefused, match="broken_dicom") as caught:
        read_film(films.dicom_bytes(SOPClassUID=None, SOPInstanceUID=None, PatientIdentityRemoved="YES"))
    assert "If it was de-identified, keep its SOP Class UID" in str(REFUSALS[caught.value.code].remedy)


def test_the_directory_of_a_disc_is_named_by_what_it_is():
    directory = {"FileSetID": "DISC", "DirectoryRecordSequence": []}
    with pytest.raises(FilmRefused, match="dicom_directory"):
        read_film(films.dicom_bytes(SOPClassUID=None, **directory))


@pytest.mark.parametrize("kind", [films.CR, films.DX, films.SC])
@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
def test_the_relationship_of_the_pixels_to_the_beam_proves_nothing(kind, relationship):
    elements = {"PixelIntensityRelationship": relationship, "ImageType": ["ORIGINAL", "PRIMARY", "", "DRAWN"]}
    assert read_film(films.dicom_bytes(SOPClassUID=kind, **elements)).flags == ()


@pytest.mark.parametrize("signed", [False, True])
def test_every_value_is_counted_from_the_least_that_its_bits_can_hold(signed):
    frame = films.pixels(bits=10, signed=signed)
    counts = level_counts(frame, PixelLayout(*frame.shape, 16, 10, 9, signed))
    assert counts.shape == (1024,)
    np.testing.assert_array_equal(np.repeat(np.arange(1024) - 512 * signed, counts), np.sort(frame, axis=None))


def test_a_large_film_is_sampled_and_every_part_of_it_counts():
    frame = np.zeros((2000, 1000), np.uint16)
    frame[:, 500:] = 1
    counts = level_counts(frame, PixelLayout(*frame.shape, 16, 8, 7, signed=False))
    assert counts.sum() <= 1.1 * EXPOSURE_SAMPLE
    assert counts[0] == counts[1] > 0
