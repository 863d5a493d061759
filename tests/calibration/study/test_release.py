"""What may leave a clinic: counts, and no second summary that tells about fewer than five subjects by difference."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmd_edge.errors import UsageError
from calibration.study.release import Ledger, blurred, merged, read_ledger, record

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
    record(first, subjects(*range(40)), path)
    before = path.read_bytes()
    if refused:
        with pytest.raises(UsageError, match="fewer than 5 subjects came, went or changed since summary 1"):
            record(read_ledger(path), now, path)
        assert path.read_bytes() == before
    else:
        record(read_ledger(path), now, path)
    assert read_ledger(path).clinic == first.clinic
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_earlier_summary_is_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for numbers in (range(40), range(60), range(80)):
        record(read_ledger(path), subjects(*numbers), path)
    assert len(read_ledger(path).releases) == 3
    record(read_ledger(path), subjects(*range(60)), path)
    assert len(read_ledger(path).releases) == 3
    with pytest.raises(UsageError, match="since summary 2"):
        record(read_ledger(path), subjects(*range(61)), path)


def test_a_damaged_ledger_stops_the_release(tmp_path: Path) -> None:
    for text in ("", "{}", '{"clinic": 1, "salt": "", "releases": []}'):
        (tmp_path / "ledger.json").write_text(text)
        with pytest.raises(UsageError, match="put it back"):
            read_ledger(tmp_path / "ledger.json")
    assert read_ledger(tmp_path / "none.json") != read_ledger(tmp_path / "none.json")
    assert isinstance(read_ledger(tmp_path / "none.json"), Ledger)
