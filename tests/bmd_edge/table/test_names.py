"""One subject and one film in several spellings."""

import unicodedata
from pathlib import Path

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import read_table
from bmd_edge.table.names import found_film, subject_key

HEADER = "film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("p001", "P001"), ("1", "001"), ("12", "12.0"), ("Jürgen", "Ju\u0308rgen"), ("P-1", "P\N{EN DASH}1"),
        ("P 1", "P\N{NO-BREAK SPACE}1"), ("P1", "\N{ZERO WIDTH SPACE}P1"), ("Ｐ１", "p1"), ("straße", "STRASSE"),
    ],
)  # fmt: skip
def test_one_subject_in_two_spellings_is_seen(tmp_path: Path, first: str, second: str) -> None:
    assert subject_key(first) == subject_key(second)
    (tmp_path / "films.csv").write_text(HEADER + f"1.dcm,{first},R,,,,,,train\n2.dcm,{second},L,,,,,,val\n", "utf-8")
    with pytest.raises(TableError, match=r"row 3, column subject: .* but row 2 has .* spell it in one way"):
        read_table(tmp_path / "films.csv")


@pytest.mark.parametrize(("first", "second"), [("P1", "P10"), ("1-23", "12-3"), ("P01", "P1"), ("A", "Ä"), ("10", "1")])
def test_two_subjects_stay_two(first: str, second: str) -> None:
    assert subject_key(first) != subject_key(second)


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_a_film_is_found_in_the_other_form_of_its_letters(tmp_path: Path, on_disk: str, in_table: str) -> None:
    lies = tmp_path / unicodedata.normalize(on_disk, "Klinik Köln") / unicodedata.normalize(on_disk, "Hüfte é.dcm")
    lies.parent.mkdir()
    lies.touch()
    film = unicodedata.normalize(in_table, "Klinik Köln/Hüfte é.dcm")
    assert found_film(tmp_path, film).samefile(lies)
    (tmp_path / "films.csv").write_text(HEADER + f"{film},S1,R,,,,,,train\n", "utf-8")
    (row,) = read_table(tmp_path / "films.csv")
    assert row.film_path.is_file()


def test_a_missing_film_keeps_the_tables_spelling(tmp_path: Path) -> None:
    assert found_film(tmp_path, "ü/1.dcm") == tmp_path / "ü/1.dcm"


def test_one_film_in_both_forms_is_the_same_hip_twice(tmp_path: Path) -> None:
    rows = "".join(f"{unicodedata.normalize(form, 'ü.dcm')},S1,R,,,,,,train\n" for form in ("NFC", "NFD"))
    (tmp_path / "films.csv").write_text(HEADER + rows, "utf-8")
    with pytest.raises(TableError, match="row 3, column film: the same film and side as row 2"):
        read_table(tmp_path / "films.csv")
