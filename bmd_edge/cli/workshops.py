"""Commands of the workshops, loaded when they are called; the runtime knows them by name only."""

from importlib import import_module
from typing import NamedTuple

import typer

from bmd_edge.errors import MissingExtra


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
    "table": Workshop(
        "trainer.paper_table.commands", "table", "train", "Reproduce the paper's table on phantom films."
    ),
    "export": Workshop("export.commands", "export", "export", "Turn training runs into a bundle."),
    "validate": Workshop("calibration.commands", "validate", "calibrate", "Measure a bundle against DEXA."),
    "world": Workshop(
        "calibration.commands", "world", "calibrate", "Score a bundle on synthetic, foreign and real films."
    ),
    "calibrate": Workshop("calibration.commands", "calibrate", "calibrate", "Recalibrate a bundle for one clinic."),
    "drift": Workshop("calibration.commands", "drift", "calibrate", "Say whether films have drifted, and what moved."),
    "sign": Workshop("export.bundle.sign", "sign", "sign", "Sign a bundle with a private key."),
    "verify": Workshop("export.bundle.sign", "verify", "sign", "Verify a signed bundle, offline."),
}


def register(app: typer.Typer, name: str, workshop: Workshop) -> None:
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
