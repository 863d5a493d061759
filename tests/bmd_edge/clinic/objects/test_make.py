"""All objects of every kind of film are valid DICOM, say the same numbers, and bear names that follow from them."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from bmd_edge.clinic.objects.make import Made
from bmd_edge.report.results import write_csv
from tests.bmd_edge.clinic.objects.said import KINDS, OCCASION, said_of, second
from tests.support import films as odd
from tests.support.clinic.viewer import numbers_of_csv
from tests.support.screening import hip_dicom
from tests.whole.clinic.valid import KANJI, LATIN, UTF8, errors, faults, mixed

FILMS = {
    "right": lambda: hip_dicom("R"),
    "left": lambda: hip_dicom("L"),
    "pelvis": lambda: hip_dicom("RL"),
    "implant": lambda: hip_dicom("R", implant="R"),
    "one of two refused": lambda: hip_dicom("RL", implant="L"),
    "no hip": lambda: hip_dicom(""),
    "no age": lambda: hip_dicom("R", PatientAge=None),
    "man": lambda: hip_dicom("R", PatientSex="M"),
    "sex unknown": lambda: hip_dicom("R", PatientSex=None),
    "young": lambda: hip_dicom("R", PatientAge="042Y"),
    "child": lambda: hip_dicom("R", PatientAge="012Y"),
    "wrong body part": lambda: hip_dicom("R", BodyPartExamined="CHEST"),
    "no spacing": lambda: hip_dicom("R", ImagerPixelSpacing=None),
    "empty charset": lambda: hip_dicom("R", SpecificCharacterSet=""),
    "kanji": lambda: hip_dicom("R", **KANJI),
    "utf-8": lambda: hip_dicom("R", **UTF8),
    "latin-1": lambda: hip_dicom("R", **LATIN),
    "nameless": lambda: hip_dicom("R", PatientName="", PatientID=""),
    "no patient": lambda: hip_dicom("R", PatientName=None, PatientID=None, PatientSex=None),
    "odd sex and age": lambda: odd.dicom_bytes(odd.pixels(400, 300), PatientSex="FEMALE", PatientAge="67"),
    "odd dates": lambda: odd.dicom_bytes(odd.pixels(400, 300), StudyDate="2024.05.17", PatientBirthDate="1956-03-01"),
    "long study id": lambda: odd.dicom_bytes(odd.pixels(400, 300), StudyID="S" * 40),
    "raw": lambda: odd.dicom_bytes(odd.pixels(400, 300), SOPClassUID=odd.DX_PROCESSING),
}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", FILMS)
def test_the_objects_of_every_film_are_valid(name: str, tmp_path: Path) -> None:
    film = FILMS[name]()
    (tmp_path / "film.dcm").write_bytes(film)
    _, made = said_of(film)
    _, again = said_of(film, second(made, "header corrected"))
    paths = []
    for number, one in enumerate([*made.values(), *again.values()]):
        path = tmp_path / f"{number}{one.kind}.dcm"
        path.write_bytes(one.data)
        assert errors("dciodvfy", path) == []
        paths.append(path)
    assert errors("dcentvfy", *paths) == []


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_objects_of_mixed_headers_are_valid(tmp_path: Path) -> None:
    """Some of those that `python -m tests.whole.clinic.valid` looks at."""
    some = [mixed(number) for number in range(8)]
    seen = []
    for one in some:
        report, _, wrong = faults(one, tmp_path)
        assert wrong == []
        seen.append(report.status)
    assert {"read", "refused"} <= set(seen)
    assert {one.sided for one in some} == {True, False}


def numbers_of_sr(made: Made) -> dict[tuple[str, str, str], str]:
    """(side, site, what) -> the number as it is written."""
    found = {}
    report = pydicom.dcmread(io.BytesIO(made.data))
    for group in report.ContentSequence[-1].ContentSequence:
        side = ""
        for item in group.ContentSequence:
            for part in item.get("ContentSequence", ()):
                if part.ConceptNameCodeSequence[0].CodeMeaning == "Laterality":
                    side = part.ConceptCodeSequence[0].CodeMeaning[0]
            if item.ValueType == "NUM":
                found |= _number(side, item)
    return found


def _number(side: str, item: pydicom.Dataset) -> dict[tuple[str, str, str], str]:
    name = item.ConceptNameCodeSequence[0].CodeValue
    parts = {part.ConceptNameCodeSequence[0].CodeValue: part for part in item.ContentSequence}
    site = {"29627003": "femoral_neck", "310651003": "total_hip"}[parts["363698007"].ConceptCodeSequence[0].CodeValue]
    value = item.MeasuredValueSequence[0]
    unit = value.MeasurementUnitsCodeSequence[0].CodeValue
    if name == "t-score-rx":
        assert unit == "{T-score}"
        return {(side, site, "t_score"): str(value.NumericValue)}
    assert unit == "g/cm2"
    bmd, found = value.NumericValue, {(side, site, "bmd"): str(value.NumericValue)}
    for code, what, sign in (("371886008", "high", 1), ("371885007", "low", -1)):
        part = parts[code].MeasuredValueSequence[0]
        assert part.MeasurementUnitsCodeSequence[0].CodeValue == "g/cm2"
        found[side, site, what] = f"{float(bmd) + sign * float(part.NumericValue):.4f}"
    return found


def words_of(made: Made) -> str:
    """What an object says to a person."""
    data = pydicom.dcmread(io.BytesIO(made.data))
    if made.kind == "sc":
        return str(data.ImageComments)
    if made.kind == "pdf":
        return data.EncapsulatedDocument.decode("latin-1")
    (annotation,) = data.GraphicAnnotationSequence
    return "\n".join(one.UnformattedTextValue for one in annotation.TextObjectSequence)


@pytest.mark.parametrize("name", ["right", "left", "pelvis", "one of two refused", "no age", "no hip"])
def test_the_csv_and_every_object_say_the_same_numbers(name: str, tmp_path: Path) -> None:
    report, made = said_of(FILMS[name]())
    write_csv(tmp_path / "results.csv", [report])
    cells = numbers_of_csv(tmp_path / "results.csv")
    said = numbers_of_sr(made["sr"])
    assert {key: float(one) for key, one in said.items()} == {key: float(cell) for key, cell in cells.items()}
    for kind in ("sc", "gsps", "pdf"):
        words = words_of(made[kind])
        for (*_, what), cell in cells.items():
            assert (f"{float(cell):.3f}" if what != "t_score" else f"T {float(cell):+.1f}") in words, kind
        assert words.count(" g/cm2") == sum(what != "t_score" for *_, what in cells) * 2 / 3  # two bounds, one unit
    numbers = {"right": 8, "left": 8, "pelvis": 16, "one of two refused": 8, "no age": 6, "no hip": 0}
    assert len(cells) == numbers[name]


@pytest.mark.skipif(not shutil.which("dsrdump"), reason="DCMTK is not installed")
def test_dcmtk_reads_the_numbers_too(tmp_path: Path) -> None:
    report, made = said_of(FILMS["pelvis"]())
    (tmp_path / "sr.dcm").write_bytes(made["sr"].data)
    dumped = subprocess.run(["dsrdump", tmp_path / "sr.dcm"], capture_output=True, text=True, check=True).stdout
    for hip in report.hips:
        for one in hip.estimates:
            assert f'="{one.bmd_gcm2:g}" (g/cm2,UCUM' in dumped
            assert f'="{one.t_score}" ({{T-score}},UCUM' in dumped


def test_the_same_answer_has_the_same_bytes() -> None:
    first, again = (said_of(FILMS["pelvis"]())[1] for _ in range(2))
    assert first == again


def uids(film: bytes) -> set[str]:
    return {one.sop_instance_uid for one in said_of(film)[1].values()}


def syntaxes() -> Iterator[bytes]:
    frame = odd.pixels(400, 300)
    for syntax in (odd.EXPLICIT, odd.IMPLICIT, odd.JPEG_2000_LOSSLESS, odd.RLE):
        yield odd.dicom_bytes(frame, syntax)


def test_a_film_has_one_result_in_every_lossless_syntax() -> None:
    assert len(set.union(*map(uids, syntaxes()))) == len(KINDS)


def test_what_changes_the_answer_changes_the_name_and_nothing_else_does() -> None:
    film = {"SOPInstanceUID": "1.2.3", "PatientBirthDate": "19500101", "StudyDate": "20260101", "PatientAge": None}
    first = uids(hip_dicom("R", **film))
    assert uids(hip_dicom("R", **film, OperatorsName="Someone^Else")) == first
    for other in ({"PatientSex": "M"}, {"PatientBirthDate": "19400101"}, {"SOPInstanceUID": "1.2.4"}):
        assert not uids(hip_dicom("R", **film | other)) & first, other


def test_a_later_version_names_the_one_before() -> None:
    _, made = said_of(FILMS["right"]())
    _, again = said_of(FILMS["right"](), second(made, "header corrected"))
    report, picture = (pydicom.dcmread(io.BytesIO(again[kind].data)) for kind in ("sr", "sc"))
    (before,) = report.PredecessorDocumentsSequence
    assert before.StudyInstanceUID == report.StudyInstanceUID
    (series,) = before.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == report.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == made["sr"].sop_instance_uid
    assert "Version 2, replaces 1: header corrected" in picture.ImageComments
    assert {one.sop_instance_uid for one in again.values()}.isdisjoint(one.sop_instance_uid for one in made.values())
    assert OCCASION.version.number == 1
