"""The page of today's films in a real browser: sizes, keyboard, screen reader, search, and what changes by itself."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.server import page_server
from bmd_edge.language import LANGUAGES, language
from tests.bmd_edge.clinic.reading.readers import put
from tests.support.clinic import free_port
from tests.support.clinic.browser import Browser, browser
from tests.support.clinic.films_of_a_day import CANARIES, FILMS, films_of_a_day
from tests.support.screening import hip_dicom

WIDTHS = (360, 768, 1280, 1920)
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.fixture(scope="module")
def day(seen: Browser, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, str]]:
    return films_of_a_day(tmp_path_factory.mktemp("day"))


@pytest.fixture
def config(day: tuple[Config, dict[str, str]], seen: Browser) -> Config:
    seen.show("about:blank")  # the page of the test before may still ask its box, which is gone
    seen.requests.clear()
    seen.console.clear()
    return replace(day[0], page=replace(day[0].page, bind=f"127.0.0.1:{free_port()}"))


@pytest.fixture
def url(config: Config) -> Iterator[str]:
    with page_server(config) as at:
        yield at


@pytest.fixture
def journal(config: Config) -> Iterator[Journal]:
    with Journal(config.root) as opened:
        yield opened


def rows(seen: Browser) -> list[str]:
    """The text of the rows that are to be seen."""
    return list(
        seen.value("[...document.querySelectorAll('#films tbody tr')].filter(r => !r.hidden).map(r => r.innerText)")
    )


def hold(journal: Journal) -> None:
    """One object is refused by the archive."""
    (one,) = deliveries.lease(journal, "main", 1)
    deliveries.hold(journal, one.uid, "main", "A900", "refused_by_pacs")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_fits_and_can_be_read_at_every_width(seen: Browser, url: str, width: int, dark: bool) -> None:
    seen.show(url, width, dark=dark)
    assert seen.value("document.documentElement.scrollWidth") <= width
    assert seen.value(CUT_OFF) == []
    assert seen.value(CONTRAST) == []
    assert len(rows(seen)) == len(FILMS)


CUT_OFF = """[...document.querySelectorAll("main p, main dd, main b, main li, main time")].filter((e) =>
  !e.matches(".unseen") && !e.closest("[hidden]") && e.scrollWidth > e.clientWidth + 1 &&
  getComputedStyle(e).display !== "inline").map((e) => e.outerHTML)"""
"""What has a text of its own that is wider than its place."""


@pytest.mark.parametrize("code", [one for one in LANGUAGES if one != "en"])
def test_every_language_fits_and_is_the_scripts_too(seen: Browser, config: Config, journal: Journal, code: str) -> None:
    spoken = language(code)
    hold(journal)
    with page_server(replace(config, language=code)) as url:
        for width in (360, 1280):
            seen.show(url, width)
            assert seen.value("document.documentElement.scrollWidth") <= width
            assert seen.value(CUT_OFF) == []
        assert seen.value("document.documentElement.lang") == code
        assert seen.value("document.title").startswith(spoken("{n} thing hangs", n=1))
        seen.value("document.getElementById('search').focus()")
        seen.type("ACC-1003")
        said = seen.value("document.getElementById('shown').textContent")
        assert said == spoken("{left} of {all} films match.", left=1, all=7)
        put(config, journal, hip_dicom("R", AccessionNumber="ACC-2001", bone=2250))
        seen.until("document.querySelectorAll('#films tbody tr').length === 8")
        assert seen.value("document.getElementById('news').textContent") == spoken("New film.")
        take_back(journal)
    deliveries.release(journal)
    seen.value("ask()")
    before, after = map(re.escape, spoken("No answer from the box since {time}.").split("{time}"))
    assert re.match(rf"{before}.*\d.*{after}", lost(seen))


def take_back(journal: Journal) -> None:
    """The eighth film was never there."""
    with journal.change() as db:
        db.execute("DELETE FROM film WHERE n>7")
        journal.record("restored")


def lost(seen: Browser) -> str:
    """What is said where the box does not answer."""
    seen.until("!document.getElementById('lost').hidden")
    return str(seen.value("document.getElementById('lost').innerText"))


# WCAG 2.1 1.4.3: 4.5 to 1, or 3 to 1 where letters are large; of every element with a text of its own.
CONTRAST = """(() => {
  const light = (color) => {
    const part = color.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const parsed = (color) => color.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parsed(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.body.querySelectorAll("*")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(parsed(style.color)), light(ground(e))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) poor.push(e.outerHTML.slice(0, 80));
  }
  return poor;
})()"""


@pytest.mark.parametrize("width", [360, 1280])
def test_a_screen_reader_is_told_of_a_table_with_names_and_of_every_change(seen: Browser, url: str, width: int) -> None:
    seen.show(url, width)
    roles = seen.roles()
    kinds = [role for role, _ in roles]
    assert kinds.count("table") == 1
    assert kinds.count("row") == 1 + len(FILMS)
    assert kinds.count("cell") == 4 * len(FILMS)
    assert [name for role, name in roles if role == "columnheader"] == [
        "Came", "Film", "Result", "BMD with 90 % interval", "Delivery",
    ]  # fmt: skip
    assert ("searchbox", "Search") in roles
    assert kinds.count("main") == 1
    for role, name in roles:
        if role in ("image", "link", "searchbox", "heading", "table", "rowheader"):
            assert name, role
    assert kinds.count("status") == 2
    assert seen.value("document.documentElement.lang") == "en"


def test_it_is_used_by_the_keyboard_alone(seen: Browser, url: str) -> None:
    seen.show(url)
    focus = "document.activeElement.id || document.activeElement.className"
    seen.press("Tab")
    assert seen.value(focus) == "skip"
    assert seen.value("document.activeElement.getBoundingClientRect().left") >= 0
    assert seen.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    seen.press("Tab")
    assert seen.value(focus) == "search"
    seen.type("acc-1003")
    seen.until("document.getElementById('shown').textContent")
    (only,) = rows(seen)
    assert "ACC-1003" in only
    assert seen.value("document.getElementById('shown').textContent") == "1 of 7 films match."
    seen.press("Enter")
    assert seen.value("location.href") == url
    assert not any("acc-1003" in one.lower() for one in seen.requests)


@pytest.mark.parametrize(
    ("typed", "n"), [("ACC-1001", 1), ("acc-", 6), ("implant", 2), ("nobody", 0), ("<b>&amp;", 1), ("xray1 acc-100", 6)]
)
def test_a_search_keeps_the_films_that_hold_all_words(seen: Browser, url: str, typed: str, n: int) -> None:
    seen.show(url)
    seen.value("document.getElementById('search').focus()")
    seen.type(typed)
    assert len(rows(seen)) == n
    assert seen.value("document.getElementById('shown').textContent") == f"{n} of 7 films match."
    assert seen.console == []


def test_a_film_is_found_by_its_id(seen: Browser, url: str, day: tuple[Config, dict[str, str]]) -> None:
    seen.show(url)
    seen.value("document.getElementById('search').focus()")
    seen.type(day[1]["half"])
    (only,) = rows(seen)
    assert "ACC-1004" in only


def test_nothing_runs_or_is_fetched_but_the_pages_own(seen: Browser, url: str) -> None:
    """The names of a film of `FILMS` are scripts; the browser's console would tell of anything that was refused."""
    seen.show(url)
    seen.value("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    seen.until("[...document.images].every(i => i.complete && i.naturalWidth)")
    assert seen.console == []
    assert all(one.startswith(url) for one in seen.requests)
    page = str(seen.value("document.documentElement.outerHTML"))
    assert not any(canary in page for canary in CANARIES)
    urls = " ".join(seen.requests)
    assert not re.search(r"ACC|1\.2\.|2\.25", urls)


def test_a_new_film_comes_by_itself_and_is_said_without_a_name(
    seen: Browser, url: str, config: Config, journal: Journal
) -> None:
    seen.show(url)
    seen.value(
        "document.getElementById('search').focus(); document.querySelector('#films tbody tr').dataset.mine = '1'"
    )
    put(config, journal, hip_dicom("R", AccessionNumber="ACC-2001", bone=2250))
    seen.until("document.querySelectorAll('#films tbody tr').length === 8")
    assert "Waits to be read." in rows(seen)[0]
    assert seen.value("document.getElementById('news').textContent") == "New film."
    assert seen.value("document.activeElement.id") == "search"  # nobody is thrown out of what he does
    assert seen.value("document.querySelectorAll('#films tbody tr')[1].dataset.mine") == "1"  # what is the same stays
    take_back(journal)
    seen.until("document.querySelectorAll('#films tbody tr').length === 7")


def test_the_bar_comes_and_goes_by_itself(seen: Browser, url: str, journal: Journal) -> None:
    seen.show(url)
    assert (
        seen.value("document.getElementById('bar').offsetHeight + document.getElementById('hangs').offsetHeight") == 0
    )
    hold(journal)
    seen.until("document.getElementById('bar').offsetHeight > 0")
    said = seen.value("document.getElementById('bar').innerText")
    assert re.match(r"1 object to main held \(refused_by_pacs A900\), since \d{4}-\d\d-\d\d \d\d:\d\d\. The arch", said)
    assert "bmd-edge clinic send --held" in said
    assert seen.value("document.title").startswith("1 thing hangs")
    assert seen.value("getComputedStyle(document.getElementById('bar')).backgroundColor") == "rgb(176, 0, 32)"
    assert seen.value("document.getElementById('bar').getAttribute('role')") == "alert"
    assert seen.value("document.getElementById('bar').getBoundingClientRect().top") < 200
    assert seen.value(CONTRAST) == []
    seen.value("window.scrollTo(0, 1e6)")
    seen.value(SETTLED)
    assert 0 <= seen.value("document.getElementById('hangs').getBoundingClientRect().top") < 100  # it stays in sight
    deliveries.release(journal)
    seen.until("document.getElementById('bar').offsetHeight === 0")
    assert seen.value("document.title") == "Films of today, BMDEDGE"


def test_a_box_that_ends_is_said_and_one_that_is_back_too(seen: Browser, config: Config, journal: Journal) -> None:
    with page_server(config) as url:
        seen.show(url)
        seen.until("stream.readyState === EventSource.OPEN")
    seen.value("ask()")
    assert re.match(r"No answer from the box since \d", lost(seen))
    assert len(rows(seen)) == 7
    with page_server(config):
        seen.until("document.getElementById('lost').hidden", seconds=60)
        seen.until("stream.readyState === EventSource.OPEN")


def test_without_a_stream_it_is_asked_again_and_again(
    seen: Browser, config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bmd_edge.clinic.page.server._MOST_STREAMS", 0)
    with page_server(config) as url:
        seen.show(url)
        seen.until("stream.readyState === EventSource.CLOSED")
        hold(journal)
        seen.until("document.getElementById('bar').offsetHeight > 0")
        deliveries.release(journal)
        seen.until("document.getElementById('bar').offsetHeight === 0")


def test_400_films_are_a_page(seen: Browser, url: str, config: Config, journal: Journal, tmp_path: Path) -> None:
    names = [row[1] for row in journal.rows("PRAGMA table_info(film)") if row[1] not in ("n", "film_key", "sop_uid")]
    with journal.change() as db:
        for n in range(393):
            columns = ", ".join(names)
            db.execute(
                f"INSERT INTO film (film_key, sop_uid, {columns}) SELECT ?, ?, {columns} FROM film WHERE n=?",
                (f"{n:016x}{'0' * 48}", f"1.2.{n}", n % 7 + 1),  # the page names a row by the first 16
            )
    try:
        seen.show(url)
        assert len(rows(seen)) == 400
        seen.value("document.getElementById('search').focus()")
        seen.type("implant")
        left = "[...document.querySelectorAll('#films tbody tr')].filter((row) => !row.hidden).length"
        seen.until(f"100 < {left} && {left} < 130")
        assert seen.value("document.getElementById('count').textContent").startswith("400 films: ")
        journal.record("film_again")
        seen.until("document.querySelectorAll('#films tbody tr').length === 400")
    finally:
        with journal.change() as db:
            db.execute("DELETE FROM film WHERE n>7")
