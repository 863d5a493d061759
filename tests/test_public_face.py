"""The public names of the package: complete, lazy, and without side effects."""

import subprocess
import sys

import pytest

import bmd_edge

PUBLIC = [
    "BmdEdgeError", "Bundle", "BundleError", "EngineError", "Estimate", "Film", "FilmFailed", "FilmRefused",
    "FilmReport", "Hip", "HipRefused", "HipReport", "MissingExtra", "Screener", "TableError", "UsageError",
    "find_hips", "open_bundle", "read_film",
]  # fmt: skip


def test_all_is_the_expected_list() -> None:
    assert bmd_edge.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC
    assert set(PUBLIC) < set(dir(bmd_edge))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(bmd_edge, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bmd_edge.no_such_name


def test_importing_the_package_loads_nothing_and_changes_nothing() -> None:
    code = (
        "import sys, logging, warnings, os\n"
        "before = (dict(os.environ), list(warnings.filters), logging.root.handlers[:])\n"
        "import bmd_edge\n"
        "assert before == (dict(os.environ), list(warnings.filters), logging.root.handlers[:])\n"
        "print(*[name for name in sys.modules if name.startswith('bmd_edge.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
