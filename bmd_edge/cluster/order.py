"""What a run wants of a cluster; it goes to the process that speaks to Ray."""

from collections.abc import Callable
from dataclasses import dataclass

from bmd_edge.screen.screener import Screener


@dataclass(frozen=True, slots=True)
class Order:
    """`opener`, `threads` and `memory_mb` as for `Crew`, on each machine.

    `facts` are those of `same_everywhere` that each machine must have. With `send_films` the bytes of films travel to
    the machines, which otherwise read them by their paths.
    """

    address: str
    opener: Callable[[], Screener]
    threads: int | None
    memory_mb: int | None
    facts: dict[str, str]
    send_films: bool
