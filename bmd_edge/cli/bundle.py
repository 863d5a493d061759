"""The commands about a bundle and this machine: info, doctor, support, compile."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bmd_edge.cli.options import BundleArgument, BundleOption, DeviceOption, JsonOption, PrecisionOption
from bmd_edge.errors import UsageError

if TYPE_CHECKING:
    from bmd_edge.bundle.bundle import VerifiedBundle
    from bmd_edge.bundle.calibration import HeadlineCuts


def info(bundle: BundleArgument = None, as_json: JsonOption = False) -> None:
    """Show what a bundle is and on what its numbers rest."""
    from dataclasses import asdict

    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.bundle.layout import MANIFEST
    from bmd_edge.report.safe_text import visible

    opened = read_bundle(bundle)
    if as_json:
        guard = {name: {s: asdict(site) for s, site in sites.items()} for name, sites in opened.manifest.guard.items()}
        facts = {"digest": opened.digest, "guard": guard}
        calibration = {name: asdict(numbers) for name, numbers in opened.calibration.items()}
        manifest = json.loads((opened.root / MANIFEST).read_bytes())
        typer.echo(json.dumps({**facts, "calibration": calibration, "manifest": manifest}, indent=2))
        return
    for name, text in _bundle_facts(opened):
        typer.echo(f"{name:<14} {visible(text)}")


def _bundle_facts(bundle: "VerifiedBundle") -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "bundle", f"{manifest.version}, digest {bundle.digest[:16]}"
    signature = {"unsigned": "none", "not_checked": "not checked; `bmd-edge verify` and `screen --key` check it"}
    yield "signature", signature[bundle.signature]
    yield "made", f"{manifest.provenance.created[:10]}"
    yield "trained on", manifest.validity.training_data
    yield "notice", manifest.validity.notice
    yield "measures", f"{', '.join(manifest.sites)} in {manifest.unit}".replace("_", " ")
    for name in manifest.models:
        sizes = (f"{p} {manifest.files[file].bytes / 1e6:.1f} MB" for p, file in manifest.models[name].files.items())
        yield f"{name} network", ", ".join(sizes)
    for said in manifest.knowledge.sentences() if manifest.knowledge else ["not measured when this bundle was made"]:
        yield "knows", said
    for precision, guard in manifest.guard.items():
        for site, shift in guard.items():
            said = f"{site.replace('_', ' ')}: 99 % of {shift.n} hips moved by {shift.p99_shift_gcm2:.4f} or less"
            yield f"{precision.replace('_', ' ')} error budget", f"{said}, {len(shift.flips)} crossed a WHO cut"
    for precision, numbers in bundle.calibration.items():
        for site, interval in numbers.sites.items():
            share = f"{100 * interval.coverage:g} % interval"
            said = f"{site.replace('_', ' ')}: {share} is +-{interval.scale:.2f} x spread"
            yield f"{precision}", f"{said}, fitted on {interval.n} hips"
        yield f"{precision}", f"headline: {_cuts(numbers.operating_points)}"


def _cuts(points: "HeadlineCuts | None") -> str:
    from bmd_edge.measure.headline import CUTS_TAKE

    if points is None:
        return f"none; an export sets its cuts on {CUTS_TAKE}, of the half of the split calibrate that judges"
    said = f"low suspected at an estimated T <= {points.low_suspected_t:.2f}, "
    if points.refer_for_dxa_t > points.low_suspected_t:
        said += f"DXA advised at T <= {points.refer_for_dxa_t:.2f}, "
    return f"{said}fitted on {points.cases} subjects with low BMD and {points.others} without"


def doctor(bundle: BundleArgument = None) -> None:
    """Test this machine and the bundle."""
    from bmd_edge.cli.doctor import examine

    checks = []
    for check in examine(bundle):
        typer.echo(f"{'ok' if check.sound else 'FAIL':<4}  {check.what:<42} {check.detail}")
        checks.append(check)
    sound = all(check.sound for check in checks)
    typer.echo("All is well." if sound else "Something needs attention: see the lines marked FAIL.", err=True)
    raise typer.Exit(0 if sound else 4)


def support(
    out: Annotated[Path, typer.Option("--out", "-o", help="The text that is written.")] = Path("bmd-edge-support.txt"),
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of results: its versions and counts.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A clinic box's clinic.toml: its state too.")
    ] = None,
    bundle: BundleOption = None,
) -> None:
    """Write what somebody who mends a fault needs: versions, settings, states and logs; no patient's data.

    It is a text: read it before you send it.
    """
    from importlib import import_module

    from bmd_edge.cli.doctor import examine
    from bmd_edge.report.safe_text import visible
    from bmd_edge.system.files import replace_file

    support_text = import_module("bmd_edge.clinic.support").support_text  # by name: what reads films knows no network
    with replace_file(out) as file:
        file.writelines(f"{visible(line)}\n" for line in support_text(examine(bundle), results, config))
    typer.echo(f"Written: {out}. Read it before you send it.", err=True)


def compile_engines(
    bundle: BundleArgument = None,
    device: DeviceOption = "tensorrt",
    precision: PrecisionOption = "auto",
) -> None:
    """Compile a bundle's networks for this machine's GPU; `screen --device tensorrt` loads only what this has built.

    What is missing, stale, edited or of somebody else is built again, and must give the bundle's golden outputs. No
    other --device needs compiling.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import build_bar
    from bmd_edge.engine.compile import compile_bundle
    from bmd_edge.engine.open import PRECISIONS

    if device != "tensorrt" or precision not in PRECISIONS:
        raise UsageError(
            f"--device is tensorrt, for cpu and cuda need no compiling; --precision one of {', '.join(PRECISIONS)}"
        )
    with build_bar() as progress:
        for model, chosen, done in compile_bundle(read_bundle(bundle), precision, progress=progress):
            typer.echo(f"{model} {chosen}: {done}")
