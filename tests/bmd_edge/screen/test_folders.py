"""Several folders and one folder of results: no film is taken for another, none is counted twice, none is lost."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from bmd_edge.screen.folders import EARLIER
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.run import screen_folder
from tests.bmd_edge.screen.screened import LONG_AGO, Counting, contents, names_read, objects, three_films
from tests.bmd_edge.screen.test_ledger_file import aged
from tests.support.screening import hip_dicom


def folder_of(place: Path, **bones: int) -> Path:
    """A folder with films of one size and one time, as an export may set it."""
    place.mkdir(parents=True)
    for name, bone in bones.items():
        (place / name).write_bytes(hip_dicom("R", bone=bone))
        os.utime(place / name, (LONG_AGO, LONG_AGO))
    return place


@pytest.fixture
def days(tmp_path: Path) -> tuple[Path, Path]:
    """Two days of other patients under the same names."""
    day1 = folder_of(tmp_path / "day1", IM000001=1700, IM000002=1800)
    return day1, folder_of(tmp_path / "day2", IM000001=1900, IM000002=2000)


def said(out: Path) -> dict[str, tuple[str, str]]:
    """File -> film_id and where it is now."""
    return {file: (one["film_id"], one["film_now"]) for file, one in objects(out).items()}


def test_films_of_one_name_in_two_folders_are_two_films(days: tuple[Path, Path], tmp_path: Path) -> None:
    out, apart = tmp_path / "out", {}
    for day in days:
        summary, names = names_read(day, out)
        assert (names, summary.not_there, summary.complete) == (["IM000001", "IM000002"], {}, True)
        names_read(day, tmp_path / f"alone {day.name}")
        apart |= {f"{day.name}/{file}": one for file, one in said(tmp_path / f"alone {day.name}").items()}
    assert said(out) == apart
    assert len(set(apart.values())) == 4
    before = contents(out)
    for day in days:
        assert names_read(day, out)[1] == []
    assert contents(out) == before


def test_a_film_that_goes_or_is_replaced_in_one_folder_says_nothing_of_the_other(
    days: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for day in days:
        names_read(day, out)
    (days[1] / "IM000001").unlink()
    shutil.copy2(folder_of(tmp_path / "new", IM000002=2300) / "IM000002", days[1] / "IM000002")
    assert names_read(days[1], out)[0].not_there == {"missing": 1, "replaced": 1}
    shutil.rmtree(days[0])
    days[0].mkdir()
    assert names_read(days[0], out)[0].not_there == {"missing": 3, "replaced": 1}
    with Counting() as screener:
        screen_folder(screener, days[1], out, forget_missing=True)
    assert {file: now for file, (_, now) in said(out).items()} == {
        "day1/IM000001": "missing", "day1/IM000002": "missing", "day2/IM000002": "there",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["moved", "copied", "copied and gone", "touched", "link"])
def test_a_folder_that_lies_elsewhere_now_is_the_same_and_nothing_is_read_again(how: str, tmp_path: Path) -> None:
    folder, other, out = three_films(tmp_path / "films"), tmp_path / "elsewhere", tmp_path / "out"
    (folder / "README.TXT").write_text("text")
    names_read(folder, out)
    before = contents(out)
    if how == "moved":
        folder.rename(other)
    elif how == "link":
        other.symlink_to(folder)
    else:
        shutil.copytree(folder, other, copy_function=shutil.copy if how == "touched" else shutil.copy2)
    if how == "copied and gone":
        shutil.rmtree(folder)
    for place in (other, other, *([folder] if folder.exists() else [])):
        summary, names = names_read(place, out)
        assert set(names) <= ({"README.TXT"} if how != "touched" else {"README.TXT", "a.dcm", "b.dcm", "c.dcm"})
        assert (summary.not_there, summary.complete) == ({}, True)
        assert contents(out) == before


def test_what_a_folder_has_lost_on_its_way_is_missing_and_what_was_exchanged_is_replaced(tmp_path: Path) -> None:
    folder, out = three_films(tmp_path / "films"), tmp_path / "out"
    (folder / "d.dcm").write_bytes(hip_dicom("R", bone=2300))
    names_read(folder, out)
    folder = folder.rename(tmp_path / "elsewhere")
    (folder / "a.dcm").unlink()
    (folder / "b.dcm").write_bytes(hip_dicom("L"))
    summary, names = names_read(folder, out)
    assert (names, summary.not_there) == (["b.dcm"], {"missing": 1, "replaced": 1})
    assert {file: now for file, (_, now) in said(out).items()} == {
        "a.dcm": "missing", "b.dcm": "there", "c.dcm": "there", "d.dcm": "there",
    }  # fmt: skip


def test_two_folders_that_share_a_film_are_two_and_the_film_counts_once(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one", a=1700, b=1800, c=1900)
    two = folder_of(tmp_path / "two", c=1900, d=2000, e=2100)
    names_read(one, tmp_path / "out")
    summary, names = names_read(two, tmp_path / "out")
    assert (names, summary.films["read"], summary.repeated, summary.not_there) == (["d", "e"], 5, 1, {})


def test_a_folder_inside_another_holds_the_same_films(tmp_path: Path) -> None:
    whole, out = tmp_path / "export", tmp_path / "out"
    day = folder_of(whole / "deep" / "day1", IM000001=1700, IM000002=1800)
    assert names_read(day, out)[1] == ["IM000001", "IM000002"]
    assert said(out).keys() == {"IM000001", "IM000002"}
    folder_of(whole / "day2", IM000001=1900)
    assert names_read(whole, out)[1] == ["IM000001"]
    assert said(out).keys() == {"day2/IM000001", "deep/day1/IM000001", "deep/day1/IM000002"}
    before = contents(out)
    for named in (day, whole, whole / "deep", day / "IM000001"):
        assert names_read(named, out)[1] == []
        assert contents(out) == before
    (day / "IM000002").unlink()
    assert names_read(whole / "day2", out)[0].not_there == {}
    assert names_read(day, out)[0].not_there == {"missing": 1}


def test_single_films_of_one_name_are_two_films(days: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for day in days:
        assert names_read(day / "IM000001", out)[1] == ["IM000001"]
    assert said(out).keys() == {"day1/IM000001", "day2/IM000001"}
    assert names_read(days[0], out)[1] == ["IM000002"]
    assert {now for _, now in said(out).values()} == {"there"}


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for ward, bone in (("a", 1700), ("b", 1800), ("c", 1900)):
        names_read(folder_of(tmp_path / ward / "export", IM000001=bone), tmp_path / "out")
    assert said(tmp_path / "out").keys() == {"export/IM000001", "export (2)/IM000001", "export (3)/IM000001"}


@pytest.mark.parametrize("layout", [3, 6])
def test_a_ledger_that_knew_no_folders_is_taken_over_by_the_folder_whose_films_it_holds(
    layout: int, days: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    names_read(days[0], out)
    before = contents(out)
    with closing(Ledger(out)) as ledger:  # as it was kept without folders
        ledger._db.execute("UPDATE films SET key=CAST(? || substr(key, 5) AS BLOB)", (EARLIER.decode(),))
        ledger._db.execute("DELETE FROM folders")
    aged(out, layout)
    summary, names = names_read(days[1], out)
    assert (names, summary.not_there) == (["IM000001", "IM000002"], {})
    assert {file.split("/")[0] for file in said(out)} == {"earlier", "day2"}
    assert names_read(days[0], out)[1] == []
    assert {file.split("/")[0] for file in said(out)} == {"day1", "day2"}
    shutil.rmtree(days[1])
    assert before["results.csv"].count(b"IM000001") == 1
