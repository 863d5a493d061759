"""A folder of films -> reports: plan, examine the films, remember in a ledger, write the results.

One bad film is one row. A killed run resumes: what is finished stands in the ledger of the output folder and is not
read again, and the results files are written from the ledger, so they do not depend on where a run was stopped.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from bmd_edge.errors import EngineError, UsageError
from bmd_edge.follow.page import write_series
from bmd_edge.language import ENGLISH, Language
from bmd_edge.report.copies import Copies, copies, count_copies, marked
from bmd_edge.report.film_report import SCHEMA_VERSION, RunSummary, count
from bmd_edge.report.in_words import counted, some
from bmd_edge.report.pages import report_is_in, write_pages
from bmd_edge.report.results import write_csv, write_jsonl, write_run
from bmd_edge.report.safe_text import visible
from bmd_edge.screen.folder_plan import PlannedFile, named, plan, settled, unmoved
from bmd_edge.screen.jobs import Examiner, FilmJob, FilmOutcome, Setup
from bmd_edge.screen.ledger import Ledger, held
from bmd_edge.screen.ledger import remove as remove_ledger
from bmd_edge.screen.ledger_file import NAME as LEDGER
from bmd_edge.screen.left_out import as_entry
from bmd_edge.screen.run_lock import check_local, hold
from bmd_edge.system.own_files import mistaken
from bmd_edge.version import __version__

Progress = Callable[[int, int], None]
Tell = Callable[[str], None]

_MAX_ENGINE_ERRORS = 3  # one odd film may upset an engine; three in a row mean that the engine is broken
_VERSIONS = ("numpy", "pydicom", "imagecodecs", "Pillow", "onnxruntime", "onnxruntime-gpu")


def check_folders(films: Path, out: Path) -> None:
    """UsageError unless `films` is a film, or a folder and `out` lies outside it: results must not become input."""
    given, results = visible(str(films)), visible(str(out))
    if not films.exists():
        gone = f". If it is gone, --forget-folder {visible(films.name)} with another folder forgets its results"
        what = "does not exist: check its name, and whether its share is mounted"
        raise UsageError(f"{given}: {what}{gone * (films.name in _held(out))}")
    if not (films.is_dir() or films.is_file()):
        raise UsageError(f"{given}: neither a folder nor a file: give one of these")
    if films.is_file() and (said := mistaken(films, "film")):
        raise UsageError(said)
    if not os.access(named(films)[0], os.R_OK | os.X_OK):
        raise UsageError(f"{given}: the folder cannot be listed: check its permissions")
    if films.is_dir() and out.resolve().is_relative_to(films.resolve()):
        raise UsageError(f"{results}: the results would lie inside the folder of films: give another --out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{results}: --out is a file: give a folder")


def screen_folder(  # noqa: PLR0913
    screener: Examiner,
    films: Path,
    out: Path,
    *,
    fresh: bool = False,
    forget_missing: bool = False,
    forget_folder: str | None = None,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
    tell: Tell = lambda text: None,  # noqa: ARG005
    language: Language = ENGLISH,
) -> RunSummary:
    """Screen every entry below the folder `films`, or that one film.

    Writes results.csv, results.jsonl, run.json and report/ into `out`.

    A `Crew` works on several films at a time and survives what a decoder does; a `Screener` on one after the other.
    Films that the ledger in `out` knows as finished with the same settings are not read again; `fresh` forgets them.
    Results of films that are not in the folder now stay and are marked; `forget_missing` forgets them. Those of other
    folders stay as they are; `forget_folder` forgets those of one, by its name in the results. What is in a folder and
    is no film is left out; one film that is named is read or refused, whatever it is, and says nothing of others. Films
    that change while they are looked at are left for the next run.

    `progress` is called with (finished, all) before the first and after every film, `tell` with a sentence for the user
    about each thing of which the results alone would not tell: what was forgotten, named anew or left. `language` is
    that of the report for people; files for machines have none.

    Raises:
        UsageError: the folders are not as `check_folders` wants them, another run writes to `out`, it holds results
            without a ledger, `forget_missing` is asked for and there is no film, or `forget_folder` is not known.
        EngineError: a network failed on several films in a row.
        OSError: `out` cannot be written. Whatever ends a run, what was finished stays in the ledger.
    """
    check_folders(films, out)
    out.mkdir(parents=True, exist_ok=True)
    check_local(out)
    with hold(out):
        _sweep(out)
        if fresh:
            _forget_all(out, tell)
        elif orphaned(out):
            what = f"--out holds results without their {LEDGER}, and this run would write over them"
            raise UsageError(f"{what}: give another --out, or --fresh, which forgets them")
        with closing(Ledger(out)) as ledger:
            several = ledger.several()
            if forget_folder is not None:
                number = counted(ledger.forget_folder(forget_folder), "result")
                tell(f"Forgotten: the folder {visible(forget_folder)}, {number}.")
            summary = _screen(screener, films, out, ledger, forget_missing, progress, tell, language)
            if ledger.several() != several:
                how = "do not begin with their folder's name any more" if several else "begin with their folder's name"
                tell(f"The results hold films of {'one folder' if several else 'several folders'}: file names {how}.")
            return summary


def _forget_all(out: Path, tell: Tell) -> None:
    """Remove the ledger, and say of which folders it held results."""
    if found := _held(out):
        whose = some([f"{n} of {visible(name)}" for name, n in found.items()])
        tell(f"Forgotten: all earlier results in --out, {whose}.")
    remove_ledger(out)


def _held(out: Path) -> dict[str, int]:
    """How many results there are of each folder; nothing of a ledger that cannot be read."""
    with suppress(UsageError, OSError):
        return held(out)
    return {}


def orphaned(out: Path) -> bool:
    """Whether there are results in folder `out` that no ledger keeps."""
    results = out / "results.jsonl"
    return not (out / LEDGER).is_file() and results.is_file() and results.stat().st_size > 0


def _sweep(out: Path) -> None:
    """Remove the half-written files of a run that was killed."""
    for folder in (out, out / "report"):
        for part in folder.glob(".*.part"):
            part.unlink()


def _screen(
    screener: Examiner,
    films: Path,
    out: Path,
    ledger: Ledger,
    forget_missing: bool,
    progress: Progress,
    tell: Tell,
    language: Language,
) -> RunSummary:
    settings = screener.setup.digest
    folder, only = named(films)
    ledger.enter(folder, only)
    items = plan(folder, ledger.done(settings), only)
    if only is None and ledger.take_in(folder, [item.key for item in items]):
        items = plan(folder, ledger.done(settings))
        tell("Folders in this one were screened before: they are parts of it now, and their files are named so.")
    if forget_missing and not items:
        what = f"{visible(str(films))} holds no files, so --forget-missing would forget all"
        raise UsageError(f"{what}: is the share with the films mounted? --fresh forgets whatever is known")
    finished = _adopt(screener, folder, ledger, items)
    present = {item.key for item in items} | (ledger.keys() if only else set())
    ledger.compare(present, finished)
    todo = [item for item in items if item.key not in finished]
    progress(len(finished), len(items))
    left = {item.key for item in todo}
    for number, (item, outcome) in enumerate(_examine(screener, folder, todo), len(finished) + 1):
        report = outcome.report if only else as_entry(outcome.report)
        ledger.put(item.key, item.stamp, settings, report, outcome.picture)
        left.discard(item.key)
        progress(number, len(items))
    if left:
        gone = {key for key in left if not os.path.lexists(os.path.join(os.fsencode(folder), key))}
        ledger.leave(left - gone)
        ledger.compare(present - gone, set())
        _tell_left([item.file for item in todo if item.key in left], tell)
    if ledger.written(settings) is None:
        for name in ledger.settle():
            what = "at least half of its films lie here under their names"
            tell(f"The known folder {visible(name)} is taken for {visible(str(films))}: {what}.")
    if forget_missing and (files := ledger.forget_missing()):
        tell(f"Forgotten: {counted(len(files), 'result')} of films that are not there now: {_some_files(files)}.")
    summary = ledger.written(settings)
    if summary is None or not _still_so(summary, screener.setup, len(left)) or not _is_there(out, language):
        summary = write_results(out, ledger, screener.setup, len(left), language)
        ledger.note_written(settings, summary)
    return summary


def _tell_left(files: Sequence[str], tell: Tell) -> None:
    what, them = ("file was", "it") if len(files) == 1 else ("files were", "them")
    tell(f"{len(files)} {what} still changing: run the same command again to read {them}: {_some_files(files)}.")


def _some_files(files: Sequence[str]) -> str:
    return some([visible(file) for file in files])


def _adopt(screener: Examiner, folder: Path, ledger: Ledger, items: Sequence[PlannedFile]) -> set[bytes]:
    """The keys of the finished films; what was found elsewhere before is among them if its bytes are the same."""
    finished = {item.key for item in items if item.action == "skip"}
    elsewhere = {os.path.join(os.fsencode(folder), item.key): item for item in items if item.action == "compare"}
    for task, name in screener.film_ids(FilmJob(path, item.file) for path, item in elsewhere.items()):
        item = elsewhere[task.path]
        if name and ledger.adopt(item.key, item.stamp, screener.setup.digest, name):
            finished.add(item.key)
    return finished


def _still_so(summary: RunSummary, setup: Setup, left: int) -> bool:
    """Whether what was said of a run beside its films would be said again."""
    said = (summary.versions, summary.left, summary.signature, summary.signature_key)
    return said == (versions(), left, setup.signature, setup.signature_key)


def _is_there(out: Path, language: Language) -> bool:
    """Whether every file of results is there, the report in this language."""
    there = all((out / name).is_file() for name in ("results.csv", "results.jsonl", "run.json", "report/index.html"))
    return there and report_is_in(language, out / "report")


def write_results(out: Path, ledger: Ledger, setup: Setup, left: int = 0, language: Language = ENGLISH) -> RunSummary:
    """Write results.csv, results.jsonl, report/ and run.json from the ledger; `left` films are for the next pass."""
    marks = copies(ledger.reports())
    summary = _summary(setup, ledger, left, marks)
    write_csv(out / "results.csv", (marked(report, marks) for report in ledger.reports()))
    write_jsonl(out / "results.jsonl", (marked(report, marks) for report in ledger.reports()))
    hips = write_series(out / "report", (marked(report, marks) for report in ledger.reports()), summary, language)
    entries = ((marked(report, marks), picture) for report, picture in ledger.entries())
    write_pages(out / "report", entries, summary, hips, language)
    write_run(out / "run.json", summary)
    return summary


def _examine(
    screener: Examiner, folder: Path, items: Sequence[PlannedFile]
) -> Iterator[tuple[PlannedFile, FilmOutcome]]:
    """Examine the films, in any order, but those that change meanwhile: a film that is half copied has no outcome.

    EngineError if a network failed on several films in a row.
    """
    planned = {os.path.join(os.fsencode(folder), item.key): item for item in items}
    paths = {item.key: path for path, item in planned.items()}
    tasks = (FilmJob(paths[item.key], item.file, item.reason) for item in settled(folder, items))
    errors = 0
    for task, outcome in screener.examine(tasks):
        errors = errors + 1 if outcome.error else 0
        if errors >= _MAX_ENGINE_ERRORS:
            raise EngineError(str(outcome.error))
        if unmoved(folder, planned[task.path]):
            yield planned[task.path], outcome


def _summary(setup: Setup, ledger: Ledger, left: int, marks: Copies) -> RunSummary:
    return RunSummary(
        schema_version=SCHEMA_VERSION,
        versions=versions(),
        bundle=setup.failed.bundle,
        bundle_digest=setup.failed.bundle_digest,
        device=setup.failed.device,
        precision=setup.failed.precision,
        spacing_given_mm=setup.spacing_mm,
        notice=setup.bundle_notice,
        left=left,
        patient_key=setup.patient_key,
        copies=count_copies(marks),
        recalibration=setup.failed.recalibration,
        signature=setup.signature,
        signature_key=setup.signature_key,
        **count(marked(report, marks) for report in ledger.reports()),
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
