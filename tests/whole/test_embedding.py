"""The runtime inside another program: the command's results, from threads and from asyncio, without global state."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jsonschema
import pytest

import bmd_edge
from bmd_edge import EngineError, FilmReport, UsageError, open_bundle
from bmd_edge.report.schema import json_schema
from tests.support.screening import drawn_screener, hip_dicom

DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What the command says of the demo films, by file."""
    out = tmp_path_factory.mktemp("out")
    words = ["screen", DEMO, "--out", out, "--device", "cpu", "--json", "--threads", "1"]
    done = subprocess.run([sys.executable, "-m", "bmd_edge.cli.main", *words], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    return {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_the_numbers_are_those_of_the_command(command: dict[str, dict]) -> None:
    with open_bundle().screener(device="cpu", threads=2) as screener:
        for name, line in command.items():
            path = DEMO / name
            for source in (path, str(path), path.read_bytes()):
                said = json.loads(json.dumps(screener.read(source, file=name).to_dict()))
                assert said == line | {"patient_pseudonym": None, "unit_pseudonym": None}  # the key is the user's
    assert sum(line["status"] == "read" for line in command.values()) >= 4


def test_precision_and_device_are_as_asked() -> None:
    with open_bundle().screener(device="cpu", precision="fp32") as screener:
        report = screener.read(DEMO / "right_hip.dcm")
    assert (report.device, report.precision, report.file) == ("cpu", "fp32", None)
    with pytest.raises(UsageError, match="precision"):
        open_bundle().screener(precision="fp64")


def films(n: int) -> list[bytes]:
    return [hip_dicom("RL"[i % 2 :], bone=1600 + 60 * i) for i in range(n - 2)] + [b"", hip_dicom("R")[:-500]]


def test_asyncio_gets_what_one_caller_gets_and_the_loop_stays_free() -> None:
    async def together(data: list[bytes]) -> tuple[list[FilmReport], int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        heart = asyncio.create_task(beat())
        reports = await asyncio.gather(*(asyncio.to_thread(screener.read, film) for film in data))
        heart.cancel()
        return reports, beats

    data = films(10)
    with drawn_screener() as screener:
        alone = [screener.read(film) for film in data]
        reports, beats = asyncio.run(together(data))
    assert reports == alone
    assert {report.reason for report in reports} == {None, "empty_file", "truncated"}
    assert beats > 5


def test_two_screeners_do_not_know_of_each_other() -> None:
    film = hip_dicom("R", ImagerPixelSpacing=None)
    with drawn_screener() as plain, drawn_screener(spacing_mm=0.575) as given:
        assert [plain.read(film).reason, given.read(film).reason] == ["no_spacing", None]
        given.close()
        assert plain.read(hip_dicom("R")).status == "read"


def test_a_closed_screener_says_so() -> None:
    with drawn_screener() as screener:
        pass
    with pytest.raises(EngineError, match="this screener is closed: open another"):
        screener.read(hip_dicom("R"))
    assert screener.read(b"").reason == "empty_file"  # no network is needed to refuse


def test_the_process_is_left_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
        return (
            dict(os.environ), os.getcwd(), list(warnings.filters), handlers, logging.root.handlers[:],
            logging.getLogger("bmd_edge").handlers[:], threading.active_count(),
        )  # fmt: skip

    before = state()
    with drawn_screener() as screener:
        screener.read(hip_dicom("R"))
    assert state() == before


def test_reports_follow_the_schema(command: dict[str, dict]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    with drawn_screener() as screener:
        lines = [*command.values(), *(screener.read(film).to_dict() for film in films(6))]
    for line in lines:
        validator.validate(json.loads(json.dumps(line)))


def test_a_child_reads_whatever_the_threads_of_its_parent_were_at() -> None:
    """A fork copies the lock that a reading thread holds, and not the thread."""
    film, reading = hip_dicom("R"), threading.Event()
    with drawn_screener() as screener:
        finder, slow = screener._finder._fn, threading.Event()

        def held(feeds):
            reading.set()
            slow.wait(0.3)
            return finder(feeds)

        screener._finder._fn = held
        thread = threading.Thread(target=screener.read, args=(film,))
        thread.start()
        reading.wait()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of Python 3.12: a fork beside threads is what is tried
            pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            os._exit(0 if screener.read(film).status == "read" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        thread.join()
        assert screener.read(film).status == "read"
