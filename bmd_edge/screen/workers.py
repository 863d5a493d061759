"""Worker processes that a run can lose: each reads, decodes and measures whole films and hands back their reports.

A decoder that dies or hangs takes down its worker, not the run. The film it was at is tried once more, alone, and then
has failed. Only reports and small pictures travel between the processes, so no pixel is copied; each worker has
networks of its own, with one thread, which uses the cores better than several threads inside small networks.

A worker is an ordinary Python process (`python -m bmd_edge.screen.workers`), not a fork:
no lock, database or network is shared.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Self

from bmd_edge.errors import BmdEdgeError, EngineError
from bmd_edge.screen.jobs import FilmJob, FilmOutcome, Setup
from bmd_edge.screen.screener import Screener, name_of
from bmd_edge.system.machine import cpus, memory_bytes, resident_bytes

logger = logging.getLogger(__name__)

SECONDS = 120.0
"""A film that takes longer is given up; the slowest sound ones take a few seconds."""


OWNER_BYTES = 100 << 20
WORKER_BYTES = 350 << 20
IDLE_BYTES = 150 << 20
"""What the owner of a run, a worker at a film of ordinary size, and one without a film are reckoned to take."""


def shares(threads: int | None, memory_mb: int | None) -> tuple[int, int]:
    """Number of workers, and the bytes that all of them together may take.

    By default one worker per CPU and what they are reckoned to take, but at most half of the machine's memory. Fewer
    workers than asked for where the memory does not suffice, one at least.
    """
    wanted = threads or cpus()
    usual = min(OWNER_BYTES + wanted * WORKER_BYTES, memory_bytes() // 2)
    workers = (usual if memory_mb is None else memory_mb << 20) - OWNER_BYTES
    return max(1, min(wanted, workers // WORKER_BYTES)), workers


class Crew:
    """Worker processes, each with the screener that `opener` opens; use it as a context manager.

    Args:
        opener: opens the screener. It is pickled, so it is a function of a module or a `functools.partial` of one.
        threads: number of workers; None for one per CPU this process may use.
        memory_mb: memory for all processes together, as `shares` divides it. A film that needs more than a worker's
            share is read alone, with the memory of all.
        seconds: a film that takes longer is given up.

    Raises:
        EngineError, BundleError, MissingExtra, UsageError: whatever the opener raises in a worker.
    """

    def __init__(
        self,
        opener: Callable[[], Screener],
        threads: int | None = None,
        memory_mb: int | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._workers: list[_Worker] = []
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
        """End the workers, whatever they are at."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Examine films side by side; outcomes come as films are finished, not in the order of the tasks."""
        again = []
        share = self._bytes // len(self._workers)
        for task, outcome in self._round(tasks, self._workers, share):
            if outcome is None or outcome.report.reason == "out_of_memory":
                again.append(task)
            else:
                yield task, outcome
        alone = self._bytes - (len(self._workers) - 1) * IDLE_BYTES
        for task in again:
            for _, outcome in self._round([task], self._workers[:1], alone):
                yield task, outcome or self._lost(task)

    def film_ids(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, str | None]]:
        """The film_id of each file, in any order; None where it cannot be read, or not in time."""
        for task, name in self._round(tasks, self._workers, None):
            yield task, name or None

    def _round(
        self, tasks: Iterable[FilmJob], workers: Sequence["_Worker"], most_bytes: int | None
    ) -> Iterator[tuple[FilmJob, Any]]:
        """Give each idle worker the next film; without `most_bytes` it only names it ("" for one that cannot be read).

        No outcome stands for a worker that was lost at the film.
        """
        coming, idle = iter(tasks), list(workers)
        busy: dict[Any, tuple[_Worker, FilmJob]] = {}
        while True:
            finished: list[tuple[FilmJob, Any]] = []
            for connection in wait(list(busy)) if busy else ():
                worker, task = busy[connection]
                try:
                    outcome = worker.receive()
                    if outcome is None:
                        continue
                    finished.append((task, outcome))
                except EOFError:
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

    def _lost(self, task: FilmJob) -> FilmOutcome:
        report = replace(self.setup.failed, file=task.file, film_id=name_of(task.path), reason="worker_lost")
        return FilmOutcome(report)


class _Worker:
    """One process and the connection to it. Messages from it: ("log" | "setup" | "error" | "outcome", value)."""

    connection: Connection

    def __init__(self, opener: Callable[[], Screener], seconds: float) -> None:
        self._order = (opener, seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process, or another one in place of one that was lost."""
        self.end()
        self._setup: Setup | None = None
        self.connection, theirs = Pipe()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        # One film keeps one core busy: threads inside numpy's products would only get into each other's way.
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bmd_edge.screen.workers", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **one_thread, "PYTHONPATH": path},
                process_group=0,  # Ctrl-C goes to the owner alone, who ends the workers
            )
        with suppress(BrokenPipeError):  # it will be missed at the first message that does not come
            self.connection.send(self._order)

    @property
    def pid(self) -> int:
        """Process id; 0 once it has ended."""
        return self._process.pid if self._process else 0

    def end(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.connection.close()
            self._process = None

    def fate(self) -> str:
        """How the process ended: the name of a signal or its exit status."""
        assert self._process is not None
        status = self._process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def setup(self) -> Setup:
        """Wait until the screener is open and return its setup."""
        while self._setup is None:
            self.receive()
        return self._setup

    def send(self, task: FilmJob, most_bytes: int | None) -> None:
        """Hand over a film and the memory for the process; a worker that was lost while idle is replaced first."""
        try:
            self.connection.send((task, most_bytes))
        except OSError:
            self.start()
            self.connection.send((task, most_bytes))

    def receive(self) -> Any:
        """Take one message; returns the outcome (FilmOutcome, or a film_id) if it is one, else None.

        Raises what the opener raised, EngineError if the process ended before the screener was open, EOFError if later.
        """
        try:
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
        return value if kind == "outcome" else None


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
    opener, seconds = connection.recv()
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
            connection.send(("outcome", name_of(task.path) or ""))
        else:
            screener.most_bytes = most_bytes - own
            for _, outcome in screener.examine([task]):
                connection.send(("outcome", outcome))
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _work(Connection(int(sys.argv[1])))
