"""Worker processes that a run can lose: each reads, decodes and measures whole films and hands back their reports.

A decoder that dies or hangs takes down its worker, not the run. The film it was at is tried once more, alone, and then
has failed. Only reports and small pictures travel between the processes, so no pixel is copied; each worker has
networks of its own, with one thread, which uses the cores better than several threads inside small networks.

A worker is a Python process of its own (`python -m bmd_edge.screen.workers`), no fork, and shares no lock or network.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, Self

from bmd_edge.errors import BmdEdgeError, EngineError, UsageError
from bmd_edge.film.read import name_of
from bmd_edge.screen.jobs import FilmJob, FilmOutcome, Setup
from bmd_edge.screen.python_process import OTHER_PYTHON, python, start
from bmd_edge.screen.screener import Screener
from bmd_edge.system.machine import IDLE_BYTES, resident_bytes, shares

logger = logging.getLogger(__name__)

SECONDS = 120.0
"""A film that takes longer is given up; the slowest sound ones take a few seconds."""

START_SECONDS = 120.0
"""A worker that has not said a word by then is none."""
GRACE_SECONDS = 5.0
"""A worker that its own alarm does not end is killed so much later, and no longer waited for after as much again."""
_KEPT_BYTES = 64 << 20  # glibc's: larger buffers, of the largest films alone, go back to the system
_WORKER = "BMD_EDGE_WORKER"  # in the environment of a worker, and of whatever was started in place of one


class Crew:
    """Worker processes, each with the screener that `opener` opens, for one caller at a time. A context manager.

    A service keeps several of one worker each, and gives each film to one that is idle. `setup.notice` has to stand
    beside every number.

    Args:
        opener: opens the screener. It is pickled, so it is a function of a module or a `functools.partial` of one.
        threads: number of workers; None for one per CPU this process may use.
        memory_mb: memory for all processes together, as `shares` divides it. A film that needs more than a worker's
            share is read alone, with the memory of all.
        seconds: a film that takes longer is given up.

    Raises:
        EngineError, BundleError, MissingExtra, UsageError: whatever the opener raises in a worker, or that there is no
            Python to start one with: a frozen program would start itself.
    """

    setup: Setup

    def __init__(
        self,
        opener: Callable[[], Screener],
        threads: int | None = None,
        memory_mb: int | None = None,
        seconds: float = SECONDS,
    ) -> None:
        if _WORKER in os.environ:
            raise UsageError(f"this program was started as a worker of itself: {OTHER_PYTHON}")
        if not python() or (getattr(sys, "frozen", False) and python() == sys.executable):
            raise UsageError(f"{python() or 'this program'} is no Python interpreter: {OTHER_PYTHON}")
        self._workers: list[_Worker] = []
        self._taken, self._closed = Lock(), False
        count, self._bytes = shares(threads, memory_mb)
        try:
            for _ in range(count):
                self._workers.append(_Worker(opener, seconds))
            self.setup = self._workers[0].setup()
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.pid for worker in self._workers)

    def close(self) -> None:
        """End the workers, whatever they are at; a closed crew examines nothing more."""
        self._closed = True
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Examine films side by side; outcomes come as films are finished, not in the order of the tasks.

        Outcomes wait while `tasks` waits for its next film: a source that waits for more holds up what is done. Films
        that were at work when a loop was left are given up.

        Raises:
            UsageError: the films of another caller, or of a loop that was neither finished nor left, are at work.
            EngineError: the crew is closed.
        """
        with self._one_caller():
            yield from self._examined(tasks)

    def film_ids(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, str | None]]:
        """The film_id of each file, in any order; None where it cannot be read, or not in time. Errors as `examine`."""
        with self._one_caller():
            yield from ((task, name or None) for task, name in self._round(tasks, self._workers, None))

    @contextmanager
    def _one_caller(self) -> Iterator[None]:
        if not self._taken.acquire(blocking=False):
            raise UsageError("a crew has one caller at a time: give each its own, or leave the loop before")
        try:
            yield
        finally:
            self._taken.release()

    def _examined(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        again = []
        share = self._bytes // len(self._workers)
        for task, outcome in self._round(tasks, self._workers, share):
            if outcome is None or outcome.report.reason == "out_of_memory":
                again.append((task, outcome))
            else:
                yield task, outcome
        alone = self._bytes - (len(self._workers) - 1) * IDLE_BYTES
        for task, before in again:
            # Named by a worker too: whatever could not be read there would hold up the owner for good.
            name = "" if before else next(name for _, name in self._round([task], self._workers[:1], None))
            if name is None:
                yield task, self._lost(task, None)
                continue
            for _, outcome in self._round([task], self._workers[:1], alone):
                yield task, outcome or self._lost(task, name or None)

    def _round(
        self, tasks: Iterable[FilmJob], workers: Sequence["_Worker"], most_bytes: int | None
    ) -> Iterator[tuple[FilmJob, Any]]:
        """Give each idle worker the next film; without `most_bytes` it only names it ("" for one that cannot be read).

        No outcome stands for a worker that was lost at the film.
        """
        coming, idle = iter(tasks), list(workers)
        busy: dict[Any, tuple[_Worker, FilmJob]] = {}
        while True:
            self._check_open()
            finished: list[tuple[FilmJob, Any]] = []
            for connection in _ready(busy):
                worker, task = busy[connection]
                try:
                    outcome = worker.receive()
                    if outcome is None:
                        continue
                    finished.append((task, outcome))
                except EOFError:
                    self._check_open()
                    logger.warning("a worker process was lost (%s) and is replaced", worker.fate())
                    worker.start()
                    finished.append((task, None))
                del busy[connection]
                idle.append(worker)
            while idle and (next_task := next(coming, None)):
                worker = idle.pop()
                worker.send(next_task, most_bytes)
                busy[worker.connection] = worker, next_task
            # After the workers have got their next films, so that they need not wait for what is done with these.
            yield from finished
            if not busy:
                return

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this crew is closed: open another, and close it last")

    def _lost(self, task: FilmJob, name: str | None) -> FilmOutcome:
        return FilmOutcome(replace(self.setup.failed, file=task.file, film_id=name, reason="worker_lost"))


class _Worker:
    """One process and the connection to it. Messages from it: ("up" | "log" | "setup" | "error" | "outcome", value).

    `deadline` is when, on the monotonic clock, the process is killed if it has not answered.
    """

    connection: Connection
    deadline = 0.0

    def __init__(self, opener: Callable[[], Screener], seconds: float) -> None:
        self._order = (opener, seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process, or another one in place of one that was lost."""
        self.end()
        self._setup: Setup | None = None
        self._at_work = False
        # One film keeps one core busy: threads inside numpy's products would only get into each other's way.
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # Films want the same large buffers again and again: what is given back to the system faults in anew.
        kept = {"MALLOC_MMAP_THRESHOLD_": str(_KEPT_BYTES), "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES)}
        self._process, self.connection = start("bmd_edge.screen.workers", {**one_thread, **kept, _WORKER: "1"})
        with suppress(BrokenPipeError):  # missed at the first message that does not come
            self.connection.send(self._order)

    @property
    def pid(self) -> int:
        """Process id; 0 once it has ended."""
        return self._process.pid if self._process else 0

    def end(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # a dead file server may hold it beyond any signal
                self._process.wait(GRACE_SECONDS)
            self.connection.close()
            self._process = None

    def fate(self) -> str:
        """How the process ended: the name of a signal or its exit status."""
        assert self._process is not None
        try:
            status = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return "it does not end"
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def setup(self) -> Setup:
        """Wait until the screener is open and return its setup."""
        if not self.connection.poll(START_SECONDS):
            raise EngineError(f"{python()} does not start as a worker: {OTHER_PYTHON}")
        while self._setup is None:
            self.receive()
        return self._setup

    def send(self, task: FilmJob, most_bytes: int | None) -> None:
        """Hand over a film and the memory for the process; a worker that was lost while idle is replaced first, and one
        that is still at a film nobody waits for: its answer would be taken for that of this film."""
        if self._at_work:
            self.start()
        self._at_work = True
        self.deadline = monotonic() + self._order[1] + GRACE_SECONDS + (START_SECONDS if self._setup is None else 0)
        try:
            self.connection.send((task, most_bytes))
        except OSError:
            self.start()
            self._at_work = True
            self.connection.send((task, most_bytes))

    def receive(self) -> Any:
        """Take one message; returns the outcome (FilmOutcome, or a film_id) if it is one, else None.

        Raises what the opener raised, EngineError if the process ended before the screener was open, EOFError if later,
        or if its time is up.
        """
        try:
            if self.deadline and monotonic() > self.deadline and not self.connection.poll():
                assert self._process is not None
                self._process.kill()
                raise EOFError
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            if self._setup is None:
                raise EngineError(f"a worker process could not start: {self.fate()}") from None
            raise EOFError from None
        if kind == "log":
            logging.getLogger(value.name).handle(value)
        elif kind == "error":
            raise value
        elif kind == "setup":
            self._setup = value
        elif kind == "outcome":
            self._at_work = False
        return value if kind == "outcome" else None


def _ready(busy: Mapping[Any, tuple[_Worker, FilmJob]]) -> list[Any]:
    """The connections that have something to say, or whose worker's time is up; waits for the first."""
    if not busy:
        return []
    until = min(worker.deadline for worker, _ in busy.values())
    found: list[Any] = wait(list(busy), max(0.0, until - monotonic()))
    return found or [connection for connection, (worker, _) in busy.items() if monotonic() > worker.deadline]


class _Forward(logging.Handler):
    """Sends log records to the owner of the run, whose handlers decide on them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), ()
        record.exc_info = None  # a traceback cannot travel, and could quote a film
        self._connection.send(("log", record))


def _work(connection: Connection) -> None:
    """The life of a worker: open the screener, then one film after the other until the owner goes away."""
    connection.send(("up", None))
    try:
        opener, seconds = connection.recv()
    except (AttributeError, ImportError):
        where = "a module that can be imported, not of the script that is run: move it into a file of its own"
        what = f"the opener cannot be loaded in a worker: it must be a function of {where}"
        connection.send(("error", UsageError(what)))
        return
    logging.getLogger("bmd_edge").addHandler(_Forward(connection))
    try:
        screener = opener()
    except BmdEdgeError as error:
        connection.send(("error", error))
        return
    connection.send(("setup", screener.setup))
    own = resident_bytes()
    while True:
        task, most_bytes = connection.recv()
        # The kernel ends the process if the alarm goes off: no decoder can hold that up, whoever is left to watch.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if most_bytes is None:
            connection.send(("outcome", name_of(task.source) or ""))
        else:
            screener.most_bytes = most_bytes - own
            for _, outcome in screener.examine([task]):
                connection.send(("outcome", outcome))
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _work(Connection(int(sys.argv[1])))
