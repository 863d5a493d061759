"""Regions of the same hips, as they are and under planted shifts: films for `export.proofs.drift_delay`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bmd_edge.system.places import phantom_cache
from trainer.phantom.cohort.make import make_items
from trainer.phantom.cohort.plan import ROI_PIXEL_MM, Item
from trainer.phantom.film.scene import VERSION, FilmSpec

IN_CONTROL = "none"
CONDITIONS: dict[str, dict[str, Any]] = {
    IN_CONTROL: {},
    "maker": {"style": "G"},
    "processing": {"style": "F"},
    "kvp": {"kvp_shift": 10.0},
    "spacing": {"spacing_factor": 1.05},
}
"""Condition -> what differs from the film in control. "maker": the processing of a maker held out from training;
"processing": the style that is kept for drift."""

_FIRST_SEED = 5_000_000_000  # apart from cohorts (62 bits, hashed) and scores (3e9)


def items(n: int) -> list[Item]:
    """n hips of n subjects, each under every condition; a longer list begins with the shorter one."""
    made: list[Item] = []
    for k in range(n):
        spec = FilmSpec(_FIRST_SEED + k, "hip", "RL"[k % 2], region="roi", pixel_mm=ROI_PIXEL_MM)
        for name, change in CONDITIONS.items():
            made.append(Item(len(made), "roi", "test", f"S{k:05d}", "bmd-0", replace(spec, **change), name))
    return made


def make_shifted(n: int, workers: int, progress: Callable[[int, int], None]) -> Path:
    """Make or finish the films of n hips in the user's cache folder; returns the film table."""
    return make_items(items(n), phantom_cache() / f"shifted-v{VERSION}", workers, progress)
