"""The page of hazards: every control is held by tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "HAZARDS.md").read_text(encoding="utf-8")
ROWS = [[c.strip() for c in line[1:-1].split("|")] for line in PAGE.splitlines() if line.startswith("| ")][2:]


def named_in(row: list[str]) -> list[str]:
    return re.findall(r"`(test_\w+)`", row[2])


def test_every_hazard_has_a_control_and_tests_of_its_own() -> None:
    assert len(ROWS) >= 18
    for row in ROWS:
        assert len(row) == 4, row
        assert all(row[:2]), row
        assert len(named_in(row)) >= 2, row
    named = [name for row in ROWS for name in named_in(row)]
    assert len(set(named)) == len(named)


def test_every_test_that_the_page_names_exists_and_runs() -> None:
    """It is a function of a file that pytest collects, and none that is always skipped; two of each row run anywhere.

    Tests of files on real films are skipped where there are none.
    """
    found: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        marks = "elsewhere" if re.search(r"^pytestmark = pytest\.mark\.skipif", text, re.MULTILINE) else ""
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                found[node.name] = " ".join([marks, *(ast.unparse(one) for one in node.decorator_list)])
    named = {name for row in ROWS for name in named_in(row)}
    assert named - found.keys() == set()
    assert not [name for name in named if re.search(r"mark\.skip\b|mark\.xfail", found[name])]
    for row in ROWS:
        assert len([name for name in named_in(row) if not found[name].startswith("elsewhere")]) >= 2, row[0]


def test_the_intended_use_says_what_it_is_not_for() -> None:
    for said in (
        "Research use only, not for diagnosis",
        "confirmed by DXA",
        "no medical device",
        "No exposure may be made",
    ):
        assert said in " ".join(PAGE.split())
