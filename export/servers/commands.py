"""The commands `bundle triton` and `bundle monai`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bmd_edge.bundle.bundle import VerifiedBundle

app = typer.Typer(
    help="Write a bundle as another server takes it. Research use only, not for diagnosis.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
BundleArgument = Annotated[Path, typer.Argument(help="Bundle folder.")]
KeyOption = Annotated[Path | None, typer.Option(help="Public key, PEM: only a bundle that its owner signed.")]
OutArgument = Annotated[Path, typer.Argument(help="Folder to make; it must not exist.")]


@app.command()
def triton(
    bundle: BundleArgument,
    out: OutArgument,
    device: Annotated[
        str, typer.Option(help="What the server computes on: cpu, cuda, or tensorrt after `bmd-edge compile`.")
    ] = "cpu",
    key: KeyOption = None,
) -> None:
    """Write a model repository for NVIDIA's Triton Inference Server."""
    from bmd_edge.bundle.bundle import read_bundle
    from export.servers.triton import write_triton

    opened = read_bundle(bundle, key)
    served = write_triton(opened, out, device)
    said = ", ".join(f"{model} in {precision}" for model, precision in served.items())
    typer.echo(f"{out} serves {said} of {_named(opened)}")


@app.command()
def monai(bundle: BundleArgument, out: OutArgument, key: KeyOption = None) -> None:
    """Write a bundle of MONAI, to be run with `python -m monai.bundle run`."""
    from bmd_edge.bundle.bundle import read_bundle
    from export.servers.monai import write_monai

    opened = read_bundle(bundle, key)
    write_monai(opened, out)
    typer.echo(f"{out} holds {_named(opened)}; see {out / 'docs/README.md'}")


def _named(bundle: "VerifiedBundle") -> str:
    from bmd_edge.report.film_report import SIGNATURES

    return f"bundle {bundle.manifest.version}, digest {bundle.digest[:16]}, {SIGNATURES[bundle.signature]}"
