"""A real cluster of processes on this machine: nodes and runs are killed, and the results are those of a plain run."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bmd_edge.cluster.nodes import ROOT, alone, can_be_alone

FILES = ["results.csv", "results.jsonl", "run.json", "report/index.html"]
pytest.importorskip("ray", reason="Ray is not installed: the extra cluster")
pytestmark = pytest.mark.timeout(580)  # five nodes and four runs: under a minute alone, many beside other work


@pytest.fixture(scope="module")
def story() -> Iterator[dict[str, Any]]:
    """What `tests.bmd_edge.cluster.story` tells."""
    if not can_be_alone():
        pytest.skip("this machine lets nobody have a network of one's own")
    place = tempfile.mkdtemp(prefix="bmd-")  # short: Ray's sockets lie below, and a socket's path has 107 bytes at most
    command = alone(sys.executable, "-m", "tests.bmd_edge.cluster.story", place)
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-3000:]
        yield json.loads(done.stdout)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_runs_and_machines_that_are_killed_leave_the_bytes_of_a_plain_run(story: dict[str, Any]) -> None:
    assert (story["killed"]["status"], story["resumed"]["status"]) == (-9, 0)
    assert story["killed"]["not done"] == story["resumed"]["not done"] == 0
    assert story["same"] == FILES
    said = story["resumed"]["said"]
    assert said.count("of the cluster was lost; ") == 2, said
    assert said.count("of its films are tried again") == 2, said


def test_a_run_goes_on_where_it_was_killed(story: dict[str, Any]) -> None:
    before, after = story["killed"]["counts"], story["resumed"]["counts"]
    assert before[-1] - 1 <= after[0] <= before[-1] + 1  # a film that ended its worker is tried again
    assert after == list(range(after[0], 19))


@pytest.mark.parametrize("run", ["killed", "resumed"])
@pytest.mark.parametrize(
    "words",
    [
        "its bmd-edge is 0.0.9, here it is ",
        "it cannot read the films where this machine reads them: mount their folder under the same path there",
    ],
)
def test_a_machine_that_would_say_something_else_is_left_out(story: dict[str, Any], run: str, words: str) -> None:
    lines = [line for line in story[run]["said"].splitlines() if words in line]
    assert len(lines) == 1, story[run]["said"]
    assert lines[0].startswith("the cluster goes on without machine 127.0.0.1 (")


def test_ray_keeps_no_path_no_name_and_no_patient(story: dict[str, Any]) -> None:
    assert story["leaks"] == []


def test_the_command_gives_on_a_cluster_what_it_gives_here(story: dict[str, Any]) -> None:
    (here, _, one), (there, said, other) = story["command"]
    assert (there, other) == (here, one)
    assert (one, "4 read, 1 refused" in here) == (3, True)
    assert story["command same"] == FILES
    assert "the cluster goes on without machine" in said
    assert "cannot read the films" not in said  # they came by their bytes


def test_an_address_where_nobody_answers_is_one_line(story: dict[str, Any]) -> None:
    (line,) = story["nobody"]["said"].splitlines()
    assert line.startswith(
        "bmd-edge: no cluster answers at 127.0.0.1:1: is its head up, and has this machine joined it?"
    )
    assert story["nobody"]["status"] == 2
