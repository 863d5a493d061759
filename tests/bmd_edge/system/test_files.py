import csv
import pickle
from pathlib import Path

import pytest

from bmd_edge.system.files import TooLarge, replace_file


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
