"""The trainer's command: `bmd-edge train`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from trainer.run.settings import Config, SemiConfig

Tell = Callable[[dict[str, float], int, float], None]

PRETRAINING = "pretraining"
"""Folder of the supervised training inside the run folder of a semi-supervised one; a committee's further members lie
beside it, with their number.
"""


def pretraining_folders(run: Path, members: int) -> list[Path]:
    """Where the supervised trainings of a semi-supervised run lie; the first is what it starts from."""
    return [run / PRETRAINING, *(run / f"{PRETRAINING}-{member}" for member in range(1, members))]


class WithRecipes(TyperCommand):
    """A command whose help ends with the recipes."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - click calls it so
        """Write each recipe's name and what it is."""
        with formatter.section("Recipes"):
            formatter.write_dl(list(_recipes().items()))


def _recipes() -> dict[str, str]:
    from trainer.run.settings_file import recipes

    return recipes()


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(cls=WithRecipes)
def train(
    config: Annotated[
        str,
        typer.Argument(
            help="Settings: a TOML file, or the name of a recipe (see below).",
            autocompletion=lambda: list(_recipes().items()),
        ),
    ],
    table: Annotated[Path | None, typer.Option(help="Film table to learn from.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; a run that was killed goes on.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting; repeatable.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings, each explained, and stop.")
    ] = False,
) -> None:
    """Train a network; the run folder gets settings, metrics, curves and the best checkpoint."""
    from bmd_edge.errors import UsageError
    from trainer.run.settings_file import read_config, to_toml

    settings = read_config(config, changes(change or []))
    if print_config:
        typer.echo(to_toml(settings, explained=True), nl=False)
        return
    if table is None or out is None:
        raise UsageError("train needs --table TABLE and --out RUN")
    check_device(settings)
    if settings.init:
        _check_start(settings)
    table = prepared(table, out, settings)
    best = run_training(settings, table, out)
    facts = "  ".join(f"{name} {value:.4g}" for name, value in best.items() if name.startswith("val_"))
    if best["epoch"] < 0:
        typer.echo(f"No epoch was better than the start: the run holds the network that it started from. {facts}")
    else:
        typer.echo(f"best epoch {best['epoch'] + 1}: {facts}")
    _say_test(settings, table, out)


def _say_test(settings: "Config", table: Path, out: Path) -> None:
    """What the network says of the table's test hips, where it has any; kept in the run folder as test.json."""
    import json

    from bmd_edge.system.files import replace_bytes
    from trainer.methods.on_test import on_test
    from trainer.run.settings import BmdConfig

    if not isinstance(settings, BmdConfig) or not (found := on_test(settings, table, out)):
        return
    replace_bytes(out / "test.json", json.dumps(found, indent=1).encode())
    for site, one in found.items():
        typer.echo(
            f"test, {site.replace('_', ' ')}: r {one['r']:.3f}, RMSE {one['rmse_gcm2']:.4f}, bias"
            f" {one['bias_gcm2']:+.4f} g/cm2, {one['hips']:.0f} hips"
        )


def changes(texts: list[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a dict.

    Raises:
        UsageError: a text without an equals sign.
    """
    from bmd_edge.errors import UsageError

    for text in texts:
        if "=" not in text:
            raise UsageError(f"--set {text}: write KEY=VALUE")
    return dict(text.split("=", 1) for text in texts)


def check_device(settings: "Config") -> None:
    """UsageError if the settings ask for CUDA and there is none: said at once, not after all films were cut. Says so
    where the machine trains in float32 although the settings allow bfloat16.
    """
    from bmd_edge.errors import MissingExtra, UsageError

    try:
        import torch

        from trainer.run.machine import arithmetic
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "torch", "train") from error
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "device = cuda, but torch finds none here: install torch for CUDA and the driver, or --set device=cpu"
        )
    if settings.bf16 and arithmetic(settings) == "float32":
        typer.echo("training in float32: this machine has no instructions for bfloat16", err=True)


def _check_start(settings: "Config") -> None:
    """UsageError if no training with these settings can start from `init`: said before any film is read."""
    from trainer.networks.build import check_run
    from trainer.run.settings import FinderConfig

    check_run(Path(settings.init), finder=isinstance(settings, FinderConfig))


def prepared(table: Path, out: Path, settings: "Config") -> Path:
    """The table to train on: regions are cut from DICOM films first; hips left out are listed in the run folder."""
    from bmd_edge.cli.terminal import progress_bar
    from trainer.images.cut_rois import check_rows, left_out_said, roi_table
    from trainer.run.settings import BmdConfig

    if isinstance(settings, BmdConfig):
        check_rows(table, settings)
    with progress_bar("hips found") as tell:
        table, left_out = roi_table(table, tell, out / "left_out.csv")
    if left_out:
        typer.echo(f"{left_out_said(left_out)}. {out / 'left_out.csv'} lists them.", err=True)
    return table


def _tell(line: dict[str, float], epochs: int, left_s: float) -> None:
    shown = "  ".join(f"{name} {value:.3g}" for name, value in line.items() if name != "epoch")
    if line["epoch"] < 0:
        typer.echo(f"start, before the first epoch  {shown}", err=True)
    else:
        typer.echo(f"epoch {line['epoch'] + 1:g}/{epochs}  {shown}  left {left_s / 60:.1f} min", err=True)


def _adapted(settings: "SemiConfig") -> list[Path]:
    """Run folders of the networks that a training without a supervised one before it goes on from.

    Raises:
        UsageError: there is none, or the committee has other members than it counts.
    """
    from bmd_edge.errors import UsageError

    if not settings.init:
        raise UsageError("this recipe adapts a trained network: name its run folder, --set init=RUN")
    if settings.committee != 1 + len(settings.others):
        raise UsageError(
            f"committee = {settings.committee} counts the network of init and others, which are"
            f" {1 + len(settings.others)}: set others = [RUN, ...], or committee"
        )
    return [Path(settings.init), *map(Path, settings.others)]


def run_training(
    settings: object, table: Path, out: Path, tell: Tell = _tell, committee: Sequence[Path] = ()
) -> dict[str, float]:
    """Train by the settings' task; `tell` hears of each epoch: its metrics, the number of epochs, the seconds left.

    A semi-supervised training starts from the finished supervised runs in `committee`; without any, they are trained
    first, in folders `pretraining` of its run folder.
    """
    try:
        from trainer.methods.finder import FinderTask
        from trainer.methods.registry import METHODS
        from trainer.methods.semi import unlabelled_rows
        from trainer.methods.supervised import BmdTask
        from trainer.run.loop import train as run_loop
        from trainer.run.run_folder import check_settings
        from trainer.run.task import Task
    except ModuleNotFoundError as error:
        from bmd_edge.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "train") from error
    from trainer.run.machine import allow_amx, arithmetic
    from trainer.run.settings import BmdConfig, FinderConfig, LoopConfig, SemiConfig, pretraining

    assert isinstance(settings, LoopConfig)
    if settings.device == "cpu" and arithmetic(settings) == "bfloat16":
        allow_amx()
    task: Task
    if isinstance(settings, SemiConfig):
        check_settings(settings, out)
        unlabelled_rows(table)  # what is missing is said now, not after the supervised trainings
        if not committee and not settings.pretrain_epochs:
            committee = _adapted(settings)
        elif not committee:
            committee = pretraining_folders(out, settings.committee)
            for member, folder in enumerate(committee):
                typer.echo(f"supervised training {member + 1} of {len(committee)}", err=True)
                run_training(pretraining(settings, member), table, folder, tell)
        task = METHODS[settings.method](settings, table, committee)
    elif isinstance(settings, BmdConfig):
        task = BmdTask(settings, table)
    else:
        assert isinstance(settings, FinderConfig)
        task = FinderTask(settings, table)

    return run_loop(task, settings, out, lambda line, left_s: tell(line, settings.epochs, left_s))
