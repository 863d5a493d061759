"""The command as a technician has it: from the folders of runs to a page, and one line for each mistake."""

import dataclasses
import json

import pytest

from bmd_edge.report.results import write_jsonl
from tests.bmd_edge.cli.program import program
from tests.bmd_edge.follow.made_up import known, visited


@pytest.fixture
def run(tmp_path):
    def write(*reports):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        write_jsonl(folder / "results.jsonl", reports)
        return folder

    return write


def test_a_series_is_followed_by_a_clinics_precision(run, tmp_path):
    folder = run(visited("2020-05-01", 0.8), visited("2024-05-01", 0.68))
    (tmp_path / "clinic.json").write_text(json.dumps(dataclasses.asdict(known())))
    done = program("follow", folder, "--repeatability", tmp_path / "clinic.json", "--out", tmp_path / "out")
    assert (done.returncode, "lower, beyond chance: −0.120" in done.stdout) == (0, True), done.stderr
    assert "Research use only" in done.stdout
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["follow.csv", "follow.html", "follow.json"]


def test_json_goes_to_stdout_and_films_in_no_series_end_with_3(run, tmp_path):
    folder = run(visited("2020-05-01", 0.8), visited(None, 0.6))
    done = program("follow", folder, "--json", "--out", tmp_path / "out")
    assert done.returncode == 3
    assert json.loads(done.stdout)["in_no_series"][0]["code"] == "no_date"


def test_a_card_says_what_else_there_is_of_its_patient(run, tmp_path):
    people = {"pt-a": 0.8, "pt-b": 0.7}
    dates = ("2020-05-01", "2024-05-01")
    films = [visited(taken, bmd, patient_pseudonym=who) for who, bmd in people.items() for taken in dates]
    hip = dataclasses.replace(films[0].hips[0], side="L", status="refused", reason="implant", estimates=())
    implant = visited("2022-03-04", 0.7, status="refused", hips=(hip,))
    folder = run(*films, implant, visited("2023-01-02", 0.6, side=None))
    done = program("follow", folder, "--out", tmp_path / "out")
    assert done.returncode == 3
    sentence = (
        "Also of this patient, in no series and no chart: left hip, 2022-03-04: The hip holds an implant. 2023-01-02:"
        " The side of the hip is not known."
    )
    assert f"NOT SHOWN: {sentence}" in " ".join(done.stdout.split())
    page = (tmp_path / "out" / "follow.html").read_text(encoding="utf-8")
    cards = {card.split('mono">')[1].partition("<")[0]: card for card in page.split("<article")[1:]}
    assert [sentence in cards[who] for who in people] == [True, False]
    facts = json.loads((tmp_path / "out" / "follow.json").read_text())
    assert [sentence in one["said"] for one in facts["hips"]] == [one["patient"] == "pt-a" for one in facts["hips"]]
    assert [(one["code"], one["date"]) for one in facts["in_no_series"]] == [("side_unknown", "2023-01-02")]


def test_mistakes_are_one_line(run, tmp_path):
    folder = run(visited("2020-05-01", 0.8, bundle_digest="c"), visited("2024-05-01", 0.6, bundle_digest="c"))
    (tmp_path / "clinic.json").write_text(json.dumps(dataclasses.asdict(known())))
    for arguments, said in (
        ((tmp_path / "nothing",), "holds no results"),
        (
            (tmp_path / "clinic.json",),
            "`bmd-edge follow --repeatability`. Wanted here: a folder of results",
        ),
        ((folder, "--repeatability", tmp_path / "clinic.json"), "measured with another bundle"),
        ((folder, "--out", folder / "results.jsonl"), "--out is a file"),
    ):
        done = program("follow", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_clinics_precision_is_no_mistake_where_two_units_leave_nothing_to_compare(run, tmp_path):
    folder = run(visited("2020-05-01", 0.8), visited("2024-05-01", 0.6, unit_pseudonym="un-b"))
    (tmp_path / "clinic.json").write_text(json.dumps(dataclasses.asdict(known())))
    done = program("follow", folder, "--repeatability", tmp_path / "clinic.json", "--out", tmp_path / "out")
    assert (done.returncode, "another X-ray unit, not compared" in done.stdout) == (0, True), done.stderr
