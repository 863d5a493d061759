"""Bombs are refused before they cost memory. How long each takes is measured by `python -m tests.support.mutants`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.errors import REFUSALS
from tests.support import films
from tests.support.bombs import bombs, deflated

READ_THEM = (
    "import json; from tests.support.bombs import measured; print(json.dumps([vars(cost) for cost in measured()]))"
)


@pytest.fixture(scope="module")
def costs() -> list[dict]:
    """Read in a process of its own: memory that other tests freed would hide what a bomb takes."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", READ_THEM], cwd=root, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_bomb_is_refused(costs: list[dict]) -> None:
    assert len({cost["name"] for cost in costs}) == len(costs) >= 60
    assert [cost["name"] for cost in costs if cost["code"] not in REFUSALS] == []


def test_a_bomb_takes_no_memory(costs: list[dict]) -> None:
    assert {cost["name"]: cost["megabytes"] for cost in costs if cost["megabytes"] > 64} == {}


def test_a_deflate_bomb_ends_long_before_its_size(costs: list[dict]) -> None:
    """A sound film may inflate to 64 MB; what no element accounts for ends within those before the pixel data."""
    grown = {cost["name"]: cost["megabytes"] for cost in costs if cost["name"].startswith("deflate: ")}
    assert len(grown) >= 14
    assert {name: megabytes for name, megabytes in grown.items() if megabytes > 32} == {}


def test_bombs_are_small_for_what_they_ask() -> None:
    assert max(len(data) for _, data in bombs()) < 17_000_000


def test_a_deflated_film_of_the_same_shape_is_read() -> None:
    from bmd_edge.film.read import read_film
    from tests.support.bombs import _header

    pixels = films.dicom_bytes()[-(2 * 120 * 90 + 12) :]
    film = read_film(deflated(_header() + pixels, 0))
    assert film.stored.shape == (120, 90)
    assert "trailing_data" not in film.flags
    assert "trailing_data" in read_film(deflated(_header() + pixels, 1)).flags
