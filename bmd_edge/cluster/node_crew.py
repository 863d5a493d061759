"""What runs on each machine of a cluster: a `Crew` inside an actor of Ray, to which films come one by one.

It is imported by its name on the machine, so that machine's own installation works, and says what it is.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from bmd_edge.errors import BmdEdgeError
from bmd_edge.screen.jobs import FilmJob, FilmOutcome, Setup
from bmd_edge.screen.run import versions
from bmd_edge.screen.screener import Screener
from bmd_edge.screen.workers import Crew

FileFacts = tuple[int, int]
"""Size of a file in bytes and its time of modification in whole seconds, which every file server hands on alike."""


@dataclass(frozen=True, slots=True)
class About:
    """What a machine works with, as `same_everywhere` has it, and how many films it reads at a time."""

    facts: dict[str, str]
    workers: int


def same_everywhere(setup: Setup) -> dict[str, str]:
    """What results depend on besides films and CPU, by name: on two machines that work together all of it is equal."""
    failed = setup.failed
    made_with = {
        "device": failed.device,
        "precision": failed.precision,
        "recalibration": failed.recalibration or "none",
    }
    return {**versions(), "bundle": failed.bundle_digest[:16], **made_with, "settings": setup.digest}


class NodeCrew:
    """The actor. Its methods are called side by side, each from a thread of its own."""

    def __init__(self) -> None:
        self._waiting = _Waiting()

    def open(self, opener: Callable[[], Screener], threads: int, memory_mb: int | None) -> About | BmdEdgeError:
        """Start the workers. What speaks against that is the answer: an error that is raised Ray writes into logs."""
        try:
            crew = Crew(opener, threads, memory_mb)
        except BmdEdgeError as error:
            return error
        Thread(target=self._work, args=(crew,), daemon=True).start()
        return About(same_everywhere(crew.setup), len(crew.pids))

    def examine(self, job: FilmJob, facts: FileFacts | None) -> FilmOutcome | BmdEdgeError | None:
        """Examine one film. None: there is no file of these facts at its path, so this machine sees another folder."""
        if facts and facts != facts_of(job.path):
            return None
        return self._waiting.put(job).result()

    def _work(self, crew: Crew) -> None:
        waiting, error = self._waiting, None
        while True:
            waiting.wait()
            try:
                for job, outcome in crew.examine(() if error else waiting):
                    waiting.answers.pop(id(job)).set_result(outcome)
            except BmdEdgeError as found:  # no worker can be started any more: whatever comes is told so
                error = found
            while error and waiting.answers:
                waiting.answers.popitem()[1].set_result(error)


class _Waiting:
    """Films that have come. As an iterator it ends where none waits, and goes on once one has come: so the workers take
    new films while others of them are at work, and a film that was lost is tried again as soon as no new one waits.
    """

    def __init__(self) -> None:
        self.answers: dict[int, Future[FilmOutcome | BmdEdgeError]] = {}
        self._jobs: SimpleQueue[FilmJob] = SimpleQueue()
        self._first: FilmJob | None = None

    def put(self, job: FilmJob) -> Future[FilmOutcome | BmdEdgeError]:
        """Let a film wait for a worker; its outcome will be the answer."""
        answer = self.answers[id(job)] = Future()
        self._jobs.put(job)
        return answer

    def wait(self) -> None:
        """Wait until a film has come."""
        self._first = self._jobs.get()

    def __iter__(self) -> "_Waiting":
        return self

    def __next__(self) -> FilmJob:
        job, self._first = self._first, None
        try:
            return job or self._jobs.get_nowait()
        except Empty:
            raise StopIteration from None


def facts_of(path: bytes) -> FileFacts | None:
    """The facts of a file, or of a link itself; None where there is none."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_size, int(facts.st_mtime)
