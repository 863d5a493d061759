"""Files that show one image, under one instance UID or several, and instance UIDs that stand for two images."""

from dataclasses import replace

from bmd_edge.report.copies import copies, count_copies, marked
from bmd_edge.report.film_report import FilmReport, count


def _marks(reports: dict[str, FilmReport], *films: tuple[str, str | None, str | None]) -> dict[str, tuple[str, str]]:
    one = reports["right"]
    made = [replace(one, file=file, sop_instance_uid=uid, pixel_digest=digest) for file, uid, digest in films]
    return {str(file): mark for (file, _), mark in copies(made).items()}


def test_the_same_instance_again_is_a_duplicate_whatever_its_compression(reports: dict[str, FilmReport]) -> None:
    assert _marks(reports, ("a", "1", "p"), ("b", "1", "p"), ("c", "2", "q")) == {"b": ("duplicate", "a")}


def test_the_same_pixels_under_another_uid_or_none_are_said_so(reports: dict[str, FilmReport]) -> None:
    marks = _marks(reports, ("a", "1", "p"), ("b", "2", "p"), ("c", None, "p"))
    assert marks == {"b": ("same_pixels", "a"), "c": ("same_pixels", "a")}


def test_the_film_that_is_there_now_and_has_the_plainest_name_counts(reports: dict[str, FilmReport]) -> None:
    marks = _marks(reports, ("a/hip (1).dcm", "1", "p"), ("a/hip.dcm", "1", "p"), ("a/hip_j2k.dcm", "1", "p"))
    assert marks == {"a/hip (1).dcm": ("duplicate", "a/hip.dcm"), "a/hip_j2k.dcm": ("duplicate", "a/hip.dcm")}
    gone = replace(reports["right"], file="a", film_id="0" * 16, sop_instance_uid="1", pixel_digest="p")
    for film_now in ("missing", "replaced"):
        films = [replace(gone, film_now=film_now), replace(gone, file="b", film_id="1" * 16)]
        assert copies(films) == {("a", "0" * 16): ("duplicate", "b")}


def test_a_film_that_states_its_own_pixel_size_counts_before_one_that_was_given_a_size(
    reports: dict[str, FilmReport],
) -> None:
    sources = {"nospacing.dcm": "given", "right_hip.dcm": "imager_assumed", "no_size.dcm": None}
    one = replace(reports["right"], pixel_digest="p", sop_instance_uid=None)
    films = [replace(one, file=file, spacing_source=source) for file, source in sources.items()]
    counted = ("same_pixels", "right_hip.dcm")
    assert {file: mark for (file, _), mark in copies(films).items()} == dict.fromkeys(
        ["nospacing.dcm", "no_size.dcm"], counted
    )
    assert {file: mark for (file, _), mark in copies(films[::2]).items()} == {
        "no_size.dcm": ("same_pixels", "nospacing.dcm")
    }


def test_one_uid_for_two_pictures_is_a_conflict_of_both(reports: dict[str, FilmReport]) -> None:
    marks = _marks(reports, ("a", "1", "p"), ("b", "1", "p"), ("c", "1", "q"), ("d", "2", "r"))
    assert marks == {"a": ("conflict", "c"), "b": ("duplicate", "a"), "c": ("conflict", "a")}
    assert count_copies(marks) == {"conflict": 2, "duplicate": 1}


def test_one_picture_of_two_patients_counts_for_both(reports: dict[str, FilmReport]) -> None:
    one = replace(reports["right"], pixel_digest="p")
    films = [("a", "1", "anna"), ("b", "2", "berta"), ("c", "3", None)]
    made = [replace(one, file=file, sop_instance_uid=uid, patient_pseudonym=who) for file, uid, who in films]
    assert {str(file): mark for (file, _), mark in copies(made).items()} == {
        "a": ("other_patient", "b"), "b": ("other_patient", "a"), "c": ("same_pixels", "a"),
    }  # fmt: skip
    assert copies(replace(film, sop_instance_uid="1") for film in made[:2]) == copies(made[:2])  # or its ID was changed
    counted = count(marked(report, copies(made)) for report in made)
    assert counted["films"]["read"] == 2


def test_films_that_were_not_read_are_no_copies(reports: dict[str, FilmReport]) -> None:
    assert _marks(reports, ("a", "1", None), ("b", "1", None), ("c", None, "p"), ("d", None, "q")) == {}


def test_a_report_gets_its_mark(reports: dict[str, FilmReport]) -> None:
    report = replace(reports["right"], file="b")
    told = marked(report, {("b", report.film_id): ("duplicate", "a")})
    assert (told.copy, told.copy_of) == ("duplicate", "a")
    assert marked(report, {}) == report
    # An earlier film of the same name, which stays in the results, is another one
    assert marked(report, {("b", "0" * 16): ("duplicate", "a")}) == report
