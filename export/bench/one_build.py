"""One build of the runtime, film by film: run by `bench --against CHECKOUT`, whose package comes first on the path.

Reads paths of films, one a line, and answers each with what it cost the one worker, a JSON object. An empty line starts
the peak of its memory anew. It uses of a build only what builds have in common.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any


def cost(pid: int) -> dict[str, float]:
    """What a process has spent so far: CPU seconds of all its threads, page faults, bytes that came from a disk."""
    place = Path(f"/proc/{pid}")
    tasks = [int((task / "schedstat").read_text().split()[0]) for task in (place / "task").iterdir()]
    fields = (place / "stat").read_text().rpartition(")")[2].split()  # from the third one on, see proc(5)
    read = int((place / "io").read_text().partition("\nread_bytes:")[2].split()[0])
    return {"cpu_s": sum(tasks) / 1e9, "faults": int(fields[7]) + int(fields[9]), "disk_bytes": read}


def peak_mb(pid: int) -> float:
    """The most memory that a process has held."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def _parts() -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """Crew, FilmJob and open_screener, wherever this build has them."""
    try:
        package = import_module("bmd_edge")
        return package.Crew, package.FilmJob, package.open_screener
    except AttributeError:  # before they were public
        screener = import_module("bmd_edge.screener")
        return import_module("bmd_edge.crew").Crew, screener.Task, screener.open_screener


def main() -> None:
    """Answer every line until there is none."""
    crew_of, job_of, opener = _parts()
    with crew_of(partial(opener, None, device="cpu", threads=1), 1) as crew:
        print(json.dumps({"bundle_digest": crew.setup.failed.bundle_digest}), flush=True)  # noqa: T201
        for line in sys.stdin:
            if not line.strip():
                Path(f"/proc/{crew.pids[0]}/clear_refs").write_text("5")
                continue
            before, start = cost(crew.pids[0]), time.perf_counter()
            [(_, outcome)] = crew.examine([job_of(os.fsencode(line.rstrip("\n")), "film")])
            seconds, after = time.perf_counter() - start, cost(crew.pids[0])
            spent = {name: after[name] - before[name] for name in before}
            bmd = [estimate.bmd_gcm2 for hip in outcome.report.hips for estimate in hip.estimates]
            facts = {"seconds": seconds, "peak_mb": peak_mb(crew.pids[0]), "status": outcome.report.status}
            print(json.dumps({**spent, **facts, "bmd_gcm2": bmd}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
