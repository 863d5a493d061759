"""Two builds in turns: each with its own package and bundle, on the same films, and every ratio paired."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import UsageError
from bmd_edge.film.read import read_film
from export.bench import against
from tests.export.bench.test_commands import ROOT, program

EARLIER = {
    "__init__.py": "",
    "screener.py": """
from types import SimpleNamespace as Facts
def open_screener(bundle, **settings): pass
def Task(path, file): return path
""",
    "crew.py": """
import os
from bmd_edge.screener import Facts
class Crew:
    def __init__(self, opener, threads):
        self.pids, self.setup = [os.getpid()], Facts(failed=Facts(bundle_digest="e" * 64))
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def examine(self, tasks):
        for path in tasks:
            open(path, "rb").read()
            yield path, Facts(report=Facts(status="refused", hips=[]))
""",
}
"""A build as they were before Crew was public; it refuses every film."""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    package = tmp_path / "earlier" / "bmd_edge"
    package.mkdir(parents=True)
    for name, text in EARLIER.items():
        (package / name).write_text(text)
    return package.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    films = tmp_path / "films"
    films.mkdir()
    for name in ("implant.dcm", "right_hip.dcm"):
        (films / name).write_bytes((ROOT / "bmd_edge" / "data" / "demo" / name).read_bytes())
    return films


def test_each_build_reads_the_films_with_its_own_package_and_bundle(earlier: Path, folder: Path) -> None:
    done = program(folder, "--against", earlier, "--rounds", 2, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["other"] == {"commit": None, "bundle_digest": "e" * 64}
    assert found["this"]["bundle_digest"] == read_bundle().digest
    row = found["sets"]["folder"]
    assert (row["n"], row["other"]["read"], row["this"]["read"]) == (4, 0, 2)
    assert row["this"]["cpu_s"] > 0.01 > row["other"]["cpu_s"]  # one looks for hips, the other does not
    assert row["this"]["peak_mb"] > 100
    assert row["interval"][0] <= row["ratio"] <= row["interval"][1]
    shown = program(folder, "--against", earlier, "--rounds", 1).stdout
    assert "ratio" in shown
    assert f"other: commit unknown, bundle {'e' * 16}" in shown


def test_what_is_no_build_is_said_so(tmp_path: Path, folder: Path, earlier: Path) -> None:
    for wrong in (tmp_path / "none", folder):
        done = program(folder, "--against", wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert "bmd_edge/" in done.stderr
    assert program(folder, "--against", earlier, "--threads", 2).returncode == 2
    (earlier / "bmd_edge" / "crew.py").write_text("import no_such_module")
    done = program(folder, "--against", earlier)
    assert done.returncode == 2
    assert "ended" in done.stderr
    with pytest.raises(UsageError, match="none: no folder with files"):
        against.compare(ROOT, tmp_path / "earlier" / "bmd_edge" / "none", 1, 1, lambda _: None)


def test_the_ratio_is_that_of_means_and_its_interval_that_of_pairs() -> None:
    other = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    assert against.ratio_of_means(other, other / 2) == (0.5, 0.5, 0.5)
    ratio, low, high = against.ratio_of_means(other, other + np.array([[0, 0, 0], [0, 6.0, 12.0]]))
    assert ratio == pytest.approx(84 / 66)
    assert 1 <= low < ratio < high < 1.5  # a busy turn weighs on both


def test_sets_are_every_syntax_at_two_detectors_and_a_mix(small: None, tmp_path: Path) -> None:
    sets = dict(against._sets(None, 1, tmp_path))
    assert len(sets) == 14
    assert list(sets)[-2:] == ["mix", against.COLD]
    fine, coarse = sets["rle"], sets["rle, 0.14 mm"]
    assert len(fine) == len(coarse) == 1
    spacing = [read_film(films[0], spacing_mm=None).spacing_mm[0] for films in (fine, coarse)]
    assert spacing[1] == pytest.approx(against.COARSE_MM / 1.15, rel=0.01)
    assert len(sets["mix"]) == 15


def test_the_commit_of_a_checkout_is_named(tmp_path: Path) -> None:
    assert against._commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], check=True, stdout=sys.stderr)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert against._commit(tmp_path) == head[:12]
