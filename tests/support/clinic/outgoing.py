"""Results are made and sent, and meanwhile the power goes or `serve` is killed: what has become of the objects?

python -m tests.support.clinic.outgoing power_cuts --times 20 --out FILE
"""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.init import prepare, write_config
from tests.bmd_edge.clinic.delivery.archives import TITLE, archive, data_set
from tests.support import clinic, power
from tests.support.clinic import cuts
from tests.support.screening import hip_dicom

Got = dict[str, list[str]]
"""SOP Instance UID -> SHA-256 of every data set that came to the archive under it."""
_DISK_BYTES = 512 << 20
_WITHIN_S = 900


def box(etc: Path, root: Path, port: int, more: str = "") -> Config:
    """A box with one unit that delivers to the archive at `port` of this machine; `more` are lines of its door."""
    text = f"""approval = "EK 2026-117"
box = {{ root = "{root}", min_free_mb = 1, scratch = "{etc}-scratch" }}
units.xray1 = {{ ae_title = "XRAY1", host = "127.0.0.1" }}
pacs.main = {{ kind = "dicom", ae_title = "{TITLE}", host = "127.0.0.1", port = {port} }}
[door]
dicom = "127.0.0.1:{clinic.free_port()}"
{more}
"""
    config = write_config(etc, text)
    prepare(config)
    return config


def film(number: int) -> bytes:
    """A drawn film like no other."""
    uid = f"1.2.826.0.1.3680043.13.{number + 1}"
    return hip_dicom("R", bone=2400 + 8 * (number % 100), SOPInstanceUID=uid)


@contextmanager
def at_work(config: Config, *, orthanc: bool = False) -> Iterator[list[clinic.Peer]]:
    """`serve` runs, and Orthanc where it is asked for."""
    with ExitStack() as stack:
        peers = [stack.enter_context(clinic.orthanc(config))] if orthanc else []
        yield [*peers, stack.enter_context(clinic.served(config))]


def finish(config: Config, got: Got, films_in: int) -> dict[str, int]:
    """Serve until every film has both objects in the archive; then count what is wrong with them."""
    with clinic.served(config), Journal(config.root) as journal:
        end = time.monotonic() + _WITHIN_S
        while not _is_done(journal, films_in) and time.monotonic() < end:
            time.sleep(0.2)
    with Journal(config.root) as journal:
        rows = [one for film in films.films_since(journal, 0) for one in films.objects_of(journal, film.film_key)]
        broken = journal.broken_event()
    whole = {one.uid: _digest(config.root / one.path) for one in rows}
    return {
        "films_without_both_objects_in_the_archive": films_in - len(set(got) & set(whole)) // 2,
        "objects_in_the_archive": len(got),
        "objects_that_nobody_made": len(set(got) - set(whole)),
        "objects_with_other_bytes": sum(set(copies) != {whole.get(uid)} for uid, copies in got.items()),
        "objects_sent_again": sum(len(copies) > 1 for copies in got.values()),
        "half_files_or_broken_rows": len(list((config.root / films.OUTBOX).glob(".*.part"))) + (broken is not None),
    }


def _is_done(journal: Journal, n: int) -> bool:
    return [one.state for one in films.films_since(journal, 0)] == ["done"] * n


def _digest(path: Path) -> str:
    return hashlib.sha256(data_set(path.read_bytes())).hexdigest() if path.is_file() else "missing"


# -- kills ------------------------------------------------------------------------------------------------------------


def kills(place: Path, times: int, seed: int = 0, *, orthanc: bool = False) -> dict[str, Any]:
    """Kill `serve`, and Orthanc beside it where that is asked for, at random steps of its work on a film each."""
    chance, start = random.Random(seed), time.monotonic()
    with archive() as pacs:
        config = box(place / "etc", place / "root", pacs.port)
        acknowledged = 0
        with Journal(config.root) as journal:
            for number in range(times):
                steps = chance.randint(0, 5)  # screening, objects made, each of two sent, and so on
                with at_work(config, orthanc=orthanc) as peers:
                    before = _events(journal)
                    acknowledged += _send(config, journal, film(number), orthanc=orthanc)
                    end = time.monotonic() + 30
                    while _events(journal) < before + steps and time.monotonic() < end:
                        time.sleep(0.005)
                    time.sleep(chance.uniform(0, 0.1))
                    for peer in peers:
                        peer.kill()
        found = finish(config, pacs.got, acknowledged)
    return {"kills": times, "films": acknowledged, **found, "seconds": round(time.monotonic() - start)}


def kills_of_both(place: Path, times: int, seed: int = 0) -> dict[str, Any]:
    """As `kills`, of Orthanc and `serve` at once; films come by C-STORE."""
    return kills(place, times, seed, orthanc=True)


def _send(config: Config, journal: Journal, data: bytes, *, orthanc: bool) -> bool:
    if orthanc:
        return clinic.send(int(config.door.dicom.rpartition(":")[2]), [data]) == [0]
    return Door(config, journal).keep(data, Origin("stow", "xray1")) == 0


def _events(journal: Journal) -> int:
    return int(journal.rows("SELECT COALESCE(MAX(n), 0) AS n FROM event")[0]["n"])


# -- power cuts -------------------------------------------------------------------------------------------------------


def power_cuts(place: Path, times: int, seed: int = 0) -> dict[str, Any]:
    """Cut the power at random moments while objects are made and sent; each disk that is left must be served on."""
    chance, start = random.Random(seed), time.monotonic()
    total = {"power_cuts": times, "films": 0, "objects_received_before_cuts": 0, "rows_without_their_whole_file": 0}
    port, scratch = clinic.free_port(), place / "disk"
    scratch.mkdir()
    with power.disk(scratch, busy=True, size=_DISK_BYTES) as disk:
        root = disk.folder / "root"
        config = box(place / "etc", root, port)
        for first in range(0, times, 5):  # the copies need room
            copies: list[tuple[Path, Got]] = []
            with archive(port) as pacs, clinic.served(config), Journal(root) as journal:
                for number in range(first, min(first + 5, times)):
                    _send(config, journal, film(number), orthanc=False)
                    before, steps, end = _events(journal), chance.randint(0, 5), time.monotonic() + 30
                    while _events(journal) < before + steps and time.monotonic() < end:
                        time.sleep(0.005)
                    time.sleep(chance.uniform(0, 0.1))
                    received = {uid: list(copies) for uid, copies in pacs.got.items()}
                    copies.append((disk.cut(f"{number}"), received))
            total = _added(total, [_left(place, disk, *copy) for copy in copies])
            _empty(root)
    return {**total, "seconds": round(time.monotonic() - start)}


def _left(place: Path, disk: power.Disk, copy: Path, received: Got) -> dict[str, int]:
    """What one cut has left, and what becomes of it when it is served on with an archive that has what it had."""
    with disk.left(copy) as left, archive(got=received) as pacs:
        root, had = left / "root", sum(map(len, received.values()))
        with Journal(root) as journal:
            found = films.films_since(journal, 0)
            rows = [one for film in found for one in films.objects_of(journal, film.film_key)]
        whole = [one for one in rows if _sha256(root / one.path) == one.sha256]
        after = finish(box(place / f"etc-{copy.stem}", root, pacs.port), pacs.got, len(found))
        return {
            "films": len(found),
            "objects_received_before_cuts": had,
            "rows_without_their_whole_file": len(rows) - len(whole),
            **after,
        }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _empty(root: Path) -> None:
    """Room on the disk for the next films: what is done needs its files no more."""
    for folder in (films.SPOOL, films.OUTBOX):
        for path in (root / folder).iterdir():
            path.unlink()
    for path in root.glob("journal.sqlite*"):
        path.unlink()


def _added(total: dict[str, Any], counts: list[dict[str, int]]) -> dict[str, Any]:
    names = dict.fromkeys([*total, *(name for one in counts for name in one)])
    return {name: total.get(name, 0) + sum(one.get(name, 0) for one in counts) for name in names}


MEASURES = {"kills_of_serve": kills, "kills_of_both": kills_of_both, "power_cuts_outgoing": power_cuts}

if __name__ == "__main__":
    cuts.main("tests.support.clinic.outgoing", MEASURES, kind="drawn films, so none of a patient")
