"""The command line: every command is registered here; runtime commands live here, workshop commands in their package.

stdout carries results, everything else goes to stderr. Nothing heavy is imported before a command needs it.
"""

import errno
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bmd_edge.errors import BmdEdgeError, EngineError, MissingExtra, UsageError
from bmd_edge.version import __version__

if TYPE_CHECKING:
    from bmd_edge.bundle.bundle import Bundle
    from bmd_edge.bundle.calibration import OperatingPoints
    from bmd_edge.report.film_report import RunSummary
    from bmd_edge.screen.workers import Crew

EXIT_CODES = {
    0: "all films and hips read",
    1: "unexpected error",
    2: "wrong usage, or a missing extra",
    3: "finished, but films or hips were refused or failed, files were still changing, or films have drifted",
    4: "bundle or engine missing, stale or invalid",
}
"""What the program's exit status means; `demo` ends with 0 when every film gets its expected outcome."""


_REMEDIES = {
    errno.ENOSPC: "free some space on the disk of --out",
    errno.EDQUOT: "free some space on the disk of --out",
    errno.EROFS: "give an --out that can be written",
    errno.EACCES: "check the permissions of --out",
    errno.EPERM: "check the permissions of --out",
    errno.EIO: "check the disk of --out",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs",
}


class Workshop(NamedTuple):
    """A command that lives outside the runtime: where, the extra it needs, its line in the help."""

    module: str
    attribute: str
    extra: str
    help: str


WORKSHOPS = {
    "phantom": Workshop("trainer.phantom.commands", "app", "train", "Make, check and score on digital hip phantoms."),
    "train": Workshop("trainer.commands", "train", "train", "Train a network from a settings file."),
    "table": Workshop("trainer.experiment.commands", "table", "train", "Reproduce the paper's table on phantom films."),
    "export": Workshop("export.commands", "export", "export", "Turn training runs into a bundle."),
    "validate": Workshop("calibration.commands", "validate", "calibrate", "Measure a bundle against DEXA."),
    "calibrate": Workshop("calibration.commands", "calibrate", "calibrate", "Recalibrate a bundle for one site."),
    "drift": Workshop("calibration.commands", "drift", "calibrate", "Say whether films have drifted, and what moved."),
    "sign": Workshop("export.sign", "sign", "sign", "Sign a bundle with a private key."),
    "verify": Workshop("export.sign", "verify", "sign", "Verify a signed bundle, offline."),
}

app = typer.Typer(
    name="bmd-edge",
    help="Estimate hip bone mineral density from plain radiographs. Research use only, not for diagnosis.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

BundleArgument = Annotated[
    Path | None, typer.Argument(metavar="[BUNDLE]", help="Bundle folder; default the embedded one.")
]
BundleOption = Annotated[Path | None, typer.Option(help="Bundle folder; default the embedded one.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; a rerun resumes there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bmd-edge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Before the command: show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Nothing to do before a command."""


# -- runtime commands ---------------------------------------------------------------------------------------------


@app.command()
def screen(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of films; its subfolders too.")],
    bundle: BundleOption = None,
    out: OutOption = Path("bmd-edge-results"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or int8.")] = "auto",
    spacing_mm: Annotated[
        float | None, typer.Option(help="Pixel size at the detector in mm, in place of what the films state.")
    ] = None,
    site: Annotated[Path | None, typer.Option(help="The site's own calibration, from `bmd-edge calibrate`.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Films at a time; default one per CPU.")] = None,
    memory_mb: Annotated[
        int | None, typer.Option(min=1, help="Memory for all processes; default 100 MB and 350 MB per film at a time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.jsonl instead of a table.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier results in --out and start anew.")] = False,
) -> None:
    """Estimate the BMD of every hip on the films in FOLDER.

    Prints a table and writes results.csv, results.jsonl, run.json and report/index.html into --out.
    """
    from bmd_edge.report.film_report import RESEARCH_USE
    from bmd_edge.report.safe_text import visible
    from bmd_edge.screen.run import check_folders
    from bmd_edge.screen.screener import open_screener
    from bmd_edge.screen.workers import Crew
    from bmd_edge.terminal import print_results

    check_folders(folder, out)
    settings = {"device": device, "precision": precision, "spacing_mm": spacing_mm, "threads": 1, "site": site}
    with Crew(partial(open_screener, bundle, **settings), 1 if dry_run else threads, memory_mb) as crew:
        if dry_run:
            _print_plan(crew.setup.digest, folder, out, fresh)
            return
        summary = _run(crew, folder, out, fresh)
    if as_json:
        sys.stdout.write((out / "results.jsonl").read_text(encoding="utf-8"))
        typer.echo(f"{RESEARCH_USE} {visible(summary.notice)}", err=True)
    else:
        print_results(out, summary)
    _say_where(out, summary)
    raise typer.Exit(0 if summary.complete else 3)


@app.command()
def demo(bundle: BundleOption = None, out: OutOption = Path("bmd-edge-demo")) -> None:
    """Screen the embedded films and check their outcomes."""
    from bmd_edge.screen.screener import open_screener
    from bmd_edge.screen.workers import Crew
    from bmd_edge.terminal import print_results

    data = Path(__file__).parent / "data"
    if not (data / "demo.json").is_file():
        raise EngineError("this installation holds no demo films: install bmd-edge again")
    expected = json.loads((data / "demo.json").read_text(encoding="utf-8"))
    with Crew(partial(open_screener, bundle, threads=1)) as crew:
        summary = _run(crew, data / "demo", out, fresh=True)
    print_results(out, summary)
    _say_where(out, summary)
    wrong = [line for line in _unexpected_outcomes(out, expected)]
    for line in wrong:
        typer.echo(line, err=True)
    if not wrong:
        typer.echo(f"All {len(expected)} demo films gave the outcome expected of them.", err=True)
    raise typer.Exit(1 if wrong else 0)


def _unexpected_outcomes(out: Path, expected: dict[str, Any]) -> Iterator[str]:
    """Compare with demo.json: file -> {"status", "reason", "hips": {side: "read" or the reason}}."""
    from bmd_edge.screen.ledger import Ledger

    with closing(Ledger(out)) as ledger:
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


@app.command()
def info(bundle: BundleArgument = None, as_json: JsonOption = False) -> None:
    """Show what a bundle is and on what its numbers rest."""
    from dataclasses import asdict

    from bmd_edge.bundle.bundle import open_bundle
    from bmd_edge.bundle.layout import MANIFEST
    from bmd_edge.report.safe_text import visible

    opened = open_bundle(bundle)
    if as_json:
        guard = {name: {s: asdict(site) for s, site in sites.items()} for name, sites in opened.manifest.guard.items()}
        facts = {"digest": opened.digest, "guard": guard}
        calibration = {name: asdict(numbers) for name, numbers in opened.calibration.items()}
        manifest = json.loads((opened.root / MANIFEST).read_bytes())
        typer.echo(json.dumps({**facts, "calibration": calibration, "manifest": manifest}, indent=2))
        return
    for name, text in _bundle_facts(opened):
        typer.echo(f"{name:<14} {visible(text)}")


def _bundle_facts(bundle: "Bundle") -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "bundle", f"{manifest.version}, digest {bundle.digest[:16]}"
    yield "made", f"{manifest.provenance.created[:10]}"
    yield "trained on", manifest.validity.training_data
    yield "notice", manifest.validity.notice
    yield "measures", f"{', '.join(manifest.sites)} in {manifest.unit}".replace("_", " ")
    for name in manifest.models:
        sizes = (f"{p} {manifest.files[file].bytes / 1e6:.1f} MB" for p, file in manifest.models[name].files.items())
        yield f"{name} network", ", ".join(sizes)
    for precision, guard in manifest.guard.items():
        for site, shift in guard.items():
            said = f"{site.replace('_', ' ')}: 99 % of {shift.n} hips moved by {shift.p99_shift_gcm2:.4f} or less"
            yield f"{precision.replace('_', ' ')} guard", f"{said}, {len(shift.flips)} crossed a WHO cut"
    for precision, numbers in bundle.calibration.items():
        for site, interval in numbers.sites.items():
            said = f"{site.replace('_', ' ')}: {interval.coverage:.0%} interval is +-{interval.scale:.2f} x spread"
            yield f"{precision}", f"{said}, fitted on {interval.n} hips"
        yield f"{precision}", f"headline: {_cuts(numbers.operating_points)}"


def _cuts(points: "OperatingPoints | None") -> str:
    if points is None:
        return "none, the bundle has no operating points"
    said = f"low suspected at an estimated T <= {points.low_suspected_t:.2f}, "
    if points.refer_for_dxa_t > points.low_suspected_t:
        said += f"DXA advised at T <= {points.refer_for_dxa_t:.2f}, "
    return f"{said}fitted on {points.cases} subjects with low BMD and {points.others} without"


@app.command()
def doctor(bundle: BundleArgument = None) -> None:
    """Test this machine and the bundle."""
    from bmd_edge.doctor import examine

    findings = []
    for finding in examine(bundle):
        typer.echo(f"{'ok' if finding.sound else 'FAIL':<4}  {finding.what:<42} {finding.detail}")
        findings.append(finding)
    sound = all(finding.sound for finding in findings)
    typer.echo("All is well." if sound else "Something needs attention: see the lines marked FAIL.", err=True)
    raise typer.Exit(0 if sound else 4)


@app.command("compile")
def compile_engines(
    bundle: BundleArgument = None,
    device: Annotated[str, typer.Option(help="tensorrt, the only one that compiles.")] = "tensorrt",
    precision: Annotated[str, typer.Option(help="auto, fp32 or int8, as for screen.")] = "auto",
) -> None:
    """Compile a bundle's networks for this machine's GPU; `screen --device tensorrt` loads only what this has built.

    What is missing, stale, edited or of somebody else is built again, and must give the bundle's golden outputs.
    """
    from bmd_edge.bundle.bundle import open_bundle
    from bmd_edge.engine.compile import compile_bundle
    from bmd_edge.engine.open import PRECISIONS
    from bmd_edge.terminal import build_bar

    if device != "tensorrt" or precision not in PRECISIONS:
        raise UsageError(
            f"--device is tensorrt, for cpu and cuda need no compiling; --precision one of {', '.join(PRECISIONS)}"
        )
    with build_bar() as progress:
        for model, chosen, done in compile_bundle(open_bundle(bundle), precision, progress=progress):
            typer.echo(f"{model} {chosen}: {done}")


@app.command()
def bench(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Films to measure with; default films made for it.")
    ] = None,
    bundle: BundleOption = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Films at a time; default one per CPU.")] = None,
    distinct: Annotated[int, typer.Option(min=1, help="Films made per transfer syntax, 9 Mpx each.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often stages and whole take turns.")] = 3,
    against: Annotated[
        str | None, typer.Option(help="plain: also the loop one would write with pydicom and torch (extra dev).")
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Measure the start instead: help, import, first result.")
    ] = False,
    day: Annotated[int | None, typer.Option(min=1, help="Screen so many films instead, and watch the memory.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine screens: each stage alone, the whole, and the floor that the stages set."""
    from bmd_edge import bench as measure
    from bmd_edge.terminal import print_bench, status

    if against not in (None, "plain"):
        raise UsageError("--against knows `plain` only")
    with status() as say:
        if cold:
            found: dict[str, Any] = measure.cold(bundle, say)
        elif day:
            found = measure.day(day, bundle, threads, min(distinct * 20, day), say)
        else:
            turns = measure.Turns(threads, distinct, rounds, plain=against is not None)
            found = measure.bench(folder, bundle, turns, say)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_bench(found)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a line of results.jsonl."""
    from bmd_edge.report.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


# -- what screen and demo print -----------------------------------------------------------------------------------


def _run(crew: "Crew", folder: Path, out: Path, fresh: bool) -> "RunSummary":
    from bmd_edge.screen.run import screen_folder
    from bmd_edge.terminal import progress_bar

    try:
        with progress_bar() as progress:
            return screen_folder(crew, folder, out, fresh=fresh, progress=progress)
    except KeyboardInterrupt:
        typer.echo("Stopped. Finished films are kept: run the same command again to go on.", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells have it


def _print_plan(settings: str, folder: Path, out: Path, fresh: bool) -> None:
    from bmd_edge.report.safe_text import visible
    from bmd_edge.screen.folder_plan import plan
    from bmd_edge.screen.ledger import finished

    items = plan(folder, {} if fresh else finished(out, settings))
    for item in items:
        typer.echo(f"{item.action:<7} {visible(item.file)}")
    totals = {action: sum(item.action == action for item in items) for action in ("read", "compare", "skip", "refuse")}
    moved = f"{totals['compare']} perhaps moved, " * (totals["compare"] > 0)
    typer.echo(
        f"{totals['read']} to read, {moved}{totals['skip']} finished before, {totals['refuse']} no files; "
        "nothing was done.",
        err=True,
    )


def _say_where(out: Path, summary: "RunSummary") -> None:
    if not sum(summary.films.values()) and not summary.left:
        typer.echo("The folder holds no files.", err=True)
    if summary.left:
        what = "file was" if summary.left == 1 else "files were"
        typer.echo(f"{summary.left} {what} still changing: run the same command again to read them.", err=True)
    typer.echo(f"Report: {out / 'report' / 'index.html'}; tables: {out / 'results.csv'}, results.jsonl", err=True)


# -- workshop commands --------------------------------------------------------------------------------------------


def _register(name: str, workshop: Workshop) -> None:
    """Add a command that is loaded only when it is called; its own help comes from the loaded one."""

    def call(context: typer.Context) -> None:
        try:
            target = getattr(import_module(workshop.module), workshop.attribute)
            if not isinstance(target, typer.Typer):
                function, target = target, typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
                target.command()(function)
            typer.main.get_command(target).main(context.args, prog_name=f"bmd-edge {name}")
        except ModuleNotFoundError as error:
            module = (error.name or "").partition(".")[0]
            if module in ("bmd_edge", "trainer", "export", "calibration"):
                raise
            raise MissingExtra(module, workshop.extra) from error

    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(name, help=workshop.help, context_settings=settings, add_help_option=False)(call)


for _name, _workshop in WORKSHOPS.items():
    _register(_name, _workshop)


# -- the program --------------------------------------------------------------------------------------------------


def main() -> None:
    """Run the program; every error of this package becomes one line on stderr and its exit code."""
    debug = sys.argv[1:2] == ["--debug"]
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    # Not the root logger: what libraries log may quote a film's header.
    logging.getLogger("bmd_edge").addHandler(handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name the terminal's encoding lacks is shown escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BmdEdgeError as error:
        if debug:
            raise
        sys.exit(_say(error, _exit_code(error)))
    except BrokenPipeError:
        # The reader of stdout went away; nothing may be flushed to it on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        # Not the error's text: it holds a path.
        remedy = _REMEDIES.get(error.errno or 0, "check the files and folders that were named")
        sys.exit(_say(f"{error.strerror or type(error).__name__}: {remedy}, then run the same command again", 1))
    except Exception as error:
        if debug:
            raise
        sys.exit(_say(f"unexpected {type(error).__name__}; `bmd-edge --debug ...` shows more", 1))


def _exit_code(error: BmdEdgeError) -> int:
    return 2 if isinstance(error, UsageError) else 4 if isinstance(error, EngineError) else 1


def _say(message: object, code: int) -> int:
    typer.echo(f"bmd-edge: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
