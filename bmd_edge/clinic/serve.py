"""The process that holds the box together: it reads films, delivers results, and answers STOW-RS and the archives.

Whatever happens to it, the journal knows what was done: it may be ended at any moment and started again.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.commitment import Reports, listening
from bmd_edge.clinic.delivery.deliver import deliver
from bmd_edge.clinic.doors.audit import LogFollower
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.stow import stow_door
from bmd_edge.clinic.doors.watch import FolderDoor, watch
from bmd_edge.clinic.journal.films import release_leases
from bmd_edge.clinic.journal.heads import note_head
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.server import page_server
from bmd_edge.clinic.reading.work import work
from bmd_edge.clinic.retention import remove_old
from bmd_edge.errors import BmdEdgeError, UsageError
from bmd_edge.screen.run_lock import hold

logger = logging.getLogger(__name__)

DRAIN_S = 8.0
"""How long work that has begun may take after SIGTERM; what is not finished by then is done after the next start."""
_LOOK_S = 1.0
_PORT_AGAIN_S = 10.0
_HEADS_S = _RETENTION_S = 3600.0
_TAKEN = "the box is served already ({}): end that one first"


def serve(config: Config, stop: threading.Event) -> None:
    """Serve the box of `config` until `stop` is set, or SIGTERM or SIGINT comes to the main thread.

    Raises:
        UsageError: another process serves the box, or its folder is not as `clinic init` makes it.
        OSError, UsageError: the journal or the outbox failed; nothing that was acknowledged is lost.
    """
    if not config.root.is_dir():
        raise UsageError("the folder of box.root is not there: make the box with `bmd-edge clinic init`")
    with ExitStack() as stack:
        stack.enter_context(hold(config.root, _TAKEN))
        journal = stack.enter_context(Journal(config.root))
        _check_clock(journal)
        release_leases(journal)
        door = Door(config, journal)
        door.sweep()
        stack.enter_context(_signals(stop))
        reports = Reports(journal)
        if config.door.stow_tls:
            stack.enter_context(stow_door(config, door))
        _run(config, stop, _tasks(config, journal, door, stop, reports))


def _tasks(
    config: Config, journal: Journal, door: Door, stop: threading.Event, reports: Reports
) -> dict[str, Callable[[], None]]:
    tasks: dict[str, Callable[[], None]] = {"reading": partial(work, config, journal, stop)}
    for name in config.pacs:
        tasks[f"delivery to {name}"] = partial(deliver, config, journal, name, stop, reports)
        if not config.delivers_to(name):
            logger.warning("not delivering to %s: no approval named", name)
    tasks["audit"] = partial(_follow, config, journal, stop)
    tasks["heads"] = partial(_note_heads, config.root, journal, stop)
    if config.box.keep_days:
        tasks["retention"] = partial(_remove_old, config, journal, stop)
    if config.page.bind:
        tasks["page"] = partial(_keep_open, "page", partial(page_server, config), journal, stop)
    if any(pacs.commit for pacs in config.pacs.values()):
        tasks["commitment"] = partial(_keep_open, "commitment", partial(listening, config, reports), journal, stop)
    if config.door.folder:
        tasks["folder"] = partial(watch, FolderDoor(door, journal, Path(config.door.folder)), stop)
    return tasks


def _run(config: Config, stop: threading.Event, tasks: dict[str, Callable[[], None]]) -> None:
    """Run the tasks side by side; the first that fails ends them all, and is raised."""
    failed: list[BaseException] = []

    def guarded(name: str, task: Callable[[], None]) -> None:
        try:
            task()
        except (BmdEdgeError, OSError) as error:
            failed.append(error)
        except Exception as error:  # noqa: BLE001 - not its text: it can quote a header
            logger.error("%s ended with %s", name, type(error).__name__)
            failed.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=guarded, args=one, daemon=True) for one in tasks.items()]
    for thread in threads:
        thread.start()
    logger.info("serving %s, process %d", config.box.ae_title, os.getpid())
    stop.wait()
    until = monotonic() + DRAIN_S
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    if failed:
        raise failed[0]


def _follow(config: Config, journal: Journal, stop: threading.Event) -> None:
    """Write down whom Orthanc and nginx refuse."""
    with closing(LogFollower(config, journal)) as follower:
        while not stop.wait(_LOOK_S):
            follower.step()


def _remove_old(config: Config, journal: Journal, stop: threading.Event) -> None:
    """Remove what need not be kept for longer, at the start and every hour."""
    while not stop.is_set():
        remove_old(config, journal)
        stop.wait(_RETENTION_S)


def _note_heads(root: Path, journal: Journal, stop: threading.Event) -> None:
    """Write down where the chain of events ends, at the start, every hour, and at the end."""
    note_head(root, journal)
    while not stop.wait(_HEADS_S):
        note_head(root, journal)
    note_head(root, journal)


def _keep_open(
    name: str, opened: Callable[[], AbstractContextManager[str]], journal: Journal, stop: threading.Event
) -> None:
    """Keep a port open beside the work; while another program has it, films are read and sent all the same."""
    said = False
    while not stop.is_set():
        try:
            with opened() as where:
                journal.record(f"{name}_open")
                logger.info("%s: %s", name, where)
                said = False
                stop.wait()
        except UsageError as error:
            if not said:
                logger.error("no %s, and films go on: %s; until then it is tried again", name, error)
                journal.record(f"{name}_closed")
            said = True
            stop.wait(_PORT_AGAIN_S)


def _check_clock(journal: Journal) -> None:
    """A clock that was set back would deliver nothing until it has caught up."""
    (newest,) = journal.rows("SELECT MAX(at) AS at FROM event")
    if newest["at"] and journal.clock() < newest["at"] - 1:
        raise UsageError("the clock is behind the newest event of the journal: set it right, then start again")


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
