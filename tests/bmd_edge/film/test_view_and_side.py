"""The view and the side that a header states."""

import pytest

from bmd_edge.errors import FilmRefused
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


NO_VIEW = {"ViewPosition": None}


@pytest.mark.parametrize(
    "name", ["ANTERO-POSTERIOR", "Anteroposterior", "ANTERO POSTERIOR", "A-P", "A.P.", "FRONTAL", "AP SUPINE", "ap"]
)
def test_a_view_may_be_spelled_as_people_do(name):
    film = read_film(films.dicom_bytes(ViewPosition=name))
    assert film.view == "AP"
    assert "view_unknown" not in film.flags


@pytest.mark.parametrize(
    "name", ["P-A", "POSTERO-ANTERIOR", "LATERAL", "izquierda lateral", "X-TABLE", "FROG-LEG", "AP OBLIQUE"]
)
def test_the_names_of_other_views_are_refused(name):
    with pytest.raises(FilmRefused, match="wrong_view"):
        read_film(films.dicom_bytes(ViewPosition=name))


def test_a_view_that_nobody_knows_is_unknown():
    film = read_film(films.dicom_bytes(ViewPosition="STANDARD"))
    assert film.view is None
    assert "view_unknown" in film.flags


def _code(value, scheme, meaning, **more):
    return NO_VIEW | {
        "ViewCodeSequence": films.sequence(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning, **more)
    }


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [
        ("R-10232", "SRT", "seitlich rechts"),
        ("399067008", "SCT", "de face"),
        ("272479007", "SCT", "AP"),
        ("R-102C1", "SNM3", ""),
    ],
)
def test_the_code_of_another_view_counts_whatever_it_is_called(value, scheme, meaning):
    with pytest.raises(FilmRefused, match="wrong_view"):
        read_film(films.dicom_bytes(**_code(value, scheme, meaning)))


@pytest.mark.parametrize(
    ("value", "scheme", "meaning", "view"),
    [("R-10206", "SRT", "izquierda lateral", "AP"), ("399033003", "SCT", "seitlich", "AP"),
     ("V7", "99CLINIC", "izquierda lateral", None), ("R-10232", "99CLINIC", "right lateral", None)],
)  # fmt: skip
def test_a_code_of_the_frontal_view_is_one_and_a_local_code_is_none(value, scheme, meaning, view):
    film = read_film(films.dicom_bytes(**_code(value, scheme, meaning)))
    assert film.view == view
    assert ("view_unknown" in film.flags) == (view is None)


def test_a_cross_table_film_is_told_by_its_modifier():
    modifier = films.sequence(CodeValue="111069", CodingSchemeDesignator="DCM", CodeMeaning="gekreuzt")
    with pytest.raises(FilmRefused, match="wrong_view"):
        read_film(films.dicom_bytes(**_code("R-10206", "SRT", "AP", ViewModifierCodeSequence=modifier)))
