"""How much memory the range pass takes, and whether it grows with the films."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.table.film_table import HipRow
from export.bundle.calibration_films import batches
from export.int8.ranges import collect

FILMS, WARM_UP = 2000, 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Resident memory from film `first_film` to film `films`, of which `distinct_films` are different ones.

    `slope_kb_per_film` is that of a least-squares line, `growth_mb` what the line gains from first to last film.
    """

    first_film: int
    films: int
    distinct_films: int
    peak_rss_mb: float
    slope_kb_per_film: float
    growth_mb: float

    def sentence(self) -> str:
        """For people."""
        repeated = "" if self.distinct_films >= self.films else f" ({self.distinct_films} films, repeated)"
        return (
            f"range pass over {self.films} films{repeated}: peak {self.peak_rss_mb:.0f} MB resident, "
            f"{self.slope_kb_per_film:+.2f} kB a film from film {self.first_film} on ({self.growth_mb:+.1f} MB in all)"
        )


def report_memory(
    onnx_path: Path,
    rows: Sequence[HipRow],
    films: int = FILMS,
    resident: Callable[[], int] | None = None,
    spec: InputSpec = BMD,
) -> MemoryReport:
    """Collect ranges over `films` films, repeating `rows` where there are fewer, and watch the resident memory.

    Args:
        onnx_path: fp32 file as `export.onnx_file.to_onnx` writes it.
        rows: ROI rows; read anew each time they come.
        films: how many films go through; more than `WARM_UP`, where the measurement begins.
        resident: bytes of memory in use; by default the process's resident set.
        spec: how the network's input is made.
    """
    read = resident or _resident_bytes
    seen: list[tuple[int, int]] = []

    def watched() -> Iterator[NDArray[np.float32]]:
        shown = 0
        for batch in batches(list(itertools.islice(itertools.cycle(rows), films)), spec=spec):
            yield batch
            shown += len(batch)  # the batch has been counted when the next one is asked for
            seen.append((shown, read()))

    collect(onnx_path, watched())
    steady = np.array([sample for sample in seen if sample[0] >= min(WARM_UP, films)], np.float64)
    slope = float(np.polyfit(steady[:, 0], steady[:, 1], 1)[0]) if len(steady) > 1 else 0.0
    return MemoryReport(
        first_film=int(steady[0, 0]),
        films=films,
        distinct_films=min(films, len(rows)),
        peak_rss_mb=round(max(used for _, used in seen) / 1e6, 1),
        slope_kb_per_film=round(slope / 1e3, 3),
        growth_mb=round(slope * float(steady[-1, 0] - steady[0, 0]) / 1e6, 2),
    )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
