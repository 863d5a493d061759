"""What a user is told to do: with the films that are there, never by another exposure of the patient."""

import copy
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from bmd_edge import errors
from bmd_edge.errors import (
    FLAGS,
    LEFT_OUT,
    REFUSALS,
    TO_DO,
    BmdEdgeError,
    FilmFailed,
    FilmRefused,
    HipRefused,
    MissingExtra,
    remedy,
)
from bmd_edge.film.read import read_film
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report import pages
from bmd_edge.report.film_report import COPIES_TO_DO, FILM_NOW_TO_DO
from bmd_edge.screen import left_out

CATALOG = {
    **{f"{code}, sentence": one.sentence for code, one in REFUSALS.items()},
    **{f"{code}, remedy": one.remedy for code, one in REFUSALS.items()},
    **FLAGS,
    **{f"{code}, left out": text for code, text in LEFT_OUT.items()},
    **{f"{flag}, to do": text for flag, text in TO_DO.items()},
    **{f"{kind}, to do": text for kind, text in (COPIES_TO_DO | FILM_NOW_TO_DO).items()},
    **HEADLINES,
    **T_SCORE_REASONS,
}
TEMPLATES = sorted((Path(pages.__file__).parent / "templates").glob("*.j2"))
ASKS = re.compile(
    r"\b(repeat|re-?take|redo|re-?x-?ray|(re-?)?expos\w*|irradiat\w+|acquire|re-?image|re-?position"
    r"|(take|make|send|get|obtain|order|request|shoot) (it|a|an|another|one|the|new|more)\b"
    r"|(new|another|second|further|better) (exposure|radiograph|x-ray|picture|view)"
    r"|from the x-ray machine|(new|another|second|further|better) film|once more)",
    re.IGNORECASE,
)
"""Words that ask for a film to be taken. "Another film" is allowed where the archive is where it comes from."""
CONDITION = "At the next film, if one is taken anyway: "


def asks(text: str) -> list[str]:
    text = text.replace("Use another AP film of the hip if the archive holds one.", "").replace(CONDITION, "")
    return [found[0] for found in ASKS.finditer(text)] + re.findall(r"next film|is taken\b", text)


@pytest.mark.parametrize("name", CATALOG)
def test_no_text_of_the_catalog_asks_for_an_exposure(name: str) -> None:
    assert asks(CATALOG[name]) == []


def test_what_only_lies_beside_films_asks_nothing_of_anybody() -> None:
    """But what may hold or lead to films: a packed file, a link."""
    codes = left_out.NO_FILM | left_out.BY_NAME
    asking = {code for code in codes if "Nothing need be done" not in remedy(code, "left_out")}
    assert asking == {"packed_file", "broken_packed_file", "link"}
    for code in LEFT_OUT:
        assert "Nothing need be done" not in remedy(code, "refused")


def test_every_contradiction_says_what_to_do() -> None:
    contradictions = {flag for flag in FLAGS if "contradict" in flag}
    assert len(contradictions) > 3
    assert contradictions <= TO_DO.keys() <= FLAGS.keys()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_page_asks_for_an_exposure(path: Path) -> None:
    assert asks(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "remedy",
    [
        "Repeat the exposure.",
        "Repeat as an AP hip with the legs turned in by 15 degrees.",
        "Repeat with head and 5 cm of shaft below the lesser trochanter.",
        "Send an AP film that shows the whole proximal femur.",
        "Send the film again from the X-ray machine.",
        "Take another film.",
        "At the next film turn the leg in.",
        "A new radiograph is needed.",
    ],
)
def test_remedies_that_ask_for_one_are_noticed(remedy: str) -> None:
    assert asks(remedy)


def test_a_doubt_names_no_disease() -> None:
    for code in ("not_measurable", "hip_not_found"):
        text = f"{REFUSALS[code].sentence} {REFUSALS[code].remedy}".lower()
        assert not re.search("fractur|implant|immatur|child|normal|disease", text)


class Local(HipRefused):
    """An error of somebody's own."""


RAISED = {
    FilmRefused: FilmRefused("implant", "x"),
    FilmFailed: FilmFailed("file_unreadable"),
    HipRefused: HipRefused("fracture", "d", "L", {"head_center": (1.0, 2.0)}),
    Local: Local("fracture", side="R"),
    MissingExtra: MissingExtra("onnxruntime", "cpu"),
}


def kinds(kind: type[BmdEdgeError]) -> list[type[BmdEdgeError]]:
    return [kind, *(below for one in kind.__subclasses__() for below in kinds(one))]


@pytest.mark.parametrize("kind", [one for one in kinds(BmdEdgeError) if one.__module__ in (errors.__name__, __name__)])
def test_every_error_stays_itself_between_processes(kind: type[BmdEdgeError]) -> None:
    if kind.__name__.startswith("_"):
        return
    error = copy.copy(RAISED.get(kind)) or kind("what is wrong: the remedy")
    error.add_note("while reading the third film of the list")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_refusal_comes_back_from_a_pool_of_processes_and_breaks_nothing() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(FilmRefused, match="not_dicom") as caught:
            pool.submit(read_film, b"text").result(timeout=60)
        assert caught.value.code == "not_dicom"
        assert pool.submit(len, b"text").result(timeout=60) == 4


def test_another_view_sends_only_to_films_that_are_there() -> None:
    """A lateral film was sound: how a leg should have lain is no remedy for it."""
    assert "archive" in REFUSALS["wrong_view"].remedy
    assert "next film" not in REFUSALS["wrong_view"].remedy


def test_reasons_are_said_alike_the_most_frequent_first() -> None:
    said = errors.reasons_said({"implant": 1, "of_no_film": 2, "not_dicom": 3})
    assert said == "3 not_dicom (The file is not a DICOM file.), 2 of_no_film, 1 implant (The hip holds an implant.)"
    assert errors.reasons_said({}) == ""


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("filename", "film"), ("Film", "film"), ("age", "age_years"), ("bmd_neck", "bmd_femoral_neck_gcm2"),
        ("kvp", "x_kvp"), ("weight", "x_weight_kg"), ("x_wheight_kg", "x_weight_kg"), ("note", None),
        ("x_kip", "x_kvp"), ("x_film_2", "film"), ("x_note", None), ("bmd", None), ("", None),
    ],
)  # fmt: skip
def test_the_nearest_of_the_choices_is_named_or_none(word: str, meant: str | None) -> None:
    choices = ["film", "age_years", "bmd_femoral_neck_gcm2", "bmd_total_hip_gcm2", "x_kvp", "x_weight_kg"]
    assert errors.nearest(word, choices) == (f" (did you mean {meant}?)" if meant else "")


def test_a_word_that_is_none_of_the_choices_is_said_with_them_and_the_nearest() -> None:
    assert errors.none_of("r", ["R", "L"]) == "'r' is not one of R, L (did you mean R?)"
    assert errors.none_of("both", ("R", "L")) == "'both' is not one of R, L"
    assert len(errors.none_of("x" * 400, ("R", "L"))) < 80
