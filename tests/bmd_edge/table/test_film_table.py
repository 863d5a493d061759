"""The film table: what is written reads back equal; what breaks the contract names its row and column."""

import datetime
import random
from pathlib import Path

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow, read_table, write_table

HEADER = "film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split"
GOOD = "a/1.dcm,S1,R,71,F,0.612,0.734,hologic,train"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "films.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_reads_every_column(tmp_path: Path) -> None:
    header = HEADER + ",maker,bmi,pose,dxa_date,film_date,x_seed,x_note"
    path = table(tmp_path, GOOD + ",A,24.5,ap,2024-01-31,2024-02-01,17,", header=header)
    (row,) = read_table(path)
    assert row == HipRow(
        film="a/1.dcm", subject="S1", side="R", split="train", age_years=71.0, sex="F",
        bmd_gcm2={"femoral_neck": 0.612, "total_hip": 0.734}, scale="hologic", maker="A", bmi=24.5, pose="ap",
        dxa_date=datetime.date(2024, 1, 31), film_date=datetime.date(2024, 2, 1), extra={"x_seed": "17"},
    )  # fmt: skip
    assert row.film_path == tmp_path / "a/1.dcm"


def test_unlabelled_hip_has_no_numbers_not_zeros(tmp_path: Path) -> None:
    (row,) = read_table(table(tmp_path, "1.dcm,S1,L,,,,,,unlabelled"))
    assert (row.age_years, row.sex, row.scale) == (None, None, None)
    assert row.bmd_gcm2 == {"femoral_neck": None, "total_hip": None}


def test_spreadsheet_bom_crlf_quotes_and_blank_lines_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f'{HEADER}\r\n"a b/1, x.dcm",S1,R,71,F,,,,val\r\n\r\n,,,,,,,,\r\n'.encode())
    (row,) = read_table(path)
    assert row.film == "a b/1, x.dcm"


def test_round_trip_is_exact(tmp_path: Path) -> None:
    rng = random.Random(4)
    rows = [
        HipRow(
            film=f"roi/{n:06d}.png", film_path=tmp_path / f"roi/{n:06d}.png", subject=f"S{n // 2}", side="RL"[n % 2],
            split="unlabelled" if n // 2 % 3 else "train", age_years=rng.uniform(40, 95), sex=rng.choice("FM"),
            bmd_gcm2={"femoral_neck": rng.uniform(0.3, 1.2), "total_hip": rng.choice([None, rng.uniform(0.3, 1.2)])},
            scale="hologic", bmi=rng.choice([None, rng.uniform(16, 45)]), maker=rng.choice([None, 'A "1", b']),
            film_date=rng.choice([None, datetime.date(2020, 1, 1) + datetime.timedelta(n)]),
            extra={"x_seed": str(rng.getrandbits(64))} | ({"x_only_some": "é\n2"} if n % 3 else {}),
        )
        for n in range(60)
    ]  # fmt: skip
    write_table(tmp_path / "films.csv", rows)
    read = read_table(tmp_path / "films.csv")
    assert read == rows
    assert [row.film_path for row in read] == [row.film_path for row in rows]
    first = (tmp_path / "films.csv").read_bytes()
    write_table(tmp_path / "films.csv", read)
    assert (tmp_path / "films.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        (GOOD.replace("0.612", "0.19"), "bmd_femoral_neck_gcm2", "0.2-2 g/cm2"),
        (GOOD.replace("0.734", "734"), "bmd_total_hip_gcm2", "0.2-2 g/cm2"),
        (GOOD.replace("0.734", "nan"), "bmd_total_hip_gcm2", "0.2-2 g/cm2"),
        (GOOD.replace("0.734", "0,7"), None, "10 cells"),
        (GOOD.replace("0.734", "n/a"), "bmd_total_hip_gcm2", "not a number"),
        (GOOD.replace(",71,", ",121,"), "age_years", "0-120 years"),
        (GOOD.replace(",71,", ",-1,"), "age_years", "0-120 years"),
        (GOOD.replace(",71,", ",inf,"), "age_years", "0-120 years"),
        (GOOD.replace(",R,", ",r,"), "side", "one of R, L"),
        (GOOD.replace(",R,", ",,"), "side", "empty"),
        (GOOD.replace(",F,", ",female,"), "sex", "one of F, M"),
        (GOOD.replace("train", "dev"), "split", "one of train"),
        (GOOD.replace("hologic", ""), "scale", "empty beside a BMD"),
        (GOOD.replace("hologic", "Hologic"), "scale", "one of hologic"),
        (GOOD.replace("S1", ""), "subject", "empty"),
        (GOOD.replace("S1", "1.23457E+12"), "subject", "shortened: make the column text"),
        (GOOD.replace("S1", '"1,2E+07"'), "subject", "shortened: make the column text"),
        (GOOD.replace("a/1.dcm", ""), "film", "empty"),
        (GOOD.replace("a/1.dcm", "../1.dcm"), "film", "'../1.dcm' leads out of the table's folder"),
        (GOOD.replace("a/1.dcm", "a/../../1.dcm"), "film", "put the table into a folder above all of its films"),
        (GOOD.replace("a/1.dcm", "/etc/passwd"), "film", "begins at the root of the disk: write the path from"),
        (GOOD.replace("a/1.dcm", "C:\\1.dcm"), "film", "has backslashes: write the path from the table's folder on"),
        (GOOD.replace("a/1.dcm", "."), "film", "'.' is no file's name"),
        (GOOD + ",extra", None, "10 cells"),
        ("a/1.dcm,S1", None, "2 cells"),
    ],
)
def test_an_impossible_cell_names_its_row_and_column(tmp_path: Path, row: str, column: str | None, says: str) -> None:
    path = table(tmp_path, "a/0.dcm,S0,R,60,M,0.8,0.9,hologic,train", row)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"films.csv: row 3, column {column}: " if column else "films.csv: row 3: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HEADER + ",note", "row 1: unknown column 'note'; a column of your own starts with x_"),
        (HEADER.replace("scale", "note"), "'note'; a column of your own starts with x_; missing: scale"),
        (HEADER.replace(",", "|"), "row 1: unknown column 'film|subject"),
        (HEADER.replace(",scale", ""), "row 1: missing column scale"),
        ("film,subject,side", f"row 1: missing columns {', '.join(HEADER.split(',')[3:])}"),
        (HEADER + ",x_a,x_a", "row 1, column x_a: named twice"),
        ("", "the file is empty; a film table begins with the columns film, subject"),
        ("\n\n", "the file is empty"),
    ],
)  # fmt: skip
def test_a_wrong_header_names_the_columns(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(TableError) as caught:
        read_table(table(tmp_path, header=header))
    assert str(caught.value).startswith("films.csv: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("filename", "film"), ("File", "film"), ("Subject", "subject"), ("age", "age_years"), ("SEX", "sex"),
        ("bmd_neck", "bmd_femoral_neck_gcm2"), ("bmd_total_hip", "bmd_total_hip_gcm2"), ("splits", "split"),
    ],
)  # fmt: skip
def test_a_column_that_is_nearly_right_is_answered_with_the_right_one(tmp_path: Path, named: str, meant: str) -> None:
    with pytest.raises(TableError, match=rf"unknown column '{named}' \(did you mean {meant}\?\)"):
        read_table(table(tmp_path, GOOD, header=HEADER.replace(meant, named)))


def test_a_further_column_without_its_prefix_is_answered_with_it(tmp_path: Path) -> None:
    for named, meant in (("weight_kg", "x_weight_kg"), ("kvp", "x_kvp"), ("taken_under", "x_taken_under")):
        with pytest.raises(TableError, match=rf"'{named}' \(did you mean {meant}\?\); a column of your own"):
            read_table(table(tmp_path, GOOD + ",1", header=f"{HEADER},{named}"))


def test_all_columns_that_are_wrong_are_named_at_once_and_optional_ones_are_known(tmp_path: Path) -> None:
    header = HEADER.replace("film", "filename") + ",Maker,date_of_film"
    with pytest.raises(TableError) as caught:
        read_table(table(tmp_path, GOOD + ",A,2024-01-31", header=header))
    for said in ("'filename' (did you mean film?)", "'Maker' (did you mean maker?)", "'date_of_film'"):
        assert said in str(caught.value)


def test_a_table_of_a_header_only_says_so(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"films\.csv: there is a header and no row below it; each hip on a film"):
        read_table(table(tmp_path))
    with pytest.raises(TableError, match="no row below it"):
        write_table(tmp_path / "new.csv", [])
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize("raw", [b"PK\3\4\x14\0\6\0", b"\xd0\xcf\x11\xe0\xa1\xb1"], ids=["xlsx", "xls"])
def test_a_spreadsheets_own_file_is_named(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "films.xlsx").write_bytes(raw)
    with pytest.raises(TableError, match=r"films\.xlsx: a spreadsheet's own file; save the table as CSV UTF-8"):
        read_table(tmp_path / "films.xlsx")


def test_one_subject_in_two_splits(tmp_path: Path) -> None:
    path = table(tmp_path, GOOD, "b.dcm,S2,R,60,M,,,,train", "c.dcm,S1,L,71,F,,,,unlabelled")
    with pytest.raises(TableError, match="row 4, column split: unlabelled, but row 2 puts the same subject in train"):
        read_table(path)


def test_the_same_hip_twice(tmp_path: Path) -> None:
    other_side = GOOD.replace(",R,", ",L,")
    assert len(read_table(table(tmp_path, GOOD, other_side))) == 2
    with pytest.raises(TableError, match="row 4, column film: the same film and side as row 2"):
        read_table(table(tmp_path, GOOD, other_side, GOOD.replace("a/1", "a/./1")))


def test_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_bytes(HEADER.encode() + b"\n\xff\xfe\x00\n")
    with pytest.raises(TableError, match="not UTF-8"):
        read_table(tmp_path / "films.csv")
    with pytest.raises(TableError, match=r"films\.csv: not a CSV table"):
        read_table(table(tmp_path, 'a,"b'))
    with pytest.raises(TableError, match=r"none\.csv: there is no such film table: check its name"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match="a folder, where a film table is wanted: give its CSV file"):
        read_table(tmp_path.parent)


def test_no_cell_is_a_formula_and_numbers_stay(tmp_path: Path) -> None:
    rows = [
        HipRow(film="=1.png", subject="+S;=x", side="R", split="train", extra={"x_a": "-1.5", "x_b": "＝cmd"}),
        HipRow(film="2.png", subject="S", side="L", split="val", extra={"x_a": "1", "x_b": "a;b"}),
    ]
    write_table(tmp_path / "films.csv", rows)
    assert read_table(tmp_path / "films.csv") == rows
    first, second = (tmp_path / "films.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert first.startswith("'=1.png,\"'+S;=x\",R,")
    assert first.endswith(",-1.5,'＝cmd")
    assert second.endswith(',1,"a;b"')


@pytest.mark.parametrize(
    "row",
    [
        HipRow(film="../1.png", subject="S", side="R", split="train"),
        HipRow(film="1.png", subject="S", side="R", split="train", age_years=float("nan")),
        HipRow(film="1.png", subject="S", side="R", split="train", extra={"x_a": ""}),
        HipRow(film="1.png", subject="S", side="R", split="train", extra={"weight": "70"}),
        HipRow(film="1.png", subject=" S", side="R", split="train"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path: Path, row: HipRow) -> None:
    path = table(tmp_path, GOOD)
    before = path.read_bytes()
    with pytest.raises(TableError):
        write_table(path, [row])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["films.csv"]
