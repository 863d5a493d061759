"""How numbers and names are said."""

from bmd_edge.report.in_words import counted, some


def test_one_thing_is_no_plural() -> None:
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_of_many_names_the_first_are_said() -> None:
    assert some(list("abcdef")) == "a, b, c, d, e, f"
    assert some(list("abcdefgh"), " in results.csv") == "a, b, c, d, e, f, and 2 more in results.csv"
