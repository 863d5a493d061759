"""What somebody who mends a fault needs to know of an installation: one text, to be read before it is sent.

It holds no patient's data: results are counted, not repeated; the journal holds none; and each line is compared with
what the headers of the films in the spool say of their patients.
"""

import json
import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
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
_OF_PATIENTS = ("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber")
_SHORTEST = 3
"""Letters of a word of a header that is looked for: a patient's ID "7" would be found in every line."""


def support_text(checks: Iterable[Check], results: Path | None, config: Path | None) -> Iterator[str]:
    """The lines of the text, without their ends.

    Args:
        checks: what `bmd-edge doctor` finds.
        results: a folder of results of `screen`, or None.
        config: a clinic box's clinic.toml, or None.

    Raises UsageError where one of the two is not there or is none.
    """
    box = read_own_config(config) if config else None
    words = _words_of_patients(box.root) if box else None
    for line in _lines(checks, results, box):
        yield LEFT_OUT if words and words.search(line) else line


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
        yield f"{name} = {re.sub('//[^/@]*@', '//', json.dumps(value, default=str))}"  # no password of an address


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


def _words_of_patients(root: Path) -> re.Pattern[str] | None:
    """Finds every word of three letters or more that a film in the spool says of its patient; None without any."""
    found: set[str] = set()
    for path in (root / SPOOL).rglob("*.dcm"):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_OF_PATIENTS), force=True)
            said = " ".join(str(header.get(name, "")) for name in _OF_PATIENTS)
        except Exception:  # noqa: BLE001, S112 - whatever pydicom finds wrong in a film, the next one is looked at
            continue
        found |= {word.casefold() for word in re.findall(r"\w+", said) if len(word) >= _SHORTEST}
    words = "|".join(map(re.escape, sorted(found)))
    return re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE) if found else None
