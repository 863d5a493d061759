"""Results of several runs are read together, each image once."""

import json
from dataclasses import replace

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.follow.results_files import page_facts, reports_in
from bmd_edge.report.results import write_jsonl
from tests.bmd_edge.follow.made_up import visited


@pytest.fixture
def run(tmp_path):
    def write(name, *reports, **facts):
        folder = tmp_path / name
        folder.mkdir()
        write_jsonl(folder / "results.jsonl", reports)
        (folder / "run.json").write_text(json.dumps({"notice": "Drawn.", "patient_key": "k", **facts}))
        return folder

    return write


def test_a_run_reads_back_equal_from_its_folder_or_its_file(run):
    films = [visited("2020-05-01", 0.8, pixel_digest="px-1"), visited("2022-05-01", 0.7, pixel_digest="px-2")]
    folder = run("a", *films)
    for place in (folder, folder / "results.jsonl"):
        assert reports_in([place]) == films


def test_a_film_of_several_runs_counts_once_as_the_last_has_it(run):
    film = visited("2020-05-01", 0.8, pixel_digest="px-1")
    again = replace(film, bundle="test-2", file="renamed.dcm")
    assert reports_in([run("a", film), run("b", again)]) == [replace(again, file="b/renamed.dcm")]


def test_one_picture_under_two_patients_is_marked_across_runs(run):
    film = visited("2020-05-01", 0.8, pixel_digest="px-1")
    found = reports_in([run("a", film), run("b", replace(film, patient_pseudonym="pt-b"))])
    assert [one.copy for one in found] == ["other_patient"] * 2


def test_runs_under_two_keys_are_refused_for_nothing_links_their_films(run):
    with pytest.raises(UsageError, match="bmd-edge key"):
        reports_in([run("a", visited("2020-05-01", 0.8)), run("b", visited("2020-05-01", 0.8), patient_key="other")])


def test_places_without_results_and_damaged_or_older_ones_are_refused(run, tmp_path):
    with pytest.raises(UsageError, match="holds no results"):
        reports_in([tmp_path])
    with pytest.raises(UsageError, match="needs the --out folder"):
        reports_in([])
    folder = run("a", visited("2020-05-01", 0.8))
    line = json.loads((folder / "results.jsonl").read_text())
    of_one_site = json.loads(json.dumps(line))
    of_one_site["hips"][0]["estimates"].pop()
    for text, said in (
        (json.dumps(line | {"schema_version": 1}), "another version"),
        ('{"schema', "damaged"),
        (json.dumps(of_one_site), "damaged"),
    ):
        (folder / "results.jsonl").write_text(text + "\n")
        with pytest.raises(UsageError, match=said):
            reports_in([folder])


def test_the_page_names_every_bundle_and_notice(run):
    films = visited("2020-05-01", 0.8), visited("2020-05-01", 0.8, bundle="test-2")
    runs = [run("a", films[0]), run("b", films[1], notice="Other.")]
    facts = page_facts(runs, films)
    assert (facts["bundle"], facts["notice"]) == ("test-1, test-2", "Drawn. Other.")
