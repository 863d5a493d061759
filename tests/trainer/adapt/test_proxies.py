"""What gets worse is named; what does not is let through."""

import dataclasses

import numpy as np
import pytest

from bmd_edge.errors import TableError
from trainer.adapt.proxies import MEANINGS, Hips, Seen, check, facts, pairs, proxies, said

N = 120
FILM = [f"film {k // 2}" for k in range(N)]
DAY = [f"{k // 4}-{k % 2}" for k in range(N)]
"""Two films of each person of one day, both of which show both hips."""
HIPS = Hips(person=[f"person {k // 4}" for k in range(N)], film=FILM, day=DAY)
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0.8, 0.15, (N, 2))
BONES = np.repeat(RNG.normal(0.8, 0.15, (N // 4, 2)), 4, 0)
SIDES = np.tile([[0.0], [0.1], [0.0], [0.1]], (N // 4, 1))


def seen(**more: np.ndarray) -> Seen:
    rng = np.random.default_rng(1)
    plain = Seen(
        bmd=BONES + SIDES + rng.normal(0, 0.03, (N, 2)),
        spread=rng.uniform(0.03, 0.05, (N, 2)),
        embedding=rng.normal(0.2, 1, (N, 8)),
        phantom_bmd=TRUTH + rng.normal(0, 0.06, (N, 2)),
        phantom_embedding=rng.normal(0, 1, (N, 8)),
    )
    return dataclasses.replace(plain, **more)


def found(after: Seen) -> dict[str, bool]:
    return {name: one.worse for name, one in proxies(seen(), after, HIPS, TRUTH, FILM).items()}


def test_a_network_that_says_the_same_is_let_through() -> None:
    same = proxies(seen(), seen(), HIPS, TRUTH, FILM)
    assert {name: one.value for name, one in same.items()} == pytest.approx(dict.fromkeys(MEANINGS, 1.0))
    check(same)
    assert facts(same)["forgotten"]["above_1"] == MEANINGS["forgotten"]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("hips_apart", {"bmd": seen().bmd + SIDES}),
        ("repeats_apart", {"bmd": BONES + SIDES + 1.5 * (seen().bmd - BONES - SIDES)}),
        ("spread", {"spread": 1.3 * seen().spread}),
        ("embedding_distance", {"embedding": seen().embedding + 3}),
        ("forgotten", {"phantom_bmd": seen().phantom_bmd + 0.08}),
    ],
)
def test_each_proxy_alone_refuses_and_is_named(name: str, after: dict[str, np.ndarray]) -> None:
    assert found(seen(**after)) == {one: one == name for one in MEANINGS}
    with pytest.raises(TableError, match=f"refused, it got worse: {name}: {MEANINGS[name]}"):
        check(proxies(seen(), seen(**after), HIPS, TRUTH, FILM))


def test_better_is_no_reason_to_refuse() -> None:
    better = seen(spread=0.5 * seen().spread, phantom_bmd=TRUTH, bmd=BONES)
    assert not any(found(better).values())


def test_an_error_that_all_films_share_is_not_seen() -> None:
    """What `BLIND` says."""
    assert not any(found(seen(bmd=seen().bmd + 0.3)).values())


def test_forgetting_is_a_ratio_of_rmse_over_the_labels_that_there_are() -> None:
    dexa = TRUTH.copy()
    dexa[::3, 1] = np.nan
    one = proxies(seen(), seen(phantom_bmd=TRUTH + 2 * (seen().phantom_bmd - TRUTH)), HIPS, dexa, FILM)["forgotten"]
    assert one.value == pytest.approx(2)
    assert one.low == pytest.approx(2)


def test_what_there_is_none_of_is_no_figure_and_said() -> None:
    assert pairs(["a", "b", "a", "c", "d", "d", None, None]) == [(0, 2), (4, 5)]
    assert pairs(["a", "a", "a"]) == [(0, 1), (0, 2), (1, 2)]
    alone = Hips(person=HIPS.person, film=[str(k) for k in range(N)], day=[None] * N)
    none = proxies(seen(), seen(), alone, TRUTH, FILM)
    assert set(MEANINGS) - set(none) == {"hips_apart", "repeats_apart"}
    lines = said(none)
    assert "hips apart: not measured, no film shows both hips" in lines
    assert any(line.startswith("repeats apart: not measured, no hip has two films of one day") for line in lines)
    assert lines[2].startswith("spread: 1.00 times that of the parent (no interval, so it refuses nothing); above")


def test_a_copy_of_a_film_is_no_repeated_film() -> None:
    every = dataclasses.replace(HIPS, copies=lambda _one, _other: True)
    assert "repeats_apart" not in proxies(seen(), seen(), every, TRUTH, FILM)
    one = dataclasses.replace(HIPS, copies=lambda one, other: (one, other) == (0, 2))
    assert "repeats_apart" in proxies(seen(), seen(), one, TRUTH, FILM)


def test_repeats_of_a_few_people_have_no_interval_and_refuse_nothing() -> None:
    few = dataclasses.replace(HIPS, day=[name if k < 20 else None for k, name in enumerate(DAY)])
    apart = seen(bmd=BONES + SIDES + 3 * (seen().bmd - BONES - SIDES))
    found = proxies(seen(), apart, few, TRUTH, FILM)
    assert found["repeats_apart"].value == pytest.approx(3)
    assert not found["repeats_apart"].worse
    assert "repeats apart: 3.00 times that of the parent (no interval, so it refuses nothing)" in said(found)[1]
