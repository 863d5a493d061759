"""Films come in by three associations, and meanwhile the power goes or Orthanc is killed: what is left?

python -m tests.support.clinic.cuts --cuts 50 --kills 100 --out FILE
"""

import argparse
import hashlib
import json
import platform
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic, power
from tests.support.films import dicom_bytes, pixels

ASSOCIATIONS = 3
_ANSWER_S = 4
"""pynetdicom does not always see that a receiver was killed, and waits for its answer."""
_A_TIME = 5
"""Films in one association."""


class Acknowledged:
    """The SOP Instance UIDs of films that were answered 0000, and the films themselves."""

    def __init__(self) -> None:
        self._lock, self._uids, self._next = threading.Lock(), set[str](), 0

    def new_film(self) -> tuple[str, bytes]:
        with self._lock:
            self._next += 1
            number = self._next
        uid = f"1.2.826.0.1.3680043.12.{number}"
        return uid, dicom_bytes(pixels(seed=number), SOPInstanceUID=uid)

    def add(self, uid: str) -> None:
        with self._lock:
            self._uids.add(uid)

    def now(self) -> set[str]:
        with self._lock:
            return set(self._uids)


@contextmanager
def arriving(send: Callable[[list[bytes]], list[bool]], acknowledged: Acknowledged) -> Iterator[None]:
    """Films arrive while the block runs; `send` says which of them were answered 0000."""
    ends = threading.Event()

    def unit() -> None:
        while not ends.is_set():
            films = [acknowledged.new_film() for _ in range(_A_TIME)]
            for (uid, _), done in zip(films, send([film for _, film in films]), strict=True):
                if done:
                    acknowledged.add(uid)

    threads = [threading.Thread(target=unit) for _ in range(ASSOCIATIONS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def by_c_store(port: int) -> Callable[[list[bytes]], list[bool]]:
    """A sender that counts what Orthanc answers."""

    def send(films: list[bytes]) -> list[bool]:
        answers = clinic.send(port, films, timeout_s=_ANSWER_S)
        if answers is None:  # nobody is there just now
            time.sleep(0.05)
            return [False] * len(films)
        return [status == 0 for status in answers]

    return send


def missing(root: Path, uids: set[str]) -> tuple[set[str], int]:
    """Of films that were answered 0000 those that are not in the journal with their whole file; and how many rows have
    no whole file, or do not follow from those before them.
    """
    with Journal(root) as journal:
        films = films_in(journal, "received", "quarantined")
        broken = int(journal.broken_event() is not None)
    whole = {film.sop_uid for film in films if _is_whole(film_path(root, film.film_key), film.film_key)}
    return uids - whole, broken + len(films) - len(whole)


def _is_whole(path: Path, film_key: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == film_key


def goes_on(config: Config, left: Path) -> bool:
    """Whether a box on what a cut has left sweeps its spool and takes the next film."""
    with Journal(left) as journal:
        door = Door(clinic.moved(config, left), journal)
        door.sweep()
        return door.keep(dicom_bytes(SOPInstanceUID="1.2.3"), Origin("dicom", "xray1")) == Status.KEPT


def power_cuts(place: Path, cuts: int, seed: int = 0) -> dict[str, Any]:
    """Cut the power at random moments while Orthanc takes films; count what is lost."""
    chance, acknowledged = random.Random(seed), Acknowledged()
    found = {"cuts": cuts, "acknowledged_before_cuts": 0, "lost": 0, "broken_rows": 0, "boxes_that_go_on": 0}
    with power.disk(place, busy=True) as disk:
        config = clinic.box(place, root=disk.folder / "root")
        start = time.monotonic()
        for number in range(0, cuts, 10):  # the copies need room
            part = min(10, cuts - number)
            with clinic.orthanc(config) as peer:
                copies = []
                with arriving(by_c_store(peer.ports[0]), acknowledged):
                    for cut in range(part):
                        time.sleep(chance.uniform(0.3, 2.0))
                        before = acknowledged.now()
                        copies.append((before, disk.cut(f"{number + cut}")))
            for before, copy in copies:
                with disk.left(copy) as left:
                    lost, broken = missing(left / "root", before)
                    found["acknowledged_before_cuts"] += len(before)
                    found["lost"] += len(lost)
                    found["broken_rows"] += broken
                    found["boxes_that_go_on"] += goes_on(config, left / "root")
        found["films"] = len(acknowledged.now())
        found["seconds"] = round(time.monotonic() - start)
    return found


def kills(place: Path, times: int, seed: int = 0) -> dict[str, Any]:
    """Kill Orthanc with its guard after some films, while it takes others; count what is lost."""
    chance, acknowledged = random.Random(seed), Acknowledged()
    config = clinic.box(place)
    port = int(config.door.dicom.rpartition(":")[2])
    start = time.monotonic()
    with arriving(by_c_store(port), acknowledged):
        for _ in range(times):
            before, wanted = len(acknowledged.now()), chance.randint(0, 2 * _A_TIME)
            with clinic.orthanc(config) as peer:
                end = time.monotonic() + 20
                while len(acknowledged.now()) < before + wanted and time.monotonic() < end:
                    time.sleep(0.005)
                time.sleep(chance.uniform(0, 0.1))
                peer.kill()
    with clinic.orthanc(config):
        lost, broken = missing(config.root, acknowledged.now())
    halves = len(list((config.root / "spool").glob(".*.part")))
    seconds = round(time.monotonic() - start)
    counts = {"kills": times, "acknowledged": len(acknowledged.now()), "lost": len(lost)}
    return {**counts, "broken_rows": broken, "half_files_after_restart": halves, "seconds": seconds}


def main(module: str, measures: dict[str, Callable[[Path, int], dict[str, Any]]], **facts: Any) -> None:
    """Measure what is asked and write the figures."""
    parser = argparse.ArgumentParser(description=module)
    parser.add_argument("measure", choices=measures)
    parser.add_argument("--times", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    command = f"python -m {module} {given.measure} --times {given.times} --out {given.out}"
    result = {"command": command, **facts, "made": f"{datetime.now(UTC):%Y-%m-%d}", "kernel": platform.release()}
    with tempfile.TemporaryDirectory() as place:
        result |= measures[given.measure](Path(place), given.times)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


MEASURES = {"power_cuts": power_cuts, "kills": kills}


if __name__ == "__main__":
    main("tests.support.clinic.cuts", MEASURES, kind="synthetic films of 22 kB", associations=ASSOCIATIONS)
