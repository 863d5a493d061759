"""The rows of the page: the newest first, each film with its state and what has become of its result."""

from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import rows as module
from bmd_edge.clinic.page.rows import Row, rows
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support.clinic.films_of_a_day import FILMS, page_box, with_names
from tests.support.screening import CANARY, hip_dicom


def row(config: Config, journal: Journal, key: str) -> Row:
    (found,) = (one for one in rows(config, journal, 0) if one.film_id == key)
    return found


def texts(config: Config, journal: Journal, key: str) -> list[tuple[str, str]]:
    return [tuple(one) for one in row(config, journal, key).delivery]


def test_the_newest_is_first_and_each_has_its_state(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    found = rows(config, journal, 0)
    assert [one.film_id for one in found] == list(keys.values())[::-1]
    states = {name: row(config, journal, key).state for name, key in keys.items()}
    read = {"kept", "sent", "half", "burned"}
    assert states == {name: "read" if name in read else "refused" for name in FILMS}
    assert {one.unit for one in found} == {"xray1"}
    assert rows(config, journal, journal.clock() + 60) == []


def test_a_day_of_too_many_films_has_its_last_ones(
    config: Config, journal: Journal, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    assert [one.film_id for one in rows(config, journal, 0)] == list(keys.values())[:-3:-1]


def test_names_and_films_with_names_stand_there_only_if_asked_for(
    config: Config, journal: Journal, keys: dict[str, str]
) -> None:
    assert {one.name for one in rows(config, journal, 0)} == {""}
    hidden = row(config, journal, keys["burned"])
    assert (hidden.picture, "a name stands in it" in hidden.why_none) == (0, True)
    assert (hidden.accession, row(config, journal, keys["kept"]).picture) == ("ACC-1005", 1)
    shown = row(with_names(config), journal, keys["burned"])
    assert (shown.name, shown.picture, shown.why_none) == (CANARY.replace("^", " "), 1, "")


def test_a_film_that_was_not_decoded_has_no_picture(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    found = row(config, journal, keys["undecoded"])
    assert (found.picture, found.why_none) == (0, "The film was not decoded.")


def test_a_picture_that_was_moved_away_takes_its_accession_along(
    config: Config, journal: Journal, keys: dict[str, str]
) -> None:
    made = films.picture_of(journal, keys["kept"], 1)
    assert made is not None
    (config.root / made.path).unlink()
    found = row(config, journal, keys["kept"])
    assert (found.accession, found.state, bool(found.result)) == ("", "read", True)


def test_delivery_is_said_in_words(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    assert texts(config, journal, keys["kept"]) == [("sent", "main: sent, and the archive keeps it")]
    yet = "main: sent; the archive has not yet said that it keeps it"
    assert texts(config, journal, keys["sent"]) == [("sent", yet)]
    assert texts(config, journal, keys["half"]) == [("waits", "main: waits to be sent")]
    report, *others = deliveries.lease(journal, "main")
    assert texts(config, journal, keys["half"]) == [("waits", "main: is being sent")]
    deliveries.hold(journal, report.uid, "main", "A900", "refused_by_pacs")
    deliveries.try_again(journal, others[0].uid, "main", "", "pacs_down", 0)
    assert {report.film_key, others[0].film_key} == {keys["refused"]}
    assert texts(config, journal, keys["refused"]) == [
        ("hangs", f"main: {('report', 'picture')[report.kind == 'sc']} held. {REASONS['refused_by_pacs'][0]}"),
        ("hangs", f"main: {('report', 'picture')[report.kind == 'sr']} is tried again. {REASONS['pacs_down'][0]}"),
    ]


def test_without_an_archive_or_an_approval_it_is_said_that_nothing_is_sent(
    config: Config, journal: Journal, keys: dict[str, str]
) -> None:
    alone = replace(config, pacs={})
    assert texts(alone, journal, keys["kept"]) == [("waits", "Not sent: clinic.toml names no archive.")]
    other = replace(config, pacs={"other": config.pacs["main"]})
    assert texts(other, journal, keys["kept"]) == [("waits", "other: waits to be sent")]
    unapproved = replace(other, approval="")
    assert texts(unapproved, journal, keys["kept"]) == [("hangs", "other: not sent, no approval is named")]
    with journal.change() as db:
        db.execute("UPDATE object SET approval=''")
    before = ("hangs", "other: not sent, it was made before an approval was named")
    assert texts(other, journal, keys["kept"]) == [before]


def test_a_film_waits_is_read_and_is_read_again(tmp_path: Path) -> None:
    config = page_box(tmp_path)
    with Journal(config.root) as journal:
        (key,) = put(config, journal, hip_dicom("R"))
        assert (row(config, journal, key).said, row(config, journal, key).state) == ("Waits to be read.", "waits")
        films.start(journal, "b")
        assert row(config, journal, key).said == "Is being read."
        films.give_back(journal, key)
        read_all(config, journal)
        done = row(config, journal, key)
        assert (done.said, done.state) == ("", "read")
        films.read_again(journal, key, "asked for")
        again = row(config, journal, key)
        assert (again.said, again.state, again.result) == ("Waits to be read again.", "waits", done.result)


def test_a_film_in_quarantine_has_no_result(tmp_path: Path) -> None:
    config = page_box(tmp_path)
    with Journal(config.root) as journal:
        (key,) = put(config, journal, hip_dicom("R"))
        films.start(journal, "b")
        films.quarantine(journal, key, "sop_uid_conflict")
        found = row(config, journal, key)
    assert (found.state, found.result, found.delivery[0].kind) == ("quarantined", None, "hangs")
    assert "same SOP Instance UID" in found.said


def test_a_result_without_objects_and_one_that_is_there_already(tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root) as journal:
        first, second = put(config, journal, hip_dicom("R"), hip_dicom("L"))
        for key, reason in ((first, "no_objects"), (second, "")):
            films.start(journal, "b")
            films.finish(journal, key, "", [], reason)
        assert texts(config, journal, first)[0][0] == "hangs"
        assert "without one" in texts(config, journal, first)[0][1]
        assert texts(config, journal, second) == [("sent", "Nothing to send: the archive has this result of the film.")]
