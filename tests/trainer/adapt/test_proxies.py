"""What gets worse is named; what does not is let through."""

import dataclasses

import numpy as np
import pytest

from bmd_edge.errors import TableError
from trainer.adapt.proxies import MEANINGS, Seen, check, facts, pairs, proxies

N = 120
FILM = [f"film {k // 2}" for k in range(N)]
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0.8, 0.15, (N, 2))
BONES = np.repeat(RNG.normal(0.8, 0.15, (N // 2, 2)), 2, 0)


def seen(**more: np.ndarray) -> Seen:
    rng = np.random.default_rng(1)
    plain = Seen(
        bmd=BONES + rng.normal(0, 0.03, (N, 2)),
        spread=rng.uniform(0.03, 0.05, (N, 2)),
        embedding=rng.normal(0.2, 1, (N, 8)),
        phantom_bmd=TRUTH + rng.normal(0, 0.06, (N, 2)),
        phantom_embedding=rng.normal(0, 1, (N, 8)),
    )
    return dataclasses.replace(plain, **more)


def found(after: Seen) -> dict[str, bool]:
    return {name: one.worse for name, one in proxies(seen(), after, FILM, TRUTH, FILM).items()}


def test_a_network_that_says_the_same_is_let_through() -> None:
    same = proxies(seen(), seen(), FILM, TRUTH, FILM)
    assert {name: one.value for name, one in same.items()} == pytest.approx(dict.fromkeys(MEANINGS, 1.0))
    check(same)
    assert facts(same)["forgotten"]["above_1"] == MEANINGS["forgotten"]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("hips_apart", {"bmd": seen().bmd + np.random.default_rng(2).normal(0, 0.05, (N, 2))}),
        ("spread", {"spread": 1.3 * seen().spread}),
        ("embedding_distance", {"embedding": seen().embedding + 3}),
        ("forgotten", {"phantom_bmd": seen().phantom_bmd + 0.08}),
    ],
)
def test_each_proxy_alone_refuses_and_is_named(name: str, after: dict[str, np.ndarray]) -> None:
    assert found(seen(**after)) == {one: one == name for one in MEANINGS}
    with pytest.raises(TableError, match=f"refused, it got worse: {name}: {MEANINGS[name]}"):
        check(proxies(seen(), seen(**after), FILM, TRUTH, FILM))


def test_better_is_no_reason_to_refuse() -> None:
    better = seen(spread=0.5 * seen().spread, phantom_bmd=TRUTH, bmd=BONES)
    assert not any(found(better).values())


def test_an_error_that_all_films_share_is_not_seen() -> None:
    """What `BLIND` says."""
    assert not any(found(seen(bmd=seen().bmd + 0.3)).values())


def test_forgetting_is_a_ratio_of_rmse_over_the_labels_that_there_are() -> None:
    dexa = TRUTH.copy()
    dexa[::3, 1] = np.nan
    one = proxies(seen(), seen(phantom_bmd=TRUTH + 2 * (seen().phantom_bmd - TRUTH)), FILM, dexa, FILM)["forgotten"]
    assert one.value == pytest.approx(2)
    assert one.low == pytest.approx(2)


def test_films_with_one_hip_are_no_pairs() -> None:
    assert pairs(["a", "b", "a", "c", "d", "d"]) == ([0, 4], [2, 5])
    none = proxies(seen(), seen(), [str(k) for k in range(N)], TRUTH, FILM)
    assert "hips_apart" not in none
