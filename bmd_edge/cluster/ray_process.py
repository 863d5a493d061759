"""The process that speaks to Ray for a run: it opens a crew on every machine, hands out films and collects outcomes.

Ray makes a process its own: it takes over a signal, writes to stderr, ends the process where the head is lost, and
keeps its command line and working folder among the facts of the cluster, where nothing of a patient may stand. So it
has one that the run can lose (`python -m bmd_edge.cluster.ray_process`), which is told of films over a pipe.
"""

import os
import signal
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from bmd_edge.cluster.machine import Film, Machine, started, usable
from bmd_edge.cluster.node_crew import About, facts_of
from bmd_edge.cluster.order import Order
from bmd_edge.errors import BmdEdgeError, EngineError, FilmFailed, FilmRefused, UsageError
from bmd_edge.film.read import read_bytes
from bmd_edge.screen.jobs import FilmOutcome

CONNECT_SECONDS = 30
"""Ray itself asks for minutes whether somebody answers at an address."""
WAIT_SECONDS, START_SECONDS = 20.0, 300.0
"""A run that is without a machine says so after a while, and ends after another."""
LOOK_SECONDS = 2.0
TRIES = 3
"""Times that a film is handed out. Hardly ever is it the film by which a machine is lost, for a crew survives films."""
_STARTS = 5  # a machine whose actor ends so often without one film is left out
_ERRORS = 3  # films in a row on which the networks of a machine fail: the machine is broken, not the films
_UNSEEN = (
    "it cannot read the films where this machine reads them: mount their folder under the same path there, for the user"
    " who started Ray, or give --send-films"
)


class _Cluster:
    """The machines of a cluster at the films of a run. Messages to the owner, by `send`: (kind, value)."""

    def __init__(self, order: Order, connection: Connection) -> None:
        self._order, self._connection = order, connection
        self._machines: dict[str, Machine] = {}
        self._left_out: dict[str, str] = {}
        self._starts = Counter[str]()
        self._looked = self._served = monotonic() - LOOK_SECONDS
        self._ever = self._said = False
        self._coming = False
        self._returned = deque[Film]()  # from machines that were left out: as good as new
        self._again = deque[Film]()  # to be tried once more, alone on a machine

    def examine(self) -> None:
        """Hand out films until the owner has no more and each has its outcome."""
        self._coming = True
        while True:
            self._look()
            self._hand_out()
            if not (self._coming or self._returned or self._again or any(m.busy for m in self._machines.values())):
                self._connection.send(("end", None))
                return
            answers = {m.opening: key for key, m in self._machines.items() if m.opening}
            answers |= {answer: key for key, m in self._machines.items() for answer in m.busy}
            if not answers:
                time.sleep(LOOK_SECONDS)
                continue
            for answer in ray.wait(list(answers), timeout=LOOK_SECONDS)[0]:
                self._take(answers[answer], answer)

    def _look(self) -> None:
        """Start crews on nodes that have none, and see who is lost; an error where nobody is left to read films."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if self._connection.poll():  # nothing is expected: the owner has gone
            raise EOFError
        for key in [key for key, machine in self._machines.items() if machine.silent]:
            self._lose(key)
        for node in filter(usable, ray.nodes()):
            if (key := node["NodeID"]) not in self._machines and key not in self._left_out:
                self._machines[key] = started(node, self._order)
        if any(machine.slots for machine in self._machines.values()):
            self._served, self._ever, self._said = now, True, False
        elif self._left_out and not self._machines and not self._ever:
            raise UsageError(f"no machine of the cluster takes films: {'; '.join(self._left_out.values())}")
        elif now - self._served > START_SECONDS:
            what = "are its nodes up (`ray status`), and their CPUs free? What is finished stays: run the command again"
            raise EngineError(f"no machine of the cluster was ready for {START_SECONDS:.0f} s: {what}")
        elif now - self._served > WAIT_SECONDS and not self._said:
            self._connection.send(("log", "no machine of the cluster is ready: waiting for one"))
            self._said = True

    def _hand_out(self) -> None:
        ready = [machine for machine in self._machines.values() if machine.slots]
        while free := [machine for machine in ready if len(machine.busy) < machine.slots]:
            if (film := self._next()) is None:
                break
            self._give(min(free, key=lambda machine: len(machine.busy) / machine.slots), film)
        else:
            return
        for machine in ready:
            if self._again and not machine.busy:
                self._give(machine, self._again.popleft())

    def _next(self) -> Film | None:
        if not self._returned and self._coming:
            self._connection.send(("next", None))
            if came := self._connection.recv():
                return Film(*came)
            self._coming = False
        return self._returned.popleft() if self._returned else None

    def _give(self, machine: Machine, film: Film) -> None:
        data = None
        if film.job.reason is None:
            film.facts = facts_of(film.job.path)
            try:
                data = read_bytes(os.fsdecode(film.job.path), links=False) if self._order.send_films else None
            except (FilmRefused, FilmFailed) as error:
                film.job = replace(film.job, reason=error.code)
        machine.give(film, data)

    def _take(self, key: str, answer: Any) -> None:
        """Take an answer of a machine: of its crew that was to be opened, or of a film."""
        machine = self._machines[key]
        try:
            said = ray.get(answer)
        except RayTaskError as error:
            said = EngineError(
                f"an unexpected {type(error.cause).__name__}: is bmd-edge of this version installed there?"
            )
        except RayError:  # whatever else it is, this answer will not come
            self._lose(key)
            return
        film = None if answer == machine.opening else machine.taken(answer)
        if isinstance(said, BmdEdgeError):
            self._leave_out(key, str(said), film)
        elif film is None:
            self._opened(key, said)
        elif said is None or self._unread_there_alone(film, said):
            self._not_seen(key, film)
        else:
            self._outcome(key, film, said)

    def _opened(self, key: str, about: About) -> None:
        ours = self._order.facts
        other = [name for name in {**ours, **about.facts} if ours.get(name) != about.facts.get(name)]
        if other:
            there, here = (facts.get(other[0], "none") for facts in (about.facts, ours))
            self._leave_out(key, f"its {other[0]} is {there}, here it is {here}: install and give the same everywhere")
        else:
            self._machines[key].opened(about.workers)

    def _unread_there_alone(self, film: Film, outcome: FilmOutcome) -> bool:
        unread = film.job.reason is None and outcome.report.reason == "file_unreadable"
        return unread and os.access(film.job.path, os.R_OK)

    def _not_seen(self, key: str, film: Film) -> None:
        if facts_of(film.job.path) != film.facts:  # it changes: the run looks at it once more, and leaves it
            self._connection.send(("lost", (film.number, "file_unreadable")))
        elif self._machines[key].sees:
            self._retry(film, "file_unreadable")
        else:
            self._leave_out(key, _UNSEEN, film)

    def _outcome(self, key: str, film: Film, outcome: FilmOutcome) -> None:
        machine = self._machines[key]
        self._starts[key] = 0
        machine.sees |= film.job.reason is None
        machine.errors = machine.errors + 1 if outcome.error else 0
        if outcome.error and film.tries + 1 < TRIES:
            self._retry(film, "unexpected")
        else:
            self._connection.send(("outcome", (film.number, outcome)))
        if machine.errors >= _ERRORS:
            self._leave_out(key, f"its networks fail: {outcome.error}")

    def _retry(self, film: Film, reason: str) -> None:
        film.tries += 1
        if film.tries < TRIES:
            self._again.append(film)
        else:
            self._connection.send(("lost", (film.number, reason)))

    def _lose(self, key: str) -> None:
        """A machine is lost, or its actor is; where its node is still there, another one is started."""
        machine = self._machines.pop(key)
        ray.kill(machine.actor)
        films, self._starts[key] = list(machine.busy.values()), self._starts[key] + 1
        if machine.slots:
            tried = f"; {len(films)} of its films are tried again" * bool(films)
            self._connection.send(("log", f"machine {machine.name} of the cluster was lost{tried}"))
        for film in films:
            self._retry(film, "worker_lost")
        if self._starts[key] >= _STARTS:
            self._left_out[key] = f"machine {machine.name}: lost {_STARTS} times without one film"

    def _leave_out(self, key: str, why: str, film: Film | None = None) -> None:
        """Give a machine no films any more, and those that it holds to others."""
        machine = self._machines.pop(key)
        ray.kill(machine.actor)
        self._returned.extend([*([film] if film else []), *machine.busy.values()])
        self._left_out[key] = f"machine {machine.name}: {why}"
        self._connection.send(("log", f"the cluster goes on without {self._left_out[key]}"))


def _connect(address: str) -> None:
    signal.alarm(CONNECT_SECONDS)  # the kernel ends the process: Ray cannot be interrupted
    try:
        ray.init(address, log_to_driver=False, configure_logging=False)
    except (RayError, RuntimeError, ConnectionError, ValueError, AssertionError) as error:
        raise UsageError(f"{address}: Ray does not take this machine into the cluster: {_first_cause(error)}") from None
    finally:
        signal.alarm(0)


def _first_cause(error: BaseException) -> str:
    """What Ray says was wrong at first, in one line; where that quotes a traceback, how it ends."""
    while error.__cause__:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return " ".join(" ".join(lines[-1:] if "Traceback" in str(error) else lines).split())


def _work(connection: Connection) -> None:
    order = connection.recv()
    os.chdir("/")
    sys.argv = [""]  # Ray lets the machines import from the folder of the script that is run
    try:
        _connect(order.address)
        connection.send(("up", None))
        cluster = _Cluster(order, connection)
        while connection.recv():
            cluster.examine()
    except BmdEdgeError as error:
        connection.send(("error", error))


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _work(Connection(int(sys.argv[1])))
