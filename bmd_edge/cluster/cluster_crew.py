"""A crew on many machines, with the face of a `Crew`: a run hands it films and gets back what came of them."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from subprocess import TimeoutExpired
from types import TracebackType
from typing import Any, Self

from bmd_edge.cluster.node_crew import same_everywhere
from bmd_edge.cluster.order import Order
from bmd_edge.errors import EngineError, MissingExtra, UsageError
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.screen.python_process import start
from bmd_edge.screen.screener import Screener
from bmd_edge.screen.workers import GRACE_SECONDS, Crew

logger = logging.getLogger(__name__)

_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}  # nothing is told to anybody


class ClusterCrew:
    """Crews on the machines of a Ray cluster, for one caller at a time. A context manager.

    A machine that is lost costs its films another try; so does one that cannot read a film that can be read here. One
    that does not work with the same versions, bundle and settings as this one is left out, and the log says so. A
    machine that comes while films are examined takes part.

    Args:
        opener: as for `Crew`; it travels to every machine, so paths in it are absolute and lead to the same there.
        address: HOST:PORT of the head of the cluster, which this machine has joined.
        threads: films at a time on each machine; None for one per CPU that it gives to the cluster.
        memory_mb: as for `Crew`, on each machine.
        send_films: send the bytes of each film; without it each machine reads a film at the path that it has here.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: nobody answers at the address, or Ray does not let this machine in.
        EngineError, BundleError: what the opener raises here, where a worker opens a screener too: it says with what
            all machines must work, and names films.
    """

    def __init__(
        self,
        opener: Callable[[], Screener],
        address: str,
        threads: int | None = None,
        memory_mb: int | None = None,
        send_films: bool = False,
    ) -> None:
        if find_spec("ray") is None:
            raise MissingExtra("ray", "cluster")
        self._address, self._free = address, True
        self._here = Crew(opener, 1)
        self.setup = self._here.setup
        order = Order(address, opener, threads, memory_mb, same_everywhere(self.setup), send_films)
        try:
            self._process, self._connection = start("bmd_edge.cluster.ray_process", _ENVIRONMENT, quiet=True)
        except BaseException:
            self._here.close()
            raise
        try:
            self._tell(order)
            if self._receive() is None:
                joins = "`ray start --address=HOST:PORT --num-cpus=0` joins it"
                raise UsageError(
                    f"no cluster answers at {address}: is its head up, and has this machine joined it? {joins}"
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the cluster, whatever it is at; Ray ends what this run has started there."""
        self._process.kill()
        with suppress(TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._connection.close()
        self._here.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def film_ids(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, str | None]]:
        """The film_id of each file, read on this machine; None where it cannot be read, or not in time."""
        yield from self._here.film_ids(tasks)

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Examine films on all machines; outcomes come as films are finished, not in the order of the tasks.

        Raises:
            EngineError: the cluster is lost, or no machine is ready for long.
            UsageError: all machines are left out; or the films of another caller, or of a loop that was left, are at
                work.
        """
        if not self._free:
            raise UsageError("a cluster crew has one caller at a time and ends with a loop that was left: open another")
        self._free = False
        coming, out = enumerate(tasks), dict[int, FilmJob]()
        self._tell("examine")
        while said := self._receive():
            kind, value = said
            if kind == "next":
                number, task = next(coming, (None, None))
                if number is not None and task is not None:
                    out[number] = task
                    self._tell((number, replace(task, path=os.path.abspath(task.path))))
                else:
                    self._tell(None)
            elif kind == "outcome":
                number, outcome = value
                yield out.pop(number), outcome
            elif kind == "lost":
                number, reason = value
                yield self._lost(out.pop(number), reason)
            elif kind == "end":
                self._free = True
                return
        what = "see that its head is up, then run the same command again: what is finished stays"
        raise EngineError(f"the cluster at {self._address} was lost: {what}")

    def _lost(self, task: FilmJob, reason: str) -> tuple[FilmJob, FilmOutcome]:
        ((_, name),) = self._here.film_ids([task])
        return task, FilmOutcome(replace(self.setup.failed, file=task.file, film_id=name, reason=reason))

    def _tell(self, message: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # missed at the next message that does not come
            self._connection.send(message)

    def _receive(self) -> tuple[str, Any] | None:
        """The next message of the process that speaks to Ray; None if it has ended. Raises what it says is wrong."""
        while True:
            try:
                kind, value = self._connection.recv()
            except (EOFError, ConnectionResetError):
                return None
            if kind == "error":
                raise value
            if kind != "log":
                return kind, value
            logger.warning("%s", value)
