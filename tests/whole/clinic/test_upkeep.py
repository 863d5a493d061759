"""A box is looked after while films come in, and none is lost or doubled; the long run is in results/."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import clinic
from tests.whole.clinic import upkeep

# pynetdicom leaves a socket that was refused or cut off to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

RESULT = Path(__file__).with_name("results") / "upkeep.json"
NEVER = (
    "films_lost", "films_twice", "objects_not_in_the_archive", "objects_that_nobody_made", "objects_with_other_bytes",
)  # fmt: skip


def wrong(found: dict[str, Any]) -> dict[str, Any]:
    """What must not be; a film of which a unit heard no answer may come again after an upgrade, and is read again."""
    said = {name: found[name] for name in NEVER if found[name]}
    if found["films_with_a_second_version"] > found["sends_without_success"] or not found["journal_whole"]:
        said["doubled"] = found
    return said


@pytest.mark.parametrize(
    "steps",
    [
        ["certificate", "rotation"],
        ["another bundle", "the bundle of before"],
        ["another version", "the version of before"],
        ["backup", "restoring"],
        ["full disk", "retention"],
    ],
    ids=" and ".join,
)
def test_no_film_is_lost_or_doubled_while_a_box_is_looked_after(steps: list[str], tmp_path: Path) -> None:
    clinic.needs("logrotate")
    found = upkeep.run(tmp_path, steps, 4)
    assert wrong(found) == {}
    assert found["objects_in_the_archive"] == found["objects_made"] >= 2 * found["films"]
    seen(found)


def seen(found: dict[str, Any]) -> None:
    """What a step is for has happened."""
    assert found.get("another_certificate_is_shown", True)
    assert found.get("logs_rotated", 2) >= 2
    assert found.get("films_removed", 1) > 0
    assert found.get("refused_by_a_full_disk", 10) >= 10
    assert found["bundles_and_versions"] == 1 + sum(name.startswith("another") for name in found["seconds_of_steps"])


def test_the_long_run_lost_nothing() -> None:
    found = json.loads(RESULT.read_text(encoding="utf-8"))
    assert wrong(found) == {}
    assert set(found["seconds_of_steps"]) == set(upkeep.STEPS)
    assert found["films"] >= 60
    seen(found)
