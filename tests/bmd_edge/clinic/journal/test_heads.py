"""The end of the chain is written down: what was taken off it is missed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import store
from bmd_edge.clinic.journal.heads import NAME, heads, lost_head, note_head
from bmd_edge.clinic.journal.store import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path, clock=lambda: 1000.0) as opened:
        for number in range(3):
            opened.record("refused", number=number)
        yield opened


def test_each_head_is_written_once_and_said_in_the_log(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert heads(tmp_path) == []
    with caplog.at_level("INFO"):
        note_head(tmp_path, journal)
        note_head(tmp_path, journal)
    ((n, chain),) = heads(tmp_path)
    assert (n, (tmp_path / NAME).stat().st_mode & 0o777) == (3, 0o600)
    assert [record.getMessage() for record in caplog.records] == [f"audit: event 3 ends the chain with {chain}"]
    journal.record("refused")
    note_head(tmp_path, journal)
    assert [n for n, _ in heads(tmp_path)] == [3, 4]
    assert lost_head(tmp_path, journal) is None


def test_a_journal_without_events_has_no_head(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        note_head(tmp_path, journal)
        assert lost_head(tmp_path, journal) is None
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("more", ["", "refused"])
def test_events_that_were_taken_off_the_end_are_missed(journal: Journal, tmp_path: Path, more: str) -> None:
    """Also where others came in their place: the chain alone is whole then."""
    note_head(tmp_path, journal)
    with journal.change() as db:
        db.execute("DELETE FROM event WHERE n=3")
    if more:
        journal.record(more, number=99)
    assert journal.broken_event() is None
    assert lost_head(tmp_path, journal) == 3


def test_a_chain_that_was_made_anew_is_seen(journal: Journal, tmp_path: Path) -> None:
    """Whoever can write to the journal can link all of it again: to other links."""
    note_head(tmp_path, journal)
    with journal.change() as db:
        db.execute("UPDATE event SET detail='{}' WHERE n=1")
        before = ""
        for row in journal.rows("SELECT * FROM event ORDER BY n"):
            before = store._link(before, tuple(row)[:-1])
            db.execute("UPDATE event SET chain=? WHERE n=?", (before, row["n"]))
    assert journal.broken_event() is None
    assert lost_head(tmp_path, journal) == 3


def test_a_line_that_a_power_cut_has_torn_is_left_out(journal: Journal, tmp_path: Path) -> None:
    note_head(tmp_path, journal)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b"4 ab\n\xff\0\0 4")
    assert len(heads(tmp_path)) == 1
    journal.record("refused")
    note_head(tmp_path, journal)
    assert [n for n, _ in heads(tmp_path)] == [3, 4]
    assert lost_head(tmp_path, journal) is None
