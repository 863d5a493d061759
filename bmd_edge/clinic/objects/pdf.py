"""A report as pages to print: an Encapsulated PDF (PS3.3 A.45.1), with the patient's name, the film and all words.

PDF 1.4 with the two fonts that every reader has: their letters are those of western Europe, and what is written in
others is not printed.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence

from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.panel import BAR, NOT_DRAWN, Line, cautions, footer, of_film, of_hip
from bmd_edge.clinic.objects.picture import FilmPicture, marked_film
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.series import DESCRIPTION, begun, dated, film_reference
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.safe_text import visible

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
_PAGE = 595, 842  # A4 in points
_MARGIN, _BAR, _FOOT = 40, 34, 30
_TOP = _PAGE[1] - _BAR - 16
_FILM = 515, 330
"""The largest picture of the film."""
_STYLES = {"headline": ("B", 12, 8), "hip": ("B", 11, 10), "number": ("B", 11, 3), "refusal": ("B", 10, 4)}
"""Kind of line -> font, size and space above it; the others are plain text."""
_PLAIN = "R", 9.5, 2
_LEADING = 1.25
_MOST_TEXT = 128
"""Letters of a value of the header that are printed; the standard allows 64 (PS3.5 6.2, LO and each part of PN)."""
_NOT_PRINTED = "in letters that cannot be printed here: see the object's header"
# fmt: off
_WIDTHS = (
    278, 333, 474, 556, 556, 889, 722, 278, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778,
    722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333,
    278, 333, 584, 556, 278, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
)
# fmt: on
"""Of Helvetica-Bold from space to tilde, in thousandths of the size (Adobe's metrics); the plain font is no wider."""
_WIDE = 1000  # the widest of all other letters; names alone have them
Row = tuple[str, float, float, str]
"""Font, size, height and text of a line on the page."""


def encapsulated(
    report: FilmReport, film: FilmPicture | None, study: Study, occasion: Occasion, names: Mapping[str, str]
) -> Dataset:
    """Make the object of a film; `names` holds its "instance" and "series" UIDs, `film` is None if not decoded."""
    made = begun("pdf", SOP_CLASS, study, occasion, names)
    made.Modality, made.ConversionType = "DOC", "WSD"
    made.BurnedInAnnotation = "YES"  # the pages name the patient
    made.AcquisitionDateTime = ""
    made.SourceInstanceSequence = [film_reference(study)]
    made.DocumentTitle, made.ConceptNameCodeSequence = DESCRIPTION, []
    document = pages(report, film, study, occasion)
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument, made.EncapsulatedDocumentLength = document, len(document)
    dated(made, occasion.received)
    return made


def pages(report: FilmReport, film: FilmPicture | None, study: Study, occasion: Occasion) -> bytes:
    """The document, of an even number of bytes, so that its element needs no padding."""
    picture, top = marked_film(report, film) if film else None, float(_TOP)
    lines = [*_who(study), *of_film(report), *(line for hip in report.hips for line in of_hip(hip))]
    lines += [*cautions(report), Line("text", ""), *footer(report, occasion)]
    rows = [row for line in lines for row in _rows(line)]
    drawn = ""
    jpeg = b""
    if picture is not None:
        scale = min(_FILM[0] / picture.width, _FILM[1] / picture.height)
        width, height = picture.width * scale, picture.height * scale
        top -= height
        drawn = f"q {width:.2f} 0 0 {height:.2f} {(_PAGE[0] - width) / 2:.2f} {top:.2f} cm /Film Do Q\n"
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        jpeg = file.getvalue()
    contents = [drawn + page if n == 0 else page for n, page in enumerate(_laid_out(rows, top - 8))]
    size = picture.size if picture else None
    return _document([_head(n, len(contents)) + one for n, one in enumerate(contents)], size, jpeg)


def _who(study: Study) -> Iterator[Line]:
    """The patient and the study as the film has them, what is empty left out."""
    shared = study.shared
    name = shared.PatientName
    words = ", ".join(part for part in (name.family_name, name.given_name) if part) if name else ""
    said = {
        "Patient": words or (_NOT_PRINTED if str(name) else ""),
        "ID": str(shared.PatientID),
        "Born": _day(shared.PatientBirthDate),
        "Sex": str(shared.PatientSex),
        "Accession": str(shared.AccessionNumber),
        "Film of": _day(shared.StudyDate),
    }
    yield Line("number", f"Patient: {_printed(said.pop('Patient')) or 'no name'}")
    if rest := "    ".join(f"{what}: {_printed(value)}" for what, value in said.items() if value):
        yield Line("text", rest)


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else ""


def _printed(text: str) -> str:
    """A value of the header in letters of the page; what would act or not be seen is spelled out."""
    text = visible(text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…")
    return text if _can_be_printed(text) else _NOT_PRINTED


def _can_be_printed(text: str) -> bool:
    """Whether the fonts of a page have every letter."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


# -- lines on pages -----------------------------------------------------------------------------------------------


def _rows(line: Line) -> Iterator[Row]:
    """A line, broken to the width of the page."""
    font, size, above = _STYLES.get(line.kind, _PLAIN)
    row = ""
    for word in re.split(r"[ \n]", line.text if _can_be_printed(line.text) else NOT_DRAWN):
        longer = f"{row} {word}" if row else word
        if row and not _fits(longer, size):
            yield font, size, above + _LEADING * size, row
            longer, above = word, 0
        row = longer
        while not _fits(row, size):  # one word that no row has room for
            n = next(n for n in range(len(row), 0, -1) if _fits(row[:n], size))
            yield font, size, above + _LEADING * size, row[:n]
            row, above = row[n:], 0
    yield font, size, above + _LEADING * size, row


def _fits(text: str, size: float) -> bool:
    return _width(text) * size <= _PAGE[0] - 2 * _MARGIN


def _width(text: str) -> float:
    return sum(_WIDTHS[ord(one) - 32] if " " <= one <= "~" else _WIDE for one in text) / 1000


def _laid_out(rows: Sequence[Row], top: float) -> Iterator[str]:
    """The contents of each page, the first of which begins at `top`."""
    page, y = "", top
    for font, size, height, text in rows:
        if y - height < _MARGIN + _FOOT:
            yield page
            page, y = "", float(_TOP)
        y -= height
        page += _written(font, size, _MARGIN, y, text)
    yield page


def _head(number: int, of: int) -> str:
    """The red bar above each page, and which page it is."""
    bar = f"q 0.69 0 0.125 rg 0 {_PAGE[1] - _BAR} {_PAGE[0]} {_BAR} re f Q\n"
    left = (_PAGE[0] - _width(BAR) * 16) / 2
    title = f"1 g\n{_written('B', 16, left, _PAGE[1] - _BAR + 11, BAR)}0 g\n"
    return bar + title + _written("R", 8, _MARGIN, _FOOT, f"{DESCRIPTION}, page {number + 1} of {of}")


def _written(font: str, size: float, x: float, y: float, text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {x:.2f} {y:.2f} Td ({escaped}) Tj ET\n"


# -- the file -----------------------------------------------------------------------------------------------------


def _document(contents: Sequence[str], film: tuple[int, int] | None, jpeg: bytes) -> bytes:
    """ISO 32000-1 7.5: header, objects, table of their places, trailer."""
    first = 7  # the number of the first page; behind each stands its contents
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(contents)))
    fonts = "<< /R 4 0 R /B 5 0 R >>"
    media = f"/MediaBox [0 0 {_PAGE[0]} {_PAGE[1]}]"
    pictures = " /XObject << /Film 6 0 R >>" if film else ""
    width, height = film or (0, 0)
    image = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB /BitsPerComponent 8"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>",
        f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>".encode(),
        f"<< /Title ({DESCRIPTION.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) >>".encode(),
        *(_font(name) for name in ("Helvetica", "Helvetica-Bold")),
        _stream(f"{image} /Filter /DCTDecode", jpeg) if film else b"null",
    ]
    for n, text in enumerate(contents):
        page = f"/Type /Page /Parent 2 0 R {media} /Contents {first + 2 * n + 1} 0 R"
        objects.append(f"<< {page} /Resources << /Font {fonts}{pictures} >> >>".encode())
        objects.append(_stream("", text.encode("cp1252")))
    file, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj\n".encode() + one + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()
    return file + b"\n" * (len(file) % 2)


def _font(name: str) -> bytes:
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()


def _stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"
