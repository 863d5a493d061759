"""What a file is that is no DICOM file, told by its first bytes: films may lie in a packed one."""

_ZIP, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_PACKED = (_ZIP, _ZIP_END, b"\x1f\x8b", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
_DOCUMENTS = (b"[Content_Types].xml", b"mimetype", b"META-INF/")
"""Names of the first member of a zip that is a document of an office or a program (ECMA-376, OpenDocument, JAR)."""
_LONGEST_ZIP_END = 22 + 65_535  # with its comment (APPNOTE 4.3.16)


def other_kind(data: bytes, *, whole: bool = True) -> str:
    """The refusal code of what is no DICOM file: `packed_file`, `broken_packed_file` or `not_dicom`.

    `whole` says whether `data` are all bytes of the file, or its first ones.
    """
    if not data.startswith(_PACKED) and data[257:262] != b"ustar":
        return "not_dicom"
    if data.startswith(_ZIP):
        if data[30:].startswith(_DOCUMENTS):
            return "not_dicom"
        if whole and _ZIP_END not in data[-_LONGEST_ZIP_END:]:
            return "broken_packed_file"
    return "packed_file"
