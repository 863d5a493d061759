"""How long a batch takes on this machine, per precision: in turns, so that a busy moment hits all of them alike."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.system.machine import cpu_name

BATCHES = (1, 8)
ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Latency:
    """One precision at one batch size: median and 90th percentile of a batch in ms over `rounds` runs.

    `speedup` is the median of the ratios to the fp32 run of the same round.
    """

    precision: str
    batch: int
    median_ms: float
    p90_ms: float
    speedup: float
    rounds: int
    threads: int


def measure(files: Mapping[str, Path], image: NDArray[np.float32]) -> list[Latency]:
    """Time the BMD network of each precision (fp32 among them) on copies of one image (1, 1, H, W)."""
    threads = len(os.sched_getaffinity(0))
    found = []
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(OnnxEngine(path, threads=threads, precision=name)) for name, path in files.items()
        }
        for batch in BATCHES:
            feeds = {"image": np.repeat(image[:1], batch, axis=0)}
            runs = {name: partial(engine.run, feeds) for name, engine in engines.items()}
            times = in_turns(runs, ROUNDS)
            for name, own in times.items():
                ratio = float(np.median(np.divide(times["fp32"], own)))
                median, p90 = (round(float(np.quantile(own, share)), 3) for share in (0.5, 0.9))
                found.append(Latency(name, batch, median, p90, round(ratio, 2), ROUNDS, threads))
    return found


def in_turns(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Call each in turn, round after round; name -> ms of each round, without two first rounds, which allocate."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn >= 2:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def machine() -> str:
    """The CPU's name and how many of it this process may use."""
    return f"{cpu_name()}, {len(os.sched_getaffinity(0))} CPUs"
