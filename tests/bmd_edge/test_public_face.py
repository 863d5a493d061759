"""The public names of the package: complete, lazy, and without side effects."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle

PUBLIC = [
    "FLAGS", "REFUSALS", "BmdEdgeError", "Bundle", "BundleError", "Crew", "EngineError", "Estimate", "Film",
    "FilmFacts", "FilmFailed", "FilmJob", "FilmOutcome", "FilmRefused", "FilmReport", "Hip", "HipRefused", "HipReport",
    "MissingExtra", "Refusal", "Screener", "TableError", "UsageError", "find_hips", "open_bundle", "open_screener",
    "read_film",
]  # fmt: skip
FIELDS = ("root", "manifest", "digest", "calibration", "inputs")


def test_all_is_the_expected_list() -> None:
    assert bmd_edge.__all__ == PUBLIC
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


def test_what_breaks_an_import_is_told_and_not_hidden(tmp_path: Path) -> None:
    """`from ... import` takes an AttributeError of the package's `__getattr__` for a name that is not there."""
    (tmp_path / "numpy").mkdir()  # an installation gone wrong: numpy imports, but has nothing in it
    (tmp_path / "numpy/__init__.py").write_text("")
    (tmp_path / "numpy/typing.py").write_text("NDArray = list")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom bmd_edge import find_hips"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "module 'numpy' has no attribute" in done.stderr.strip().splitlines()[-1]


def test_an_unknown_name_is_still_an_import_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'no_such_name'"):
        from bmd_edge import no_such_name  # noqa: F401


def test_a_bundle_opens_the_screener_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(bmd_edge.BundleError, match=r"recalibration\.json"):
        bmd_edge.open_bundle().screener(recalibration=tmp_path / "recalibration.json")
    with bmd_edge.open_bundle().screener("cpu", "fp32", threads=1, spacing_mm=0.2) as screener:
        assert (screener.device, screener.precision, screener.threads, screener.spacing_mm) == ("cpu", "fp32", 1, 0.2)
        assert isinstance(screener.bundle, bmd_edge.Bundle)


def test_an_opened_bundle_is_the_verified_one() -> None:
    opened, verified = bmd_edge.open_bundle(), read_bundle()
    assert isinstance(opened, VerifiedBundle)
    assert {name: getattr(opened, name) for name in FIELDS} == {name: getattr(verified, name) for name in FIELDS}
    assert not hasattr(verified, "screener")
    assert pickle.loads(pickle.dumps(opened)) == opened


def test_the_former_place_of_crew_names_the_new_one() -> None:
    code = "from bmd_edge.crew import Crew; import bmd_edge; assert Crew is bmd_edge.Crew"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "<string>:1: FutureWarning: bmd_edge.crew goes away: import Crew from bmd_edge" in done.stderr
    quiet = subprocess.run([sys.executable, "-W", "error", "-c", "from bmd_edge import Crew"], check=False)
    assert quiet.returncode == 0
