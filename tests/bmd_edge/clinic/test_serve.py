"""The process that holds the box together: one at a time, ended at any moment, nothing lost."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.serve import DRAIN_S, serve
from bmd_edge.errors import UsageError
from tests.bmd_edge.clinic.delivery.archives import Archive, archive, data_set
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.support.clinic import Peer, free_port, started
from tests.support.screening import hip_dicom

KILLS = int(os.environ.get("BMD_EDGE_KILLS", "2"))


@contextmanager
def process(config: Config) -> Iterator[Peer]:
    """`bmd-edge clinic serve`; it serves once it has said so."""
    log = config.root / "log/serve.log"
    log.unlink(missing_ok=True)
    with started([sys.executable, "-m", "bmd_edge", "clinic", "serve", "--config", config.path], log) as peer:
        while b"serving" not in log.read_bytes():
            assert peer.process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield peer


def wait_for(seconds: float, what: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


def test_films_become_objects_in_the_archive_and_sigterm_ends_it(tmp_path: Path) -> None:
    with archive() as pacs:
        config = box(tmp_path, pacs.lines())
        with Journal(config.root) as journal, process(config) as served:
            put(config, journal, hip_dicom("R"), hip_dicom("L"))
            wait_for(120, lambda: len(pacs.got) == 4)
            with pytest.raises(UsageError, match=f"process {served.process.pid}"):
                serve(config, threading.Event())
            start = time.monotonic()
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(60) == 0
            assert time.monotonic() - start < DRAIN_S + 20  # its own limit, and what a busy machine adds
            assert {film.state for film in films.films_since(journal, 0)} <= {"ready", "done"}
    log = (config.root / "log/serve.log").read_text()
    assert "CANARY" not in log


def test_killed_at_any_moment_nothing_is_lost_and_no_object_has_two_contents(tmp_path: Path) -> None:
    draw, n = random.Random(1), 8
    with archive() as pacs, Journal((config := box(tmp_path, pacs.lines())).root) as journal:
        put(config, journal, *(hip_dicom("R", bone=2400 + 8 * k) for k in range(n)))
        for _ in range(KILLS):
            with process(config) as served:
                time.sleep(draw.random() * 6)
                served.kill()
        with process(config):
            wait_for(240, lambda: len(pacs.got) == 2 * n)
            wait_for(60, lambda: {film.state for film in films.films_since(journal, 0)} == {"done"})
        made = [one for film in films.films_since(journal, 0) for one in films.objects_of(journal, film.film_key)]
        assert {one.uid for one in made} == set(pacs.got)
        for one in made:
            digest = hashlib.sha256(data_set((config.root / one.path).read_bytes())).hexdigest()
            assert set(pacs.got[one.uid]) == {digest}
        assert journal.broken_event() is None
        assert not list((config.root / films.OUTBOX).glob(".*.part"))


def test_a_clock_that_was_set_back_is_not_served(tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root, clock=lambda: time.time() + 3600) as journal:
        journal.record("later")
    with pytest.raises(UsageError, match="clock"):
        serve(config, threading.Event())


def test_a_box_that_was_not_made_is_not_served(tmp_path: Path) -> None:
    config = box(tmp_path)
    for path in sorted(config.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    config.root.rmdir()
    with pytest.raises(UsageError, match="clinic init"):
        serve(config, threading.Event())


def test_a_commitment_port_that_is_taken_is_said(tmp_path: Path) -> None:
    port = free_port()
    with archive(port):
        lines = f'{Archive(1).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{port}"'
        command = [sys.executable, "-m", "bmd_edge", "clinic", "serve", "--config", box(tmp_path, lines).path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
