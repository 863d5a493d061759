"""A folder of films -> reports: plan, examine the films, remember in a ledger, write the results.

One bad film is one row. A killed run resumes: what is finished stands in the ledger of the output folder and is not
read again, and the results files are written from the ledger, so they do not depend on where a run was stopped.
"""

import importlib.metadata
import os
import platform
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bmd_edge import __version__
from bmd_edge.crew import Crew
from bmd_edge.errors import EngineError, UsageError
from bmd_edge.ledger import Ledger
from bmd_edge.ledger import remove as remove_ledger
from bmd_edge.report import SCHEMA_VERSION, RunSummary, count, write_csv, write_jsonl, write_run
from bmd_edge.report_html import write_pages
from bmd_edge.screener import Outcome, Screener, Setup, Task

_MAX_ENGINE_ERRORS = 3  # one odd film may upset an engine; three in a row mean that the engine is broken
_VERSIONS = ("numpy", "pydicom", "imagecodecs", "Pillow", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One entry of the folder and what will be done with it: "read", "skip" (finished before) or "refuse" (no file).

    `reason` of what is no file: "not_a_regular_file", or "file_unreadable" for a folder that cannot be listed.
    `key` is the path relative to the folder as the system's bytes, `file` the same as text for people and results.
    `stamp` is (size in bytes, modification time in ns): a finished file is read again when either moved.
    """

    key: bytes
    action: str
    stamp: tuple[int, int]
    reason: str | None = None

    @property
    def file(self) -> str:
        """Posix path relative to the folder; bytes that are no UTF-8 stand as `\\xNN`."""
        return self.key.decode("utf-8", "backslashreplace")


def plan(folder: Path, done: Mapping[bytes, tuple[int, int]]) -> list[PlannedFile]:
    """Decide what to do with each entry below `folder`, sorted by path; looks, but opens and changes nothing.

    Links, pipes, sockets and devices are refused, never followed or opened.
    """
    planned = []
    for entry in _walk(os.fsencode(folder)):
        key = os.path.relpath(entry.path, os.fsencode(folder))
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # gone since it was listed
            continue
        stamp = (facts.st_size, facts.st_mtime_ns)
        if stat.S_ISREG(facts.st_mode):
            planned.append(PlannedFile(key, "skip" if done.get(key) == stamp else "read", stamp))
        else:
            reason = "file_unreadable" if stat.S_ISDIR(facts.st_mode) else "not_a_regular_file"
            planned.append(PlannedFile(key, "refuse", stamp, reason))
    return sorted(planned, key=lambda item: item.key)


def _walk(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
    """Every entry below `folder` that is not a real folder which can be listed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and os.access(entry.path, os.R_OK | os.X_OK):
                yield from _walk(entry.path)
            else:
                yield entry


def check_folders(folder: Path, out: Path) -> None:
    """UsageError unless `folder` is a folder and `out` lies outside it: results must not become input."""
    if not folder.is_dir():
        what = "is a file: give the folder that holds it" if folder.exists() else "does not exist"
        raise UsageError(f"the folder of films {what}")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError("the results would lie inside the folder of films: give another --out")
    if out.exists() and not out.is_dir():
        raise UsageError("--out is a file: give a folder")


def screen_folder(
    screener: Screener | Crew,
    folder: Path,
    out: Path,
    *,
    fresh: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> RunSummary:
    """Screen every entry below `folder` and write results.csv, results.jsonl, run.json and report/ into `out`.

    A `Crew` works on several films at a time and survives what a decoder does; a `Screener` on one after the other.
    Films that the ledger in `out` knows as finished with the same settings are not read again; `fresh` forgets them.
    `progress` is called with (finished, all) before the first and after every film.

    Raises:
        UsageError: the folders are not as `check_folders` wants them.
        EngineError: a network failed on several films in a row; what was finished stays in the ledger.
    """
    check_folders(folder, out)
    out.mkdir(parents=True, exist_ok=True)
    if fresh:
        remove_ledger(out)
    settings = screener.setup.digest
    with closing(Ledger(out)) as ledger:
        items = plan(folder, ledger.done(settings))
        ledger.keep_only(item.key for item in items)
        todo = [item for item in items if item.action != "skip"]
        finished = len(items) - len(todo)
        progress(finished, len(items))
        for item, outcome in _examine(screener, folder, todo):
            ledger.put(item.key, item.stamp, settings, outcome.report, outcome.picture)
            finished += 1
            progress(finished, len(items))
        summary = _summary(screener.setup, ledger)
        write_csv(out / "results.csv", ledger.reports())
        write_jsonl(out / "results.jsonl", ledger.reports())
        write_pages(out / "report", ledger.entries(), summary)
        write_run(out / "run.json", summary)
    return summary


def _examine(
    screener: Screener | Crew, folder: Path, items: Sequence[PlannedFile]
) -> Iterator[tuple[PlannedFile, Outcome]]:
    """Examine the films, in any order. EngineError if a network failed on several films in a row."""
    planned = {os.path.join(os.fsencode(folder), item.key): item for item in items}
    tasks = (Task(path, item.file, item.reason) for path, item in planned.items())
    errors = 0
    for task, outcome in screener.examine(tasks):
        errors = errors + 1 if outcome.error else 0
        if errors >= _MAX_ENGINE_ERRORS:
            raise EngineError(str(outcome.error))
        yield planned[task.path], outcome


def _summary(setup: Setup, ledger: Ledger) -> RunSummary:
    return RunSummary(
        schema_version=SCHEMA_VERSION,
        versions=versions(),
        bundle=setup.failed.bundle,
        bundle_digest=setup.failed.bundle_digest,
        device=setup.failed.device,
        precision=setup.failed.precision,
        spacing_given_mm=setup.spacing_mm,
        notice=setup.notice,
        **count(ledger.reports()),
    )


def versions() -> dict[str, str]:
    """Versions of bmd-edge, Python and the installed libraries that results depend on."""
    found = {"bmd-edge": __version__, "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
