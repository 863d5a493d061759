"""Films and folders as the field sends them, kept beside the project and only measured: `BMD_EDGE_REAL_FILMS`/../judge.

Its own script says of every film whether what was said of it is right. Our own films of the same kinds stand in
`tests/support/odd_films.py` and beside the modules that judge them.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REAL_FILMS = Path(os.environ.get("BMD_EDGE_REAL_FILMS", ROOT / ".." / "shared" / "fixtures"))
FIELD = REAL_FILMS.resolve().parent / "judge" / "field"

pytestmark = pytest.mark.skipif(
    not FIELD.is_dir(), reason=f"NO FIELD FILMS: {FIELD} is absent; whether they are read rightly is not tested"
)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False, env=environment
    )


def screen(films: Path, out: Path, *options: str) -> str:
    """What the terminal shows."""
    done = run("-m", "bmd_edge", "screen", films, "--out", out, "--device", "cpu", *options)
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


def aged(path: Path) -> None:
    """As if copied long ago: nobody is still at it."""
    os.utime(path, (1_620_000_000, 1_620_000_000), follow_symlinks=False)


def test_every_film_of_the_field_is_read_rightly(tmp_path: Path) -> None:
    screen(FIELD, tmp_path / "all")
    screen(FIELD / "spacing", tmp_path / "spacing", "--spacing-mm", "0.25")
    days, kept = tmp_path / "films", {}
    days.mkdir()
    for day in ("day1", "day2"):
        shutil.copyfile(FIELD / "resume" / day / "IM000001", days / "IM000001")
        aged(days / "IM000001")
        screen(days, tmp_path / "days")
        kept[day] = shutil.copyfile(tmp_path / "days" / "results.jsonl", tmp_path / f"{day}.jsonl")
    named = [f"resume/{day}={path}" for day, path in kept.items()]
    spacing = f"spacing={tmp_path / 'spacing' / 'results.jsonl'}"
    judged = run(FIELD / "check.py", tmp_path / "all" / "results.jsonl", spacing, *named)
    assert judged.stdout.splitlines()[-1:] == ["37 of 37 right, 0 wrong, 0 not run"], judged.stdout + judged.stderr


COUNTS_AS = {
    "film": {("read", "")},
    "duplicate": {("read", "duplicate"), ("read", "same_pixels")},
    "conflict": {("read", "conflict")},
    "film_refused": {("refused", "")},
    "film_or_refused": {("read", ""), ("refused", "")},
    "left": {("left_out", "")},
    "link": {("left_out", "")},
    "no_film": {("left_out", "")},
    "film_in_archive": {("left_out", "")},
    "archive_unreadable": {("left_out", "")},
}
REASONS = {
    "link": {"link"},
    "film_in_archive": {"packed_file"},
    "archive_unreadable": {"broken_packed_file"},
    "left": {"unfinished_file"},
}
STANDING_STILL = "INCOMING/IM000001"
SAME_IN_THE_MAKING = {"PT000000/ST000000/SE000000/IM000001", "PT000001/ST000000/SE000000/IM000000"}
"""The script makes these two films, of two patients, of one and the same picture: `other_patient`, and both count."""
CONFLICT = {"EXPORT/hip_2021-09-14.dcm", "EXPORT/hip_2021-09-14_other.dcm"}
"""Two pictures of one instance: one stands as a film in the list, and both are marked."""


def test_a_folder_of_mixed_entries_is_counted_as_a_technician_would(tmp_path: Path) -> None:
    made = run(FIELD / "mixed_folder.py", tmp_path / "films")
    assert made.returncode == 0, made.stderr
    for path in (tmp_path / "films").rglob("*"):
        aged(path)
    shown = screen(tmp_path / "films", tmp_path / "out")
    with open(tmp_path / "out" / "results.csv", encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}  # each film of these shows one hip
    with open(FIELD / "mixed_folder_expected.csv", encoding="utf-8", newline="") as file:
        expected = {row["entry"]: row["counts_as"] for row in csv.DictReader(file)}
    assert rows.keys() == {entry for entry, kind in expected.items() if kind != "nothing"}
    wrong = {}
    for entry, row in rows.items():
        kind, seen = expected[entry], (row["status"], row["copy"])
        if entry == STANDING_STILL:
            right = (row["status"], row["reason"]) == ("refused", "truncated")
        elif entry in SAME_IN_THE_MAKING | CONFLICT:
            right = seen == ("read", "conflict" if entry in CONFLICT else "other_patient")
        else:
            right = seen in COUNTS_AS[kind] and row["reason"] in REASONS.get(kind, {row["reason"]})
        if not right:
            wrong[entry] = kind, *seen, row["reason"]
    assert not wrong
    counts = Counter(row["status"] for row in rows.values() if row["copy"] not in ("duplicate", "same_pixels"))
    assert counts == {"read": 9, "refused": 4, "left_out": 30}
    total = "46 files: 9 read, 4 refused, 0 failed, 30 left out, 3 shown by another file. 9 hips with a number"
    assert total in shown
    page = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
    for tile in (
        "46 files", "9 films with a number", "9 hips with a number", "4 files refused", "30 files left out",
        "3 files shown by another", "2 files in conflict", "2 files under two patients",
        "In doubt, or without a number 4 films of 3 patients, with 2 other films of the same patients",
        "Low BMD not suspected 3 films of 3 patients",
    ):  # fmt: skip
        assert tile in words, tile
