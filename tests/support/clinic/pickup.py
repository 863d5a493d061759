"""How soon a film is taken from the watched folder after its last byte, and whether ever before it.

python -m tests.support.clinic.pickup --films 60 --over sftp smb --out FILE

Films are copied slowly, in parts with pauses, into a folder of this machine and into ones that are watched over a real
network file system: SFTP (`sshfs` with OpenSSH's server; needs sshfs, openssh-sftp-server and socat) or SMB 2 (`rclone
mount` with Samba's server; needs rclone and samba). Both clients run beside the kernel, by FUSE, so that they need none
of its modules. On a machine with other things to do the seconds mean little.
"""

import argparse
import getpass
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.watch import FolderDoor, watch
from bmd_edge.clinic.journal.films import film_path, films_since
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic
from tests.support.films import JPEG_LS, dicom_bytes, pixels

SFTP = "/usr/lib/openssh/sftp-server"
_WITHIN_S = 120
_OF_SAMBA = ("private dir", "lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir")
"""Folders of its own."""


@contextmanager
def over_sftp(shared: Path, place: Path) -> Iterator[Path]:
    """The folder `shared` as another machine's: mounted by sshfs, which keeps nothing of what it was told."""
    port = clinic.free_port()
    # Without nodelay each request waits 40 ms for the acknowledgment of the one before.
    serving = ["socat", f"TCP-LISTEN:{port},fork,nodelay,bind=127.0.0.1", f"EXEC:{SFTP}"]
    place.mkdir()
    with clinic.started(serving, place.with_name("sftp.log"), port):
        options = f"directport={port},dir_cache=no,attr_timeout=0,entry_timeout=0"
        subprocess.run(["sshfs", f"127.0.0.1:{shared}", place, "-o", options], check=True)
        try:
            yield place
        finally:
            subprocess.run(["fusermount", "-u", place], check=True)


@contextmanager
def over_smb(shared: Path, place: Path) -> Iterator[Path]:
    """The same by SMB: Samba's server, and rclone, which keeps nothing of what it was told either."""
    port, own = clinic.free_port(), place.with_name("samba")
    for made in (own, place):
        made.mkdir()
    served = [f"smb ports = {port}", "interfaces = lo", "bind interfaces only = yes", "disable netbios = yes"]
    served += [f"{what} = {own}" for what in _OF_SAMBA]
    served += [
        "map to guest = Bad User",
        "[films]",
        f"path = {shared}",
        "guest ok = yes",
        f"force user = {getpass.getuser()}",
    ]
    (own / "smb.conf").write_text("\n".join(["[global]", *served]), encoding="utf-8")
    serving = ["smbd", "--foreground", "--no-process-group", "--debug-stdout", f"--configfile={own / 'smb.conf'}"]
    now = ["--dir-cache-time=0s", "--attr-timeout=0s", "--vfs-cache-mode=off"]
    mounting = ["rclone", "mount", ":smb:films", place, "--config=", "--smb-host=127.0.0.1", f"--smb-port={port}", *now]
    with clinic.started(serving, own / "smbd.log", port), clinic.started(mounting, own / "rclone.log") as mount:
        while not place.is_mount():
            assert mount.process.poll() is None, mount.log.read_text()
            time.sleep(0.05)
        yield place


OVER: dict[str, Callable[[Path, Path], AbstractContextManager[Path]]] = {"sftp": over_sftp, "smb": over_smb}


def films(n: int) -> Iterator[tuple[str, bytes]]:
    """SOP Instance UID and bytes of films of some 2 MB, every other one compressed."""
    for number in range(n):
        uid = f"1.2.826.0.1.3680043.14.{number + 1}"
        syntax = {"syntax": JPEG_LS} if number % 2 else {}
        yield uid, dicom_bytes(pixels(1200, 900, seed=number), SOPInstanceUID=uid, **syntax)


def measure(config: Config, into: Path, n: int) -> dict[str, Any]:
    """Copy `n` films into the folder `into`, which the box of `config` watches under its own name."""
    chance, whole, ends = random.Random(0), {}, threading.Event()
    with Journal(config.root) as journal:
        folder_door = FolderDoor(Door(config, journal), journal, Path(config.door.folder))
        thread = threading.Thread(target=watch, args=(folder_door, ends))
        thread.start()
        for number, (uid, data) in enumerate(films(n)):
            _copied(into / f"{number}.dcm", data, chance)
            whole[uid] = time.time(), data
        end = time.monotonic() + _WITHIN_S
        while len(found := films_since(journal, 0)) < n and time.monotonic() < end:
            time.sleep(0.1)
        ends.set()
        thread.join()
        seconds = sorted(one.received_at - whole[one.sop_uid][0] for one in found)
        kept = {one.sop_uid: film_path(config.root, one.film_key).read_bytes() for one in found}
    return {
        "films": n,
        "taken": len(found),
        "taken_before_the_last_byte": sum(one < 0 for one in seconds),
        "not_as_they_were_copied": sum(data != whole[uid][1] for uid, data in kept.items()),
        "refused": len(journal_refusals(config)),
        "median_s_after_the_last_byte": _at(seconds, 0.5),
        "most_s_after_the_last_byte": _at(seconds, 1),
    }


def journal_refusals(config: Config) -> list[str]:
    """What the folder's door refused."""
    with Journal(config.root) as journal:
        return [row["detail"] for row in journal.rows("SELECT detail FROM event WHERE what='refused'")]


def _copied(path: Path, data: bytes, chance: random.Random) -> None:
    """As a program copies over a slow line: some parts, with pauses of up to 1.5 s between them."""
    cuts = sorted(chance.randrange(len(data)) for _ in range(3))
    with path.open("wb") as file:
        for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
            file.write(data[start:stop])
            file.flush()
            if stop < len(data):
                time.sleep(chance.uniform(0, 1.5))


def _at(seconds: list[float], share: float) -> float | None:
    return round(seconds[min(int(share * len(seconds)), len(seconds) - 1)], 2) if seconds else None


def main() -> None:
    """Measure each folder and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--over", nargs="*", choices=OVER, default=list(OVER))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    command = f"python -m tests.support.clinic.pickup --films {given.films} --over {' '.join(given.over)}"
    result: dict[str, Any] = {"command": command.strip()}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "films").mkdir()
        config = clinic.box(place / "local", folder=str(place / "films"))
        result["folder of this machine"] = measure(config, place / "films", given.films)
        for name in given.over:
            (shared := place / name / "shared").mkdir(parents=True)
            with OVER[name](shared, place / name / "mounted") as mounted:
                config = clinic.box(place / name / "box", folder=str(mounted))
                result[name] = measure(config, shared, given.films)
    result["load_average"] = os.getloadavg()[0]
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
