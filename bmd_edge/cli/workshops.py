"""Commands of the workshops, loaded when they are called; the runtime knows them by name only."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import typer

from bmd_edge.cli.placeholders import command_of
from bmd_edge.errors import MissingExtra, UsageError

HELP = ["-h", "--help"]
PACKAGES = ("calibration", "trainer", "export")
"""The workshops' packages. Their names are words that others use too, Coqui's `trainer` for one."""


class Workshop(NamedTuple):
    """A command that lives outside the runtime: where, the extra it needs, its line in the help."""

    module: str
    attribute: str
    extra: str
    help: str


WORKSHOPS = {
    "bench": Workshop("export.bench.commands", "bench", "cpu", "Measure how fast this machine screens."),
    "phantom": Workshop("trainer.phantom.commands", "app", "train", "Make, check and score on digital hip phantoms."),
    "train": Workshop("trainer.commands", "app", "train", "Train a network from a settings file."),
    "adapt": Workshop("trainer.adapt.commands", "adapt", "train", "Adapt a network to films without DEXA."),
    "table": Workshop(
        "trainer.paper_table.commands", "table", "train", "Reproduce the paper's table on phantom films."
    ),
    "export": Workshop("export.commands", "export", "export", "Turn training runs into a bundle."),
    "validate": Workshop("calibration.commands", "validate", "calibrate", "Measure a bundle against DEXA."),
    "study": Workshop("calibration.study.commands", "app", "calibrate", "Plan, freeze and pool studies against DEXA."),
    "world": Workshop(
        "calibration.commands", "world", "calibrate", "Score a bundle on synthetic, foreign and real films."
    ),
    "calibrate": Workshop("calibration.commands", "calibrate", "calibrate", "Recalibrate a bundle for one clinic."),
    "precision": Workshop(
        "calibration.repeat.commands", "precision", "calibrate", "Measure how far films of one unchanged hip differ."
    ),
    "drift": Workshop("calibration.commands", "drift", "calibrate", "Say whether films have drifted, and what moved."),
    "clinic": Workshop("bmd_edge.clinic.commands", "app", "clinic", "Run a box beside X-ray unit and archive."),
    "bundle": Workshop("export.servers.commands", "app", "cpu", "Write a bundle as another server takes it."),
    "sign": Workshop("export.bundle.sign", "sign", "sign", "Sign a bundle with a private key."),
    "verify": Workshop("export.bundle.sign", "verify", "sign", "Verify a signed bundle, offline."),
}


def register(app: typer.Typer, name: str, workshop: Workshop) -> None:
    """Add a command that is loaded only when it is called; its own help comes from the loaded one."""

    def call(context: typer.Context) -> None:
        try:
            loaded(workshop).main(context.args, prog_name=f"bmd-edge {name}", help_option_names=HELP)
        except ModuleNotFoundError as error:
            module = (error.name or "").partition(".")[0]
            if module in ("bmd_edge", *PACKAGES):
                raise
            raise MissingExtra(module, workshop.extra) from error

    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(name, help=workshop.help, context_settings=settings, add_help_option=False)(call)


def loaded(workshop: Workshop) -> Any:
    """The workshop's own command; its module is imported. Errors as of `check_names`, or ModuleNotFoundError."""
    check_names()
    target = getattr(import_module(workshop.module), workshop.attribute)
    if not isinstance(target, typer.Typer):
        function, target = (
            target,
            typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None),
        )
        target.command()(function)
    return command_of(target)


def check_names(root: Path = Path(__file__).parents[2]) -> None:
    """See to it that the workshops' packages are those beside this one, in the folder `root`.

    Raises:
        UsageError: another package of one of the names comes first on the path, or was installed over ours. Nothing of
            it has been imported.
    """
    if not root.is_dir():
        raise UsageError("a zipapp runs the commands about films only: install bmd-edge with pip for this one")
    for name in PACKAGES:
        spec, ours = find_spec(name), (root / name).resolve()
        if not ours.is_dir():
            continue  # frozen into one program
        if spec is None or [Path(place).resolve() for place in spec.submodule_search_locations or ()] != [ours]:
            raise UsageError(
                f"another {name!r} stands before bmd-edge's on the path (a folder or file here, or a package): run the"
                " command elsewhere, or install bmd-edge in an environment of its own"
            )
        if _overwritten(root, name):
            raise UsageError(
                f"another package has installed its {name!r} over bmd-edge's: install bmd-edge in an environment of its"
                " own"
            )


def _overwritten(root: Path, name: str) -> bool:
    """Whether a package's first file is no longer the one that was installed; False where it was not installed."""
    from base64 import urlsafe_b64encode  # not at every start: hashlib loads OpenSSL
    from hashlib import sha256

    file = f"{name}/__init__.py"
    for record in root.glob("bmd_edge-*.dist-info/RECORD"):
        for line in record.read_text(encoding="utf-8").splitlines():
            path, digest, _ = line.rsplit(",", 2)
            if path == file and digest.startswith("sha256="):
                found = urlsafe_b64encode(sha256((root / file).read_bytes()).digest()).decode().rstrip("=")
                return digest != f"sha256={found}"
    return False
