from pathlib import Path

import numpy as np
import pytest

import bmd_edge
from bmd_edge.film.film import film_id
from bmd_edge.film.read import read_film
from export.bench import films


def test_the_same_film_in_every_transfer_syntax(small) -> None:
    made = {name: next(films.films(name, 1)) for name in films.ENCODERS}
    read = {name: read_film(data) for name, data in made.items()}
    first = read["uncompressed"]
    assert abs(first.stored.size - 200_000) < 2_000
    for film in read.values():
        np.testing.assert_array_equal(film.stored, first.stored)
    assert first.stored.max() <= 4095
    demo = read_film(min((Path(bmd_edge.__file__).parent / "data" / "demo").glob("*.dcm")))
    for axis in (0, 1):  # enlarged, it shows as many millimeters
        assert first.shape[axis] * first.spacing_mm[axis] == pytest.approx(
            demo.shape[axis] * demo.spacing_mm[axis], rel=0.01
        )


def test_films_differ_in_noise_and_uid_and_are_the_same_every_time(small) -> None:
    made = list(films.films("rle", 6))
    assert len({film_id(film) for film in made}) == 6
    assert len({read_film(film).sop_instance_uid for film in made}) == 6
    assert made == list(films.films("rle", 6))
    other = films.renamed(made[0], 7)
    assert len(other) == len(made[0])
    assert read_film(other).sop_instance_uid == "2.25.900000000000000007"
    np.testing.assert_array_equal(read_film(other).stored, read_film(made[0]).stored)
