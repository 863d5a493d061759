"""Progress where nobody watches: a line a minute, with what is done and how long the rest will take."""

import time
from collections.abc import Callable
from functools import partial

import typer

EVERY_S = 60.0


class Minutes:
    """Call it with (done, total); at most once a minute it tells, by default on stderr."""

    def __init__(
        self,
        what: str,
        tell: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._tell, self._clock = what, tell or partial(typer.echo, err=True), clock
        self._began = self._told = clock()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Count; what was done before the first call does not count for the speed."""
        now = self._clock()
        if self._first is None:
            self._first = done
        if now - self._told < EVERY_S:
            return
        self._told = now
        speed = (done - self._first) / (now - self._began)
        self._tell(f"{self._what}: {done} of {total}{_said((total - done) / speed / 60) if speed > 0 else ''}")


def _said(minutes: float) -> str:
    return ", less than a minute left" if minutes < 1 else f", about {minutes:.0f} min left"
