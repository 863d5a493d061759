"""The page as HTML: everything is said, and no text of a header does anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import rows
from bmd_edge.clinic.page.bar import Bar, Trouble
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.page.today import today_html
from bmd_edge.errors import REFUSALS
from bmd_edge.language import LANGUAGES, language
from bmd_edge.report.film_report import RESEARCH_USE
from tests.support.clinic.films_of_a_day import CANARIES, with_names
from tests.support.screening import NOTICE

TROUBLE = Trouble("3 objects to main held", 0.0, "It <fails>.", "Run `bmd-edge clinic send --held`.", ("ab" * 32,) * 7)


class Parsed(HTMLParser):
    """Tags with their attributes, the text, and `said`: each piece of text or of an attribute that is for people."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.said: set[str] = set()
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for_people = ("alt", "aria-label", "placeholder")
        words = {value for name, value in attrs if name in for_people or (name.startswith("data-") and tag != "tr")}
        self.said |= words - {None}

    def handle_data(self, data):
        self.text += data
        self.said.add(data.strip())


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


NO_WORDS = r"implant|not_a_hip|pixel_length|[0-9a-f]{16}|BMDEDGE ·|main|xray1|ACC-100\d|<b>&amp;|bmd-edge [a-z -]+"
"""Of the page's day in every language: codes, ids, names of settings, commands."""


@pytest.mark.parametrize("code", [one for one in LANGUAGES if one != "en"])
def test_every_word_of_the_page_is_in_its_language(config: Config, journal: Journal, code: str) -> None:
    deliveries.hold(journal, next(iter(deliveries.lease(journal, "main", 1))).uid, "main", "A900", "refused_by_pacs")
    config.root.chmod(0o755)
    pages = {}
    for one in ("en", code):
        spoken = replace(config, language=one)
        troubles = Bar(spoken).troubles(journal, Tally())
        assert len(troubles) == 2
        pages[one] = Parsed(today_html(spoken, journal, read_bundle().manifest.validity.notice, troubles))
    assert ("html", {"lang": code}) in pages[code].tags
    assert language(code)(RESEARCH_USE) in pages[code].text
    same = {said for said in pages["en"].said & pages[code].said if re.search("[A-Za-z]{3}", said)}
    assert {said for said in same if not re.fullmatch(NO_WORDS, said)} == set()
    digits = [re.findall(r"\d\.\d+", page.text) for page in pages.values()]
    assert len(digits[0]) > 30
    assert digits[0] == digits[1]
