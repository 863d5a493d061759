import csv
import os
import pickle
from pathlib import Path

import pytest

from bmd_edge.system.files import TooLarge, copy_file, replace_file


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")
    with pytest.raises(csv.Error), replace_file(path) as file:
        csv.writer(file).writerows([["half"], None])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_too_large_is_said_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(TooLarge(200, b"DICM")))
    assert (again.size_bytes, again.head, str(again)) == (200, b"DICM", "200 bytes")


def test_a_copy_has_bytes_and_time_of_its_source_and_the_mode_asked_for(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"film" * 1_000_000)
    os.utime(source, ns=(1_000_000_000, 2_000_000_007))
    copy.write_text("an older one")
    copy_file(source, copy, mode=0o600)
    assert copy.read_bytes() == source.read_bytes()
    assert (copy.stat().st_mtime_ns, copy.stat().st_mode & 0o777) == (2_000_000_007, 0o600)
    with pytest.raises(FileNotFoundError):
        copy_file(tmp_path / "removed meanwhile", copy)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "copy"}
    assert copy.read_bytes() == source.read_bytes()
