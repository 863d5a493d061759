"""Pages that stand alone, say what a technician needs, and obey no hostile text."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.film.read import read_film
from bmd_edge.language import LANGUAGES, language
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import T_SCORE_REASONS, WHO_RANGES, bmd_at
from bmd_edge.report import pages
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, RunSummary, count
from bmd_edge.report.pages import report_is_in, write_pages
from bmd_edge.report.schema import json_schema
from bmd_edge.report.thumbnail import Thumbnail, thumbnail
from tests.support.screening import NOTICE, drawn_screener, hip_dicom

HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>{{7*7}}\x1b[31m\u202e\r\n"


def summary_of(reports: list[FilmReport]) -> RunSummary:
    return RunSummary(
        schema_version=1, versions={"bmd-edge": "0"}, bundle="test", bundle_digest="ab" * 32, device="cpu",
        precision="fp32", spacing_given_mm=None, notice=NOTICE, **count(reports),
    )  # fmt: skip


def index_page(folder: Path, reports: list[FilmReport], picture: Thumbnail | None = None) -> str:
    write_pages(folder, ((report, picture) for report in reports), summary_of(reports))
    return (folder / "index.html").read_text(encoding="utf-8")


class Parsed(HTMLParser):
    """Collects the tags, attributes and text of a page."""

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


def test_a_page_says_what_a_technician_needs(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    text = Parsed(index_page(tmp_path, list(reports.values()))).text
    assert RESEARCH_USE in text
    assert NOTICE in text
    for estimate in reports["right"].hips[0].estimates:
        assert f"{estimate.bmd_gcm2:.3f} {estimate.low_gcm2:.3f} to {estimate.high_gcm2:.3f}" in text
    for code in ("implant", "not_a_hip", "not_dicom"):
        assert REFUSALS[code].sentence in text
        assert REFUSALS[code].remedy in text
    assert FLAGS["assumed_postmenopausal"] in text
    assert T_SCORE_REASONS["under_50"] in text
    assert T_SCORE_REASONS["age_unknown"] in text
    assert any(name in text for name in WHO_RANGES.values())
    assert "normal" not in text.lower()
    assert "partly read" in text


def test_landmarks_and_box_are_drawn_where_they_are(tmp_path: Path) -> None:
    film = read_film(hip_dicom("R"))
    picture = thumbnail(film)
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R"), file="a.dcm")
    parsed = Parsed(index_page(tmp_path, [report], picture))
    scale = picture.width_px / film.shape[1]
    points = [(float(tag["cx"]), float(tag["cy"])) for name, tag in parsed.tags if name == "circle"]
    expected = [(x * scale, y * scale) for x, y in report.hips[0].landmarks_px.values()]
    assert np.allclose(points, expected, atol=0.6)
    (rect,) = [tag for name, tag in parsed.tags if name == "rect"]
    box = report.hips[0].box_px
    assert np.allclose([float(rect[key]) for key in ("x", "y", "width", "height")], np.array(box) * scale, atol=1)


def test_every_page_stands_alone(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    film = read_film(hip_dicom("R"))
    parsed = Parsed(index_page(tmp_path, list(reports.values()), thumbnail(film)))
    assert not {tag for tag, _ in parsed.tags} & {"link", "iframe", "object", "form", "base"}
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset"):
            target = attributes.get(name) or ""
            assert (
                not target
                or target.startswith("data:image/jpeg;base64,")
                or re.fullmatch(r"([a-z0-9-]+\.html)?(#film-\d+)?", target)
            )
    page = (tmp_path / "index.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page


def test_hostile_text_is_inert(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    hostile = replace(reports["right"], file=HOSTILE, maker=HOSTILE, model="javascript:x", view='"><b>')
    page = index_page(tmp_path, [hostile])
    parsed = Parsed(page)
    assert [tag for tag, _ in parsed.tags if tag == "script"] == ["script"]
    assert "{{7*7}}" in parsed.text
    assert '"><b>' in parsed.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)


def test_only_the_pages_own_script_may_run(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    """A browser compares what stands between the tags with the policy; a byte more and nothing runs."""
    page = index_page(tmp_path, [replace(reports["right"], file="</script><script>alert(1)</script>")])
    (script,) = re.findall(r"<script>(.+?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert "innerHTML" not in script
    assert "fetch" not in script


def test_the_worklist_comes_first_and_leads_to_the_cards(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    low = replace(reports["right"], file="low.dcm", band="low_suspected", patient_pseudonym="pt-a")
    page = index_page(tmp_path, [*reports.values(), low])
    assert page.index("Low BMD suspected <small>1 film of 1 patient") < page.index("In doubt, or without a number")
    assert page.index("1 file: The file is not a DICOM file.") < page.index("All films")
    links = re.findall(r'<a href="#(film-\d+)">([^<]+)</a>', page)
    assert len(links) == 8
    for anchor, file in links:
        card = page.split(f'id="{anchor}"')[1].split("</article>")[0]
        assert f"<h3>{file} " in card
    assert "pt-a" in page.split('id="low_suspected"')[1].split("</section>")[0]


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
@pytest.mark.parametrize(
    ("typed", "said", "left"),
    [
        ("", "", ["young.dcm", "low.dcm", "text.dcm"]),
        ("confirm -2.6", "Search: 1 of the worklist's 3 files match", ["low.dcm"]),
        ("4.11.2026", "Search: 1 of the worklist's 3 files match \u201c4.11.2026\u201d;", ["low.dcm"]),
        ("2026-11", "Search: 1 of", ["low.dcm"]),
        ("DICOM", "Search: 1 of", ["text.dcm"]),
        ("nobody", "Search: none of the worklist's 3 files matches \u201cnobody\u201d.", []),
    ],
)
def test_a_search_finds_what_is_typed_and_says_what_it_leaves_out(
    typed: str, said: str, left: list[str], reports: dict[str, FilmReport], tmp_path: Path
) -> None:
    """In a browser, where somebody types: here a second script, which the page's policy would forbid."""
    low = replace(
        reports["right"], file="low.dcm", band="low_suspected", sop_instance_uid="1.2.3", acquisition_date="2026-11-04",
        hips=tuple(
            replace(hip, estimates=tuple(replace(one, bmd_gcm2=bmd_at(one.site, -2.6)) for one in hip.estimates))
            for hip in reports["right"].hips
        ),
    )  # fmt: skip
    page = index_page(tmp_path, [reports["young"], low, reports["text"]])
    types = f"search.value = {json.dumps(typed)}; search.dispatchEvent(new Event('input'));"
    page = re.sub("<meta http-equiv[^>]+>", "", page).replace("</body>", f"<script>{types}</script></body>")
    (tmp_path / "typed.html").write_text(page, encoding="utf-8")
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    done = subprocess.run(
        [*browser, "--dump-dom", (tmp_path / "typed.html").as_uri()], capture_output=True, text=True, check=True
    )
    shown = re.search(r'<p id="shown" role="status">(.*?)</p>', done.stdout)
    assert shown is not None
    assert said in shown[1]
    assert bool(shown[1]) == bool(typed)
    rows = re.findall(r'<tr class="film-row[^>]*>.*?</tr>', done.stdout, re.DOTALL)
    visible = [row for row in rows if not re.match("<tr[^>]*hidden", row)]
    assert sorted(re.findall(r"[a-z]+\.dcm", " ".join(re.sub("<[^>]+>", " ", row) for row in visible))) == sorted(left)


def test_one_thing_is_counted_in_the_singular_and_hips_apart_from_files(
    reports: dict[str, FilmReport], tmp_path: Path
) -> None:
    text = Parsed(index_page(tmp_path, [reports["right"], reports["implant"]])).text
    assert "2 files 1 film with a number 1 hip with a number 1 file refused 1 hip refused" in text
    assert "1 file 1 film with a number 1 hip with a number" in Parsed(index_page(tmp_path, [reports["right"]])).text


def test_the_notice_bundle_and_version_head_every_printed_sheet(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    """The head of a table is repeated on every sheet; this is its whole content. The footer, which says no more, is not
    printed: it would fill a last sheet of its own.
    """
    page = index_page(tmp_path, list(reports.values()))
    head = Parsed(page.split('<div class="running">')[1].split("</div>")[0]).text
    made = f"bmd-edge 0 \N{MIDDLE DOT} bundle test ({'ab' * 8}), without a signature"
    assert head.startswith(f"{RESEARCH_USE} {NOTICE} {made}")
    assert head.endswith(Parsed(page.split('<footer lang="en">')[1].split("</footer>")[0]).text)
    printed = page.split("@media print")[1].split("</style>")[0]
    assert ".running { display: table-header-group; break-inside: avoid; }" in printed
    assert "body { display: table;" in printed
    assert "footer, nav, #controls, th button::after { display: none; }" in printed


def test_many_films_are_spread_over_pages(
    reports: dict[str, FilmReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FILMS_PER_PAGE", 3)
    many = [replace(reports["right"], file=f"{n:02d}.dcm") for n in range(8)]
    index = index_page(tmp_path, many)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.html", "page-0001.html", "page-0002.html", "page-0003.html",
    ]  # fmt: skip
    for number in (1, 2, 3):
        name = f"page-{number:04d}.html"
        assert f'href="{name}"' in index
        page = (tmp_path / name).read_text()
        assert re.findall(r"\d\d\.dcm", page) == [f"{n:02d}.dcm" for n in range(3 * number - 3, min(3 * number, 8))]
        assert RESEARCH_USE in page
        links = re.findall(r'href="([^"]+)"', page)
        assert set(links) <= {path.name for path in tmp_path.iterdir()}
    for n in range(8):
        name = f"page-{n // 3 + 1:04d}.html"
        assert f'<a href="{name}#film-{n + 1}">{n:02d}.dcm</a>' in index
        assert f'id="film-{n + 1}"' in (tmp_path / name).read_text()
    index_page(tmp_path, many[:2])
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_pages_hold_no_time(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    first = index_page(tmp_path / "a", list(reports.values()))
    assert index_page(tmp_path / "b", list(reports.values())) == first


def test_no_sentence_calls_a_hip_normal() -> None:
    sentences = [text for refusal in REFUSALS.values() for text in (refusal.sentence, refusal.remedy)]
    templates = (Path(pages.__file__).parent / "templates").iterdir()
    texts = [*sentences, *FLAGS.values(), *(path.read_text() for path in templates), json.dumps(json_schema())]
    assert not any("normal" in text.lower() for text in texts)


def test_every_row_of_the_worklist_names_its_patient_as_each_may_begin_a_sheet_of_paper(
    reports: dict[str, FilmReport], tmp_path: Path
) -> None:
    films = [
        replace(reports["right"], file=f"{n}.dcm", sop_instance_uid=f"1.2.{n}", patient_pseudonym="pt-a")
        for n in range(3)
    ]
    page = index_page(tmp_path, films)
    assert re.findall(r'<td class="patient mono( again)?".*?>(.*?)</td>', page) == [
        ("", "pt-a"), (" again", "pt-a"), (" again", "pt-a"),
    ]  # fmt: skip
    on_paper = page.partition("@media print")[2].partition("</style>")[0]
    assert "thead { display: table-header-group; break-inside: avoid; }" in on_paper
    assert "th button { display: contents; }" in on_paper


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_report_is_in_one_language_with_its_notice_and_the_same_numbers_and_codes(
    code: str, reports: dict[str, FilmReport], tmp_path: Path
) -> None:
    films = [replace(one, band="not_suspected") if one.status == "read" else one for one in reports.values()]
    made = {}
    for one in ("en", code):
        write_pages(tmp_path / one, ((film, None) for film in films), summary_of(films), 3, language(one))
        made[one] = (tmp_path / one / "index.html").read_text(encoding="utf-8")
    assert made[code].startswith(f'<!DOCTYPE html>\n<html lang="{code}">')
    assert report_is_in(language(code), tmp_path / code)
    assert all(report_is_in(language(other), tmp_path / code) == (other == code) for other in LANGUAGES)
    text = Parsed(made[code]).text
    assert language(code)(RESEARCH_USE) in text
    assert language(code)(HEADLINES["not_suspected"]) in text
    numbers = [Counter(re.findall(r"[\u2212+]?\d+\.\d+|px-[0-9a-f]+", Parsed(page).text)) for page in made.values()]
    assert all(one == numbers[0] for one in numbers)
    for report in films:
        for reason in {report.reason, *(hip.reason for hip in report.hips)} - {None}:
            assert f'<span class="mono">{reason}</span>' in made[code]
            assert str(escape(language(code)(REFUSALS[reason].sentence))) in made[code]


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_no_english_is_left_on_a_page_of_another_language(
    code: str, reports: dict[str, FilmReport], tmp_path: Path
) -> None:
    """Names of makers, files, codes and UIDs are nobody's language."""
    films = [replace(film, film_now="missing", copy="conflict", copy_of="other.dcm") for film in reports.values()]
    films += reports.values()
    write_pages(tmp_path, ((film, None) for film in films), summary_of(films), 3, language(code))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    left = Parsed(page).text + " ".join(re.findall(r'(?:alt|placeholder|data-some|data-none)="([^"]*)"', page))
    english = r"\b(?:the|and|of|with|is|are|were|not|unknown(?!\.dcm)|hips?|films?|files?|page|look|low|years?|read)\b"
    assert not re.findall(english, left.replace(NOTICE, ""))
