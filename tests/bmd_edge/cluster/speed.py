"""What a cluster costs, and what a second machine brings: python -m tests.bmd_edge.cluster.speed --rounds 7 --n 100

In turns the same films, of 9 megapixels in JPEG Lossless, are read by one worker of a crew, by a cluster of one node
with one CPU, and by a cluster of two such nodes. `overhead` compares the CPU time of all processes, Ray's own among
them, of the first two; `efficiency` is the speed of two nodes by the clock over twice that of one. Medians over rounds,
after a round that does not count. For figures that are worth keeping the machine must have two cores and nothing else
to do; it takes about five minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ray

from bmd_edge.cluster.cluster_crew import ClusterCrew
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.screener import open_screener
from bmd_edge.screen.workers import Crew
from bmd_edge.system.machine import cpu_name, cpus
from export.bench.films import films
from tests.bmd_edge.cluster.nodes import ROOT, Nodes, alone, loopback_up

RESULT = ROOT / "tests" / "results" / "cluster_speed.json"
DISTINCT = 10


def cpu_seconds() -> float:
    """CPU time of all processes of this table, which is one's own, and of those that have ended (proc(5))."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def timed(crew: Crew | ClusterCrew, jobs: list[FilmJob]) -> dict[str, float]:
    """Seconds by the clock and of CPU that it takes until all films are examined."""
    begun, cpu = time.perf_counter(), cpu_seconds()
    outcomes = list(crew.examine(jobs))
    assert len(outcomes) == len(jobs)
    assert all(outcome.report.status in ("read", "refused") for _, outcome in outcomes)
    return {"seconds": time.perf_counter() - begun, "cpu_seconds": cpu_seconds() - cpu}


def measured(place: Path, n: int, rounds: int) -> dict[str, Any]:
    for number, film in enumerate(films("jpeg_lossless", DISTINCT)):
        (place / f"{number}.dcm").write_bytes(film)
    jobs = [FilmJob(os.fsencode(place / f"{k % DISTINCT}.dcm"), f"{k}") for k in range(n)]
    opener: Callable[[], Any] = partial(open_screener, None, device="cpu", threads=1)
    with ExitStack() as stack:
        one = stack.enter_context(Nodes(place / "one", 6391))
        two = stack.enter_context(Nodes(place / "two", 6392))
        one.start("a")
        two.start("a", "b")
        crews = {
            "plain": stack.enter_context(Crew(opener, 1)),
            "one node": stack.enter_context(ClusterCrew(opener, one.address)),
            "two nodes": stack.enter_context(ClusterCrew(opener, two.address)),
        }
        load = os.getloadavg()[0]
        turns = [{name: timed(crew, jobs) for name, crew in crews.items()} for _ in range(rounds + 1)][1:]
    overhead = [turn["one node"]["cpu_seconds"] / turn["plain"]["cpu_seconds"] - 1 for turn in turns]
    efficiency = [turn["one node"]["seconds"] / (2 * turn["two nodes"]["seconds"]) for turn in turns]
    medians = {name: median(turn[name]["seconds"] for turn in turns) / n for name in crews}
    return {
        "overhead_of_cpu": round(median(overhead), 3),
        "efficiency_of_two_nodes": round(median(efficiency), 3),
        "rounds": {"overhead": [round(x, 3) for x in overhead], "efficiency": [round(x, 3) for x in efficiency]},
        "seconds_per_film": {name: round(seconds, 4) for name, seconds in medians.items()},
        "load_at_start": round(load, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=100, help="films of a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.inside:
        words = ["--inside", f"--n={asked.n}", f"--rounds={asked.rounds}", f"--out={asked.out.absolute()}"]
        sys.exit(subprocess.run(alone(sys.executable, "-m", __spec__.name, *words)).returncode)
    loopback_up()
    with tempfile.TemporaryDirectory(prefix="bmd-", ignore_cleanup_errors=True) as place:
        found = measured(Path(place), asked.n, asked.rounds)
    command = f"python -m tests.bmd_edge.cluster.speed --rounds {asked.rounds} --n {asked.n}"
    machine = {"cpu": cpu_name(), "cpus": cpus(), "ray": ray.__version__}
    facts = {"command": command, "date": date.today().isoformat(), **machine, "films are": "synthetic", "n": asked.n}
    text = json.dumps({**facts, **found}, indent=2) + "\n"
    asked.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
