"""The page of series stands alone, obeys no hostile text, and says research use where a number stands."""

import re
from dataclasses import replace
from datetime import date

from bmd_edge.follow.beside import beside, without_number
from bmd_edge.follow.change import follow
from bmd_edge.follow.page import told, write_page, write_series
from bmd_edge.follow.series import Finding, series_of
from bmd_edge.report.film_report import RESEARCH_USE, RunSummary, count
from tests.bmd_edge.follow.made_up import DIGEST, known, visited

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31m\u202e"
FACTS = {
    "versions": {"bmd-edge": "0"}, "bundle": "test-1", "bundle_digest": DIGEST, "device": "cpu", "precision": "int8",
    "notice": "Drawn.",
}  # fmt: skip


def page(tmp_path, *films, of=None):
    series, findings = series_of(films, date(2026, 1, 1))
    also = beside([*findings, *without_number(films)])
    hips = [follow(one, of, also.get(one.patient, "")) for one in series]
    write_page(tmp_path / "follow.html", hips, findings, of, FACTS)
    return (tmp_path / "follow.html").read_text(encoding="utf-8")


def test_a_page_holds_charts_sentences_and_numbers(tmp_path):
    text = page(tmp_path, visited("2020-05-01", 0.8), visited("2024-05-01", 0.68), of=known())
    assert text.count("<svg") == 2
    assert RESEARCH_USE in text
    assert text.count('class="said stated"') == text.count('<figcaption class="stated"') == 2
    assert text.count("lower, beyond chance</span>") == 2
    assert "0.800 (0.700 to 0.900)" in text
    assert "Precision: this clinic&#39;s, measured on Drawn One (by maker and model): 40 hips" in text
    assert text.count("<td>detector pixel, magnification stated</td>") == 2
    assert text.count("<td>bundle test-1</td>") == 2
    assert "T-score" not in text
    assert "one letter" not in text
    assert not re.search(r"<(script|link|img)|(src|href)=\"http", text)


def test_a_band_that_judges_nothing_is_not_drawn(tmp_path):
    films = visited("2020-05-01", 0.8), visited("2024-05-01", 0.68)
    text = page(tmp_path, *films, of=known("phantom"))
    assert "that of a digital phantom (synthetic) judges nothing here, however the dots lie." in text
    assert text.count(": <span>whether it changed cannot be said") == 2
    assert "<rect" not in text
    assert page(tmp_path, *films, of=known()).count("<rect") == 2


def test_charts_of_one_page_have_steps_of_one_height(tmp_path):
    films = [visited("2020-05-01", 0.8, 1.3), visited("2024-05-01", 0.6, 1.3)]
    text = page(
        tmp_path, *films, visited("2020-05-01", 0.8, side="L"), visited("2024-05-01", 0.8, side="L"), of=known()
    )
    charts = [re.findall(r'y="([\d.]+)" text-anchor="end"', svg) for svg in text.split("<svg")[1:]]
    assert len(charts) == 4
    assert len({tuple(ys) for ys in charts}) == 1


def test_only_a_stated_change_is_orange(tmp_path):
    def orange(text):
        body = text.partition("</style>")[2]
        return body.count('stated"'), body.count('class="refusal"')

    beyond = visited("2020-05-01", 0.8), visited("2024-05-01", 0.68)
    assert orange(page(tmp_path, *beyond, visited(None, 0.5), of=known())) == (4, 0)
    for less in (visited("2024-05-01", 0.7), visited("2024-05-01", 0.3), visited("2024-05-01", 0.68, 0.79)):
        assert orange(page(tmp_path, beyond[0], less, of=known())) == (0, 0)
    foreign = [replace(one, model="Two") for one in beyond]
    for of, films in ((known("phantom"), beyond), (known(), foreign), (None, beyond)):
        assert orange(page(tmp_path, *films, visited(None, 0.5), of=of)) == (0, 0)
    style = page(tmp_path, *beyond, of=known()).partition("</style>")[0]
    assert "var(--refused)" not in re.sub(r"\.stated \{[^}]*\}", "", style[style.rindex(".patient {") :])


def test_every_box_has_its_label_and_only_just_stands_first(tmp_path):
    text = page(tmp_path, visited("2020-05-01", 0.8), visited("2024-05-01", 0.68, 0.7), of=known())
    boxes = re.findall(r'<p class="said(.*?)">(.*)</p>', text)
    assert [shown for shown, _ in boxes] == [" stated", "", " small"]
    assert boxes[0][1].startswith('<b class="label">LOWER</b> Femoral neck, ')
    assert boxes[1][1].startswith('<b class="label">UNCLEAR</b> <b>Only just beyond chance</b>. Total hip, ')
    assert "<b" not in boxes[2][1]


def test_every_card_carries_its_own_key_and_precision_for_paper(tmp_path):
    phantoms = [visited(taken, 0.8, side="L", precision="fp32") for taken in ("2020-05-01", "2024-05-01")]
    films = visited("2020-05-01", 0.8), visited("2024-05-01", 0.68), *phantoms
    text = page(tmp_path, *films, of=known())
    left, right = (card.partition("</article>")[0] for card in text.split("<article")[1:])
    keys = [re.search(r'<p class="key card-key">(.*)</p>', card)[1] for card in (left, right)]
    assert ["gray band judges" in key for key in keys] == [False, True]
    assert ["Precision: this clinic" in key for key in keys] == [False, True]
    assert ["Where no band is drawn" in key for key in keys] == [True, False]
    assert re.search(r"@media print \{ .page-key, .*\{ display: none; \} .*\.card-key \{ display: block;", text)
    assert text.count('<p class="key page-key">') == 6


def test_a_chart_says_where_nothing_is_compared(tmp_path):
    films = visited("2020-05-01", 0.8), visited("2024-05-01", 0.6, unit_pseudonym="un-b")
    text = page(tmp_path, *films, of=known())
    assert text.count(">not compared</text>") == 2
    assert "Dots of one letter are compared with each other, and with no others;" in text


def test_every_card_names_its_patient_as_each_may_begin_a_sheet_of_paper(tmp_path):
    films = [visited(taken, 0.8, side=side) for side in "RL" for taken in ("2020-05-01", "2024-05-01")]
    cards = page(tmp_path, *films, of=known()).split("<article")[1:]
    head = re.compile(r'<h3>(.*) <span class="mono">(.*)</span> <span.*>(.*)</span></h3>')
    assert [head.search(card).groups() for card in cards] == [
        ("Left hip", "pt-a", "card 1 of 2"), ("Right hip", "pt-a", "card 2 of 2"),
    ]  # fmt: skip


def test_hostile_text_acts_nowhere(tmp_path):
    film = visited("2024-05-01", 0.6, maker=HOSTILE, file=HOSTILE, bundle=HOSTILE)
    text = page(tmp_path, visited("2020-05-01", 0.8), film, replace(film, acquisition_date=None), of=known())
    assert "<script>" not in text
    assert "49" not in re.findall(r"alert.{0,60}", text)[0]
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_findings_are_told_by_reason_with_their_films(tmp_path):
    text = page(tmp_path, visited(None, 0.8), visited(None, 0.7), of=known())
    assert "2 films in no series." in text
    assert re.search(r"<details><summary>.*</summary><span.*>pt-a: R-None-0.7.dcm, ", text)
    assert "2 hips" not in text
    text_alone = page(tmp_path, visited("2020-05-01", 0.8), of=known())
    assert "1 hip has films of one visit only" in text_alone
    assert ">pt-a, right hip, 2020-05-01</span>" in text_alone
    assert "No hip has films of several visits." in text
    many = told(
        [Finding("no_date", None, "a"), Finding("no_date", "pt-b", "a", "R"), Finding("side_unknown", None, "c")]
    )
    assert [(one["code"], one["films"]) for one in many] == [("no_date", ["a", "pt-b: a (R)"]), ("side_unknown", ["c"])]


def test_a_run_has_the_page_where_a_hip_has_several_visits_and_else_loses_it(tmp_path):
    films = [visited("2020-05-01", 0.8), visited("2024-05-01", 0.6)]
    facts = {"versions": {"bmd-edge": "0"}, "bundle": "test-1", "bundle_digest": DIGEST, "notice": "Drawn."}
    summary = RunSummary(
        schema_version=2, device="cpu", precision="int8", spacing_given_mm=None, **facts, **count(films)
    )
    assert write_series(tmp_path, films, summary) == 1
    assert 'href="index.html"' in (tmp_path / "series.html").read_text(encoding="utf-8")
    assert write_series(tmp_path, films[:1], summary) == 0
    assert not (tmp_path / "series.html").exists()


def test_patients_with_a_difference_beyond_chance_come_first_and_it_says_how_many(tmp_path):
    lost = [replace(one, patient_pseudonym="pt-z") for one in (visited("2020-05-01", 0.8), visited("2024-05-01", 0.6))]
    text = page(tmp_path, visited("2020-05-01", 0.8), visited("2024-05-01", 0.79), *lost, of=known())
    assert re.findall(r'<h2 class="mono">(.*)</h2>', text) == ["pt-z", "pt-a"]
    assert "1 of 2 hips: a difference beyond chance, whatever speaks against it. Its patient comes first." in text
    assert text.index("card 1 of 2") < text.index("card 2 of 2")
    none = page(tmp_path, visited("2020-05-01", 0.8), visited("2024-05-01", 0.79), of=known())
    assert "beyond chance, whatever" not in none


def test_which_films_are_in_no_series_is_read_on_paper_too(tmp_path):
    text = page(tmp_path, visited(None, 0.8), visited("2024-05-01", 0.7), of=known())
    assert '<p class="on-paper mono">pt-a: R-None-0.8.dcm' in text
    assert ".on-paper { display: block;" in text.split("@media print { .page-key")[1]


def test_a_hip_of_one_visit_names_the_refused_film_of_its_patient(tmp_path):
    refused = replace(visited("2024-05-01", 0.7), status="refused", reason="no_spacing", hips=())
    text = page(tmp_path, visited("2020-05-01", 0.8), refused, of=known())
    (alone,) = re.findall(r'no chart. <span class="mono">(.*)</span>', text)
    assert alone.startswith(
        "pt-a, right hip, 2020-05-01. Also of this patient, in no series and no chart: 2024-05-01: "
    )
