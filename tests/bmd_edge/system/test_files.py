import csv
from pathlib import Path

import pytest

from bmd_edge.system.files import replace_file


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")
    with pytest.raises(csv.Error), replace_file(path) as file:
        csv.writer(file).writerows([["half"], None])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
