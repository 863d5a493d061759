"""One film through the whole line, from wherever it comes."""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bmd_edge.errors import HipRefused, UsageError
from bmd_edge.film import read as read_module
from bmd_edge.film.read import read_film
from bmd_edge.report.film_report import RunSummary
from bmd_edge.screen import screener as screener_module
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from tests.bmd_edge.screen.screened import objects
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, drawn_screener, hip_dicom


def run(folder: Path, out: Path, **settings: object) -> RunSummary:
    with drawn_screener(**settings) as screener:
        return screen_folder(screener, folder, out)


def test_an_implausible_answer_has_no_number(films: Path, tmp_path: Path) -> None:
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd(offset_gcm2=1.5)}
    with Screener(drawn_bundle(), engines=engines) as screener:
        screen_folder(screener, films, tmp_path / "out")
    film = objects(tmp_path / "out")["right.dcm"]
    assert (film["status"], film["reason"]) == ("refused", "implausible_estimate")
    assert film["hips"][0]["estimates"] == []
    assert "bmd" not in json.dumps(film["hips"])


def test_a_given_spacing_reads_a_film_without_one(tmp_path: Path) -> None:
    data = hip_dicom("R", ImagerPixelSpacing=None)
    with drawn_screener() as screener:
        assert screener.read(data).reason == "no_spacing"
    with drawn_screener(spacing_mm=0.575) as screener:
        report = screener.read(data)
    assert (report.status, report.spacing_source) == ("read", "given")


@pytest.mark.parametrize(
    ("reason", "elements"), [("no_spacing", {"ImagerPixelSpacing": None}), ("immature", {"PatientAge": "012Y"})]
)
def test_a_film_without_a_number_still_says_whose_it_is_and_of_which_day(reason: str, elements: dict) -> None:
    known = {"AccessionNumber": "A7", "AcquisitionDate": "20240517"}
    with drawn_screener() as screener:
        screener.patient_key, screener.accession = b"k" * 32, True
        refused, read = screener.read(hip_dicom("R", **known, **elements)), screener.read(hip_dicom("R", **known))
        screener.patient_key, screener.accession = None, False
        nobody = screener.read(hip_dicom("R", **known, **elements))
    assert (refused.status, refused.reason, read.status) == ("refused", reason, "read")
    for name in ("patient_pseudonym", "acquisition_date", "accession_number"):
        assert getattr(refused, name) == getattr(read, name) is not None
    assert (refused.age_years, refused.sex, refused.sop_instance_uid) == (None, None, None)
    assert (nobody.patient_pseudonym, nobody.accession_number) == (None, None)


def test_a_file_larger_than_any_film_is_not_read(films: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(read_module, "MAX_FILE_BYTES", 1000)
    (films / "big.obj").write_bytes(b"v 0 0 0\n" * 1000)
    run(films, tmp_path / "out")
    found = objects(tmp_path / "out")
    assert (found["right.dcm"]["reason"], found["right.dcm"]["film_id"]) == ("too_large", None)
    assert found["big.obj"]["reason"] == "not_dicom"
    assert found["LICENSE.txt"]["film_id"]


def test_path_bytes_and_data_set_give_the_same_report(tmp_path: Path) -> None:
    data = hip_dicom("RL")
    (tmp_path / "a.dcm").write_bytes(data)
    with drawn_screener() as screener:
        by_bytes = screener.read(data, file="a.dcm")
        assert screener.read(tmp_path / "a.dcm", file="a.dcm") == by_bytes
        assert screener.read(str(tmp_path / "a.dcm"), file="a.dcm") == by_bytes
        by_set = screener.read(pydicom.dcmread(tmp_path / "a.dcm"), file="a.dcm")
    assert by_set.hips == by_bytes.hips
    assert by_bytes.status == "read"


def test_a_job_with_its_bytes_gives_the_outcome_and_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(hip_dicom("R"))
    jobs = [
        FilmJob(os.fsencode(path), "film.dcm"),
        FilmJob(b"/nowhere", "film.dcm", data=path.read_bytes()),
        FilmJob(b"/nowhere", "film.dcm"),
    ]
    with drawn_screener() as screener:
        by_path, by_bytes, by_none = (outcome for _, outcome in screener.examine(jobs))
        names = [name for _, name in screener.film_ids(jobs)]
    assert by_path == by_bytes
    assert (by_path.report.status, by_none.report.reason) == ("read", "file_unreadable")
    assert names == [by_path.report.film_id, by_path.report.film_id, None]


def test_many_threads_get_what_one_gets() -> None:
    films = [hip_dicom("RL"[n % 2 :], bone=1600 + 100 * n) for n in range(8)]
    with drawn_screener() as screener:
        one_by_one = [screener.read(film) for film in films]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(screener.read, films)) == one_by_one
    assert len({report.hips for report in map(_frozen, one_by_one)}) > 4


def _frozen(report):
    class Key:
        hips = json.dumps(report.to_dict()["hips"])

    return Key


def test_a_link_that_is_named_is_followed_and_one_of_a_folder_is_not(tmp_path: Path) -> None:
    """As by `read_film`: whoever names a link means what it leads to; an entry of a folder was named by nobody."""
    (tmp_path / "a.dcm").write_bytes(hip_dicom("R"))
    (tmp_path / "b.dcm").symlink_to("a.dcm")
    (tmp_path / "c.dcm").symlink_to("none.dcm")
    with drawn_screener() as screener:
        assert screener.read(tmp_path / "b.dcm") == screener.read(tmp_path / "a.dcm")
        assert screener.read(tmp_path / "b.dcm").film_id == read_film(tmp_path / "b.dcm").film_id
        assert screener.read(tmp_path / "c.dcm").reason == "file_unreadable"
        ((_, found),) = screener.examine([FilmJob(os.fsencode(tmp_path / "b.dcm"), "b.dcm")])
        assert found.report.reason == "not_a_regular_file"
        assert screener.read(tmp_path / "none.dcm").reason == "file_unreadable"
        assert screener.read(tmp_path).reason == "not_a_regular_file"


@pytest.mark.parametrize("source", [io.BytesIO(b"x"), None, 3, {}, np.zeros(3)], ids=type)
def test_a_mistake_of_the_caller_is_an_exception_and_no_report(source) -> None:
    with drawn_screener() as screener, pytest.raises(TypeError, match="a film is a path, bytes or a pydicom data set"):
        screener.read(source)


def test_a_path_that_no_system_takes_is_a_mistake_of_the_caller() -> None:
    with drawn_screener() as screener:
        for read in (screener.read, read_film):
            with pytest.raises(UsageError, match="holds a NUL"):
                read("a\0.dcm")


def test_a_data_set_is_read_as_it_was_received_or_its_file_meta_is_asked_for() -> None:
    dataset = pydicom.dcmread(io.BytesIO(hip_dicom("R")))
    with drawn_screener() as screener:
        by_file = screener.read(dataset)
        del dataset.file_meta
        assert screener.read(dataset).hips == by_file.hips
        with pytest.raises(UsageError, match="set file_meta"):
            screener.read(pydicom.Dataset())
    assert by_file.film_id
    assert by_file.status == "read"


def test_a_film_without_a_number_is_refused_for_what_was_found_on_it(monkeypatch) -> None:
    """A hip that was not found says nothing about the film; the one that was does."""
    found = [HipRefused("hip_not_found", side="R"), HipRefused("fracture", side="L")]
    monkeypatch.setattr(screener_module, "find_hips", lambda *_: found)
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R"))
    assert [hip.reason for hip in report.hips] == ["hip_not_found", "fracture"]
    assert (report.status, report.reason) == ("refused", "fracture")
