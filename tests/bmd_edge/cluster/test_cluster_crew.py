"""What a run sees of a cluster: what is said where there is none, and that nobody pays for it who has none."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from bmd_edge.cluster import cluster_crew
from bmd_edge.cluster.cluster_crew import ClusterCrew
from bmd_edge.errors import BundleError, EngineError, MissingExtra, UsageError
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.python_process import start
from tests.support.screening import drawn_screener, hip_dicom, no_screener

ROOT = Path(__file__).parents[3]
SHORT_LIVED = "tests.bmd_edge.cluster.short_lived"


def program(*words: object, flags: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *flags, "-m", "bmd_edge.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture
def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_crew, "find_spec", lambda name: name)


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_crew, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"^ray is not installed: pip install '\.\[cluster\]' in a checkout"):
        ClusterCrew(drawn_screener, "127.0.0.1:1")


def test_what_the_opener_says_is_said_before_a_cluster_is_looked_for(with_ray: None) -> None:
    with pytest.raises(BundleError, match=r"^no bundle$"):
        ClusterCrew(partial(no_screener, BundleError("no bundle")), "127.0.0.1:1")


def test_a_cluster_that_is_lost_is_said_and_a_film_is_named_here(
    with_ray: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cluster_crew, "start", lambda _, *rest, **named: start(SHORT_LIVED, *rest, **named))
    film = tmp_path / "film.dcm"
    film.write_bytes(hip_dicom("R"))
    job = FilmJob(os.fsencode(film), "film.dcm")
    with ClusterCrew(drawn_screener, "somewhere:1") as crew:
        assert [len(name or "") for _, name in crew.film_ids([job])] == [16]
        with pytest.raises(EngineError, match=r"^the cluster at somewhere:1 was lost: .*run the same command again"):
            list(crew.examine([job]))
        with pytest.raises(UsageError, match=r"has one caller at a time"):
            list(crew.examine([job]))


def test_films_are_not_sent_to_nobody(tmp_path: Path) -> None:
    films = ROOT / "bmd_edge" / "data" / "demo"
    done = program("screen", films, "--send-films", "--out", tmp_path / "out")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert done.stderr == "bmd-edge: --send-films needs the machines to send them to: give --cluster too\n"


def test_a_run_without_a_cluster_imports_nothing_of_it(tmp_path: Path) -> None:
    demo = ROOT / "bmd_edge" / "data" / "demo" / "right_hip.dcm"
    done = program("screen", demo, "--out", tmp_path / "out", flags=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bmd_edge.screen.run" in imported
    assert not [name for name in imported if name.partition(".")[0] == "ray" or name.startswith("bmd_edge.cluster")]
