"""What somebody who mends a fault needs to know of an installation: one text, to be read before it is sent.

It holds no patient's data: results are counted, not repeated; the journal holds none; and each line is compared with
what the headers of the films in the spool say of their patients.
"""

import json
import os
import platform
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydicom

from bmd_edge.clinic.config import Config, read_own_config
from bmd_edge.clinic.journal.films import SPOOL
from bmd_edge.clinic.journal.store import NAME, Journal
from bmd_edge.errors import BmdEdgeError, UsageError
from bmd_edge.system.check import Check
from bmd_edge.system.files import NotRegular, TooLarge, read_file
from bmd_edge.version import __version__

LEFT_OUT = "(a line was left out: it holds what a film in the spool says of its patient)"
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG", "PYTHONUTF8", "OMP_NUM_THREADS")
_LOG_BYTES = 200_000
_EVENTS = 300
_RUN_BYTES = 10_000_000
_OF_PATIENTS = (
    "PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "OtherPatientIDs", "OtherPatientIDsSequence",
    "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson", "ReferringPhysicianName",
    "PatientTelephoneNumbers",
)  # fmt: skip
_SHORTEST = 3
"""Letters of a word of a header that is looked for, if they are Latin: an ID "7" would be found in every line."""
_WORD = re.compile(r"[^\W_]+")


def support_text(checks: Iterable[Check], results: Path | None, config: Path | None) -> Iterator[str]:
    """The lines of the text, without their ends.

    Args:
        checks: what `bmd-edge doctor` finds.
        results: a folder of results of `screen`, or None.
        config: a clinic box's clinic.toml, or None.

    Raises UsageError where one of the two is not there or is none.
    """
    box = read_own_config(config) if config else None
    words = _words_of_patients(box.root) if box else set()
    foreign = [word for word in words if not word.isascii()]
    for line in _lines(checks, results, box):
        yield LEFT_OUT if _names_somebody(line, words, foreign) else line


def _lines(checks: Iterable[Check], results: Path | None, box: Config | None) -> Iterator[str]:
    yield f"bmd-edge {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, research use only"
    yield f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
    yield ", ".join(f"{name}={os.environ[name]}" for name in _LOCALE if name in os.environ)
    yield from _section("doctor", _checked(checks))
    if results:
        yield from _section("results", _results(results))
    if box:
        yield from _section("clinic.toml, as it was read", _setting(asdict(box)))
        yield from _section("clinic doctor", _clinic_checked(box))
        yield from _section("journal", _journal(box))
        for path in sorted((box.root / "log").glob("*.log")):
            yield from _section(f"log/{path.name}, its end", _end_of(path))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield f"== {title}"
    yield from lines


def _checked(checks: Iterable[Check]) -> Iterator[str]:
    yield from (f"{'ok' if one.sound else 'FAIL':<4}  {one.what:<42} {one.detail}" for one in checks)


def _results(folder: Path) -> Iterator[str]:
    """run.json: versions, device, counts by reason; not which key made the patients' pseudonyms."""
    try:
        run = json.loads(read_file(folder / "run.json", _RUN_BYTES))
    except (OSError, ValueError, NotRegular, TooLarge):
        raise UsageError("--results: holds no run.json of a run: give the --out of `bmd-edge screen`") from None
    if not isinstance(run, dict):
        raise UsageError("--results: its run.json is none of this program: give the --out of `bmd-edge screen`")
    yield from _setting({name: value for name, value in run.items() if name != "patient_key"})


def _setting(values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield f"{name} = {json.dumps(value, default=str)}"


def _clinic_checked(box: Config) -> Iterator[str]:
    from bmd_edge.clinic.setup.doctor import examine  # which needs the extra `clinic`

    yield from _checked(examine(box))


def _journal(box: Config) -> Iterator[str]:
    """How many films, objects and deliveries are in which state, and the newest events."""
    if not (box.root / NAME).is_file():
        yield "none yet"
        return
    try:
        with closing(Journal(box.root)) as journal:
            for table, columns in (
                ("film", "state, reason, door, unit, syntax"),
                ("object", "kind, version"),
                ("delivery", "destination, state, reason, last_status"),
                ("event", "what"),
            ):
                for row in journal.rows(f"SELECT {columns}, COUNT(*) AS n FROM {table} GROUP BY {columns}"):
                    yield f"{table}: {', '.join(f'{name} {row[name]}' for name in row.keys())}"  # noqa: SIM118 - a row
            for row in reversed(journal.rows(f"SELECT * FROM event ORDER BY n DESC LIMIT {_EVENTS}")):
                when = datetime.fromtimestamp(row["at"], UTC)
                yield f"{when:%Y-%m-%d %H:%M:%S} {row['what']} {row['film_key'][:16]} {row['detail']}"
    except (OSError, BmdEdgeError) as error:
        yield f"cannot be read: {error}"


def _end_of(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            yield from file.read(_LOG_BYTES).decode("utf-8", "backslashreplace").splitlines()
    except OSError as error:
        yield f"cannot be read: {error.strerror}"


# -- patients -----------------------------------------------------------------------------------------------------


def _names_somebody(line: str, words: set[str], foreign: Iterable[str]) -> bool:
    """Whether a line holds one of the words; `foreign` ones are looked for within others: Japanese has no spaces."""
    low = line.casefold()
    return not words.isdisjoint(_words(low)) or (not line.isascii() and any(word in low for word in foreign))


def _words(text: str) -> list[str]:
    """Words of a text, and each two that follow one another, by which "Li Wu" is known without every "li"."""
    words = _WORD.findall(text.casefold())
    return words + [f"{one} {behind}" for one, behind in pairwise(words)]


def _words_of_patients(root: Path) -> set[str]:
    """The words of films in the spool about their patients that can be told from others: not "7", no time of day."""
    found = {word for path in (root / SPOOL).rglob("*.dcm") for text in _said_of_patient(path) for word in _words(text)}
    pair_of_numbers = re.compile(r"\d+ \d+")
    return {
        word for word in found if not word.isascii() or (len(word) >= _SHORTEST and not pair_of_numbers.fullmatch(word))
    }


def _said_of_patient(path: Path) -> list[str]:
    """Each value as its letters are, and as its bytes would stand in a log."""
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote the header
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_OF_PATIENTS), force=True)
        except Exception:  # noqa: BLE001 - whatever pydicom finds wrong in a film, the next one is looked at
            return said
        for name in _OF_PATIENTS:
            try:
                raw: Any = header.get_item(name)
                if raw is not None and isinstance(raw.value, bytes):
                    said.append(raw.value.decode("utf-8", "backslashreplace"))
                said.append(str(header.get(name, "")))
            except Exception:  # noqa: BLE001, S112 - and the next value
                continue
    return said
