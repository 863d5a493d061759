"""The clinic box's commands, `bmd-edge clinic ...`: their options, and no work."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Run a clinic box: films in, results out, nothing lost. Research use only, not for diagnosis.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ConfigOption = Annotated[Path, typer.Option("--config", help="The box's clinic.toml.")]
_CONFIG = Path("clinic.toml")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for clinic.toml and what follows from it.")],
    root: Annotated[str, typer.Option(help="The box's folder: films and results, on an encrypted disk.")] = (
        "/var/lib/bmd-edge"
    ),
    ae_title: Annotated[str, typer.Option(help="The box's AE title.")] = "BMDEDGE",
    unit: Annotated[
        list[str] | None, typer.Option(help="An X-ray unit that may send, NAME=AE_TITLE@HOST; repeatable.")
    ] = None,
    pacs: Annotated[str, typer.Option(help="The archive that gets the results, AE_TITLE@HOST:PORT.")] = "",
    tls: Annotated[str, typer.Option(metavar="ADDRESS", help="Take films by TLS at this address of the box.")] = "",
    vlan: Annotated[str, typer.Option(metavar="ADDRESS", help="Take films without TLS at this address.")] = "",
    watched: Annotated[str, typer.Option("--folder", help="Folder to watch for films.")] = "",
    approval: Annotated[
        str, typer.Option(help="Number of the study or of the ethics approval; without one nothing is delivered.")
    ] = "",
) -> None:
    """Write clinic.toml and what follows from it: files of Orthanc, nginx and systemd, certificates.

    Where clinic.toml is there already, only what follows from it is made anew; certificates stay.
    """
    from bmd_edge.clinic.config import NAME, read_own_config
    from bmd_edge.clinic.setup.init import Wishes, clinic_toml, make_certificates, prepare, write_config

    if (folder / NAME).exists() and not (unit or pacs or tls or vlan or watched or approval):
        config = read_own_config((folder / NAME).resolve())
    else:
        units = tuple(unit or ())
        wishes = Wishes(
            root=root, ae_title=ae_title, units=units, pacs=pacs, tls=tls, vlan=vlan, folder=watched, approval=approval
        )
        config = write_config(folder, clinic_toml(wishes))
    for name in prepare(config):
        typer.echo(f"{config.path.parent / name}")
    make_certificates(config)
    typer.echo(f"Settings: {config.path}. Next: the README's steps, then `bmd-edge clinic doctor`.", err=True)


@app.command()
def watch(
    folder: Annotated[Path | None, typer.Argument(help="Folder to watch; default that of clinic.toml.")] = None,
    config: ConfigOption = _CONFIG,
) -> None:
    """Take the films that come into a folder, until Ctrl-C; `serve` reads them, and watches its own folder itself."""
    import signal
    import threading

    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.doors.door import Door
    from bmd_edge.clinic.doors.watch import FolderDoor
    from bmd_edge.clinic.doors.watch import watch as run
    from bmd_edge.clinic.journal.store import Journal
    from bmd_edge.errors import UsageError

    settings, ends = read_own_config(config), threading.Event()
    watched = folder or (Path(settings.door.folder) if settings.door.folder else None)
    if watched is None:
        raise UsageError("name the folder: `bmd-edge clinic watch FOLDER`, or door.folder in clinic.toml")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ends.set())
    with closing(Journal(settings.root)) as journal:
        typer.echo("Watching; Ctrl-C ends it. Films stay where they are.", err=True)
        run(FolderDoor(Door(settings, journal), journal, watched), ends)


@app.command()
def doctor(config: ConfigOption = _CONFIG) -> None:
    """Say whether the box is as clinic.toml says and can go on; exit code 4 where something needs attention."""
    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.setup.doctor import examine

    sound = True
    for check in examine(read_own_config(config)):
        typer.echo(f"{'ok' if check.sound else 'FAIL':<4}  {check.what:<34} {check.detail}")
        sound = sound and check.sound
    typer.echo("All is well." if sound else "Something needs attention: see the lines marked FAIL.", err=True)
    raise typer.Exit(0 if sound else 4)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder on another disk, new or of the last backup.")],
    config: ConfigOption = _CONFIG,
) -> None:
    """Copy journal, films, objects, keys and clinic.toml, while films come in; what DIR has is not copied again."""
    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.setup.backup import back_up

    n = back_up(read_own_config(config), folder)
    typer.echo(
        f"{n} new films and objects, and the journal, are in {folder}: it holds patients' films and keys.", err=True
    )


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of `bmd-edge clinic backup`.")],
    config: ConfigOption = _CONFIG,
) -> None:
    """Make the box what it was at a backup, with its services stopped; films that came since and are here stay."""
    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.setup.backup import restore as run

    n = run(read_own_config(config), folder)
    typer.echo(f"The journal is the backup's; {n} films and objects were missing. Start the services now.", err=True)


@app.command()
def serve(config: ConfigOption = _CONFIG) -> None:
    """Read films and deliver results until SIGTERM or Ctrl-C."""
    import logging
    import threading

    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.serve import serve as run

    logging.getLogger("bmd_edge").setLevel(logging.INFO)
    run(read_own_config(config), threading.Event())


@app.command()
def send(
    config: ConfigOption = _CONFIG,
    held: Annotated[bool, typer.Option("--held", help="Send again what is held.")] = False,
    film: Annotated[str | None, typer.Option(help="Read this film again, by the start of its id.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Say what hangs, since when, why, and what to do; exit code 3 where something does."""
    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.hanging import hanging, read_again
    from bmd_edge.clinic.journal import deliveries
    from bmd_edge.clinic.journal.store import Journal

    settings = read_own_config(config)
    with closing(Journal(settings.root)) as journal:
        if film is not None:
            typer.echo(read_again(journal, film, dry_run))
            return
        if held:
            n = len(deliveries.in_state(journal, "held")) if dry_run else deliveries.release(journal)
            typer.echo(f"{n} objects {'would be' if dry_run else 'are'} sent again.", err=True)
            return
        found = hanging(settings, journal)
    for one in found:
        typer.echo(one.line())
    typer.echo(f"{len(found)} things hang." if found else "Nothing hangs.", err=True)
    raise typer.Exit(3 if found else 0)


@app.command()
def results(
    config: ConfigOption = _CONFIG,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Day or time; default today.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines of results.jsonl.")] = False,
) -> None:
    """Print the results of the films that came in."""
    from bmd_edge.clinic.config import read_own_config
    from bmd_edge.clinic.journal.store import Journal
    from bmd_edge.clinic.results import lines
    from bmd_edge.clinic.results import since as started
    from bmd_edge.report.film_report import RESEARCH_USE

    settings = read_own_config(config)
    with closing(Journal(settings.root)) as journal:
        for line in lines(journal, started(since, journal.clock()), as_json, settings.spoken):
            typer.echo(line)
    typer.echo(settings.spoken(RESEARCH_USE), err=True)
