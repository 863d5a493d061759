"""A few hundred mutants; `python -m tests.support.mutants --n 50000` makes the committed figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.mutants import PLACES, RESULT, mutant, outcome, run_block, sound_films, summary

PAGE = Path(__file__).parents[3] / "SECURITY.md"


def figures_of_the_page(figures: dict[str, Any]) -> str:
    """What the page says about the committed run."""
    sound = [figures["by_place"][place] for place in ("header", "encapsulation")]
    n, silent = sum(row["n"] for row in sound), sum(row["silent"] for row in sound)
    coded, tables = (figures["by_place"][place] for place in ("coded", "tables"))
    bombs = figures["bombs"]
    return (
        f"no untyped exception, none slower than {figures['slowest_s']} s; of {n} with damage in the header or the "
        f"encapsulation, {silent} were read with other pixels and no flag. DICOM has no checksum: "
        f"{tables['silent_percent']} % with damage in a codestream's tables and {coded['silent_percent']} % with "
        f"damage in its coded data were. {bombs['refused']} of {bombs['n']} decompression bombs were refused, each "
        f"within {bombs['most_mb']} MB and {bombs['slowest_s']} s."
    )


def test_a_block_of_mutants_ends_in_films_and_refusals() -> None:
    found = summary([run_block(seed=1, number=number, size=400) for number in range(2)])
    assert found["untyped"] == []
    assert found["n"] > 700
    assert set(found["by_place"]) == set(PLACES)
    assert all(row["n"] > 20 and row["refused"] > 0 for row in found["by_place"].values())
    silent = sum(found["by_place"][place]["silent"] for place in ("header", "encapsulation"))
    assert silent <= 1


def test_blocks_can_be_made_again() -> None:
    one, two = run_block(0, 3, 60), run_block(0, 3, 60)
    assert one["counts"] == two["counts"]
    assert run_block(0, 4, 60)["counts"] != one["counts"]


@pytest.mark.parametrize("place", PLACES)
def test_places_cover_what_they_say(place: str) -> None:
    """A mutant differs from the film inside its place only."""
    rng = np.random.default_rng(0)
    for sound in sound_films():
        for start, end in sound.places.get(place, []):
            assert 0 <= start < end <= len(sound.data), sound.name
        if place in sound.places:
            first = min(start for start, _ in sound.places[place])
            assert mutant(sound, place, rng)[:first] == sound.data[:first]
            assert outcome(sound, sound.data) == "same_pixels"


def test_committed_figures() -> None:
    figures = json.loads(RESULT.read_text(encoding="utf-8"))
    assert figures_of_the_page(figures) in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert figures["n"] >= 49_000
    assert figures["untyped"] == []
    assert figures["slowest_s"] <= 0.25
    assert figures["bombs"]["refused"] == figures["bombs"]["n"] >= 60
    assert figures["bombs"]["slowest_s"] <= 0.1
    assert figures["bombs"]["most_mb"] <= 64
