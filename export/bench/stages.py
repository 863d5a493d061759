"""How fast screening is here: each stage alone, the whole, the floor that the stages set, and how they compare.

The floor is the sum of the stages' CPU seconds per film over the CPUs: no arrangement of the same work can be faster.
Stages, whole and the plain loop take turns, film folder by film folder, so that a machine whose speed drifts does not
favor one of them. What is compared runs in processes of its own, as `bmd-edge screen` does.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import MissingExtra, UsageError
from bmd_edge.screen.folder_plan import plan
from bmd_edge.screen.jobs import FilmJob, Stages
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.ledger_file import NAME as LEDGER
from bmd_edge.screen.run import screen_folder, write_results
from bmd_edge.screen.screener import open_screener
from bmd_edge.screen.workers import Crew
from bmd_edge.system.machine import cpus
from export.bench.films import ENCODERS, films, renamed

STAGES = ("read", "decode", "finder", "crop", "bmd", "picture", "write", "rest")
COPIES = 8
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Turns:
    """How to measure: workers (None: one per CPU), films made per transfer syntax, turns, and the plain loop too."""

    threads: int | None = None
    distinct: int = 5
    rounds: int = 3
    plain: bool = False


def bench(folder: Path | None, bundle: Path | None, how: Turns, say: Say) -> dict[str, Any]:
    """Measure; returns the figures by transfer syntax, or under "folder" for films of one's own.

    Of films that are made, each distinct one is used `COPIES` times under other UIDs. `say` is told what is done.
    """
    found: dict[str, Any] = {}
    workers = how.threads or cpus()
    with Crew(partial(open_screener, bundle, device="cpu", threads=1), workers) as crew:
        for name, place in _folders(folder, how.distinct):
            with place as (films_folder, scratch):
                turns = []
                for turn in range(how.rounds):
                    say(f"{name}, turn {turn + 1} of {how.rounds}")
                    turns.append(_turn(crew, films_folder, bundle, scratch / "out", how.plain))
            found[name] = _figures(turns, workers)
    return {
        "cpus": cpus(),
        "threads": workers,
        "bundle_digest": crew.setup.failed.bundle_digest,
        "precision": crew.setup.failed.precision,
        "rounds": how.rounds,
        "synthetic": folder is None,
        "films": found,
    }


def _folders(folder: Path | None, distinct: int) -> Iterator[tuple[str, Any]]:
    if folder is not None:
        if not any(item.action == "read" for item in plan(folder, {})):
            raise UsageError(f"{folder.name}: no folder with files to measure with: give one with films, or none")
        yield "folder", _given(folder)
    else:
        for name in ENCODERS:
            yield name, _made(name, distinct)


@contextmanager
def _given(folder: Path) -> Iterator[tuple[Path, Path]]:
    with TemporaryDirectory() as scratch:
        yield folder, Path(scratch)


@contextmanager
def _made(syntax: str, distinct: int) -> Iterator[tuple[Path, Path]]:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "films"
        write_films(folder, [syntax], distinct, distinct * COPIES)
        yield folder, Path(scratch)


def write_films(folder: Path, syntaxes: list[str], distinct: int, count: int) -> None:
    """Write `count` films, copies under new UIDs of `distinct` ones, in the transfer syntaxes in turn."""
    folder.mkdir()
    share = -(-distinct // len(syntaxes))
    for place, syntax in enumerate(syntaxes):
        for index, film in enumerate(films(syntax, share)):
            for copy in range(count // (share * len(syntaxes))):
                number = (copy * share + index) * len(syntaxes) + place
                path = folder / f"{number:05d}.dcm"
                path.write_bytes(renamed(film, number))
                os.utime(path, (0, 0))  # long there: nothing waits for it to be copied in


# -- one turn -----------------------------------------------------------------------------------------------------


def _turn(crew: Crew, folder: Path, bundle: Path | None, out: Path, plain: bool) -> dict[str, Any]:
    """Stages, whole and plain loop on the same films: CPU seconds per film by stage, films per second, peak memory."""
    spent = _apart(stages, folder, bundle, one_thread=True)
    for pid in (os.getpid(), *crew.pids):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from here
    start = time.perf_counter()
    summary = screen_folder(crew, folder, out, fresh=True)
    seconds = time.perf_counter() - start
    peak = sum(_peak_bytes(pid) for pid in (os.getpid(), *crew.pids))
    count = summary.files
    turn: dict[str, Any] = {"stages": spent, "films_per_s": count / seconds, "peak_rss_mb": peak / 2**20, "n": count}
    if plain:
        turn["plain"] = _apart(plain_loop, folder, bundle, one_thread=False)
    return turn


def _apart(measure: Callable[[Path, Path | None], Any], folder: Path, bundle: Path | None, one_thread: bool) -> Any:
    """Call `measure(folder, bundle)` in a fresh process, which is for nothing else."""
    threads = _one_thread() if one_thread else nullcontext()
    with threads, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, folder, bundle).result()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started meanwhile use one thread inside numpy's products, as the workers of a run do."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def plain_loop(folder: Path, bundle: Path | None) -> dict[str, Any]:
    """Measure the loop that a user would write; MissingExtra without the libraries it takes."""
    try:
        from export.bench.plain import main
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "a library", "train,export,dev") from error
    return main(folder, bundle)


def _place() -> dict[str, str]:
    """The environment in which another Python finds what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _figures(turns: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Medians over the turns; ratios are medians of the ratios within a turn."""

    def median(values: list[float], digits: int = 2) -> float:
        return round(statistics.median(values), digits)

    stages = {name: median([turn["stages"][name] for turn in turns], 5) for name in STAGES}
    floors = [workers / sum(turn["stages"].values()) for turn in turns]
    speeds = [turn["films_per_s"] for turn in turns]
    figures = {
        "n": turns[0]["n"],
        "films_per_s": median(speeds),
        "floor_films_per_s": median(floors),
        "ratio_to_floor": median([speed / floor for speed, floor in zip(speeds, floors, strict=True)], 3),
        "plain_films_per_s": None,
        "ratio_to_plain": None,
        "peak_rss_mb": round(max(turn["peak_rss_mb"] for turn in turns)),
        "stages": stages,
    }
    if "plain" in turns[0]:
        plains = [turn["plain"]["films_per_s"] for turn in turns]
        figures["plain_films_per_s"] = median(plains, 3)
        figures["ratio_to_plain"] = median([speed / plain for speed, plain in zip(speeds, plains, strict=True)], 1)
        figures["plain_decoder"] = turns[0]["plain"]["decoder"]
    return figures


# -- cold start ---------------------------------------------------------------------------------------------------


def cold(bundle: Path | None, say: Say, times: int = 10) -> dict[str, Any]:
    """Seconds from nothing: `bmd-edge --help`, `import bmd_edge`, and `screen` with one film of 9 Mpx; medians.

    `import` is without the start of Python itself. Time to the first result is taken as that of the whole program with
    one film, results and report written.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "films"
        write_films(folder, ["jpeg_2000"], 1, 1)
        python, program = [sys.executable], [sys.executable, "-m", "bmd_edge"]
        given = ["--bundle", str(bundle)] if bundle else []
        screen = [*program, "screen", str(folder / "00000.dcm"), "--fresh", "--out", str(Path(scratch) / "out"), *given]
        commands = {
            "python": [*python, "-c", "pass"],
            "import": [*python, "-c", "import bmd_edge"],
            "help": [*program, "--help"],
            "first_result": screen,
        }
        spent: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(times + 1):
            say(f"cold start, turn {turn} of {times}")
            for name, command in commands.items():
                start = time.perf_counter()
                done = subprocess.run(command, capture_output=True, env=_place())
                if turn:  # the first fills the disk's cache
                    spent[name].append(time.perf_counter() - start)
                if done.returncode not in (0, 3):
                    raise UsageError(f"{name} could not be measured: {done.stderr.decode()[-300:]}")
    medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
    medians["import"] -= medians.pop("python")
    figures = {f"{name}_s": round(seconds, 3) for name, seconds in medians.items()}
    return {**figures, "n": times, "bundle_digest": read_bundle(bundle).digest}


# -- a day's list -------------------------------------------------------------------------------------------------


def day(count: int, bundle: Path | None, threads: int | None, distinct: int, say: Say) -> dict[str, Any]:
    """Screen `count` films of 9 Mpx with the program itself; memory of all its processes twice a second.

    Each is read and measured, but the report counts films of one picture once; the others are `copies`. Returns films
    per second and `series`: rows of seconds, finished films, resident MB (shared pages counted in every process that
    holds them), proportional MB (shared pages divided among them).
    """
    with TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "films", Path(scratch) / "out"
        say(f"making {count} films")
        write_films(folder, [name for name in ENCODERS if name != "uncompressed"], distinct, count)
        total = sum(1 for _ in folder.iterdir())
        command = [sys.executable, "-m", "bmd_edge", "screen", str(folder), "--out", str(out)]
        command += ["--bundle", str(bundle)] if bundle else []
        command += ["--threads", str(threads)] if threads else []
        series: list[list[float]] = []
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_place()) as process:
            while process.poll() is None:
                resident, proportional = _tree_mb(process.pid)
                series.append([round(time.perf_counter() - start, 1), _finished(out), resident, proportional])
                say(f"{series[-1][1]} of {total} films, {resident} MB")
                time.sleep(0.5)
        seconds = time.perf_counter() - start
        if process.returncode not in (0, 3):
            raise UsageError(f"the run ended with {process.returncode}")
        runs = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {
        "synthetic": True, "n_films": total, "distinct": distinct, "cpus": cpus(), "seconds": round(seconds, 1),
        "films_per_s": round(total / seconds, 2), "bundle_digest": runs["bundle_digest"], "films": runs["films"],
        "copies": sum(runs["copies"].values()), "peak_rss_mb": max(row[2] for row in series), "series": series,
    }  # fmt: skip


def _finished(out: Path) -> int:
    """Films in the ledger of a run that goes on."""
    try:
        with closing(sqlite3.connect(f"file:{out / LEDGER}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM films").fetchone()[0])
    except sqlite3.Error:
        return 0


def _tree_mb(pid: int) -> tuple[float, float]:
    """Resident and proportional memory of a process and its children."""
    sums = [0, 0]
    for member in (pid, *_children(pid)):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:  # ended meanwhile
            continue
        for index, name in enumerate(("\nRss:", "\nPss:")):
            sums[index] += int(text.partition(name)[2].split()[0])
    return round(sums[0] / 1024, 1), round(sums[1] / 1024, 1)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


# -- the stages, in a process of their own --------------------------------------------------------------------------


class Clock(Stages):
    """Adds up the CPU seconds of this process in each stage."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Counts while it lasts."""
        start = time.process_time()
        try:
            yield
        finally:
            self.spent[name] += time.process_time() - start


def stages(folder: Path, bundle: Path | None) -> dict[str, float]:
    """CPU seconds per film of each stage on the films of a folder, in this process, which is for nothing else.

    What the screener does between its stages is the stage "rest".
    """
    jobs = [FilmJob(os.fsencode(folder / item.file), item.file) for item in plan(folder, {}) if item.action == "read"]
    clock = Clock()
    with TemporaryDirectory() as out, open_screener(bundle, device="cpu", threads=1, stages=clock) as screener:
        list(screener.examine(jobs[:2]))  # the first films only warm up
        clock.spent = dict.fromkeys(STAGES, 0.0)
        start = time.process_time()
        with closing(Ledger(Path(out))) as ledger:
            for job, outcome in screener.examine(jobs):
                with clock("write"):
                    ledger.put(job.path, (0, 0, 0), "", outcome.report, outcome.picture)
            with clock("write"):
                write_results(Path(out), ledger, screener.setup)
        spent = clock.spent
        spent["rest"] = time.process_time() - start - sum(spent.values())
    return {name: seconds / len(jobs) for name, seconds in spent.items()}
