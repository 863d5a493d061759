"""INT8 against fp32 against torch on this CPU, with random weights: `python -m export.bench.int8_speed [--out FILE]`.

The three run in turns, round after round, so that a busy moment hits all of them alike; ratios are medians over rounds.
Time hangs on shapes and not on weights, so no training run is needed.
"""

import argparse
import importlib.metadata
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.system.files import replace_bytes
from export.int8.quantize import int8_from_onnx
from export.int8.ranges import collect
from export.onnx_file.to_onnx import INPUT, onnx_from_network
from export.report.latency import BATCHES, in_turns, machine
from trainer.networks.build import build
from trainer.networks.outputs import OUTPUTS

COMMAND = "python -m export.bench.int8_speed"


@dataclass(frozen=True, slots=True)
class Case:
    """A network, its width, the size of its image and how many rounds it runs."""

    network: str
    width: float
    size_px: int
    rounds: int


CASES = (Case("vgg11_se", 1.0, 512, 5), Case("vgg11_se", 0.25, 112, 100), Case("resnet18", 0.5, 112, 100))


def measure(case: Case, threads: int) -> list[dict[str, Any]]:
    """One row per batch size: median ms per image of torch, fp32 and int8; `int8_over_*` are the paired ratios."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    network = build(case.network, width=case.width).eval()
    image = np.random.default_rng(0).random((1, 1, case.size_px, case.size_px), dtype=np.float32)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8 = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        images = np.repeat(image, 2, axis=0)
        onnx_from_network(network, images, OUTPUTS["bmd"], fp32, {})
        int8_from_onnx(fp32, int8, collect(fp32, [images]))
        with OnnxEngine(fp32, threads=threads) as full, OnnxEngine(int8, threads=threads) as quantized:
            for batch in BATCHES:
                feed = np.repeat(image, batch, axis=0)
                runs: dict[str, Callable[[], object]] = {
                    "torch": partial(_run_torch, network, feed),
                    "fp32": partial(full.run, {INPUT: feed}),
                    "int8": partial(quantized.run, {INPUT: feed}),
                }
                times = {name: np.array(found) / batch for name, found in in_turns(runs, case.rounds).items()}
                rows.append(
                    {
                        "network": case.network,
                        "width": case.width,
                        "size_px": case.size_px,
                        "batch": batch,
                        "threads": threads,
                        "rounds": case.rounds,
                        **{f"{name}_ms_per_image": round(float(np.median(own)), 3) for name, own in times.items()},
                        "int8_over_fp32": round(float(np.median(times["fp32"] / times["int8"])), 2),
                        "int8_over_torch": round(float(np.median(times["torch"] / times["int8"])), 2),
                    }
                )
    return rows


def _run_torch(network: torch.nn.Module, feed: NDArray[np.float32]) -> None:
    with torch.inference_mode():
        network(torch.from_numpy(feed))


def main(arguments: list[str] | None = None) -> None:
    """Measure all cases and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of every engine, in turn")
    parser.add_argument("--out", type=Path, help="write the figures there too")
    chosen = parser.parse_args(arguments)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that this export does not need
    figures = {
        "command": COMMAND,
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("onnxruntime", "torch")},
        "weights": "random",
        "rows": [row for threads in chosen.threads for case in CASES for row in measure(case, threads)],
    }
    text = json.dumps(figures, indent=1) + "\n"
    sys.stdout.write(text)
    if chosen.out:
        replace_bytes(chosen.out, text.encode())


if __name__ == "__main__":
    main()
