"""How far estimates move when the last digits of an image do: what rounding to INT8 makes of a difference in nothing.

Each hip is read as in use, at three scales, and again with noise of SD 1e-6 of the gray range added to what the network
is shown: some eight units in the last place of a float32 near 1, as another CPU or another order of a sum may bring.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.open import open_engine
from bmd_edge.hips.region import SCALES
from bmd_edge.measure.estimate import over_scales
from bmd_edge.system.files import replace_file
from calibration.drift.studies import F64
from export.proofs.phantom_rois import named, rows_named, run
from trainer.images.roi_files import read_rois, roi_image

NOISE = 1e-6
"""SD of the noise, where the gray range is 1."""
DRAWS = 5
"""Noises for each hip."""


def moved(bundle: VerifiedBundle, precision: str, images: np.ndarray[Any, np.dtype[np.float32]], seed: int) -> F64:
    """|change| of the estimates by noise, g/cm2: (DRAWS, hips, sites) for images (hips, scales, 1, px, px)."""
    random = np.random.default_rng(seed)
    with open_engine(bundle, "bmd", device="cpu", precision=precision, threads=1) as engine:

        def said(shown: np.ndarray[Any, np.dtype[np.float32]]) -> F64:
            return np.stack([over_scales(engine.run({"image": one})["bmd"])[0] for one in shown])

        plain = said(images)
        noisy = (images + random.normal(0, NOISE, images.shape).astype(np.float32) for _ in range(DRAWS))
        return np.abs(np.stack([said(one) - plain for one in noisy]))


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.noise_floor", description=__doc__.splitlines()[0])
    parser.add_argument("table", help="film table with regions, or TABLE:SPLITS; default split calibrate")
    parser.add_argument("--bundle", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--n", type=int, default=200, help="hips, the first of the table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    bundle = open_bundle(asked.bundle)
    spec, rows = bundle.inputs["bmd"], rows_named(asked.table)[: asked.n]
    specs = [replace(spec, spacing_mm=scale * spec.spacing_mm) for scale in SCALES]
    images = np.stack([[roi_image(pixels, one) for one in specs] for pixels in read_rois(rows).pixels])
    precisions = [one for one in ("fp32", "int8") if one in bundle.manifest.models["bmd"].files]
    facts: dict[str, Any] = {
        "command": f"python -m export.proofs.noise_floor {named(asked.table)} --n {asked.n} --seed {asked.seed}",
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "hips": len(rows),
        "draws": DRAWS,
        "noise": NOISE,
    }
    for precision in precisions:
        found = moved(bundle, precision, images, asked.seed)
        quantiles = {"median": 50, "p99": 99, "largest": 100}
        facts[precision] = {name: round(float(np.percentile(found, q)), 7) for name, q in quantiles.items()}
        say(f"{precision}: {facts[precision]}")
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    run(main)
