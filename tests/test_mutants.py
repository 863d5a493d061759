"""A few hundred mutants; `python -m tests.mutants --n 50000` makes the committed figures."""

import json

import numpy as np
import pytest

from tests.mutants import PLACES, RESULT, mutant, outcome, run_block, sound_films, summary


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
    assert figures["n"] >= 49_000
    assert figures["untyped"] == []
    assert figures["slowest_s"] <= 0.25
    assert figures["bombs"]["refused"] == figures["bombs"]["n"] >= 60
    assert figures["bombs"]["slowest_s"] <= 0.1
    assert figures["bombs"]["most_mb"] <= 64
