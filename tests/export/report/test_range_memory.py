from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from export.bundle import calibration_films
from export.report.range_memory import report_memory


def test_memory_is_watched_from_the_hundredth_film_on(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    ranges, _ = calibration_films.halves(folder / "cohort" / "films.csv")
    shown = iter(range(0, 10_000, 8))
    grown = report_memory(bundle.model_path("bmd"), ranges, 160, resident=lambda: 10**8 + 500 * next(shown))
    assert grown.slope_kb_per_film == pytest.approx(0.5)
    assert (grown.first_film, grown.films, grown.distinct_films) == (104, 160, 44)
    assert "160 films (44 films, repeated)" in grown.sentence()
    flat = report_memory(bundle.model_path("bmd"), ranges, 160)
    assert 50 < flat.peak_rss_mb < 4000
    assert flat.growth_mb < 20
