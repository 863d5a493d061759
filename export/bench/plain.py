"""The loop that a user would write without bmd-edge, to compare speed with.

    python -m export.bench.plain FOLDER [BUNDLE]

One film at a time: pydicom decodes with what it finds among pylibjpeg with OpenJPEG, GDCM and numpy, `apply_voi_lut`
works on the whole film, and the two networks of the bundle's architectures run eagerly in torch, in fp32. Their weights
are random: speed does not depend on them. The crop is where a hip would be, so what follows the finder costs the same.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_voi_lut
from torch.nn.functional import interpolate

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from trainer.networks.build import build

_FILMS = 6  # read one after the other, so a few tell the speed


def networks(bundle: VerifiedBundle) -> dict[str, torch.nn.Module]:
    """The finder and the BMD network of a bundle's architecture, with random weights."""
    made = {}
    for name, run in bundle.manifest.provenance.runs.items():
        settings = json.loads(run["settings"])
        if run["network"] == "effnet_lite0":
            settings["pretrained"] = False
        made[name] = build(run["network"], **settings).eval()
    return made


def read(path: Path, nets: dict[str, torch.nn.Module], bundle: VerifiedBundle) -> tuple[torch.Tensor, ...]:
    """One film, as simply as can be: decode, window, shrink for the finder, look twice, crop, measure."""
    dataset = pydicom.dcmread(path)
    film = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
    film = (film - film.min()) / max(float(np.ptp(film)), 1e-6)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        film = 1 - film
    spacing_mm = float(dataset.get("ImagerPixelSpacing", dataset.get("PixelSpacing", [0.15]))[0]) / 1.15
    survey, closeup, roi = (bundle.inputs[name] for name in ("finder_survey", "finder_closeup", "bmd"))
    nets["finder"](_shrunk(film, survey.size_px))
    nets["finder"](_shrunk(_middle(film, closeup.side_mm / spacing_mm), closeup.size_px))
    bmd: tuple[torch.Tensor, ...] = nets["bmd"](_shrunk(_middle(film, roi.side_mm / spacing_mm), roi.size_px))
    return bmd


def _middle(film: NDArray[np.float32], side_px: float) -> NDArray[np.float32]:
    rows, columns = film.shape
    half = int(min(side_px, rows, columns)) // 2
    return film[rows // 2 - half : rows // 2 + half, columns // 2 - half : columns // 2 + half]


def _shrunk(film: NDArray[np.float32], size_px: int) -> torch.Tensor:
    image = torch.from_numpy(film)[None, None]
    return interpolate(image, (size_px, size_px), mode="bilinear", antialias=True)


def decoder_of(path: Path) -> str:
    """The plug-in that pydicom takes for the transfer syntax of a film."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return "numpy"
    return next(iter(get_decoder(syntax)._available), "none")  # in the order in which pydicom tries them


def main(folder: Path, bundle_path: Path | None) -> dict[str, object]:
    """Read some films of a folder one by one; films per second without the time to load the networks."""
    bundle = read_bundle(bundle_path)
    nets = networks(bundle)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = paths[:: max(1, len(paths) // _FILMS)][:_FILMS]
    with torch.inference_mode():
        read(paths[0], nets, bundle)  # warms up
        start = time.perf_counter()
        for path in paths:
            read(path, nets, bundle)
        seconds = time.perf_counter() - start
    return {"films_per_s": len(paths) / seconds, "decoder": decoder_of(paths[0])}


if __name__ == "__main__":
    figures = main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
    sys.stdout.write(json.dumps(figures))
