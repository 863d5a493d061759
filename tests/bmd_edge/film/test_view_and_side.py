"""The side that a header states."""

import pytest

from bmd_edge.film.read import read_film
from tests.support import films


@pytest.mark.parametrize(
    ("elements", "side"),
    [({"ImageLaterality": "L"}, "L"), ({"ImageLaterality": "B"}, "B"), ({"ImageLaterality": "U"}, None),
     ({"ImageLaterality": None, "Laterality": "L"}, "L"), ({"ImageLaterality": None}, None),
     ({"Laterality": "L"}, None)],
)  # fmt: skip
def test_side(elements, side):
    assert read_film(films.dicom_bytes(**elements)).side == side


@pytest.mark.parametrize(
    ("elements", "side"),
    [({"ImageLaterality": "RIGHT"}, "R"), ({"ImageLaterality": "r"}, "R"), ({"ImageLaterality": "Left"}, "L"),
     ({"Laterality": "izquierda"}, "L"), ({"ImageLaterality": "BOTH"}, "B"),
     ({"BodyPartExamined": "LEFT HIP"}, "L"), ({"BodyPartExamined": "HIP R"}, "R"), ({"BodyPartExamined": "LHIP"}, "L"),
     ({"SeriesDescription": "HIP LT AP"}, "L"), ({"ProtocolName": "H\u00fcfte rechts ap"}, "R"),
     ({"AcquisitionDeviceProcessingDescription": "HIP RT AP"}, "R"), ({"SeriesDescription": "HIP AP L"}, None),
     ({"SeriesDescription": "HIP RT + LT"}, None), ({"SeriesDescription": "BILATERAL HIPS"}, None)],
)  # fmt: skip
def test_a_side_is_read_in_every_place_and_spelling(elements, side):
    film = read_film(films.dicom_bytes(**{"ImageLaterality": None, **elements}))
    assert film.side == side
    assert "side_contradiction" not in film.flags


def test_a_side_is_read_from_the_code_of_the_region():
    modifier = films.sequence(CodeValue="7771000", CodingSchemeDesignator="SCT", CodeMeaning="x")
    region = films.sequence(CodeValue="29836001", CodingSchemeDesignator="SCT", CodeMeaning="Hip")
    region[0].AnatomicRegionModifierSequence = modifier
    assert read_film(films.dicom_bytes(ImageLaterality=None, AnatomicRegionSequence=region)).side == "L"


@pytest.mark.parametrize(
    "elements",
    [{"Laterality": "LEFT"}, {"SeriesDescription": "LEFT HIP AP"}, {"BodyPartExamined": "LEFT HIP"},
     {"ImageLaterality": None, "SeriesDescription": "RIGHT HIP", "ProtocolName": "HIP LEFT"}],
)  # fmt: skip
def test_places_that_name_both_sides_are_a_contradiction(elements):
    film = read_film(films.dicom_bytes(**elements))
    assert film.side is None
    assert "side_contradiction" in film.flags
