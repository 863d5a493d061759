"""The commands that read films, and the schema of what they write: screen, demo, schema."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bmd_edge.cli.options import (
    BundleOption,
    DeviceOption,
    FormerRecalibrationOption,
    LanguageOption,
    OutOption,
    PrecisionOption,
    RecalibrationOption,
    ThreadsOption,
    either_recalibration,
)
from bmd_edge.errors import EngineError, UsageError
from bmd_edge.language import language_of

if TYPE_CHECKING:
    from bmd_edge.cluster.cluster_crew import ClusterCrew
    from bmd_edge.report.film_report import RunSummary
    from bmd_edge.screen.jobs import Examiner
    from bmd_edge.screen.screener import Screener
    from bmd_edge.screen.workers import Crew


OverrideOption = Annotated[
    bool, typer.Option("--override-spacing", help="--spacing-mm for all films, whatever they state; flags each.")
]
MemoryOption = Annotated[
    int | None, typer.Option(min=1, help="Memory for all processes; default 100 MB and 350 MB per film at a time.")
]
AccessionOption = Annotated[
    bool, typer.Option("--accession", help="Write accession numbers into the results, to find films by.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Forget the earlier results in --out, of all folders, and start anew.")
]
ForgetMissingOption = Annotated[
    bool, typer.Option("--forget-missing", help="Forget results in --out of films that are no longer in FILMS.")
]


ForgetFolderOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Forget results in --out of the folder that is called so there, as of one gone."),
]
ClusterOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Read the films on all machines of this Ray cluster.")
]
SendFilmsOption = Annotated[
    bool, typer.Option("--send-films", help="With --cluster: send films; else machines read them at the same path.")
]


def screen(
    films: Annotated[Path, typer.Argument(metavar="FILMS", help="Folder of films, its subfolders too; or one film.")],
    bundle: BundleOption = None,
    key: Annotated[Path | None, typer.Option(help="Public key, PEM: only a bundle that its owner signed.")] = None,
    out: OutOption = Path("bmd-edge-results"),
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    spacing_mm: Annotated[float | None, typer.Option(help="Detector's pixel size, mm, for films without one.")] = None,
    override_spacing: OverrideOption = False,
    recalibration: RecalibrationOption = None,
    site: FormerRecalibrationOption = None,
    threads: ThreadsOption = None,
    memory_mb: MemoryOption = None,
    accession: AccessionOption = False,
    language: LanguageOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.jsonl instead of a table.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    fresh: FreshOption = False,
    forget_missing: ForgetMissingOption = False,
    forget_folder: ForgetFolderOption = None,
    cluster: ClusterOption = None,
    send_films: SendFilmsOption = False,
) -> None:
    """Estimate the BMD of every hip on FILMS.

    Prints a table and writes results.csv, results.jsonl, run.json and report/index.html into --out.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import of_named, print_lines, print_results
    from bmd_edge.film.scale import GivenSpacing
    from bmd_edge.screen.run import check_folders
    from bmd_edge.screen.screener import open_screener

    spoken = language_of(language)
    check_folders(films, out)
    if send_films and not cluster:
        raise UsageError("--send-films needs the machines to send them to: give --cluster too")
    if override_spacing and spacing_mm is None:
        raise UsageError("--override-spacing needs the pixel size: give --spacing-mm too")
    settings: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "spacing_mm": None if spacing_mm is None else GivenSpacing(spacing_mm, override_spacing),
        "recalibration": _absolute(either_recalibration(recalibration, site)),
        "patient_key": _patient_key(),
        "accession": accession,
        "signed": read_bundle(bundle, key).signed if key else None,
    }
    opener = partial(open_screener, _absolute(bundle), threads=1, **settings)
    workers = 1 if dry_run or films.is_file() else threads
    with _crew(opener, workers, memory_mb, None if dry_run else cluster, send_films) as crew:
        if dry_run:
            _print_plan(crew.setup.digest, films, out, fresh)
            return
        forget = {"forget_missing": forget_missing, "forget_folder": forget_folder}
        summary = _run(crew, films, out, fresh=fresh, **forget, language=spoken)
    told = of_named(out, summary, films)
    (print_lines if as_json else print_results)(out, told, films, spoken)
    _say_where(films, out, told)
    raise typer.Exit(0 if told.complete else 3)


def _crew(
    opener: "Callable[[], Screener]", threads: int | None, memory_mb: int | None, cluster: str | None, send_films: bool
) -> "Crew | ClusterCrew":
    """Workers on this machine, or on all machines of a cluster."""
    from bmd_edge.screen.workers import Crew

    if cluster is None:
        return Crew(opener, threads, memory_mb)
    from bmd_edge.cluster.cluster_crew import ClusterCrew

    return ClusterCrew(opener, cluster, threads, memory_mb, send_films)


def _absolute(path: Path | None) -> Path | None:
    """The path for whoever works in another folder, or on another machine."""
    return path and path.absolute()


def _patient_key() -> bytes | None:
    """The user's key, with a word where there is none."""
    from bmd_edge.system.patient_key import patient_key

    key = patient_key()
    if key is None:
        what = "the key in the configuration folder cannot be read or made; XDG_CONFIG_HOME names another folder"
        typer.echo(f"Patients have no pseudonym: {what}.", err=True)
    return key


def demo(bundle: BundleOption = None, out: OutOption = Path("bmd-edge-demo"), language: LanguageOption = None) -> None:
    """Screen the embedded films and check their outcomes."""
    from bmd_edge.cli.terminal import print_results
    from bmd_edge.screen.ledger import known
    from bmd_edge.screen.run import orphaned
    from bmd_edge.screen.screener import open_screener
    from bmd_edge.screen.workers import Crew

    spoken = language_of(language)
    data = Path(__file__).parents[1] / "data"
    if not (data / "demo.json").is_file():
        raise EngineError("this installation holds no demo films: install the program again")
    expected = json.loads((data / "demo.json").read_text(encoding="utf-8"))
    if orphaned(out) or not known(out) <= expected.keys():
        raise UsageError(f"{out}: holds results of other films, which the demo would write over: give another --out")
    with Crew(partial(open_screener, bundle, threads=1)) as crew:
        summary = _run(crew, data / "demo", out, fresh=True, language=spoken)
    print_results(out, summary, data / "demo", spoken)
    _say_where(data / "demo", out, summary)
    wrong = [line for line in _unexpected_outcomes(out, expected)]
    for line in wrong:
        typer.echo(line, err=True)
    if not wrong:
        typer.echo(f"All {len(expected)} demo films gave the outcome expected of them.", err=True)
    raise typer.Exit(1 if wrong else 0)


def _unexpected_outcomes(out: Path, expected: dict[str, Any]) -> Iterator[str]:
    """Compare with demo.json: file -> {"status", "reason", "hips": {side: "read" or the reason}}."""
    from bmd_edge.screen.ledger import Ledger

    with closing(Ledger(out, to_read=True)) as ledger:
        found = {report.file: report for report in ledger.reports()}
    for file in sorted({*expected, *(name or "" for name in found)}):
        report = found.get(file)
        got = report and {
            "status": report.status,
            "reason": report.reason,
            "hips": {hip.side: hip.reason or hip.status for hip in report.hips},
        }
        if got != expected.get(file):
            yield f"{file}: expected {expected.get(file)}, got {got}"


def schema(
    version: Annotated[int | None, typer.Option(min=1, help="Version of results.jsonl; default the newest.")] = None,
) -> None:
    """Print the JSON Schema of a line of results.jsonl."""
    from bmd_edge.report.film_report import SCHEMA_VERSION
    from bmd_edge.report.schema import json_schema

    if version and version > SCHEMA_VERSION:
        raise UsageError(f"there is no version {version} of the schema: the newest is {SCHEMA_VERSION}")
    typer.echo(json.dumps(json_schema(version or SCHEMA_VERSION), indent=2))


# -- what screen and demo print -----------------------------------------------------------------------------------


def _run(crew: "Examiner", films: Path, out: Path, **settings: Any) -> "RunSummary":
    from bmd_edge.cli.terminal import progress_bar, say
    from bmd_edge.screen.run import screen_folder

    told: list[str] = []  # until the bar is gone
    try:
        with progress_bar() as progress:
            return screen_folder(crew, films, out, **settings, progress=progress, tell=told.append)
    except KeyboardInterrupt:
        typer.echo("Stopped. Finished films are kept: run the same command again to go on.", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells have it
    finally:
        for text in told:
            say(text)


def _print_plan(settings: str, films: Path, out: Path, fresh: bool) -> None:
    from bmd_edge.report.safe_text import visible
    from bmd_edge.screen.folder_plan import named, plan
    from bmd_edge.screen.ledger import finished

    folder, only = named(films)
    done = {} if fresh else finished(out, settings, folder)
    items = plan(folder, done, only)
    for item in items:
        typer.echo(f"{item.action:<7} {visible(item.file)}")
    totals = {action: sum(item.action == action for item in items) for action in ("read", "compare", "skip", "leave")}
    moved = f"{totals['compare']} perhaps moved, " * (totals["compare"] > 0)
    gone = 0 if only else sum(b"\0" not in key for key in done.keys() - {item.key for item in items})
    missing = f", {gone} finished before and not there now" * (gone > 0)
    typer.echo(
        f"{totals['read']} to read, {moved}{totals['skip']} finished before, {totals['leave']} left out{missing}; "
        "nothing was done.",
        err=True,
    )


def _say_where(films: Path, out: Path, summary: "RunSummary") -> None:
    from bmd_edge.cli.terminal import besides, say
    from bmd_edge.report.in_words import counted, some
    from bmd_edge.report.safe_text import visible

    earlier = sum(summary.not_there.values())
    if earlier == summary.files and not summary.left:
        known = f" {earlier} were known." * (earlier > 0)
        meant = "Is it the right folder, and is the share with the films mounted?"
        say(f"{visible(str(films))} holds no files.{known} {meant}")
    elif not summary.found and not summary.left:
        say("None of the files was taken for a film: is it the right folder? Films come from the archive as DICOM.")
    if earlier:
        counts = ", ".join(f"{n} {how}" for how, n in summary.not_there.items())
        say(
            f"Results of films that are not there now: {counts}. They stay, and report and tables say so;"
            " --forget-missing forgets what is missing or replaced."
        )
    if others := besides(out, films):
        whose = some([f"{n} of {visible(name)}" for name, n in others.items()])
        say(
            f"Report and tables also hold {counted(sum(others.values()), 'result')} of earlier runs with this --out, "
            f"as last known, for this run did not look there: {whose}. --forget-folder NAME forgets a folder's."
        )
    typer.echo(f"Report: {out / 'report' / 'index.html'}", err=True)
    typer.echo(f"Tables: {out / 'results.csv'}, results.jsonl", err=True)
