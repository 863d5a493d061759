"""A lock for what must not be in use while the process forks: a child has none of the threads that would let go."""

import os
import threading
from functools import cache
from types import TracebackType
from weakref import WeakSet

_FORK_SECONDS = 10.0
"""A fork waits no longer, were it asked for by the very thread that holds the lock."""


class ForkSafeLock:
    """A context manager; a fork waits until nobody holds it, and finds it free in the child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        _watch_forks()
        _ALL.add(self)

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()


_ALL: WeakSet[ForkSafeLock] = WeakSet()


@cache
def _watch_forks() -> None:
    held: list[threading.Lock] = []

    def before() -> None:
        held.extend(one.lock for one in list(_ALL) if one.lock.acquire(timeout=_FORK_SECONDS))

    def in_parent() -> None:
        while held:
            held.pop().release()

    def in_child() -> None:
        held.clear()
        for one in list(_ALL):
            one.lock = threading.Lock()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
