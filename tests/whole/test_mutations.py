"""The list of mutations does not rot: what it changes and the tests it names are still there."""

from collections import Counter
from pathlib import Path

import pytest

from tests.whole.mutations import ROOT, Mutation, read_list

MUTATIONS = read_list()


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: f"{one.file}-{one.changed}")
def test_the_line_is_there_once_and_the_test_too(one: Mutation) -> None:
    assert len(one.places(ROOT)) == 1
    assert one.changed != one.line
    path, name = one.test.split("::")
    assert f"def {name.split('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")


def test_a_line_is_changed_in_place_and_given_back(tmp_path: Path) -> None:
    before = "def f():\n    return 1\n"
    (tmp_path / "a.py").write_text(before)
    one = Mutation("a.py", "return 1", "return 2", "test.py::test")
    assert one.apply(tmp_path) == before
    assert (tmp_path / "a.py").read_text() == "def f():\n    return 2\n"
    assert one.places(tmp_path) == []


def test_no_mutation_stands_twice() -> None:
    assert max(Counter((one.file, one.line, one.changed) for one in MUTATIONS).values()) == 1
