"""Power that fails and disks that fill up: whatever ends a run, the next one goes on, and ends with the same bytes.

`BMD_EDGE_KILLS=100 pytest tests/whole/crash/test_crash.py` kills one run a hundred times at random moments; ten is the
default.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bmd_edge.screen.run import screen_folder
from tests.support.bundles import tiny_bundle
from tests.support.screening import drawn_screener, hip_dicom

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
KILLS = int(os.environ.get("BMD_EDGE_KILLS", "10"))
FILES = ("results.csv", "results.jsonl", "run.json", "report/index.html")


def films(folder: Path, n: int, kinds: int = 4) -> Path:
    """`n` films in subfolders, among them refused ones and no films."""
    data = [hip_dicom("R", bone=1500 + 40 * i) for i in range(kinds)] + [b"", hip_dicom("L")[:-1000]]
    for index in range(n):
        (folder / f"{index % 7}").mkdir(parents=True, exist_ok=True)
        (folder / f"{index % 7}" / f"{index:04d}.dcm").write_bytes(data[index % len(data)])
    return folder


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


RUN = """
import sys
from pathlib import Path
from tests.support.screening import drawn_screener
from bmd_edge.screen import folder_plan
from bmd_edge.screen.workers import Crew
from bmd_edge.screen.run import screen_folder
folder_plan.SETTLE_S = 0
with Crew(drawn_screener, 1) as crew:
    screen_folder(crew, Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))
"""


def killed_run(folder: Path, out: Path, after: int, wait_s: float) -> tuple[list[int], int]:
    """Start a run and kill it `wait_s` after it has finished `after` more films; the counts it printed, its status."""
    counts: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", RUN, folder, out], stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            counts.append(int(line))
            if len(counts) > after:
                time.sleep(wait_s)
                process.kill()
                break
        counts += [int(line) for line in process.stdout]
    return counts, process.returncode


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    n = 6 * KILLS
    folder = films(tmp_path / "films", n)
    with drawn_screener() as screener:
        screen_folder(screener, folder, tmp_path / "undisturbed")
    chance = random.Random(5)
    out, last = tmp_path / "out", 0
    for _ in range(KILLS):
        counts, status = killed_run(folder, out, chance.randrange(2 * n // KILLS), chance.uniform(0, 0.05))
        assert status in (-signal.SIGKILL, 0)
        # What was finished stays finished; at most the film whose count was not printed yet is finished besides
        assert last <= counts[0] <= last + 1
        last = counts[-1]
        if (out / "results.csv").exists():  # only ever whole
            assert (out / "results.csv").read_bytes() == (tmp_path / "undisturbed" / "results.csv").read_bytes()
    counts, status = killed_run(folder, out, n + 1, 0)
    assert (status, counts[-1]) == (0, n)
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert [path.name for path in out.rglob(".*")] == []


EVERYWHERE = """
import os, shutil, signal, sys
from itertools import count
from pathlib import Path
from tests.support.screening import drawn_screener
from bmd_edge.screen import folder_plan, ledger, screener
from bmd_edge.screen.run import screen_folder
folder_plan.SETTLE_S = 0
folder, base, changed, gone = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect", "os.scandir", "put"}

def run(films, out, kill_at=None):
    step = count(1)
    def hook(event, args):
        reads = event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS and not reads and next(step) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    def stepping(method):
        def call(*arguments, **named):
            sys.audit("put")
            result = method(*arguments, **named)
            sys.audit("put")
            return result
        return call
    for name in ("put", "adopt", "compare", "leave", "settle", "note_written", "close"):
        setattr(ledger.Ledger, name, stepping(getattr(ledger.Ledger, name)))
    with drawn_screener() as opened:
        sys.addaudithook(hook)
        screen_folder(opened, films, out)

def in_child(*arguments):
    pid = os.fork()
    if pid == 0:
        try:
            run(*arguments)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*")
            if path.is_file() and path.name not in ("run.lock", "ledger.sqlite")}

assert in_child(folder, base / "before") == 0
os.rename(changed, folder / "0" / "0000.dcm")
os.rename(folder / gone, folder / "0" / "moved.dcm")
os.remove(folder / "2" / "0002.dcm")
undisturbed = shutil.copytree(base / "before", base / "undisturbed")
assert in_child(folder, undisturbed) == 0
whole = contents(undisturbed)
for number in count(1):
    out = shutil.copytree(base / "before", base / str(number))
    if (status := in_child(folder, out, number)) == 0:
        break
    assert status == -signal.SIGKILL, (number, status)
    assert in_child(folder, out) == 0, number
    assert contents(out) == whole, (number, sorted(map(str, contents(out))))
print(number - 1)
"""


def test_a_run_killed_at_every_step_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """The results folder holds those of an earlier run; since then one film is another, one has moved, one has gone."""
    folder, changed = films(tmp_path / "films", 3, kinds=3), tmp_path / "changed"
    changed.write_bytes(hip_dicom("L"))
    command = [sys.executable, "-c", EVERYWHERE, folder, tmp_path / "out", changed, "1/0001.dcm"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 20
    states = [
        json.loads(line)["film_now"] for line in (tmp_path / "out/undisturbed/results.jsonl").read_text().splitlines()
    ]
    assert sorted(states) == ["missing", "replaced", "there", "there"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").root


def _can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


mounting = pytest.mark.skipif(not _can_mount(), reason="this machine lets nobody mount a small file system")


def screen_command(bundle: Path, folder: Path, out: Path) -> list[str]:
    words = [
        sys.executable,
        "-m",
        "bmd_edge.cli.main",
        "screen",
        folder,
        "--bundle",
        bundle,
        "--out",
        out,
        "--threads",
        "1",
    ]
    return list(map(str, words))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("bmd-edge: ")]
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def undisturbed(bundle: Path, tmp_path: Path) -> Path:
    folder = films(tmp_path / "films", 12)
    done = subprocess.run(
        screen_command(bundle, folder, tmp_path / "undisturbed"), env=ENVIRONMENT, capture_output=True
    )
    assert done.returncode == 3
    return tmp_path / "undisturbed"


@mounting
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(bundle: Path, tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = " ".join(screen_command(bundle, tmp_path / "films", out))
    half = (undisturbed / "ledger.sqlite").stat().st_size // 2048
    script = f"""
        mount -t tmpfs -o size={half}k none {out} && {command} > {tmp_path}/1.out 2> {tmp_path}/1.err; echo $?
        ls {out}/results.csv 2> /dev/null
        mount -o remount,ro {out} && {command} > {tmp_path}/2.out 2> {tmp_path}/2.err; echo $?
        mount -o remount,rw,size=20m {out} && {command} > {tmp_path}/3.out 2> {tmp_path}/3.err; echo $?
        cp -r {out} {tmp_path}/kept
    """
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1", "3"], done.stdout + done.stderr
    for number, said in (
        ("1", "No space left on device: free some space"),
        ("2", "Read-only file system: give an --out"),
    ):
        text = (tmp_path / f"{number}.err").read_text()
        assert said in text
        assert "Traceback" not in text
    assert contents(tmp_path / "kept") == contents(undisturbed)


def test_a_write_that_fails_is_one_line_and_the_next_run_goes_on(
    bundle: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """RLIMIT_FSIZE makes the kernel refuse to let any file grow."""
    command = screen_command(bundle, tmp_path / "films", tmp_path / "out")

    half = (undisturbed / "ledger.sqlite").stat().st_size // 2

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (half, half))

    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert "check the disk of --out and its free space, then run the same command again" in one_line(done)
    assert not (tmp_path / "out" / "results.csv").exists()
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 3
    assert contents(tmp_path / "out") == contents(undisturbed)


def test_too_few_open_files_is_one_line(bundle: Path, tmp_path: Path) -> None:
    folder = films(tmp_path / "films", 2)
    command = screen_command(bundle, folder, tmp_path / "out")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (7, 7))

    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert "Too many open files: allow more open files (ulimit -n)" in one_line(done)
