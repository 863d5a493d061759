"""One machine of a cluster, as the process sees it that hands out films: its actor, and the films it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bmd_edge.cluster.node_crew import FileFacts, NodeCrew
from bmd_edge.cluster.order import Order
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.workers import SECONDS

_AHEAD = 2
"""Films that a machine holds for each of its workers: the next one is there when one is finished."""
SILENT_SECONDS = 2.5 * SECONDS
"""Within this time a crew has finished some film or given one up: a machine that says nothing for longer is lost."""


@dataclass(slots=True)
class Film:
    """A film under its number in the run; `tries` counts machines that were lost with it, or failed on it."""

    number: int
    job: FilmJob
    facts: FileFacts | None = None
    tries: int = 0


@dataclass(slots=True)
class Machine:
    """A node, all of whose CPUs one actor takes.

    `opening` is the answer to come of an actor that is no crew yet, `slots` the number of films that a crew holds at
    most. `sees` says whether it has read a film, `errors` counts films in a row on which its networks failed.
    """

    name: str
    actor: Any
    opening: Any
    slots: int = 0
    sees: bool = False
    errors: int = 0
    heard: float = 0.0
    busy: dict[Any, Film] = field(default_factory=dict)

    def opened(self, workers: int) -> None:
        """It is a crew now."""
        self.opening, self.slots = None, _AHEAD * workers

    def give(self, film: Film, data: bytes | None) -> None:
        """Hand over a film; without its bytes the machine reads what lies at its path, if it has the film's facts."""
        if not self.busy:
            self.heard = monotonic()
        job = FilmJob(film.job.path, film.job.file, film.job.reason, data=data)
        self.busy[self.actor.examine.remote(job, film.facts if data is None else None)] = film

    def taken(self, answer: Any) -> Film:
        """The film to which `answer` belongs; it is no longer in the machine's hands."""
        self.heard = monotonic()
        return self.busy.pop(answer)

    @property
    def silent(self) -> bool:
        """Whether it should have said something."""
        return bool(self.busy) and monotonic() - self.heard > SILENT_SECONDS


def usable(node: Mapping[str, Any]) -> bool:
    """Whether a node of `ray.nodes()` is there and has CPUs to give; a head is often started with none."""
    return bool(node["Alive"]) and node["Resources"].get("CPU", 0) >= 1


def started(node: Mapping[str, Any], order: Order) -> Machine:
    """Start an actor on a node; as soon as its CPUs are free it opens a crew."""
    cpus = int(node["Resources"]["CPU"])
    threads = order.threads or cpus
    actor = (
        ray.remote(NodeCrew)
        .options(
            num_cpus=cpus,
            max_concurrency=_AHEAD * threads + 1,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        .remote()
    )
    name = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
    return Machine(name, actor, actor.open.remote(order.opener, threads, order.memory_mb))
