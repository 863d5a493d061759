"""Who needs what: sections by urgency, films of a patient together, what could not be read by reason."""

from dataclasses import replace
from itertools import chain

import pytest

from bmd_edge.errors import FLAGS, REFUSALS, TO_DO
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.report.film_report import COPIES, COPIES_TO_DO, COUNTED_ONCE, FilmReport
from bmd_edge.report.worklist import SECTIONS, Row, Worklist, signed


def listed(reports: list[FilmReport]) -> Worklist:
    worklist = Worklist()
    for number, report in enumerate(reports, 1):
        worklist.add(report, f"#film-{number}")
    return worklist


def films_of(worklist: Worklist) -> dict[str, list[list[str]]]:
    return {one.name: [[row.film for row in rows] for rows in one.groups] for one in worklist.sections()}


def known(report: FilmReport, file: str, **facts: object) -> FilmReport:
    """The same result of a film of its own."""
    return replace(report, file=file, sop_instance_uid=f"1.2.{file}", study_instance_uid=None, **facts)


def broken(report: FilmReport, file: str, **facts: object) -> FilmReport:
    """The same with a fracture in place of the implant."""
    hips = tuple(replace(hip, reason="fracture") if hip.reason else hip for hip in report.hips)
    return known(report, file, hips=hips, **facts)


def test_a_film_stands_where_what_it_needs_is_said(reports: dict[str, FilmReport]) -> None:
    said = {name: known(reports["right"], name, band=name) for name in HEADLINES}
    said |= {name: known(reports[name], name, band=None) for name in ("pelvis", "implant", "young", "nothing")}
    said["implant beside a low one"] = known(reports["pelvis"], "implant beside a low one", band="low_suspected")
    said["broken"] = broken(reports["pelvis"], "broken", band="low_suspected")
    found = films_of(listed(list(said.values())))
    assert list(found) == list(SECTIONS)
    assert {name: sorted(chain.from_iterable(groups)) for name, groups in found.items()} == {
        "read_at_once": ["broken"],
        "low_suspected": ["implant beside a low one", "low_suspected"],
        "refer_for_dxa": ["refer_for_dxa"],
        "in_doubt": ["implant", "nothing", "pelvis"],
        "no_headline": ["young"],
        "not_suspected": ["not_suspected"],
    }


def test_a_film_of_which_one_of_two_is_wrong_stands_in_doubt(reports: dict[str, FilmReport]) -> None:
    films = [known(reports["right"], kind, band="not_suspected", copy=kind, copy_of="x") for kind in COPIES]
    films.append(known(reports["right"], "low", band="low_suspected", copy="conflict", copy_of="x"))
    found = {name: sorted(chain.from_iterable(groups)) for name, groups in films_of(listed(films)).items()}
    assert found == {
        "low_suspected": ["low"],
        "in_doubt": sorted(COPIES_TO_DO),
        "not_suspected": sorted(COPIES.keys() - COPIES_TO_DO),
    }


def test_a_patient_stands_once_where_the_most_urgent_film_does(reports: dict[str, FilmReport]) -> None:
    a = {"patient_pseudonym": "pt-a", "acquisition_date": "2019-03-01"}
    right = reports["right"]
    films = [
        known(right, "old", band="low_suspected", **a),
        known(right, "new", band="not_suspected", **(a | {"acquisition_date": "2024-01-02"})),
        known(right, "other", band="low_suspected", patient_pseudonym="pt-b", acquisition_date="2020-01-01"),
        replace(known(right, "left", band="not_suspected"), study_instance_uid="1.9"),
        replace(known(right, "right", band="refer_for_dxa"), study_instance_uid="1.9"),
        known(right, "alone", band="not_suspected", acquisition_date="2021-01-01"),
    ]
    worklist = listed([replace(film, acquisition_date=film.acquisition_date) for film in films])
    assert films_of(worklist) == {
        "low_suspected": [["new", "old"], ["other"]],
        "refer_for_dxa": [["left", "right"]],
        "not_suspected": [["alone"]],
    }
    assert [(one.films, one.others, one.patients) for one in worklist.sections()] == [
        (2, 1, 2), (1, 1, None), (1, 0, None),
    ]  # fmt: skip


def test_a_fracture_is_said_before_all_else_that_a_film_shows(reports: dict[str, FilmReport]) -> None:
    (section,) = listed([broken(reports["pelvis"], "a.dcm", band="low_suspected")]).sections()
    assert section.name == "read_at_once"
    row = section.groups[0][0]
    assert row.said == f"Left: {REFUSALS['fracture'].sentence} Low BMD suspected."
    assert row.to_do == f"{REFUSALS['fracture'].remedy} Confirm by DXA."


def test_a_row_says_who_when_what_and_what_to_do(reports: dict[str, FilmReport]) -> None:
    who = {"patient_pseudonym": "pt-a", "acquisition_date": "2024-01-02"}
    pelvis = known(reports["pelvis"], "p.dcm", band="refer_for_dxa", film_now="missing", **who)
    ((((row,),),),) = ([section.groups for section in listed([pelvis]).sections()],)
    assert row == Row(
        section="refer_for_dxa",
        counts=True,
        find=f"pt-a {pelvis.film_id}",
        film="p.dcm",
        link="#film-1",
        patient="pt-a",
        date="2024-01-02",
        accession="",
        lowest_t=signed(min(estimate.t_score for hip in pelvis.hips for estimate in hip.estimates)),
        said="The film cannot tell. Left: The hip holds an implant. "
        "Not in its folder when that was last screened; the result of an earlier run.",
        to_do=f"Refer for DXA. {REFUSALS['implant'].remedy}",
    )
    unknown = listed([reports["unknown"]]).sections()[0].groups[0][0]
    assert (unknown.lowest_t, unknown.said) == ("", "No headline. No T-score: age unknown.")


def test_files_of_one_image_are_one_film_of_one_patient(reports: dict[str, FilmReport]) -> None:
    one = known(reports["right"], "a.dcm", band="not_suspected", patient_pseudonym="pt-a")
    again = replace(one, file="b.dcm", film_id="0" * 16, copy="duplicate", copy_of="a.dcm")
    nobody = replace(one, file="c.dcm", film_id="1" * 16, copy="same_pixels", copy_of="a.dcm", patient_pseudonym=None)
    (section,) = listed([one, again, nobody]).sections()
    assert sorted(row.film for group in section.groups for row in group) == ["a.dcm", "b.dcm", "c.dcm"]
    assert (section.films, section.patients) == (1, 1)


@pytest.mark.parametrize("kind", COUNTED_ONCE)
def test_a_copy_says_whose_it_is_and_what_to_do_stands_at_the_film_alone(
    kind: str, reports: dict[str, FilmReport]
) -> None:
    one = broken(reports["pelvis"], "a.dcm", band="low_suspected", patient_pseudonym="pt-a")
    again = replace(one, file="b.dcm", film_id="0" * 16, copy=kind, copy_of="a.dcm")
    nobody = replace(again, file="c.dcm", patient_pseudonym=None)
    rows = {row.film: row for part in listed([again, nobody, one]).sections() for some in part.groups for row in some}
    assert rows["a.dcm"].to_do == f"{REFUSALS['fracture'].remedy} Confirm by DXA."
    for name in ("b.dcm", "c.dcm"):
        assert rows[name].said == f"{COPIES[kind]} See a.dcm."
        assert rows[name].to_do == "Nothing more to do: it counts once, with that film."


def test_a_copy_that_is_more_urgent_than_the_film_says_so_itself(reports: dict[str, FilmReport]) -> None:
    """Headers differ: the film's own names another body part, or no age."""
    one = known(reports["right"], "a.dcm", band=None, status="refused", reason="wrong_body_part", hips=())
    again = known(reports["right"], "b.dcm", band="low_suspected", copy="same_pixels", copy_of="a.dcm")
    lost = known(reports["right"], "c.dcm", band="low_suspected", copy="same_pixels", copy_of="not here.dcm")
    rows = {row.film: row for part in listed([again, one, lost]).sections() for some in part.groups for row in some}
    for name in ("b.dcm", "c.dcm"):
        assert rows[name].said.startswith("Low BMD suspected. The same picture as another file")
        assert rows[name].to_do == "Confirm by DXA."


def test_files_without_a_header_stand_by_reason(reports: dict[str, FilmReport]) -> None:
    texts = [replace(reports["text"], file=f"{n}.txt") for n in range(3)]
    worklist = listed([*texts, replace(reports["text"], file="e.dcm", reason="empty_file"), reports["right"]])
    assert {code: [row.film for row in rows] for code, rows in worklist.unread.items()} == {
        "not_dicom": ["0.txt", "1.txt", "2.txt"],
        "empty_file": ["e.dcm"],
    }
    assert sum(one.films for one in worklist.sections()) == 1


def test_what_is_no_film_stands_apart_though_a_header_names_its_patient(reports: dict[str, FilmReport]) -> None:
    sr = known(reports["nothing"], "SR000001", status="left_out", reason="not_radiograph", patient_pseudonym="pt-a")
    text = replace(reports["text"], file="README", status="left_out")
    worklist = listed([sr, text, replace(reports["text"], file="film.dcm"), known(reports["right"], "right.dcm")])
    assert {code: [row.film for row in rows] for code, rows in worklist.left_out.items()} == {
        "not_radiograph": ["SR000001"],
        "not_dicom": ["README"],
    }
    assert {code: [row.film for row in rows] for code, rows in worklist.unread.items()} == {"not_dicom": ["film.dcm"]}
    assert "Nothing need be done" in worklist.left_out["not_dicom"][0].to_do
    assert worklist.unread["not_dicom"][0].to_do == "Export the film as DICOM."


@pytest.mark.parametrize("kind", COPIES_TO_DO)
def test_a_conflict_says_what_to_do(kind: str, reports: dict[str, FilmReport]) -> None:
    film = known(reports["right"], "a.dcm", band="not_suspected", copy=kind, copy_of="b.dcm")
    row = listed([film]).sections()[0].groups[0][0]
    assert row.said.endswith(f" {COPIES[kind]} See b.dcm.")
    assert row.to_do == COPIES_TO_DO[kind]


@pytest.mark.parametrize("flag", TO_DO)
def test_a_flag_that_says_that_something_is_wrong_says_what_to_do(flag: str, reports: dict[str, FilmReport]) -> None:
    (hip,) = reports["right"].hips
    flagged = replace(hip, estimates=tuple(replace(one, flags=(flag, "view_unknown")) for one in hip.estimates))
    row = listed([known(reports["right"], "a.dcm", band="refer_for_dxa", hips=(flagged,))]).sections()[0].groups[0][0]
    assert row.said == f"The film cannot tell. {FLAGS[flag]}"
    assert row.to_do == f"Refer for DXA. {TO_DO[flag]}"


@pytest.mark.parametrize(("t_score", "said"), [(-2.46, "\N{MINUS SIGN}2.5"), (0.0, "+0.0"), (1.25, "+1.2")])
def test_a_t_score_has_a_sign_and_one_place(t_score: float, said: str) -> None:
    assert signed(t_score) == said
