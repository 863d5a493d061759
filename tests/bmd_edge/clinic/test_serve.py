"""The process that holds the box together: one at a time, ended at any moment, nothing lost."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.heads import heads, lost_head
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.serve import DRAIN_S, serve
from bmd_edge.errors import UsageError
from tests.bmd_edge.clinic.delivery.archives import Archive, archive
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.support.clinic import free_port, served
from tests.support.screening import hip_dicom


def wait_for(seconds: float, what: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


def test_films_become_objects_in_the_archive_and_sigterm_ends_it(tmp_path: Path) -> None:
    with archive() as pacs:
        config = box(tmp_path, pacs.lines())
        with Journal(config.root) as journal, served(config) as peer:
            put(config, journal, hip_dicom("R"), hip_dicom("L"))
            wait_for(120, lambda: len(pacs.got) == 4)
            with pytest.raises(UsageError, match=f"process {peer.process.pid}"):
                serve(config, threading.Event())
            start = time.monotonic()
            peer.process.send_signal(signal.SIGTERM)
            assert peer.process.wait(60) == 0
            assert time.monotonic() - start < DRAIN_S + 20  # its own limit, and what a busy machine adds
            assert {film.state for film in films.films_since(journal, 0)} <= {"ready", "done"}
    log = (config.root / "log/serve.log").read_text()
    assert "CANARY" not in log


def test_the_page_and_the_figures_are_there_while_it_serves(tmp_path: Path) -> None:
    port = free_port()
    config = box(tmp_path, f'page = {{ bind = "127.0.0.1:{port}" }}')
    with served(config):
        with urlopen(f"http://127.0.0.1:{port}/") as page:
            assert "Films of today" in page.read().decode()
        with urlopen(f"http://127.0.0.1:{port}/metrics") as figures:
            assert b"bmd_edge_free_bytes" in figures.read()
    assert f"http://127.0.0.1:{port}/" in (config.root / "log/serve.log").read_text()
    with Journal(config.root) as journal:
        journal.record("something")
        with served(config):
            wait_for(60, lambda: len(heads(config.root)) > 0)
        assert lost_head(config.root, journal) is None


@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_an_archive_that_goes_down_is_red_on_the_page_until_it_is_back(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    port = free_port()
    config = box(tmp_path, f'{Archive(port).lines()}\npage = {{ bind = "{urlsplit(url).netloc}" }}')

    def hangs() -> bool:
        with urlopen(url) as page:
            return "The archive cannot be reached" in page.read().decode().split("<main>")[0]

    with Journal(config.root) as journal, served(config):
        with archive(port) as pacs:
            put(config, journal, hip_dicom("R"))
            wait_for(120, lambda: len(pacs.got) == 2)
            assert not hangs()
        put(config, journal, hip_dicom("L"))
        wait_for(120, hangs)
        with archive(port) as pacs:
            wait_for(120, lambda: not hangs())
            assert len(pacs.got) == 2


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
