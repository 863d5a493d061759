"""A box is looked after while films come in: are any lost, and is any result doubled?

python -m tests.whole.clinic.upkeep --films 60 --out FILE

Two units send, one by C-STORE and one by STOW-RS, both by TLS through nginx, each film until it is answered as kept;
meanwhile everything is done that the page of the clinic box asks of whoever looks after one, by its own commands. In
place of systemd, which runs in no container, the test starts and ends the services.
"""

import argparse
import json
import os
import pwd
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pydicom

import bmd_edge
from bmd_edge.clinic.config import Config, address, read_config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from export.bundle.pack import pack
from tests.bmd_edge.clinic.delivery.archives import Archive, archive
from tests.support import clinic, power
from tests.support.bundles import tiny_parts
from tests.support.clinic.outgoing import _digest, box
from tests.whole.clinic.units import Unit, more, sending, uids

_WITHIN_S = 1800
_DISK_BYTES = 1 << 30
_DAY_S = 86_400
PROGRAM = Path(bmd_edge.__file__).parents[1]


class Box:
    """A box at work with its archive, and what is done to it.

    made: UID and digest of each object. read_with: bundles and versions of the program. said: what was seen of steps.
    """

    def __init__(self, place: Path, root: Path, pacs: Archive) -> None:
        self.place, self.pacs = place, pacs
        self.program = PROGRAM
        self.bundle = _bundle(place / "bundle-1", "test 1")
        self.link = place / "bundle"
        self.link.symlink_to(self.bundle)
        ports = "".join(f'{name} = "127.0.0.1:{clinic.free_port()}"\n' for name in ("dicom_tls", "stow_tls"))
        more = f'{ports}[reading]\nbundle = "{self.link}"\n'
        self.config = box(place / "etc", root, pacs.port, more)
        with clinic.quick_keys():
            make_authority(self.config.root / "tls")
            make_certificate(self.config.root / "tls", "xray1")
            make_certificate(self.config.root / "tls", "box", ("127.0.0.1",))
        self.services: dict[str, tuple[ExitStack, clinic.Peer]] = {}
        self.units: list[Unit] = []
        self.made: dict[str, str] = {}
        self.read_with: set[tuple[str, str]] = set()
        self.said: dict[str, Any] = {}

    def start(self, *names: str) -> None:
        """Start services, as the program in force made their files."""
        opened = {"nginx": clinic.nginx, "orthanc": clinic.orthanc, "serve": self._served}
        for name in names:
            stack = ExitStack()
            self.services[name] = stack, stack.enter_context(opened[name](self.config))

    def _served(self, config: Config) -> Any:
        return clinic.served(config, self.program)

    def stop(self, *names: str) -> None:
        """Stop services as systemd does."""
        for name in names:
            stack, _ = self.services.pop(name)
            stack.close()

    def restart(self, *names: str) -> None:
        self.stop(*names)
        self.start(*names)

    def command(self, *words: object) -> None:
        """A command of the box's, by the program in force."""
        command = ["env", "-C", self.program, sys.executable, "-m", "bmd_edge", "clinic", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def init(self) -> None:
        """What follows from clinic.toml is made anew."""
        self.command("init", self.config.path.parent)
        self.config = read_config(self.config.path)

    def look(self) -> list[films.FilmRow]:
        """The films of the journal; what was made of them is noted before it may be removed."""
        with Journal(self.config.root) as journal:
            found = films.films_since(journal, 0)
            rows = [one for row in found for one in films.objects_of(journal, row.film_key)]
            found = films.films_since(journal, 0)  # a film may have been read meanwhile
        by_key = {row.film_key: json.loads(row.report) for row in found if row.report}
        for one in rows:
            if one.uid not in self.made and (path := self.config.root / one.path).is_file():
                self.made[one.uid] = _digest(path)
                if one.kind == "sr":
                    version = pydicom.dcmread(path).SoftwareVersions
                    self.read_with.add((by_key[one.film_key]["bundle_digest"], version))
        self.said["films_with_a_second_version"] = len({one.film_key for one in rows if one.version > 1})
        return found

    def wait_until(self, what: Callable[[], bool]) -> None:
        """Wait for something that has to come."""
        end = time.monotonic() + _WITHIN_S
        while not what():
            assert time.monotonic() < end, "it does not come"
            time.sleep(0.1)

    def wait_until_read(self) -> None:
        """Wait until the film that came last was read."""
        with Journal(self.config.root) as journal:
            (last,) = journal.rows("SELECT MAX(n) AS n FROM film")
            self.wait_until(lambda: journal.rows("SELECT state FROM film WHERE n=?", last["n"])[0]["state"] in _READ)

    def edit(self, old: str, new: str) -> None:
        """clinic.toml says something else."""
        text = self.config.path.read_text()
        changed = re.sub(old, new, text)
        assert changed != text
        self.config.path.write_text(changed)
        self.init()

    # -- what is done -------------------------------------------------------------------------------------------------

    def certificate(self) -> None:
        """The box gets a new certificate."""
        before = self._shown()
        for name in ("box.crt", "box.key"):
            (self.config.root / "tls" / name).unlink()
        self.init()
        self.services["nginx"][1].process.send_signal(signal.SIGHUP)
        self.wait_until(lambda: self._shown() != before)
        self.said["another_certificate_is_shown"] = True

    def _shown(self) -> str:
        return ssl.get_server_certificate(address(self.config.door.stow_tls))

    def rotation(self) -> None:
        """Logs are rotated, by logrotate."""
        text = (self.config.path.parent / "bmd-edge.logrotate").read_text()
        me = pwd.getpwuid(os.geteuid()).pw_name
        rules = self.place / "logrotate.conf"
        rules.write_text(text.replace("su bmd-edge bmd-edge", f"su {me} {me}"))
        rules.chmod(0o640)
        subprocess.run(["logrotate", "--force", "--state", self.place / "state", rules], check=True)
        self.said["logs_rotated"] = len(list((self.config.root / "log").glob("*.log.1")))

    def use(self, bundle: Path) -> None:
        """Another bundle, by the link that clinic.toml names."""
        new = self.place / "new"
        new.symlink_to(bundle)
        new.replace(self.link)
        self.restart("serve")

    def run(self, program: Path) -> None:
        """Another version of the program."""
        self.program = program
        self.init()
        self.restart("serve", "orthanc")

    def backup(self) -> None:
        """A backup is made."""
        self.command("backup", self.place / "backup", "--config", self.config.path)

    def restoring(self) -> None:
        """The journal is lost after a backup, and restored; films have come meanwhile."""
        self.backup()
        more(self.units, 1)
        self.look()
        self.stop("serve", "orthanc")
        for name in ("journal.sqlite", "journal.sqlite-wal"):
            (self.config.root / name).write_bytes(b"damaged" * 1000)
        self.command("restore", self.place / "backup", "--config", self.config.path)
        self.start("orthanc", "serve")

    def retention(self) -> None:
        """What the archive has had for long enough is removed: in the journal films are made a month older for it."""
        self.stop("serve")
        self.look()
        self.edit("box = { ", "box = { keep_days = 30, ")
        with Journal(self.config.root) as journal, journal.change() as db:
            old = [row["film_key"] for row in db.execute("SELECT film_key FROM film WHERE state='done'")]
            for key in old:
                db.execute("UPDATE film SET received_at=received_at-? WHERE film_key=?", (31 * _DAY_S, key))
                where = "uid IN (SELECT uid FROM object WHERE film_key=?)"
                db.execute(f"UPDATE delivery SET since=since-? WHERE {where}", (31 * _DAY_S, key))
        self.start("serve")
        self.wait_until(lambda: not any(films.film_path(self.config.root, key).exists() for key in old))
        self.said["films_removed"] = len(old)
        self.restart("orthanc")  # its guard reads clinic.toml

    def full_disk(self) -> None:
        """The disk fills up to the mark: films are refused, and results still go out; then there is room again."""
        self.edit(r"min_free_mb = \d+", "min_free_mb = 100")
        self.restart("serve", "orthanc")
        filler = self.config.root / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.config.root).free - 80_000_000)
        before = [unit.sent_again for unit in self.units]
        self.wait_until(lambda: all(unit.sent_again > had + 5 for unit, had in zip(self.units, before, strict=True)))
        with Journal(self.config.root) as journal:
            self.wait_until(lambda: not films.films_in(journal, "received", "screening", "ready"))
        self.said["refused_by_a_full_disk"] = sum(unit.sent_again for unit in self.units) - sum(before)
        filler.unlink()


STEPS: dict[str, Callable[[Box], None]] = {
    "certificate": Box.certificate,
    "rotation": Box.rotation,
    "backup": Box.backup,
    "another bundle": lambda box: box.use(_bundle(box.place / "bundle-2", "test 2")),
    "the bundle of before": lambda box: box.use(box.bundle),
    "another version": lambda box: box.run(_other_program(box.place / "program-2")),
    "the version of before": lambda box: box.run(PROGRAM),
    "restoring": Box.restoring,
    "full disk": Box.full_disk,
    "retention": Box.retention,
}
_READ = ("ready", "done")


def _other_program(place: Path) -> Path:
    """Another version of this one."""
    source = Path(bmd_edge.__file__).parent
    shutil.copytree(source, place / "bmd_edge", ignore=shutil.ignore_patterns("__pycache__"))
    version = place / "bmd_edge" / "version.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "99.'))
    return place


def _bundle(folder: Path, version: str) -> Path:
    """A real bundle of tiny networks, which refuses most films: a refusal is a result."""
    with TemporaryDirectory() as scratch:
        parts = tiny_parts(Path(scratch), int8=False)
        pack(folder, replace(parts, version=version))
    return folder


@contextmanager
def at_work(place: Path) -> Iterator[Box]:
    """A box on a disk of its own, with all its services and an archive, to which units send."""
    (scratch := place / "disk").mkdir()
    with power.disk(scratch, size=_DISK_BYTES) as disk, archive() as pacs:
        made = Box(place, disk.folder / "root", pacs)
        made.start("orthanc", "nginx", "serve")
        try:
            yield made
        finally:
            made.stop(*list(made.services))


def run(place: Path, steps: list[str], n: int) -> dict[str, Any]:
    """Do `steps` while at least `n` films come in; returns what became of them."""
    start, took = time.monotonic(), {}
    with at_work(place) as box:
        with sending(box.config) as box.units:
            for name in steps:
                more(box.units, 1)
                box.wait_until_read()
                began = time.monotonic()
                STEPS[name](box)
                took[name] = round(time.monotonic() - began, 1)
                more(box.units, 1)
                box.wait_until_read()
            box.wait_until(lambda: len(uids(box.units)) >= n)
        box.wait_until(lambda: all(one.state == "done" for one in box.look()))
        found, kept, made, got = box.look(), uids(box.units), box.made, box.pacs.got
        with Journal(box.config.root) as journal:
            broken = journal.broken_event()
        return {
            "films": len(kept),
            "sends_without_success": sum(unit.sent_again for unit in box.units),
            "films_lost": len(kept - {one.sop_uid for one in found}),
            "films_twice": len(found) - len({one.sop_uid for one in found}),
            "objects_made": len(made),
            "objects_in_the_archive": len(got),
            "objects_not_in_the_archive": len(set(made) - set(got)),
            "objects_that_nobody_made": len(set(got) - set(made)),
            "objects_with_other_bytes": sum(set(copies) != {made.get(uid)} for uid, copies in got.items()),
            "bundles_and_versions": len(box.read_with),
            "journal_whole": broken is None,
            **box.said,
            "seconds_of_steps": took,
            "seconds": round(time.monotonic() - start),
        }


def main() -> None:
    """Look after a box and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    command = f"python -m tests.whole.clinic.upkeep --films {given.films} --out {given.out}"
    with TemporaryDirectory() as place:
        found = run(Path(place), list(STEPS), given.films)
    result = {"command": command, "kind": "drawn films, so none of a patient", "made": f"{datetime.now(UTC):%Y-%m-%d}"}
    given.out.write_text(json.dumps(result | found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
