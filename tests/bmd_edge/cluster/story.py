"""What happens to a run on four nodes, told as JSON: python -m tests.bmd_edge.cluster.story FOLDER

One node has another version of bmd-edge, one does not see the films. The run is killed and started anew, a node loses
its actor, another one all of its processes; a film ends its worker. The command also reads the demo films by their
bytes, and meanwhile asks for a cluster where nobody answers.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from bmd_edge.screen import folder_plan
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.workers import Crew
from tests.bmd_edge.cluster.nodes import ROOT, Nodes, guarded, loopback_up
from tests.support.screening import CANARY, faulty_screener, hip_dicom

FILES = ("results.csv", "results.jsonl", "run.json", "report/index.html")
NAME = "CANARYFOLDER"
JOBS = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False, configure_logging=False)
print(ray._private.worker.global_worker.gcs_client.get_all_job_info())
"""
DEMO = ROOT / "bmd_edge" / "data" / "demo"


def films(folder: Path, n: int) -> Path:
    """`n` films that take half a second each, one that ends its worker, one that does so once, and no films."""
    (folder / "below").mkdir(parents=True)
    for index in range(n):
        (folder / f"slow{index:03d}.dcm").write_bytes(hip_dicom("R", bone=1500 + 7 * index))
    (folder / "below" / "crash.dcm").write_bytes(hip_dicom("L", bone=1555))
    (folder / "once.dcm").write_bytes(hip_dicom("L", bone=1655))
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "read me.txt").write_text("These are films.")
    return folder


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def plain(folder: Path, out: Path) -> dict[str, bytes]:
    """What a crew on this machine says of the films."""
    folder_plan.SETTLE_S = 0
    with Crew(faulty_screener, 1) as crew:
        screen_folder(crew, folder, out)
    (folder.parent / "once.dcm.seen").unlink()  # so that it ends a worker once more
    return contents(out)


def run(
    folder: Path,
    out: Path,
    address: str,
    deeds: Mapping[int, Callable[[], object]],
    finished: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """One run: the counts that it printed, what it said and its status; at a count something is done to it.

    Whenever a film is, `finished` is called.
    """
    command = [sys.executable, "-m", "tests.bmd_edge.cluster.driver", folder, out, address]
    to_do, counts = dict(deeds), list[int]()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        for line in process.stdout or ():
            counts.append(int(line))
            if len(counts) > 1:
                finished()
            for count in sorted(to_do):
                if counts[-1] >= count:
                    deed = to_do.pop(count)
                    process.kill() if deed is KILL else deed()
        said = process.stderr.read() if process.stderr else ""
    return {"counts": counts, "said": said, "status": process.returncode, "not done": len(to_do)}


def KILL() -> None:
    """Instead of something that is done to nodes: the end of the run's own process."""


def command(*words: object) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "bmd_edge.cli.main", "screen", *words]
    return subprocess.Popen(
        list(map(str, line)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
    )


def leaks(nodes: Nodes) -> Iterator[str]:
    """Files of Ray, and what it knows of its jobs, in which a film's folder, name or patient stands."""
    words = (NAME.encode(), b"slow0", b"CANARY", CANARY.encode(), b"CANARY-ID")
    yield from (str(path) for path, data in nodes.written() if any(word in data for word in words))
    command = [sys.executable, "-c", JOBS, nodes.address]
    jobs = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), text=True, check=True).stdout
    assert "bmd_edge.cluster.ray_process" in jobs
    yield from (line for line in jobs.splitlines() if NAME in line)


def tell(place: Path) -> dict[str, Any]:
    """Let it happen below the folder `place`, and say what did."""
    folder = films(place / NAME / "films", 14)
    begun, nobody = time.monotonic(), command(DEMO, "--out", place / "nobody", "--cluster", "127.0.0.1:1")
    other = place / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import bmd_edge.version\nbmd_edge.version.__version__ = '0.0.9'\n")
    story: dict[str, Any] = {}

    def wait_for_nobody() -> None:
        story["nobody"] = {"said": nobody.communicate()[1], "status": nobody.returncode}
        story["nobody"]["seconds"] = time.monotonic() - begun

    waiting = Thread(target=wait_for_nobody)
    waiting.start()
    with Nodes(place / "nodes") as nodes:
        nodes.start("a", "b", others={"c": other}, blind={"d": folder})
        whole = plain(folder, place / "plain")
        story["killed"] = run(folder, place / "out", nodes.address, {4: KILL})
        deeds = {7: lambda: nodes.kill_actor("a"), 10: lambda: nodes.kill("b")}
        story["resumed"] = run(folder, place / "out", nodes.address, deeds)
        story["same"] = [name for name, data in contents(place / "out").items() if data == whole[name]]
        story["leaks"] = list(leaks(nodes))
        said = [
            command(DEMO, "--out", place / name, *words)
            for name, words in {"here": (), "there": ("--cluster", nodes.address, "--send-films")}.items()
        ]
        story["command"] = [(*one.communicate(), one.returncode) for one in said]
        here, there = contents(place / "here"), contents(place / "there")
        story["command same"] = [name for name in FILES if here[name] == there[name]]
        waiting.join()
    return story


if __name__ == "__main__":
    loopback_up()
    guarded()
    place = Path(sys.argv[1])
    sys.stdout.write(json.dumps(tell(place)))
    shutil.rmtree(place / "nodes", ignore_errors=True)
