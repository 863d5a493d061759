"""Four languages: what every file of words holds, where the language comes from, and what it never touches."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import jinja2
import pytest
from jinja2 import nodes

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.cli import hips_shown, terminal
from bmd_edge.clinic import hanging, results
from bmd_edge.clinic.delivery import answers
from bmd_edge.clinic.page import result, rows, today
from bmd_edge.clinic.remedies import IN_A_BOX
from bmd_edge.errors import FLAGS, LEFT_OUT, REFUSALS, TO_DO, UsageError
from bmd_edge.language import ENGLISH, LANGUAGES, language, language_of
from bmd_edge.measure.headline import CUTS_TAKE, HEADLINES
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS, WHO_RANGES
from bmd_edge.report import film_report, pages, worklist
from bmd_edge.report.schema import SPACING_SOURCES
from bmd_edge.sites import SITES
from tests.bmd_edge.cli.program import program

PACKAGE = Path(__file__).parents[2] / "bmd_edge"
OTHERS = [code for code in LANGUAGES if code != "en"]


def literals() -> Iterator[str]:
    """What stands in quotation marks in calls of a language, in code and in templates."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("language", "language.counted"):
                yield from (one.value for one in node.args if isinstance(one, ast.Constant))
    for path in sorted([*(PACKAGE / "report").rglob("*.j2"), *(PACKAGE / "clinic").rglob("*.j2")]):
        for call in jinja2.Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            called = call.node.node if isinstance(call.node, nodes.Getattr) else call.node
            if isinstance(called, nodes.Name) and called.name == "t":
                yield from (one.value for one in call.args if isinstance(one, nodes.Const))


def tabled() -> Iterator[str]:
    """What is looked up by a code, or is put together of a few words."""
    for refusal in REFUSALS.values():
        yield from (refusal.sentence, refusal.remedy)
    for table in (
        LEFT_OUT, FLAGS, TO_DO, HEADLINES, T_SCORE_REASONS, WHO_RANGES, SPACING_SOURCES, worklist.SECTIONS,
        film_report.COPIES, film_report.COPIES_TO_DO, film_report.FILM_NOW, film_report.FILM_NOW_TO_DO,
        film_report.SIGNATURES, pages.SITE_NAMES, pages.SIDE_NAMES, pages.SEX_NAMES,
        IN_A_BOX, result.SITES, result._SIDES, rows._KINDS, rows._WAITS, today._STATES,
    ):  # fmt: skip
        yield from table.values()
    for said in (*worklist._SAID.values(), *terminal._WITHOUT_SAID.values(), *hanging.WHAT.values()):
        yield from said
    yield from (words for _, words in rows._STATES.values())
    why = (hanging.UNAPPROVED, hanging.NOT_DELIVERING, hanging.NOT_READ, hanging.QUARANTINED, hanging.NO_OBJECTS)
    for said in (*why, *answers.REASONS.values()):
        yield from said
    yield from (words for words, _ in hips_shown._HEADLINES.values())
    yield from (status.replace("_", " ") for status in (*film_report.STATUSES, "partly read"))
    yield from film_report.EARLIER_FILMS
    yield from ("Right:", "Left:", "Right and left:", "Left and right:")
    yield from ("The bundle has no cuts for it.", "The recalibration has no cuts for it.", f"They take {CUTS_TAKE}.")
    yield from ("and {n} more", "and {n} more in results.csv", "Counted once.")
    yield "The first {shown} films; all {n} stand in results.csv."
    yield from (*results._WITHOUT_REPORT.values(), *results._SITES.values(), "waiting", "no headline")
    yield from ("acquisition date", "exposure index", "kVp", "mistakes in the header:")
    yield from (film_report.RESEARCH_USE, REFERENCE_NAME, read_bundle(None).manifest.validity.notice)
    index = (PACKAGE / "report" / "templates" / "index.html.j2").read_text(encoding="utf-8")
    for tile in re.findall(r'"[a-z ]*", "([^"]+)", "([^"]+)"\)', index):
        yield from tile


SENTENCES = {*filter(None, tabled()), *literals()}


def test_sentences_are_found_in_code_templates_and_tables() -> None:
    assert len(SENTENCES) > 280
    assert {"No headline.", "{films} of {patients}", "hips refused", "Side", FLAGS["view_unknown"]} <= SENTENCES


@pytest.mark.parametrize("code", OTHERS)
def test_each_file_holds_every_sentence_and_nothing_else(code: str) -> None:
    words = language(code).words
    assert set(words) == SENTENCES
    assert all(text.strip() for text in words.values())


@pytest.mark.parametrize("code", OTHERS)
def test_each_sentence_has_the_places_and_the_numbers_of_the_english_one(code: str) -> None:
    for english, text in language(code).words.items():
        names = [Counter(name for _, name, _, _ in Formatter().parse(one) if name) for one in (english, text)]
        assert names[0] == names[1], text
        digits = [sorted(re.findall(r"\d+(?:\.\d+)?", one)) for one in (english, text.replace("1億", "100"))]
        assert digits[0] == digits[1], text
        kept = re.compile(r"--[a-z-]+|`[^`]+`|film_id|[A-Z][a-z]+(?: [A-Z][a-z]+)* Spacing|results\.csv")
        assert sorted(kept.findall(english)) == sorted(kept.findall(text)), text


RESEARCH_ONLY = {
    "en": "Research use only, not for diagnosis.",
    "de": "Nur für Forschungszwecke, nicht zur Diagnose.",
    "es": "Solo para investigación, no para diagnóstico.",
    "ja": "研究用途に限ります。診断には使用できません。",
}
NOT_RULED_OUT = {"en": "not ruled out", "de": "nicht ausgeschlossen", "es": "no se descarta", "ja": "否定できません"}
CALLS_SOUND = {
    "en": r"\bnormal|\bstable|\bhealthy",
    "de": r"normal|unauffällig|stabil|o\. ?B\.|in Ordnung",
    "es": r"normal|estable|sin alteraciones|sin hallazgos",
    "ja": r"正常|異常なし|異常ありません|安定|問題ありません",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_says_research_use_only_and_that_low_bmd_is_not_ruled_out(code: str) -> None:
    said = language(code)
    assert said(film_report.RESEARCH_USE).startswith(RESEARCH_ONLY[code])
    assert "DXA" in said(film_report.RESEARCH_USE)
    for english in (
        HEADLINES["not_suspected"],
        worklist._SAID["not_suspected"][0],
        hips_shown._HEADLINES["not_suspected"][0],
    ):
        assert NOT_RULED_OUT[code] in said(english)


@pytest.mark.parametrize("code", LANGUAGES)
def test_nothing_is_called_sound(code: str) -> None:
    found = [text for text in map(language(code), SENTENCES) if re.search(CALLS_SOUND[code], text, re.IGNORECASE)]
    assert not found


@pytest.mark.parametrize("code", OTHERS)
def test_two_codes_never_say_the_same(code: str) -> None:
    """A sentence that was copied to the wrong place would be another one's twice."""
    for table in ({code: one.sentence for code, one in REFUSALS.items()}, FLAGS, T_SCORE_REASONS, HEADLINES):
        said = [language(code)(english) for english in set(table.values())]
        assert len(set(said)) == len(said)
    assert language(code)(pages.SIDE_NAMES["R"]) != language(code)(pages.SIDE_NAMES["L"])
    assert len({language(code)(pages.SITE_NAMES[site]) for site in SITES}) == len(SITES)


def test_files_of_words_are_as_many_as_languages() -> None:
    assert sorted(path.stem for path in (PACKAGE / "data" / "words").iterdir()) == sorted(OTHERS)
    for path in (PACKAGE / "data" / "words").iterdir():
        text = path.read_text(encoding="utf-8")
        assert len(tomllib.loads(text)) == len(SENTENCES)
        assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_AT.UTF-8"}, "de"),
        ({"LANG": "de_DE@euro"}, "de"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "ja_JP.eucJP"}, "ja"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8", "LC_ALL": "es_ES.UTF-8"}, "es"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, "de"),
    ],
)
def test_the_locale_says_which_language(environment: dict[str, str], code: str) -> None:
    assert language_of(None, environment).code == code


def test_what_is_asked_for_outweighs_the_locale_and_has_to_be_known() -> None:
    assert language_of("ja", {"LC_ALL": "de_DE.UTF-8"}).code == "ja"
    assert language_of("en", {"LC_ALL": "de_DE.UTF-8"}) is ENGLISH
    with pytest.raises(UsageError, match=r"^--language: 'fr' is not one of en, de, es, ja$"):
        language_of("fr", {})


def test_what_has_no_words_is_said_as_it_is() -> None:
    assert language("de")("A notice of {somebody}'s bundle.") == "A notice of {somebody}'s bundle."
    assert language("de")("See {file}.", file="{n}") == "Siehe {n}."
    assert language("es").counted(1, "{n} hip", "{n} hips") == "1 cadera"
    assert language("es").counted(0, "{n} hip", "{n} hips") == "0 caderas"


def test_a_run_in_another_language_writes_the_report_anew_and_no_file_for_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real runs of the command: by option, by locale, again in English, and with a language that is not known."""
    films = tmp_path / "films"
    films.mkdir()
    (films / "text.dcm").write_text("text")
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)

    def run(*options: str) -> tuple[str, bytes]:
        done = program("screen", films, "--out", tmp_path / "out", *options)
        assert done.returncode == 3, done.stderr
        report = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
        machines = [(tmp_path / "out" / name).read_bytes() for name in ("results.csv", "results.jsonl", "run.json")]
        return report + done.stdout, b"".join(machines)

    in_english, machines = run()
    assert '<html lang="en">' in in_english
    assert in_english.count("The file is not a DICOM file.") == 4
    for code, options, locale in (("de", ["--language", "de"], "C"), ("ja", [], "ja_JP.UTF-8"), ("es", [], "es_MX")):
        monkeypatch.setenv("LC_MESSAGES", locale)
        said, again = run(*options)
        assert f'<html lang="{code}">' in said
        assert said.count(language(code)("The file is not a DICOM file.")) == 4
        assert "The file is not" not in said
        assert language(code)(film_report.RESEARCH_USE) in " ".join(said.split())
        assert again == machines
    monkeypatch.setenv("LC_MESSAGES", "POSIX")
    assert run() == (in_english, machines)
    done = program("screen", films, "--out", tmp_path / "out", "--language", "xx")
    assert (done.returncode, done.stderr) == (2, "bmd-edge: --language: 'xx' is not one of en, de, es, ja\n")
