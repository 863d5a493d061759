"""Names in a table that mean one thing in several spellings: subjects, and films with accented letters."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

_DASHES = re.compile("[\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]")
_WHOLE_NUMBER = re.compile(r"0*(\d+)(\.0+)?")


def subject_key(name: str) -> str:
    """One text for all spellings of a subject's name.

    Case, composed and decomposed letters, full width, spaces, dashes and signs that do not show make no other subject;
    nor do zeros in front of a whole number or ".0" behind it, which spreadsheets and data frames drop and add.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    text = " ".join(_DASHES.sub("-", text).split())
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def film_key(name: str) -> str:
    """One text for a film's path with composed and with decomposed letters."""
    return unicodedata.normalize("NFC", name)


def found_film(folder: Path, film: str) -> Path:
    """Where a film lies: `film` below `folder`, its letters composed or decomposed as the disk has them.

    A table from one system and films from another spell the same name in other bytes; macOS decomposes.
    """
    path = folder
    for part in PurePosixPath(film).parts:
        spelled = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD") if not part.isascii()))
        path = path / next((one for one in spelled[1:] if (path / one).exists()), part)
    return path
