"""Objects that the archive may have are the ones the box goes on with, whatever ended it; long runs are in results/."""

import json
import os
from pathlib import Path

import pytest

from tests.support.clinic import outgoing

# pynetdicom leaves a socket that was refused or cut off to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

KILLS = int(os.environ.get("BMD_EDGE_KILLS", "10"))
RESULTS = Path(__file__).with_name("results")
WRONG = (
    "films_without_both_objects_in_the_archive",
    "objects_that_nobody_made",
    "objects_with_other_bytes",
    "half_files_or_broken_rows",
)


def wrong(found: dict[str, int]) -> dict[str, int]:
    """What must not be, of what was counted."""
    return {name: found[name] for name in WRONG if found[name]}


def test_killed_at_any_step_nothing_is_lost_and_no_object_has_two_contents(tmp_path: Path) -> None:
    found = outgoing.kills(tmp_path, KILLS)
    assert (wrong(found), found["films"], found["objects_in_the_archive"]) == ({}, KILLS, 2 * KILLS)


def test_after_a_power_cut_the_box_goes_on_with_the_very_bytes(tmp_path: Path) -> None:
    found = outgoing.power_cuts(tmp_path, 1)
    assert (wrong(found), found["films"], found["rows_without_their_whole_file"]) == ({}, 1, 0)


@pytest.mark.parametrize("name", outgoing.MEASURES)
def test_the_long_runs_lost_nothing(name: str) -> None:
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert wrong(found) == {}
    assert found["objects_in_the_archive"] == 2 * found["films"] > 0
    assert found.get("kills", 100) == 100
    assert found.get("power_cuts", 20) == 20
    assert found.get("rows_without_their_whole_file", 0) == 0
