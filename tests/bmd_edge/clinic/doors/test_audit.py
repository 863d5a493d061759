"""Lines of the logs become events; the real logs are read in whole/clinic/test_strangers.py."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.audit import LogFollower
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import NGINX_LOG, ORTHANC_LOG

STRANGER = "W1129 CommandDispatcher.cpp:617] Rejected association for remote AET Y on IP 10.0.0.9\n"


@pytest.fixture
def follower(config: Config, journal: Journal) -> Iterator[LogFollower]:
    (config.root / ORTHANC_LOG).write_text(STRANGER, encoding="utf-8")
    with closing(LogFollower(config, journal)) as made:
        yield made


def found(journal: Journal) -> list[dict[str, object]]:
    return [json.loads(row["detail"]) for row in journal.rows("SELECT detail FROM event ORDER BY n")]


def test_each_kind_is_written_once_with_its_number(config: Config, journal: Journal, follower: LogFollower) -> None:
    log = config.root / ORTHANC_LOG
    follower.step()
    assert found(journal) == []  # from before it was made
    with log.open("a", encoding="utf-8") as file:
        file.write(f"nothing\n{STRANGER * 3}{STRANGER[:-5]}")
    (config.root / NGINX_LOG).write_text(
        "stow 10.0.0.8 NONE 400 -\nstow 10.0.0.8 SUCCESS 200 200\nstow 10.0.0.8 SUCCESS 409 409\n"
        "dicom 10.0.0.7 SUCCESS 200 -\n2026/11/29 [crit] something else\n",
        encoding="utf-8",
    )
    follower.step()
    no_certificate = "no certificate, or none of TLS 1.2 and 1.3"
    expected = [
        {"door": "dicom", "address": "10.0.0.9", "code": "unknown_ae_title", "times": 3},
        {"door": "stow", "address": "10.0.0.8", "code": no_certificate, "times": 1},
    ]
    assert found(journal) == expected
    with log.open("a", encoding="utf-8") as file:
        file.write(STRANGER[-5:])  # the rest of the line
    follower.step()
    assert found(journal) == [*expected, {**expected[0], "times": 1}]


def times(journal: Journal) -> list[object]:
    return [one["times"] for one in found(journal)]


def test_a_log_that_was_emptied_is_read_from_its_beginning(
    config: Config, journal: Journal, follower: LogFollower
) -> None:
    log = config.root / ORTHANC_LOG
    log.write_text("", encoding="utf-8")
    follower.step()
    log.write_text(STRANGER, encoding="utf-8")
    follower.step()
    assert times(journal) == [1]
    log.unlink()
    follower.step()
    assert times(journal) == [1]


def test_of_a_log_that_was_rotated_no_line_is_missed(config: Config, journal: Journal, follower: LogFollower) -> None:
    log = config.root / ORTHANC_LOG
    with log.open("a", encoding="utf-8") as slow:  # who writes on to the old file for a moment
        slow.write(STRANGER * 2)
        slow.flush()
        log.rename(log.with_name("orthanc.log.1"))
        follower.step()
        log.write_text(STRANGER * 4, encoding="utf-8")
        slow.write(STRANGER * 8)
        slow.flush()
        follower.step()
        slow.write(STRANGER * 16)
        slow.flush()
        follower.step()
        slow.write(STRANGER * 3)
        slow.flush()
        follower.step()
    follower.step()
    assert times(journal) == [2, 12, 16, 3]
    with log.open("a", encoding="utf-8") as file:
        file.write(STRANGER * 32)
    follower.step()
    assert times(journal) == [2, 12, 16, 3, 32]
