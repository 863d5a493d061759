"""A clinic's folder: what is taken, and what is refused with its reason."""

from pathlib import Path

import pydicom
import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow
from trainer.adapt import clinic
from trainer.adapt.clinic import MIN_FILMS, check, maker_spellings, refused_films, regions
from trainer.images.cut_rois import HEADER_MAKER, CutOutcome
from trainer.images.cutter import PATIENT, TAKEN
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.write_dicom import write_dicom


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films, two of them of another maker, and one that is no film; under a patient's name."""
    folder = tmp_path_factory.mktemp("films")
    for number, style in enumerate("AAGG"):
        with (folder / f"DOE-{number}.dcm").open("wb") as file:
            write_dicom(file, film(FilmSpec(41 + number, "hip", "RL"[number % 2], style=style, pixel_mm=0.4)))
    (folder / "notes.txt").write_text("no film")
    return folder


def nothing(*_: int) -> None:
    pass


def test_hips_become_rows_without_a_name_or_a_label(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic, "MIN_FILMS", 2)
    monkeypatch.setattr(clinic, "SECOND_KIND", 0.9)
    rows, outcomes = regions(films, tmp_path / "left_out.csv", nothing)
    assert len(rows) >= 3
    assert all(row.film_path.is_file() and row.split == "unlabelled" for row in rows)
    assert all(value is None for row in rows for value in row.bmd_gcm2.values())
    assert {row.extra[HEADER_MAKER] for row in rows} <= {"Synthetic-A", "Synthetic-G"}
    assert "DOE" not in repr([(row.film, row.subject, row.extra) for row in rows])
    refused = {one.row.film: one.code for one in refused_films(outcomes)}
    assert refused["notes.txt"] == "not_dicom"
    assert len(refused) + len({row.extra["x_film"] for row in rows}) == 5
    assert "notes.txt" in (tmp_path / "left_out.csv").read_text()


def made(film: int, side: str, patient: str | None, taken: str | None = "2026-05-01") -> tuple[HipRow, CutOutcome]:
    region = f"roi/{film}-{side}.png"
    facts = {"x_image": "roi", "x_spacing_mm": "0.65", HEADER_MAKER: "A"}
    row = HipRow(film=region, subject=f"clinic-{film}", side=side, split="unlabelled", extra=facts)
    return row, CutOutcome(row, region, known={PATIENT: patient, TAKEN: taken})


def test_films_of_one_hip_of_one_day_share_a_number_and_tell_no_name_and_no_date() -> None:
    pairs = [
        made(0, "R", "pt-a"), made(0, "L", "pt-a"), made(1, "R", "pt-a"), made(2, "R", "pt-a", "2026-05-02"),
        made(3, "R", "pt-b"), made(4, "R", None), made(5, "R", None), made(6, "R", "pt-b", None),
    ]  # fmt: skip
    found = clinic._without_names(*zip(*pairs, strict=True))
    assert [row.extra.get("x_view") for row in found] == ["0-R", "0-L", "0-R", "2-R", "3-R", None, None, None]
    assert [row.extra["x_film"] for row in found] == ["0", "0", "1", "2", "3", "4", "5", "6"]
    assert [row.subject for row in found] == [f"clinic-{k}" for k in (0, 0, 0, 0, 3, 4, 5, 3)]
    assert "pt-" not in repr(found)
    assert "2026" not in repr(found)


def test_repeated_films_are_told_by_the_headers_of_real_ones(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two films of one patient, side and day, by units of two makers, and one of another patient of that day."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number, patient in enumerate(("1", "1", "2")):
        film = pydicom.dcmread(sorted(films.glob("*.dcm"))[3 if number == 1 else 1])
        film.PatientID, film.StudyDate, film.AcquisitionDate = patient, "20260501", "20260501"
        film.save_as(folder / f"{number}.dcm")
    monkeypatch.setattr(clinic, "MIN_FILMS", 2)
    monkeypatch.setattr(clinic, "SECOND_KIND", 0.9)
    rows, _ = regions(folder, tmp_path / "left_out.csv", nothing)
    days = {row.extra["x_film"]: row.extra["x_view"] for row in rows}
    assert len(days) == 3
    assert days["0"] == days["1"] != days["2"]
    assert len({row.subject for row in rows}) == 2


def test_films_of_two_makers_are_refused_by_their_headers(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic, "MIN_FILMS", 2)
    with pytest.raises(TableError, match=r"films of several makers \(\d of .*, \d of .*\): .*folder of their own"):
        regions(films, tmp_path / "left_out.csv", nothing)


def test_twenty_films_are_too_few_before_any_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.dcm").write_bytes(b"")
    monkeypatch.setattr(clinic, "cut", lambda *_: pytest.fail("films were read"))
    with pytest.raises(TableError, match=f"20 films; an adaptation takes {MIN_FILMS} .*use the bundle as it is"):
        regions(tmp_path, tmp_path / "left_out.csv", nothing)


def rows(count: int, maker: str, both: int = 0) -> list[HipRow]:
    """Hips of so many films, of which some show both."""
    return [
        HipRow(
            film=f"{k}-{side}.png", subject=f"{maker}{k}", side=side, split="unlabelled", extra={HEADER_MAKER: maker}
        )
        for k in range(count)
        for side in ("RL" if k < both else "R")
    ]


def refused(count: int, code: str) -> list[CutOutcome]:
    return [CutOutcome(row, None, code) for row in rows(count, "x")]


def test_a_folder_of_something_else_is_refused_by_its_refusals() -> None:
    with pytest.raises(TableError, match=r"61 of 120 films are refused \(61 wrong_body_part"):
        check("films", 120, refused(61, "wrong_body_part"), rows(59, "A"))
    check("films", 120, refused(60, "wrong_body_part"), rows(60, "A"))
    with pytest.raises(TableError, match=r"49 films; .*refused: 10 implant"):
        check("films", 59, refused(10, "implant"), rows(49, "A"))


def test_a_few_strays_of_another_maker_are_none_of_its_kind() -> None:
    check("films", 100, [], rows(91, "A") + rows(9, "B"))
    check("films", 100, [], rows(60, "Acme") + rows(40, "ACME"))
    with pytest.raises(TableError, match=r"90 of a, 6 of b, 4 of c"):
        check("films", 100, [], rows(90, "A", both=90) + rows(6, "B") + rows(4, "C"))


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such folder"):
        regions(tmp_path / "none", tmp_path / "left_out.csv", nothing)


def test_a_maker_is_known_by_all_its_spellings_and_strays_are_not() -> None:
    assert maker_spellings(rows(60, "Acme") + rows(40, "ACME") + rows(5, "B")) == ["ACME", "Acme"]
    plain = [HipRow(film="a.png", subject="a", side="R", split="unlabelled")]
    assert maker_spellings(3 * plain + rows(1, "B")) == []
