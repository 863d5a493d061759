"""The process that holds the box together: one at a time, ended at any moment, nothing lost."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.heads import heads, lost_head
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.serve import DRAIN_S, serve
from bmd_edge.clinic.setup.doctor import examine
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
        wait_for(60, lambda: shown(f"http://127.0.0.1:{port}/"))
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


def test_films_go_on_while_another_program_has_the_pages_port(tmp_path: Path) -> None:
    with archive() as pacs, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = box(tmp_path, f'{pacs.lines()}\npage = {{ bind = "127.0.0.1:{port}" }}')
        with Journal(config.root) as journal, served(config):
            put(config, journal, hip_dicom("R"))
            wait_for(120, lambda: len(pacs.got) == 2)
            said = (config.root / "log/serve.log").read_text()
            assert said.count("Address already in use; name another port in clinic.toml") == 1
            assert [row["n"] for row in journal.rows("SELECT COUNT(*) AS n FROM event WHERE what='page_closed'")] == [1]
            other.close()
            wait_for(120, lambda: shown(f"http://127.0.0.1:{port}/metrics"))
            with urlopen(f"http://127.0.0.1:{port}/metrics") as figures:
                assert b"bmd_edge_page_closed_total 1\n" in figures.read()


def shown(url: str) -> bool:
    try:
        with urlopen(url):
            return True
    except OSError:
        return False


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
        wait_for(60, lambda: shown(url))
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


def test_results_go_out_while_another_program_has_the_port_of_commitment(tmp_path: Path) -> None:
    with archive() as pacs, socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        config = box(tmp_path, f'{pacs.lines(", commit = true")}\n[commitment]\nbind = "{bind}"')
        with Journal(config.root) as journal, served(config):

            def asks() -> list[int]:
                return [row["asks"] for row in journal.rows("SELECT asks FROM delivery WHERE state='sent'")]

            put(config, journal, hip_dicom("R"))
            wait_for(120, lambda: len(pacs.got) == 2)
            wait_for(60, lambda: asks() == [0, 0])  # whom nobody could hear, nobody asks
            said = (config.root / "log/serve.log").read_text()
            assert said.count(f"commitment.bind {bind}: Address already in use; name another address") == 1
            assert failing(config) == {f"another program has {bind}: end it, or name another address, here and there"}
            other.close()
            wait_for(120, lambda: asks() == [1, 1])
            assert failing(config) == set()


def failing(config: Config) -> set[str]:
    return {one.detail for one in examine(config) if one.what == "commitment" and not one.sound}
