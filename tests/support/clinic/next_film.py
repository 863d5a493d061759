"""How soon a unit's film is answered after a stranger was refused: python -m tests.support.clinic.next_film --out FILE

Each kind of stranger comes once, by C-STORE or STOW-RS, and after each a film of a unit by C-STORE, by C-STORE over TLS
and by STOW-RS. Everything is real: Orthanc with the guard, nginx, our STOW-RS. The seconds are those that the unit
waits, its connection and the whole film with them. With other things to do a machine tells little.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import clinic
from tests.support.films import DEFLATED, dicom_bytes
from tests.whole.clinic.test_strangers import Running, by_dicom, by_stow, doors_open, post


def next_films(box: Running, number: int) -> dict[str, float]:
    """The next film at each door: seconds to its answer, which must be that it is kept."""
    tls, found = box.context(), {}
    ways: dict[str, Callable[[bytes], bool]] = {
        "C-STORE": lambda film: clinic.send(box.dicom, [film]) == [0],
        "C-STORE over TLS": lambda film: clinic.send(box.dicom_tls, [film], tls=tls) == [0],
        "STOW-RS": lambda film: post(box, clinic.stow_body(film), tls) == 200,
    }
    for door, (way, send) in enumerate(ways.items()):
        film = dicom_bytes(SOPInstanceUID=f"1.2.826.0.1.3680043.15.{number}.{door}")
        began = time.monotonic()
        assert send(film), way
        found[way] = round(time.monotonic() - began, 2)
    return found


def measure(place: Path) -> dict[str, Any]:
    """Each stranger once, and the next films."""
    with doors_open(place) as box:
        deflated = [dicom_bytes(syntax=DEFLATED)]
        strangers = {f"C-STORE, {kind}": comes for kind, comes in by_dicom(box).items()}
        strangers |= {"C-STORE, deflated": lambda: clinic.send(box.dicom, deflated)}
        strangers |= {f"STOW-RS, {kind}": comes for kind, comes in by_stow(box).items()}
        usual, seconds = next_films(box, 0), {}
        for number, (kind, comes) in enumerate(strangers.items(), 1):
            assert comes() not in (200, [0]), kind
            seconds[kind] = next_films(box, number)
    most = max(one for after in seconds.values() for one in after.values())
    return {"most_s": most, "seconds_without_a_stranger": usual, "seconds_after": seconds}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        result = {"command": "python -m tests.support.clinic.next_film", **measure(Path(place))}
    result |= {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0]}
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
