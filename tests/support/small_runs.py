"""Run folders of untrained networks, ROI images on disk: all that a bundle is made of, small."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from export.bundle.finder import Finder
from export.make_bundle import Statement
from export.onnx_file.from_run import onnx_from_run
from tests.support.screening import plausibility
from trainer.networks.build import build

STATEMENT = Statement(
    version="tiny",
    created="2026-01-01",
    command="bmd-edge export tiny",
    training_data="noise",
    notice="Of no use.",
    unproven="it is of noise",
)
KWARGS = {
    "vgg11_se": {"width": 0.05, "label_mean": [0.7, 0.8], "label_sd": [0.1, 0.1]},
    "finder": {"channels": [8] * 5},
}
MADE_UP = plausibility(64, min_peak=0.2)
FEW = dataclasses.replace(LIMITS, min_hips=44, maker_min_hips=20)


def write_run(folder: Path, name: str) -> Path:
    """A run folder as the trainer leaves it."""
    torch.manual_seed(0)
    folder.mkdir()
    network = build(name, **KWARGS[name])
    save_file(network.state_dict(), folder / "checkpoint.safetensors")
    (folder / "config.json").write_text(json.dumps({"network": name, "kwargs": KWARGS[name]}))
    (folder / "split.json").write_text(json.dumps({"train": ["t1", "t2"], "val": ["v1"]}))
    return folder


def write_cohort(folder: Path, subjects: int = 44, split: str = "calibrate") -> Path:
    """Two hips a subject; the BMD is seen as brightness."""
    (folder / "roi").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for index in range(2 * subjects):
        noise = rng.random((32, 32)).repeat(8, 0).repeat(8, 1) ** rng.uniform(0.5, 2)
        Image.fromarray((noise * 60_000).astype(np.uint16)).save(folder / f"roi/{index:06}.png")
        bmd = dict(zip(SITES, rng.normal([0.7, 0.8], 0.1).round(4).tolist(), strict=True))
        extra = {"x_image": "roi", "x_spacing_mm": "0.65", "x_maker_style": "AB"[index % 2]}
        rows.append(
            HipRow(
                film=f"roi/{index:06}.png",
                subject=f"s{index // 2}",
                side="RL"[index % 2],
                split=split,
                bmd_gcm2=bmd,
                scale="hologic",
                extra=extra,
            )
        )
    write_table(folder / "films.csv", rows)
    return folder / "films.csv"


def finder_part(folder: Path) -> Finder:
    """The tiny finder of a run, with a made-up plausibility."""
    path = folder / "finder.onnx"
    if not path.is_file():
        onnx_from_run("finder", write_run(folder / "finder", "finder"), path)
    return Finder(path.read_bytes(), MADE_UP, {"network": "finder"})


def local_paths(raw: bytes) -> list[str]:
    """Absolute paths and Python file names inside an ONNX file; none is right."""
    return [found.decode() for found in re.findall(rb"(?:/[\w.-]+){2,}/[\w.-]+\.py|[\w./-]+\.py\b", raw)]
