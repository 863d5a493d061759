"""The conformance statement is what the code says now, the tests that it names are there, and DCMTK reads it so."""

import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from bmd_edge.clinic.objects.make import IMPLEMENTATION, SOP_CLASSES
from bmd_edge.clinic.objects.series import SERIES, SERIES_DESCRIPTION
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.version import __version__
from tests.bmd_edge.clinic.objects.said import said_of, second
from tests.support.clinic import needs
from tests.support.clinic.claims import TESTS
from tests.support.clinic.conformance import NAMES, PAGE, statement
from tests.support.films import dicom_bytes
from tests.support.screening import hip_dicom
from tests.whole.clinic.valid import KANJI, LATIN

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_code_says_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == statement(), "python -m tests.support.clinic.conformance"


@pytest.mark.parametrize("name", TESTS.values())
def test_every_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_every_table_has_a_test_beside_it() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(sections) == 5
    for section in sections:
        assert "tests/" in section, section.splitlines()[0]


# -- what DCMTK reads of objects ------------------------------------------------------------------------------------

NAMED = {
    "right": hip_dicom("R"),
    "one of two refused": hip_dicom("RL", implant="L"),
    "no hip": hip_dicom(""),
    "kanji": hip_dicom("R", **KANJI),
    "latin-1": hip_dicom("R", **LATIN),
    "bare": hip_dicom("R", PatientName=None, PatientID=None, PatientSex=None, PatientAge=None),
    "broken": dicom_bytes(StudyDate="2024.05.17", PatientBirthDate="1956-03-01", StudyID="S" * 40),
}
TYPE_2 = ("00100010", "00100020", "00100030", "00100040", "00080020", "00080030", "00080050", "00080090", "00200010")
"""Of patient and study (PS3.3 C.7.1.1, C.7.2.1)."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """(film, kind) -> the file of an object; "second" is a later version of the first film's."""
    place = tmp_path_factory.mktemp("objects")
    made = {name: said_of(film)[1] for name, film in NAMED.items()}
    made["second"] = said_of(NAMED["right"], second(made["right"], "header corrected"))[1]
    found = {}
    for name, objects in made.items():
        for kind, one in objects.items():
            found[name, kind] = place / f"{name}.{kind}.dcm"
            found[name, kind].write_bytes(one.data)
    return found


def told(*command: str | Path) -> str:
    needs(str(command[0]))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


SOMETIMES = ("sometimes", "sometimes empty", "empty or absent", "empty")


def rows(heading: str) -> list[list[str]]:
    """The rows of the page's table below a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def read(path: Path) -> dict[str, Any]:
    """The data set as DICOM JSON, by DCMTK."""
    return dict(json.loads(told("dcm2json", path)))


def tags(data: dict[str, Any]) -> Iterator[str]:
    """Every tag, also of items."""
    for tag, element in data.items():
        yield tag
        for item in element.get("Value", ()) if element["vr"] == "SQ" else ():
            yield from tags(item)


def value(data: dict[str, Any], tag: str) -> Any:
    return data[tag].get("Value", [""])[0]


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_every_object_is_what_the_page_says_of_its_kind(written: dict[tuple[str, str], Path], kind: str) -> None:
    listed = rows(f"### {NAMES[kind]}")
    always = {tag.strip("(),").replace(",", "") for tag, *_, present in listed if present not in SOMETIMES}
    every = {tag.strip("()").replace(",", "") for tag, *_ in listed}
    for (name, one), path in written.items():
        if one != kind:
            continue
        data = read(path)
        assert (value(data, "00080016"), value(data, "00200011")) == (SOP_CLASSES[kind], SERIES[kind]), name
        assert (value(data, "00080005"), value(data, "0008103E")) == ("ISO_IR 192", SERIES_DESCRIPTION), name
        assert set(TYPE_2) | always <= data.keys() <= every, name
        assert not [tag for tag in tags(data) if int(tag[3], 16) % 2], name
        received = {data[tag]["Value"][0] for tag in data if tag in ("00080012", "00080021", "00080023", "00700082")}
        assert received == {"20260517"}, name
        meta = told("dcmdump", "+P", "0002,0010", "+P", "0002,0012", "+P", "0002,0013", path)
        for said in ("=LittleEndianExplicit", f"[{IMPLEMENTATION}]", "[BMD_EDGE]"):
            assert said in meta, name


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_patients_are_told_as_utf8_and_what_cannot_be_is_empty(written: dict[tuple[str, str], Path], kind: str) -> None:
    names = {one: value(read(written[one, kind]), "00100010") for one in ("kanji", "latin-1", "bare")}
    assert names["kanji"] == {
        "Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう",
    }  # fmt: skip
    assert (names["latin-1"], names["bare"]) == ({"Alphabetic": "Müller^Jürgen"}, "")
    broken = read(written["broken", kind])
    assert [value(broken, tag) for tag in ("00080020", "00100030", "00200010")] == ["", "", ""]


def dumped(path: Path) -> str:
    """A report as DCMTK prints it, with the codes of all names and whole texts."""
    return told("dsrdump", "-q", "+Pl", "+Pc", path)


def test_a_report_holds_the_primitives_and_the_algorithm(written: dict[tuple[str, str], Path]) -> None:
    path = written["one of two refused", "sr"]
    said = dumped(path)
    assert "[1500]" in told("dcmdump", "+P", "0040,db00", path)
    for line in (
        "Preliminary Flag    : PRELIMINARY",
        "Verification Flag   : UNVERIFIED",
        '(112039,DCM,"Tracking Identifier")="R hip"',
        '(112039,DCM,"Tracking Identifier")="L hip"',
        f'(111003,DCM,"Algorithm Version")="{__version__}"',
        '=(123110,DCM,"Artificial Intelligence")',
        '=(24028007,SCT,"Right")',
        '=(7771000,SCT,"Left")',
        '=(read,99BMDEDGE,"Read")',
        '=(refused,99BMDEDGE,"Refused")',
        '=(implant,99BMDEDGE,"Implant")',
        '(111002,DCM,"Algorithm Parameters")="bundle test"',
    ):
        assert line in said, line
    tracked = re.findall(r'"Tracking Unique Identifier"\)="([\d.]+)"', said)
    assert len(set(tracked)) == len(tracked) == 2
    film = pydicom.dcmread(io.BytesIO(NAMED["one of two refused"]))
    lines = re.findall(r"\(POLYLINE,([^)]+)\)", said)
    assert len(lines) == 2
    for line in lines:
        for point in line.split(","):
            x, y = map(float, point.split("/"))
            assert 0 <= x <= film.Columns
            assert 0 <= y <= film.Rows
    assert said.count("<selected from IMAGE") == 2


def test_every_code_of_our_scheme_is_on_the_page_or_is_one_of_the_programs(
    written: dict[tuple[str, str], Path],
) -> None:
    table = {code.strip("`"): meaning for code, meaning in rows("### Coding scheme 99BMDEDGE")}
    spoken = {*REFUSALS, *FLAGS, *HEADLINES, "read", "refused", "failed"}
    used = set()
    for (_, kind), path in written.items():
        if kind == "sr":
            used |= set(re.findall(r'\(([^(),]+),99BMDEDGE,"([^"]+)"\)', dumped(path)))
    assert len(used) > 10
    for code, meaning in used:
        assert table.get(code) == meaning or (code in spoken and meaning == code.replace("_", " ").capitalize())


def test_a_later_report_names_the_one_before(written: dict[tuple[str, str], Path]) -> None:
    before = value(read(written["right", "sr"]), "00080018")
    assert before in told("dcmdump", "+P", "0040,a360", "+p", written["second", "sr"])
