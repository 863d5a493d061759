"""The house stays one to find one's way in: short functions, short files, few files on one floor."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST_FUNCTION, LONGEST_FILE, MOST_FILES = 60, 350, 14
"""Lines from `def` to the end, lines, and files side by side in one folder (`__init__.py` does not count)."""

PACKAGES = ("bmd_edge", "trainer", "export", "calibration")

FILES = [path for name in (*PACKAGES, "tests") for path in sorted((ROOT / name).rglob("*.py"))]


def functions(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def crowded(files: list[Path]) -> dict[str, int]:
    floors = Counter(str(path.parent) for path in files if path.name != "__init__.py")
    return {folder: n for folder, n in floors.items() if n > MOST_FILES}


def test_functions_are_short() -> None:
    long = [
        (f"{path.relative_to(ROOT)}: {name}", lines)
        for path in FILES
        for name, lines in functions(path.read_text(encoding="utf-8"))
        if lines > LONGEST_FUNCTION
    ]
    assert not long
    assert len(FILES) > 200


def test_files_are_short() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {name: n for name, n in lines.items() if n > LONGEST_FILE} == {}


def test_no_floor_is_crowded() -> None:
    assert crowded(FILES) == {}


@pytest.mark.parametrize(("lines", "long"), [(60, False), (61, True)])
def test_the_measure_measures(lines: int, long: bool) -> None:
    source = "class A:\n    @staticmethod\n    def f():\n" + "        pass\n" * (lines - 1)
    ((name, found),) = functions(source)
    assert (name, found > LONGEST_FUNCTION) == ("f", long)
    floor = [Path(f"room/{k}.py") for k in range(lines - 46)] + [Path("room/__init__.py")]
    assert bool(crowded(floor)) == long
