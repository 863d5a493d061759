"""The pages to print: what stands on them, and that other programs read them."""

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pydicom
import pytest

from bmd_edge.clinic.objects import pdf
from bmd_edge.clinic.objects.panel import BAR, NOT_DRAWN, cautions, footer, results
from bmd_edge.clinic.objects.pdf import pages
from bmd_edge.clinic.objects.study import study_of
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.report.film_report import RESEARCH_USE
from tests.bmd_edge.clinic.objects.said import OCCASION, said_of
from tests.bmd_edge.clinic.objects.test_picture import GRAY, full
from tests.support.screening import hip_dicom

TITLE = "BMD estimate (research use only)"
needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")


def document(film: bytes) -> bytes:
    data = pydicom.dcmread(io.BytesIO(said_of(film)[1]["pdf"].data))
    assert data.EncapsulatedDocumentLength == len(data.EncapsulatedDocument)
    return data.EncapsulatedDocument


def read(file: bytes, place: Path, *command: str) -> str:
    (place / "page.pdf").write_bytes(file)
    done = subprocess.run([command[0], *command[1:], place / "page.pdf", "-"], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def drawn(file: bytes) -> list[str]:
    """Every text on the pages, in order, as cp1252 has it."""
    found = re.findall(rb"Td \((.*?)\) Tj ET", file, re.DOTALL)
    return [re.sub(rb"\\([()\\])", rb"\1", one).decode("cp1252") for one in found]


def test_the_object_says_what_it_holds() -> None:
    data = pydicom.dcmread(io.BytesIO(said_of(hip_dicom("R"))[1]["pdf"].data))
    assert (data.DocumentTitle, data.MIMETypeOfEncapsulatedDocument) == (TITLE, "application/pdf")
    assert (data.Modality, data.BurnedInAnnotation, data.SeriesNumber) == ("DOC", "YES", 9004)
    assert len(data.EncapsulatedDocument) % 2 == 0
    assert data.EncapsulatedDocument.startswith(b"%PDF-1.4")
    assert data.EncapsulatedDocument.rstrip().endswith(b"%%EOF")


@needs_poppler
def test_poppler_reads_every_word_and_the_title(tmp_path: Path) -> None:
    film = hip_dicom("RL", PatientName="Doe^Jane", PatientBirthDate="19560301", AccessionNumber="A(7)\\8")
    report, _ = said_of(film)
    file = document(film)
    said = " ".join(read(file, tmp_path, "pdftotext", "-layout").split())
    for line in (*results(report), *cautions(report), *footer(report, OCCASION)):
        assert " ".join(line.text.split()) in said
    for words in (BAR, "Patient: Doe, Jane", "Born: 1956-03-01", "Sex: F", "Accession: A(7)", f"{TITLE}, page 1 of 1"):
        assert words in said
    assert f"Title: {TITLE}" in " ".join(
        subprocess.run(["pdfinfo", tmp_path / "page.pdf"], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.skipif(not shutil.which("qpdf"), reason="qpdf is not installed")
def test_the_file_is_whole(tmp_path: Path) -> None:
    for film in (hip_dicom("R"), hip_dicom("R", ImagerPixelSpacing=None), hip_dicom("R", PatientName="A(\\^)B")):
        (tmp_path / "page.pdf").write_bytes(document(film))
        done = subprocess.run(["qpdf", "--check", tmp_path / "page.pdf"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen"}, "Müller, Jürgen"),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Yamada^Tarou=山田^太郎"}, "Yamada, Tarou"),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Łukasz^Żółć"}, pdf._NOT_PRINTED),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "=山田^太郎"}, pdf._NOT_PRINTED),
        ({"PatientName": ""}, "no name"),
        ({"PatientName": None}, "no name"),
    ],
)
def test_a_name_is_printed_whole_or_not_at_all(header: dict[str, str], said: str) -> None:
    assert f"Patient: {said}" in drawn(document(hip_dicom("R", **header)))


def test_what_has_no_room_goes_on_on_another_page() -> None:
    film = hip_dicom("RL")
    report = full(said_of(film)[0])
    file = pages(report, GRAY, study_of(film), OCCASION)
    words = drawn(file)
    assert words.count(BAR) == file.count(b"/Type /Page ") == 2
    assert f"{TITLE}, page 2 of 2" in words
    told = " ".join(words)
    for line in (*results(report), *cautions(report), *footer(report, OCCASION)):
        assert line.text in told
    lowest = [float(y) for y in re.findall(rb"Tf \S+ (\S+) Td", file)]
    assert min(lowest) >= pdf._FOOT


def test_a_film_that_was_not_decoded_has_pages_without_a_picture() -> None:
    film = hip_dicom("R", ImagerPixelSpacing=None)
    report = replace(said_of(film)[0], hips=())
    file = pages(report, None, study_of(film), OCCASION)
    assert b"/Film Do" not in file
    assert REFUSALS["no_spacing"].sentence in " ".join(drawn(file))


def test_every_sentence_has_letters_of_the_fonts() -> None:
    for words in (*FLAGS.values(), *(text for one in REFUSALS.values() for text in (one.sentence, one.remedy))):
        assert words.encode("cp1252").decode("cp1252") == words


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
@pytest.mark.parametrize(
    ("patient", "printed"),
    [
        ("A\nB\x00C\x07", r"ID: A\nB\x00C\x07"),
        ("A\u202eB", r"ID: A\u202eB"),
        ("I" * 10_000, "I" * 60),
        ("山", "ID: in"),
    ],
)
def test_an_id_is_never_printed_as_another_one(patient: str, printed: str) -> None:
    film = hip_dicom("R", SpecificCharacterSet="ISO_IR 192", PatientID=patient)
    (line,) = [line for line in pdf._who(study_of(film)) if line.text.startswith("ID: ")]
    assert printed in line.text
    if len(patient) > 128:
        assert f"{'I' * 128}…" in line.text


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
def test_no_row_is_wider_than_the_page() -> None:
    film = hip_dicom("R", PatientName="W" * 10_000, PatientID="W" * 10_000, AccessionNumber="W" * 10_000)
    rows = [row for line in pdf._who(study_of(film)) for row in pdf._rows(line)]
    assert len(rows) > 6
    assert all(pdf._MARGIN + pdf._width(text) * size <= pdf._PAGE[0] - pdf._MARGIN for _, size, _, text in rows)
    assert "".join(text for *_, text in rows).count("W") == 3 * 128


def test_words_of_a_bundle_in_other_letters_cost_no_film_its_pages() -> None:
    notice = "研究用途に限ります。"
    occasion = replace(OCCASION, box=replace(OCCASION.box, notice=notice))
    data = pydicom.dcmread(io.BytesIO(said_of(hip_dicom("R"), occasion)[1]["pdf"].data))
    told = " ".join(drawn(data.EncapsulatedDocument))
    assert NOT_DRAWN in told
    assert "\\u" not in told
    assert RESEARCH_USE in told


def test_widths_are_those_of_the_font_and_no_letter_of_the_plain_one_is_much_wider() -> None:
    fonts = Path(mpl.get_data_path()) / "fonts" / "pdfcorefonts"
    bold, plain = (
        {int(code): int(width) for code, width in re.findall(r"^C (\d+) ; WX (\d+)", text, re.MULTILINE)}
        for text in ((fonts / f"{name}.afm").read_text() for name in ("Helvetica-Bold", "Helvetica"))
    )
    assert tuple(bold[code] for code in range(32, 127)) == pdf._WIDTHS
    assert all(plain[code] <= bold[code] for code in range(32, 127) if chr(code) != "@")
