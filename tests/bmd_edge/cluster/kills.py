"""Runs on three nodes that are killed again and again: python -m tests.bmd_edge.cluster.kills --kills 20 --drivers 5

At random moments a node loses its actor, or all of its processes at once and is started anew, and the run itself is
killed and started anew; between two kills of nodes a film is finished, so the cluster is at work when it is hit. As
long as there are kills to come, another run begins in a new folder of results. Each must end with the bytes of a run on
this machine alone. The nodes have a network of their own, without others.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from threading import Event, Thread
from typing import Any

import ray

from tests.bmd_edge.cluster.nodes import Nodes, alone, loopback_up
from tests.bmd_edge.cluster.story import FILES, KILL, contents, films, plain, run

NODES = ("a", "b", "c")
LATEST_S = 2.0
NOBODY = "no machine of the cluster was ready"  # it says so and ends; the same command goes on
RESULT = Path(__file__).parents[3] / "tests" / "results" / "cluster.json"


class Killer(Thread):
    """Ends actors and nodes, each at a random moment after a film is `finished`, until `kills` have been ended."""

    def __init__(self, nodes: Nodes, kills: int, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.finished, self.done = Event(), Counter[str]()
        self._nodes, self._kills, self._chance = nodes, kills, chance

    @property
    def left(self) -> int:
        return self._kills - self.done.total()

    def run(self) -> None:
        while self.left:
            self.finished.wait()
            time.sleep(self._chance.uniform(0, LATEST_S))
            name = self._chance.choice(NODES)
            if self._chance.random() < 0.75:
                self.done["actors"] += self._nodes.kill_actor(name)
            else:
                self._nodes.kill(name)
                self.done["nodes"] += 1
                self._nodes.start(name)
            self.finished.clear()


def rounds(place: Path, n: int, kills: int, drivers: int, seed: int) -> dict[str, Any]:
    """Runs until all kills are done; what was found."""
    chance = random.Random(seed)
    folder = films(place / "patients" / "films", n)
    whole = plain(folder, place / "plain")
    expected = len((place / "plain" / "results.jsonl").read_text().splitlines())
    found: dict[str, Any] = {"rounds": 0, "films": expected, "lost": 0, "doubled": 0, "unlike": 0}
    found |= {"drivers killed": 0, "runs without a machine": 0}
    with Nodes(place / "nodes") as nodes:
        nodes.start(*NODES)
        killer = Killer(nodes, kills, chance)
        killer.start()
        while killer.left or found["drivers killed"] < drivers:
            out, status = place / f"out{found['rounds']}", -9
            while status:
                left = found["drivers killed"] < drivers
                deeds = {chance.randrange(1, expected): KILL} if left else {}
                done = run(folder, out, nodes.address, deeds, killer.finished.set)
                status = done["status"]
                found["drivers killed"] += status == -9
                found["runs without a machine"] += NOBODY in done["said"]
                if status and status != -9 and NOBODY not in done["said"]:
                    raise SystemExit(done["said"])
            files = Counter(json.loads(line)["file"] for line in (out / "results.jsonl").read_text().splitlines())
            found["rounds"] += 1
            found["lost"] += expected - len(files)
            found["doubled"] += files.total() - len(files)
            found["unlike"] += sum(data != whole[name] for name, data in contents(out).items())
        return {**found, **{f"{what} killed": n for what, n in sorted(killer.done.items())}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=80, help="films that take half a second each")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--drivers", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.inside:
        words = [f"--{name}={getattr(asked, name)}" for name in ("n", "kills", "drivers", "seed", "out")]
        sys.exit(subprocess.run(alone(sys.executable, "-m", __spec__.name, "--inside", *words)).returncode)
    loopback_up()
    with tempfile.TemporaryDirectory(prefix="bmd-", ignore_cleanup_errors=True) as place:
        found = rounds(Path(place), asked.n, asked.kills, asked.drivers, asked.seed)
    command = f"python -m tests.bmd_edge.cluster.kills --kills {asked.kills} --drivers {asked.drivers} --n {asked.n}"
    facts = {"command": f"{command} --seed {asked.seed}", "date": date.today().isoformat(), "ray": ray.__version__}
    text = json.dumps({**facts, "films are": "synthetic", "compared": list(FILES), **found}, indent=2) + "\n"
    asked.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
