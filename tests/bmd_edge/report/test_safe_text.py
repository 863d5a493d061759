"""Text that acts is shown instead."""

import pytest

from bmd_edge.report.safe_text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b.dcm", "a b.dcm"), ("Müller 李", "Müller 李"), ("a\nb", "a\\nb"), ("\x1b[0m", "\\x1b[0m"),
     ("\u202e", "\\u202e"), ("\udcff", "\\udcff"), ("\U000e0001", "\\U000e0001")],
)  # fmt: skip
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
