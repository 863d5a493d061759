"""What a row says of a result: the very words and digits of the picture that goes to the archive."""

import json
from dataclasses import replace

import pydicom
import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.films import film, picture_of
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.result import result_of
from bmd_edge.errors import REFUSALS
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.kept_report import report_of
from tests.support.clinic.films_of_a_day import FILMS


def report(journal: Journal, key: str) -> FilmReport:
    row = film(journal, key)
    assert row is not None
    assert row.report is not None
    return report_of(json.loads(row.report), None)


@pytest.mark.parametrize("name", FILMS)
def test_the_picture_for_the_archive_says_the_same(
    config: Config, journal: Journal, keys: dict[str, str], name: str
) -> None:
    said = result_of(report(journal, keys[name]))
    made = picture_of(journal, keys[name], 1)
    assert made is not None
    words = str(pydicom.dcmread(config.root / made.path).ImageComments)
    assert said.headline in words
    assert all(f"No number: {one.sentence}" in words for one in said.refused)
    assert all(one.remedy in words for one in said.refused)
    assert words.count(" g/cm2\n") + words.count(" g/cm2,") == 2 * len(said.numbers)
    for one in said.numbers:
        assert f"90 % interval {one.interval} g/cm2" in words
        t_score = f", T {one.t_score}".replace("\N{MINUS SIGN}", "-") if one.t_score else ""
        assert f"{one.site.removesuffix(' hip')} {one.bmd} g/cm2{t_score}\n" in words


def test_a_refused_hip_beside_one_with_a_number_is_named(journal: Journal, keys: dict[str, str]) -> None:
    said = result_of(report(journal, keys["half"]))
    assert [(one.what, one.code) for one in said.refused] == [("Left hip", "implant")]
    assert {one.side for one in said.numbers} == {"Right hip"}
    assert {one.t_score for one in said.numbers} == {""}
    assert "under 50" in said.headline
    assert not any("under 50" in note for note in said.notes)  # the headline says it


def test_a_film_without_hips_is_refused_as_a_whole(journal: Journal, keys: dict[str, str]) -> None:
    (one,) = result_of(report(journal, keys["hostile"])).refused
    assert (one.what, one.sentence) == ("", REFUSALS["not_a_hip"].sentence)


def test_a_headline_and_cautions_are_said(journal: Journal, keys: dict[str, str]) -> None:
    said = result_of(replace(report(journal, keys["kept"]), band="low_suspected"))
    assert (said.band, said.headline) == ("low_suspected", "Low BMD suspected: confirm by DXA.")
    assert any("postmenopausal" in note for note in said.notes)
