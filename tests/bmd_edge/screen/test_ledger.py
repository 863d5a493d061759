"""The ledger of a run: what is in it is on the disk."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.film.film import former_id
from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.ledger_file import NAME
from tests.support.screening import drawn_screener, hip_dicom


def test_many_films_are_marked_in_one_transaction(tmp_path: Path) -> None:
    """Each transaction waits for the disk: a share with 100,000 films that is lost must not wait 100,000 times."""
    with closing(Ledger(tmp_path)) as ledger, closing(sqlite3.connect(tmp_path / NAME)) as other:
        for key in (b"a", b"b", b"c"):
            ledger.put(key, (1, 1, 1), "settings", report(key), None)
        seen: list[int] = []
        ledger._db.set_trace_callback(lambda _: seen.append(other.execute("SELECT count(*) FROM absent").fetchone()[0]))
        ledger.compare({b"b"}, {b"b"})
        ledger._db.set_trace_callback(None)
        assert set(seen) <= {0, 2}  # nobody ever sees half of it
        assert now(ledger) == {"a": "missing", "b": "there", "c": "missing"}
        assert list(ledger.done("settings")) == [b"a", b"b", b"c"]
        ledger.forget_missing()
        assert now(ledger) == {"b": "there"}


def report(name: bytes, said: bytes = b"") -> FilmReport:
    return replace(READ, file=name.decode(), film_id=hashlib.sha256(said or name).hexdigest()[:16])


with drawn_screener() as _screener:
    READ = _screener.read(hip_dicom("R"))
    REFUSED = _screener.read(hip_dicom(""))
    FAILED = _screener.setup.failed
    PACKED = replace(_screener.read(b"PK\x05\x06"), file="b.zip", status="left_out")


def now(ledger: Ledger) -> dict[str, str]:
    return {str(one.file): one.film_now for one in ledger.reports()}


def put(ledger: Ledger, key: bytes, one: FilmReport, size: int = 1) -> None:
    ledger.put(key, (size, 1, 1), "settings", one, None)


def test_a_film_that_cannot_be_read_again_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        put(ledger, b"a", replace(FAILED, file="a", reason="file_unreadable"), 2)
        assert [(one.status, one.film_now) for one in ledger.reports()] == [("read", "unreadable")]
        ledger.forget_missing()  # it is there
        put(ledger, b"a", report(b"a"), 2)
        assert now(ledger) == {"a": "there"}
        put(ledger, b"a", replace(FAILED, film_id="another film", file="a"), 3)
        assert sorted((one.status, one.film_now) for one in ledger.reports()) == [
            ("failed", "there"),
            ("read", "replaced"),
        ]


def test_whoever_takes_the_last_line_of_a_name_has_the_film_that_is_there(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for film in (b"one", b"two", b"three"):
            put(ledger, b"a", report(b"a", film))
        put(ledger, b"a b", report(b"a b"))
        expected = [("a", "replaced"), ("a", "replaced"), ("a", "there"), ("a b", "there")]
        assert [(one.file, one.film_now) for one in ledger.reports()] == expected
        assert [(one.file, one.film_now) for one, _ in ledger.entries()] == expected
        assert {one.file: one.film_id for one in ledger.reports()}["a"] == report(b"a", b"three").film_id


def test_a_failure_is_replaced_by_whatever_comes_next(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for one in (FAILED, replace(FAILED, film_id="known"), FAILED, report(b"a"), report(b"a")):
            put(ledger, b"a", one)
        assert [one.status for one in ledger.reports()] == ["read"]


def test_of_a_file_without_a_hip_nothing_is_kept_once_another_has_its_name(tmp_path: Path) -> None:
    """The remedy of most such refusals is to export the film again."""
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", REFUSED)
        put(ledger, b"a", report(b"a"))
        assert [one.film_now for one in ledger.reports()] == ["there"]


def test_a_film_that_is_there_under_another_name_is_known_once(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for key in (b"a", b"b"):
            put(ledger, key, report(key, b"one film"))
        put(ledger, b"c", report(b"c"))
        ledger.compare({b"b"}, {b"b"})
        ledger.settle()
        assert now(ledger) == {"b": "there", "c": "missing"}


def test_what_was_displaced_is_found_again(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        put(ledger, b"a", report(b"a", b"another film"), 2)
        assert ledger.adopt(b"a", (1, 1, 1), "settings", report(b"a").film_id)
        ledger.settle()
        assert sorted((one.film_id, one.film_now) for one in ledger.reports()) == sorted(
            [(report(b"a").film_id, "there"), (report(b"a", b"another film").film_id, "replaced")]
        )


def test_a_film_whose_name_read_as_a_number_is_known_by_its_name_of_today(tmp_path: Path) -> None:
    former, today = "0429491040446823", "29491040446823ab"
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", replace(report(b"a"), film_id=former))
        assert [one.film_id for one in ledger.reports()] == [former_id(former)]
        put(ledger, b"a", replace(FAILED, file="a", film_id=today))
        assert now(ledger) == {"a": "unreadable"}
        put(ledger, b"a", replace(report(b"a"), film_id=today), 2)
        assert [(one.film_id, one.film_now) for one in ledger.reports()] == [(today, "there")]


def test_a_ledger_is_read_beside_a_run_that_writes_to_it(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        with closing(Ledger(tmp_path, to_read=True)) as other:
            assert now(other) == {"a": "there"}
            with pytest.raises(OSError, match="Read-only"):
                other.compare(set(), set())
