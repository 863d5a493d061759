"""A clinic's day in minutes: python -m tests.whole.clinic.day --minutes 12 --out tests/results/clinic_day.json

600 films of three units come by C-STORE as they do in a day, most of them before noon; the archive is down twice, and
once the power is off for a while (everything is killed, and started again). Every film is sent until it is answered
0000. Then all objects must be in the archive, each once or with equal bytes. All of it is real: Orthanc with the guard,
`bmd-edge clinic serve`, pynetdicom as sender and as archive. The films are the demo's, each with names of its own.
"""

import argparse
import io
import json
import os
import random
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.init import prepare, write_config
from tests.bmd_edge.clinic.delivery.archives import TITLE, archive
from tests.support.clinic import Peer, free_port, orthanc, send, started

DEMO = Path(__file__).parents[3] / "bmd_edge" / "data" / "demo"
UNITS = ("XRAY1", "XRAY2", "XRAY3")
FILMS_AN_HOUR = (2, 1, 1, 1, 2, 3, 12, 40, 70, 75, 70, 60, 40, 50, 55, 45, 30, 15, 10, 6, 4, 3, 3, 2)
"""Of the 24 hours; 600 in all."""
DOWN = ((10.0, 10.7), (15.0, 16.0))
REBOOT = (13.0, 13.2)


def film(number: int) -> bytes:
    """A film like no other: one of the demo's with its own UIDs and patient."""
    paths = sorted(DEMO.glob("*.dcm"))
    data = pydicom.dcmread(paths[number % len(paths)])
    data.SOPInstanceUID = generate_uid(entropy_srcs=["film", str(number)])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(number)])
    data.PatientID, data.PatientName = f"DAY-{number}", f"DAY^{number}"
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def arrivals(seed: int = 0) -> list[float]:
    """Hours of the day, in order."""
    draw = random.Random(seed)
    return sorted(hour + draw.random() for hour, n in enumerate(FILMS_AN_HOUR) for _ in range(n))


class Day:
    """The clock of a day that lasts `minutes`, and what happened in it."""

    def __init__(self, config: Config, minutes: float) -> None:
        self.config, self.seconds_an_hour = config, minutes * 60 / 24
        self.start = time.monotonic()
        self.samples: list[dict[str, float]] = []
        self.sent_again = 0
        self.ends = threading.Event()

    @property
    def hour(self) -> float:
        return (time.monotonic() - self.start) / self.seconds_an_hour

    def wait_until(self, hour: float) -> None:
        time.sleep(max(0.0, (hour - self.hour) * self.seconds_an_hour))

    def unit(self, title: str, films: list[tuple[float, int]]) -> None:
        """One unit: each film at its hour, again until it is answered 0000."""
        port = int(self.config.door.dicom.rpartition(":")[2])
        for hour, number in films:
            self.wait_until(hour)
            while send(port, [film(number)], calling=title) != [0]:
                self.sent_again += 1
                time.sleep(1)

    def sample(self, running: dict[str, Peer]) -> None:
        """Memory of each program with its children, and what the box's folder holds, in MB, each half an hour."""
        hour = 0.0
        while not self.ends.wait(0.2):
            if self.hour < hour:
                continue
            folder = sum(path.stat().st_size for path in self.config.root.rglob("*") if path.is_file())
            found = {"hour": round(self.hour, 1), "root_mb": round(folder / 1e6, 1)}
            found |= {f"{name}_mb": _resident(peer.process.pid) for name, peer in dict(running).items()}
            self.samples.append(found)
            hour += 0.5


def _resident(pid: int) -> float:
    """Resident memory in MB of a process and its children; 0 for one that is gone."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    tasks = Path(f"/proc/{pid}/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()] or children
    return round(pages * os.sysconf("SC_PAGESIZE") / 1e6, 1) + sum(_resident(int(child)) for child in children)


def run(place: Path, minutes: float, n: int) -> dict[str, Any]:
    """The day; returns what is committed."""
    port = free_port()
    units = "\n".join(f'units.{title.lower()} = {{ ae_title = "{title}", host = "127.0.0.1" }}' for title in UNITS)
    config = write_config(
        place / "etc",
        f'approval = "none: a test"\nbox = {{ root = "{place / "root"}", min_free_mb = 100 }}\n{units}\n'
        f'pacs.main = {{ kind = "dicom", ae_title = "{TITLE}", host = "127.0.0.1", port = {port} }}\n'
        f'[door]\ndicom = "127.0.0.1:{free_port()}"\n',
    )
    prepare(config)
    day, running = Day(config, minutes), {}
    got: dict[str, list[str]] = {}
    hours = arrivals()[:n]
    threads = [
        threading.Thread(target=day.unit, args=(title, [(h, k) for k, h in enumerate(hours) if k % 3 == at]))
        for at, title in enumerate(UNITS)
    ]
    sampling = threading.Thread(target=day.sample, args=(running,))
    pacs = threading.Thread(target=_pacs, args=(day, port, got))
    for thread in (*threads, sampling, pacs):
        thread.start()
    with ExitStack() as first:
        _start(first, config, running)
        day.wait_until(REBOOT[0])
        for peer in running.values():
            peer.kill()
    day.wait_until(REBOOT[1])
    with ExitStack() as second:
        _start(second, config, running)
        for thread in threads:
            thread.join()
        last = time.monotonic()
        while len(got) < 2 * n and time.monotonic() - last < 1200:
            time.sleep(0.5)
        drained = time.monotonic() - last
        day.ends.set()
        sampling.join()
        pacs.join()
    return _said(config, day, got, n, minutes, drained)


def _start(stack: ExitStack, config: Config, running: dict[str, Peer]) -> None:
    running["orthanc"] = stack.enter_context(orthanc(config))
    command: list[str | Path] = [sys.executable, "-m", "bmd_edge", "clinic", "serve", "--config", config.path]
    running["serve"] = stack.enter_context(started(command, config.root / "log/serve.log"))


def _pacs(day: Day, port: int, got: dict[str, list[str]]) -> None:
    """The archive, up but for the hours of `DOWN`; what it has stays."""
    edges = [0.0, *(edge for down in DOWN for edge in down), 10_000.0]
    for up, down in zip(edges[::2], edges[1::2], strict=True):
        day.wait_until(up)
        with archive(port, got=got):
            while day.hour < down and not day.ends.wait(0.1):
                pass


def _said(
    config: Config, day: Day, got: dict[str, list[str]], n: int, minutes: float, drained: float
) -> dict[str, Any]:
    with Journal(config.root) as journal:
        states = {row["state"]: row["n"] for row in journal.rows("SELECT state, COUNT(*) n FROM film GROUP BY state")}
        objects = journal.rows("SELECT COUNT(*) n FROM object")[0]["n"]
        whole = journal.broken_event() is None
    return {
        "command": f"python -m tests.whole.clinic.day --minutes {minutes:g}" + (f" --films {n}" if n != 600 else ""),
        "bundle_digest": read_bundle().digest,
        "films": "demo films of a digital hip phantom, each with its own UIDs",
        "synthetic": True,
        "n": n,
        "films_by_state": states,
        "sends_without_0000": day.sent_again,
        "objects_made": objects,
        "objects_in_the_archive": len(got),
        "objects_received_twice_with_equal_bytes": sum(len(one) > 1 and len(set(one)) == 1 for one in got.values()),
        "objects_received_with_other_bytes": sum(len(set(one)) > 1 for one in got.values()),
        "archive_down_hours": DOWN,
        "power_off_hours": REBOOT,
        "journal_whole": whole,
        "seconds_from_the_last_film_to_the_last_object": round(drained, 1),
        "load_average": os.getloadavg()[0],
        "samples": day.samples,
    }


def main() -> None:
    """Run the day and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--films", type=int, default=600)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        found = run(Path(place), options.minutes, options.films)
        log = (Path(place) / "root/log/serve.log").read_text(encoding="utf-8")
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    if found["objects_in_the_archive"] != 2 * found["n"] or found["objects_received_with_other_bytes"]:
        sys.exit(f"not every object is in the archive as it was made\n{log[-2000:]}")


if __name__ == "__main__":
    main()
