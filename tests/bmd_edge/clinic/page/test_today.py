"""The page as HTML: everything is said, and no text of a header does anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import rows
from bmd_edge.clinic.page.bar import Trouble
from bmd_edge.clinic.page.today import today_html
from bmd_edge.errors import REFUSALS
from bmd_edge.report.film_report import RESEARCH_USE
from tests.support.clinic.films_of_a_day import CANARIES, with_names
from tests.support.screening import NOTICE

TROUBLE = Trouble("3 objects to main held", 0.0, "It <fails>.", "Run `bmd-edge clinic send --held`.", ("ab" * 32,) * 7)


class Parsed(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_everything_is_said(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    text = Parsed(today_html(config, journal, NOTICE, [])).text
    for said in (RESEARCH_USE, NOTICE, "approval EK 2026-117", "7 films: 4 with a number, 3 without a number"):
        assert said in text
    for code in ("implant", "not_a_hip"):
        assert f"{REFUSALS[code].sentence} {REFUSALS[code].remedy} {code}" in text
    for key in keys.values():
        assert f"Film {key[:16]}" in text
    assert re.search(r"Accession ACC-1001 .* neck 0\.\d{3} g/cm², T −\d\.\d 90 %: 0\.\d{3} to 0\.\d{3} total hip", text)
    assert "main: sent, and the archive keeps it" in text
    assert "hang" not in text
    assert "normal" not in text.lower()
    assert "stable" not in text.lower()


def test_nothing_of_a_header_is_more_than_text(config: Config, journal: Journal) -> None:
    page = today_html(with_names(config), journal, "<b>notice</b>", [TROUBLE])
    parsed = Parsed(page)
    assert "<script>alert(1)</script> \\x1b[31m" in parsed.text
    assert "Accession <b>&amp;" in parsed.text
    assert [attributes for tag, attributes in parsed.tags if tag == "script"] == [{"src": "/page.js", "defer": None}]
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", page)


def test_names_are_there_only_if_asked_for(config: Config, journal: Journal) -> None:
    page = today_html(config, journal, NOTICE, [])
    assert not any(canary in page for canary in CANARIES)
    assert "alert(1)" not in page
    assert CANARIES[0] in today_html(with_names(config), journal, NOTICE, [])


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_inside(config: Config, journal: Journal) -> None:
    for _, attributes in Parsed(today_html(config, journal, NOTICE, [TROUBLE])).tags:
        for name in ("src", "href"):
            assert re.match(r"/[a-z]|#[a-z]", attributes.get(name) or "/page.js")
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_the_bar_says_what_hangs_since_when_and_what_to_do(config: Config, journal: Journal) -> None:
    parsed = Parsed(today_html(config, journal, NOTICE, [TROUBLE]))
    assert parsed.text.startswith("1 thing hangs - Films of today, BMDEDGE")
    assert re.search(r"3 objects to main held, since 19(69|70)-\d\d-\d\d \d\d:\d\d\. It <fails>\.", parsed.text)
    assert "Run bmd-edge clinic send --held." in parsed.text  # a command without its marks
    assert f"Films {', '.join(['ab' * 8] * 5)} and 2 more" in parsed.text
    assert "2 things hang" in Parsed(today_html(config, journal, NOTICE, [TROUBLE] * 2)).text


def test_without_an_approval_and_with_too_many_films_it_is_said(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST", 5)
    text = Parsed(today_html(replace(config, approval=""), journal, NOTICE, [])).text
    assert "no approval named: nothing is delivered" in text
    assert "The first 2 are not shown: bmd-edge clinic results" in text


def test_a_day_without_films_has_a_page(config: Config, journal: Journal) -> None:
    with journal.change() as db:
        db.execute("UPDATE film SET received_at=received_at-2*86400")
    text = Parsed(today_html(config, journal, "", [])).text
    assert "0 films" in text
    assert "Film 0" not in text
