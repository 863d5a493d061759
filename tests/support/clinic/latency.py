"""How long a film takes from its answer to both objects in the archive.

python -m tests.support.clinic.latency --films 60 --every 20 --out FILE

First one film of the demo after the other, then as many at once from three units. Everything is real: Orthanc with the
guard, `bmd-edge clinic serve`, pynetdicom as sender and as archive. The seconds are the journal's: when the row of a
film was committed, and when the last of its objects was answered. With other things to do a machine tells little.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.films import FilmRow, films_in
from bmd_edge.clinic.journal.store import Journal
from tests.bmd_edge.clinic.delivery.archives import archive
from tests.support import clinic
from tests.support.clinic import outgoing
from tests.whole.clinic.day import film

UNITS = 3
_WITHIN_S = 1800


def sent(config: Config, films: list[bytes]) -> None:
    """Send films by C-STORE in one association; each must be kept."""
    answers = clinic.send(int(config.door.dicom.rpartition(":")[2]), films, timeout_s=300)
    assert answers == [0] * len(films), answers


def arrived(config: Config, n: int) -> list[tuple[FilmRow, float]]:
    """Wait until `n` films are done; each with the time when the last of its objects was answered."""
    end = time.monotonic() + _WITHIN_S
    with Journal(config.root) as journal:
        while len(films_in(journal, "done")) < n:
            assert time.monotonic() < end, f"{len(films_in(journal, 'done'))} of {n} films are done"
            time.sleep(0.1)
        found = films_in(journal, "done")
        return [(one, max(row.since for row in deliveries.of_film(journal, one.film_key))) for one in found]


def measure(place: Path, n: int, every_s: float) -> dict[str, Any]:
    """Films one by one, then at once."""
    with archive() as pacs:
        config = outgoing.box(place / "etc", place / "root", pacs.port)
        with clinic.orthanc(config), clinic.served(config):
            sent(config, [film(0)])
            arrived(config, 1)  # it is warm
            for number in range(1, n + 1):
                sent(config, [film(number)])
                time.sleep(every_s)
            seconds = sorted(at - one.received_at for one, at in arrived(config, n + 1)[1:])
            began = time.time()
            shares = [[film(k) for k in range(n + 1 + unit, 2 * n + 1, UNITS)] for unit in range(UNITS)]
            threads = [threading.Thread(target=sent, args=(config, share)) for share in shares]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            last = max(at for _, at in arrived(config, 2 * n + 1)) - began
    return {
        "films": n,
        "one_every_s": every_s,
        "median_s": round(seconds[len(seconds) // 2], 2),
        "p95_s": round(seconds[min(int(0.95 * n), n - 1)], 2),
        "at_once_s_to_the_last": round(last, 1),
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--every", type=float, default=20.0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    command = f"python -m tests.support.clinic.latency --films {given.films} --every {given.every:g}"
    with tempfile.TemporaryDirectory() as place:
        result = {"command": command, **measure(Path(place), given.films, given.every)}
    result |= {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0]}
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
