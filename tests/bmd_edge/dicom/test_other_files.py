"""Archives are told from what can hold no film."""

import gzip
import io
import tarfile
import zipfile

import pytest

from bmd_edge.dicom.header import read_header
from bmd_edge.dicom.other_files import other_kind
from bmd_edge.errors import FilmRefused
from tests.support import films


def zipped(name: str = "STUDY/IM000000") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, films.dicom_bytes())
        archive.writestr("README", "text")
    return file.getvalue()


def tarred(mode: str) -> bytes:
    file, data = io.BytesIO(), films.dicom_bytes()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        member = tarfile.TarInfo("IM000000")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped(), "packed_file"),
        (zipped()[:-150], "broken_packed_file"),
        (zipped("[Content_Types].xml"), "not_dicom"),
        (zipped("mimetype"), "not_dicom"),
        (gzip.compress(films.dicom_bytes()), "packed_file"),
        (tarred("w:gz"), "packed_file"),
        (tarred("w:xz"), "packed_file"),
        (tarred("w"), "packed_file"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "packed_file"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(100), "packed_file"),
        (b"Dear colleague", "not_dicom"),
        (b"PK are my initials", "not_dicom"),
    ],
)
def test_kinds(data: bytes, code: str) -> None:
    assert other_kind(data) == code
    with pytest.raises(FilmRefused) as caught:
        read_header(data)
    assert caught.value.code == code


def test_the_first_bytes_alone_do_not_say_that_an_archive_is_cut_off() -> None:
    assert other_kind(zipped()[:132], whole=False) == "packed_file"
