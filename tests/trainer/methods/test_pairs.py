import numpy as np

from bmd_edge.table.film_table import HipRow
from trainer.methods.pairs import Pairs


def rows_of(films: dict[str, dict[str, str]]) -> list[HipRow]:
    """films -> side -> view."""
    rows = []
    for film, sides in films.items():
        for side, view in sides.items():
            extra = {"x_film": film, "x_view": view} if film else {}
            rows.append(
                HipRow(film=f"{film}{side}.png", subject="S", side=side, split="train", scale=None, age_years=60.0,
                       sex="F", bmd_gcm2={}, extra=extra)
            )  # fmt: skip
    return rows


COHORT = rows_of(
    {
        **{f"a{n}": {"R": "vaR", "L": "vaL"} for n in range(4)},
        **{f"b{n}": {"R": "vbR", "L": "vbL"} for n in range(3)},
        **{f"c{n}": {"R": "vcR"} for n in range(2)},
    }
)


def test_two_films_of_the_same_hips_stand_together() -> None:
    pairs = Pairs(COHORT)
    order = pairs.order(np.random.default_rng(0))
    assert sorted(order) == list(range(16))
    assert not np.array_equal(order, pairs.order(np.random.default_rng(1)))
    blocks = 0
    for start in range(13):
        film, view = pairs.film[order[start : start + 4]], pairs.view[order[start : start + 4]]
        blocks += len(set(film)) == 2 and len(set(view)) == 2 and all(np.bincount(view)[view] == 2)
    assert blocks >= 3  # two of a, one of b; the odd film of b stands alone


def test_a_table_that_says_nothing_has_no_pairs() -> None:
    pairs = Pairs(rows_of({"": {"R": "", "L": ""}}))
    assert len(set(pairs.film)) == len(set(pairs.view)) == 2
    assert sorted(pairs.order(np.random.default_rng(0))) == [0, 1]
