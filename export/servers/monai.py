"""A bundle as a bundle of MONAI: what MONAI wants to be told, around the bundle as it is.

LICENSE                   of this software
configs/metadata.json     after MONAI's schema
configs/inference.json    for `monai.bundle run`: the runtime's two halves as transform and inferer
docs/README.md            how it is run, and the model card
docs/data_license.txt     what the networks were trained on
models/bmd_edge/          the bundle, file by file
"""

import json
from importlib.metadata import distribution, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.layout import MANIFEST, MODEL_CARD, SIGNATURE
from bmd_edge.bundle.manifest import INPUTS, KINDS, LANDMARKS
from bmd_edge.bundle.verify import read_verified
from bmd_edge.errors import UsageError
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.version import __version__
from export.servers.written import write_tree

SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
TRIED = {"monai_version": "1.6.1", "pytorch_version": "2.13.0"}
"""The versions that the tests run the configuration with."""

CHANNELS = {
    "image": ("mirrored so that the hip is a right one; bone bright",),
    "heatmaps": LANDMARKS,
    "kind": KINDS,
}
"""What the channels of a tensor are; those of "bmd" and "spread" are the bundle's sites."""


def write_monai(bundle: VerifiedBundle, out: Path) -> None:
    """Write the MONAI bundle into the new folder `out`.

    Raises:
        UsageError: `out` exists.
        BundleError: a file of the bundle has changed since it was opened.
    """
    templates = Environment(
        loader=PackageLoader("export.servers"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    facts = {"bundle": bundle, "version": __version__}
    held = {name: read_verified(bundle.root / name, bundle.manifest.files) for name in bundle.manifest.files}
    held |= {name: (bundle.root / name).read_bytes() for name in (MANIFEST, SIGNATURE) if (bundle.root / name).exists()}
    card = held[MODEL_CARD].decode().partition("\n")[2].strip().replace("\n## ", "\n### ")
    write_tree(
        out,
        {
            "LICENSE": _license().encode(),
            "configs/metadata.json": json.dumps(metadata(bundle), indent=2).encode() + b"\n",
            "configs/inference.json": (files("export.servers") / "templates" / "inference.json").read_bytes(),
            "docs/README.md": templates.get_template("monai_card.md.j2").render(**facts, card=card).encode(),
            "docs/data_license.txt": templates.get_template("data_license.txt.j2").render(**facts).encode(),
            **{f"models/bmd_edge/{name}": data for name, data in held.items()},
        },
    )


def metadata(bundle: VerifiedBundle) -> dict[str, Any]:
    """What MONAI's schema asks for, every word of it the bundle's own."""
    manifest, films = bundle.manifest, bundle.manifest.provenance.calibration_films
    measured = f" Measured on {films.guard_hips} hips of the calibration split." if films else ""
    return {
        "schema": SCHEMA,
        "version": manifest.version,
        "changelog": {manifest.version: f"made on {manifest.provenance.created}, digest {bundle.digest}"},
        **TRIED,
        "numpy_version": version("numpy"),
        "required_packages_version": {"bmd-edge": __version__, "onnxruntime": version("onnxruntime")},
        "name": f"bmd-edge {manifest.version}",
        "task": "Estimate areal BMD of femoral neck and total hip from an AP hip radiograph. Research use only",
        "description": f"{manifest.validity.notice} {RESEARCH_USE}{measured}",
        "authors": "the authors of bmd-edge",
        "copyright": "Copyright (c) the authors of bmd-edge; Apache-2.0",
        "data_source": manifest.validity.training_data,
        "data_type": "dicom",
        "image_classes": "AP films of the hip or pelvis of adults, CR or DX For Presentation",
        "pred_classes": f"{', '.join(manifest.sites)}, in {manifest.unit}",
        "eval_metrics": _rmse(bundle),
        "intended_use": f"{RESEARCH_USE} A low BMD can be suggested, it can never be ruled out.",
        "references": ["Zheng et al., MICCAI 2021, arXiv 2103.13482"],
        **{
            f"{'network' if model == 'bmd' else model}_data_format": _tensors(bundle, model)
            for model in manifest.models
        },
    }


def _rmse(bundle: VerifiedBundle) -> dict[str, float]:
    knowledge = bundle.manifest.knowledge
    return {
        f"rmse_gcm2_{site}_{precision}": round(known.mean.rmse_gcm2, 4)
        for precision, sites in (knowledge.precisions if knowledge else {}).items()
        for site, known in sites.items()
    }


def _tensors(bundle: VerifiedBundle, model: str) -> dict[str, Any]:
    """Inputs and outputs of a network as MONAI describes tensors: channels first, then space."""
    facts = bundle.manifest.models[model]
    spacings = [bundle.inputs[name].spacing_mm for name, taker in INPUTS.items() if taker == model]
    images = {"type": "image", "format": "magnitude", "modality": "DX", "value_range": [0, 1], "spacing_mm": spacings}
    return {
        "inputs": {name: images | _tensor(bundle, name, spec.shape, spec.dtype) for name, spec in facts.inputs.items()},
        "outputs": {
            name: {"type": "image" if len(spec.shape) > 2 else "series", "format": _FORMATS.get(name, "raw")}
            | {"value_range": []}
            | _tensor(bundle, name, spec.shape, spec.dtype)
            for name, spec in facts.outputs.items()
        },
    }


_FORMATS = {"bmd": "regression", "spread": "regression", "kind": "classification"}


def _tensor(bundle: VerifiedBundle, name: str, shape: tuple[int | None, ...], dtype: str) -> dict[str, Any]:
    _, channels, *space = shape
    named = bundle.manifest.sites if name in ("bmd", "spread") else CHANNELS.get(name, ())
    described = {str(index): word for index, word in enumerate(named)}
    return {"num_channels": channels, "spatial_shape": space, "dtype": dtype, "channel_def": described}


def _license() -> str:
    text = distribution("bmd-edge").read_text("licenses/LICENSE")
    if text is None:
        raise UsageError("this installation lacks its LICENSE: install bmd-edge with pip from its checkout")
    return text
