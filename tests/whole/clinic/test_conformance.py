"""The conformance statement is what the code says now, and the tests that it names are there."""

import re
from pathlib import Path

import pytest

from tests.support.clinic.conformance import PAGE, TESTS, statement

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_code_says_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == statement(), "python -m tests.support.clinic.conformance"


@pytest.mark.parametrize("name", TESTS.values())
def test_every_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_every_table_has_a_test_beside_it() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(sections) == 5
    for section in sections:
        assert "tests/" in section, section.splitlines()[0]
