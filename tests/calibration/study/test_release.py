"""What may leave a clinic: counts, and no second summary that tells about fewer than five subjects by difference."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmd_edge.errors import UsageError
from calibration.study.release import Cells, Ledger, Release, blurred, merged, read_ledger, record, too_near

ANSWERS = "a bundle"
COUNTS = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 40), max_size=6)


@given(COUNTS)
def test_told_counts_are_multiples_of_five_and_their_differences_too(counts: dict[str, int]) -> None:
    told = merged(counts)
    cells = [*told.values(), blurred(sum(counts.values())) or 0]
    assert all(n % 5 == 0 for n in cells)
    assert all(n >= 5 for n in told.values())
    for name, n in told.items():
        true = counts[name] if name != "other" or counts.get("other", 0) >= 5 else None
        assert true is None or abs(true - n) <= 2


@given(st.integers(0, 10_000))
def test_a_told_count_stands_for_five_true_ones_and_for_none_below_five(n: int) -> None:
    told = blurred(n)
    assert (told is None) == (n < 5)
    assert told is None or sum(blurred(k) == told for k in range(max(n - 6, 0), n + 6)) >= 3


def subjects(*numbers: int, value: str = "v") -> dict[str, str]:
    return {f"s{n}": value for n in numbers}


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        (subjects(*range(40)), False),
        (subjects(*range(39)), True),  # one left out: its value is the difference
        (subjects(*range(44)), True),  # four more
        (subjects(*range(45)), False),
        (subjects(*range(35)), False),
        (subjects(*range(1, 46)), True),  # one went, six came
        (subjects(*range(40)) | {"s3": "other DEXA"}, True),
        (subjects(*range(40), value="w"), False),
        (subjects(*range(50, 90)), False),
    ],
)
def test_a_summary_of_almost_the_same_subjects_is_refused(now: dict[str, str], refused: bool, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger.json"
    first = read_ledger(path)
    record(first, Release(subjects(*range(40)), ANSWERS), path)
    before = path.read_bytes()
    if refused:
        with pytest.raises(UsageError, match="fewer than 5 subjects came, went or changed since summary 1"):
            record(read_ledger(path), Release(now, ANSWERS), path)
        assert path.read_bytes() == before
    else:
        record(read_ledger(path), Release(now, ANSWERS), path)
    assert read_ledger(path).clinic == first.clinic
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_earlier_summary_is_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for numbers in (range(40), range(60), range(80)):
        record(read_ledger(path), Release(subjects(*numbers), ANSWERS), path)
    assert len(read_ledger(path).releases) == 3
    record(read_ledger(path), Release(subjects(*range(60)), ANSWERS), path)
    assert len(read_ledger(path).releases) == 3
    with pytest.raises(UsageError, match="since summary 2"):
        record(read_ledger(path), Release(subjects(*range(61)), ANSWERS), path)


def test_a_damaged_ledger_stops_the_release(tmp_path: Path) -> None:
    for text in ("", "{}", '{"clinic": 1, "salt": "", "releases": []}'):
        (tmp_path / "ledger.json").write_text(text)
        with pytest.raises(UsageError, match="put it back"):
            read_ledger(tmp_path / "ledger.json")
    assert read_ledger(tmp_path / "none.json") != read_ledger(tmp_path / "none.json")
    assert isinstance(read_ledger(tmp_path / "none.json"), Ledger)


@pytest.mark.parametrize(
    ("now", "cells", "near"),
    [
        (range(40), (20, 10), False),  # the same again
        (range(40), (20, 13), True),  # the same subjects, three more counted as wrong
        (range(40), (20, 15), False),
        (range(50), (25, 15), False),
        (range(50), (24, 16), True),  # of the ten who came, four were right
        (range(50), (30, 10), True),  # and none was wrong
        (range(30), (15, 5), False),
        (range(30), (10, 10), True),
        (range(10, 60), (21, 11), False),  # ten went and twenty came: nobody can take the one from the other
    ],
)
def test_cells_that_would_tell_a_small_one_by_difference_are_near(now: range, cells: tuple, near: bool) -> None:
    before = Release(subjects(*range(40)), ANSWERS, (Cells("sensitivity", 20, 10),))
    ledger = Ledger("c", "s", (Release(subjects(*range(100, 140)), ANSWERS), before))
    later = Release(subjects(*now), ANSWERS)
    assert too_near(ledger, later, Cells("sensitivity", *cells)) == (2 if near else None)
    assert too_near(ledger, later, Cells("specificity", *cells)) is None


def test_another_bundle_still_tells_how_many_cases_came() -> None:
    ledger = Ledger("c", "s", (Release(subjects(*range(40)), ANSWERS, (Cells("sensitivity", 20, 10),)),))
    assert too_near(ledger, Release(subjects(*range(40)), "another"), Cells("sensitivity", 22, 8)) is None
    assert too_near(ledger, Release(subjects(*range(50)), "another"), Cells("sensitivity", 15, 17)) == 1
    assert too_near(ledger, Release(subjects(*range(50)), "another"), Cells("sensitivity", 15, 20)) is None
