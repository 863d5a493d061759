"""What Orthanc with the guard, and `serve`, take of memory at the largest films that are let in.

python -m tests.support.clinic.memory --senders 3 --out FILE

Each program runs in a control group with the MemoryMax of its unit of systemd (root, cgroup v1); so many senders send a
film of the largest size at once, by C-STORE and then by STOW-RS, and then a usual film must be kept.
"""

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.clinic.doors.stow import PATH, SUBJECT
from bmd_edge.clinic.journal.films import films_since
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.derived import derived
from bmd_edge.film.limits import MAX_PIXELS
from tests.support import clinic
from tests.support.clinic import outgoing
from tests.support.films import dicom_bytes

GROUPS = Path("/sys/fs/cgroup/memory")
_SIDE_PX = int(MAX_PIXELS**0.5)


@contextmanager
def limited(pid: int, name: str, most: str) -> Iterator[Path]:
    """Put a process into a group with this limit; its later children are in it too."""
    group = GROUPS / f"bmd-edge-{name}-{pid}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(most)
    (group / "cgroup.procs").write_text(str(pid))
    yield group


def told(group: Path) -> dict[str, int]:
    """The most that the group had at once, in MB, and how many of its processes the kernel has ended."""
    control = (group / "memory.oom_control").read_text()
    peak = int((group / "memory.max_usage_in_bytes").read_text())
    return {"peak_mb": peak // 1_000_000, "killed": int(re.search(r"oom_kill (\d+)", control)[1])}  # type: ignore[index]


def large(number: int) -> bytes:
    """A film of as many pixels as are let in, 16 bits each: some 200 MB."""
    uid = f"1.2.826.0.1.3680043.15.{number + 1}"
    return dicom_bytes(np.full((_SIDE_PX, _SIDE_PX), number, "<u2"), SOPInstanceUID=uid)


def measure(place: Path, senders: int) -> dict[str, Any]:
    """Send the films at once by each door, then a usual one; returns peaks and how many were kept."""
    config = outgoing.box(place / "etc", place / "root", 1, 'stow_tls = "127.0.0.1:8443"')
    port = int(config.door.dicom.rpartition(":")[2])
    most = {
        name: re.search(r"MemoryMax=(\S+)", text)[1] for name, text in derived(config).items() if "MemoryMax" in text
    }
    answers: list[Any] = []

    def by_c_store(number: int) -> None:
        answers.append(clinic.send(port, [large(number)], timeout_s=600))

    def by_stow(number: int) -> None:
        connection = clinic.ToSocket(config.root / "stow.sock")
        headers = {"Content-Type": clinic.STOW_TYPE, SUBJECT: "CN=xray1"}
        connection.request("POST", PATH, clinic.stow_body(large(number)), headers)
        answers.append(connection.getresponse().status)
        connection.close()

    with (
        clinic.orthanc(config) as orthanc,
        clinic.served(config) as serve,
        limited(orthanc.process.pid, "orthanc", most["bmd-edge-orthanc.service"]) as orthanc_group,
        limited(serve.process.pid, "serve", most["bmd-edge-serve.service"]) as serve_group,
    ):
        for first, send in ((0, by_c_store), (senders, by_stow)):
            threads = [threading.Thread(target=send, args=(first + n,)) for n in range(senders)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        usual = clinic.send(port, [outgoing.film(0)], timeout_s=600)
        end = time.monotonic() + 1200
        with Journal(config.root) as journal:
            while any(film.state != "ready" for film in films_since(journal, 0)) and time.monotonic() < end:
                time.sleep(1)
            states = [f"{film.state} {film.reason}".strip() for film in films_since(journal, 0)]
        found = {"orthanc": told(orthanc_group), "serve": told(serve_group)}
    return {"limits": most, **found, "answers": answers, "a_usual_film_afterwards": usual, "films": states}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    result: dict[str, Any] = {"command": f"python -m tests.support.clinic.memory --senders {given.senders}"}
    with tempfile.TemporaryDirectory() as place:
        result |= measure(Path(place), given.senders)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
