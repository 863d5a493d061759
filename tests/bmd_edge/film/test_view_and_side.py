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
