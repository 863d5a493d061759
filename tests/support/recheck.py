"""How long it takes to find that nothing is to be done: python -m tests.support.recheck --n 100000

Fills a folder with empty files and a ledger that holds a finished report for each, lets `bmd-edge screen` write the
results once, and measures a second run: the whole command, from start to exit, by the clock and by the CPU, for other
processes may hold the cores (`load` says how many waited for one at the start).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.screen.folder_plan import stamp_of
from bmd_edge.screen.ledger import Ledger
from bmd_edge.system.patient_key import patient_key

DEMO = Path(__file__).parents[2] / "bmd_edge" / "data" / "demo"
RESULT = Path(__file__).parents[2] / "tests" / "results" / "recheck.json"


def filled(folder: Path, out: Path, n: int) -> None:
    """Make `n` files, 500 to a subfolder, each with the report of a demo film in the ledger; without pictures."""
    out.mkdir()
    with open_bundle().screener(device="cpu", threads=1) as screener:
        screener.patient_key = patient_key()  # as the command does it
        settings, report = screener.setup.digest, screener.read(DEMO / "pelvis.dcm")
    with closing(Ledger(out)) as ledger:
        ledger.enter(folder)
        ledger._db.execute("BEGIN")
        for number in range(n):
            path = folder / f"{number // 500:04d}" / f"{number:06d}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            key = path.relative_to(folder).as_posix()
            one = replace(report, file=key, film_id=f"{number:016x}", sop_instance_uid=None, pixel_digest=f"{number}")
            ledger.put(key.encode(), stamp_of(path.stat()), settings, one, None)
        ledger._db.execute("COMMIT")


def timed(folder: Path, out: Path) -> tuple[float, float]:
    """Seconds of one `bmd-edge screen`, which must find every film finished, by the clock and of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "bmd_edge.cli.main", "screen", folder, "--out", out, "--device", "cpu"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(seconds, 1), round(cpu, 1)


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.recheck", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        folder, out = Path(place, "films"), Path(place, "out")
        filled(folder, out, asked.n)
        load = os.getloadavg()[0]
        (first, _), (again, cpu) = timed(folder, out), timed(folder, out)
    found = {
        "command": f"python -m tests.support.recheck --n {asked.n}",
        "bundle": read_bundle().manifest.version,
        "n": asked.n,
        "write_all_results_s": first,
        "recheck_s": again,
        "recheck_cpu_s": cpu,
        "load": round(load, 1),
        "cores": os.cpu_count(),
    }
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
