"""Lines of the logs become events; the real logs are read in whole/clinic/test_strangers.py."""

import json

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.audit import LogFollower
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import NGINX_LOG, ORTHANC_LOG

STRANGER = "W1129 CommandDispatcher.cpp:617] Rejected association for remote AET Y on IP 10.0.0.9\n"


def found(journal: Journal) -> list[dict[str, object]]:
    return [json.loads(row["detail"]) for row in journal.rows("SELECT detail FROM event ORDER BY n")]


def test_each_kind_is_written_once_with_its_number(config: Config, journal: Journal) -> None:
    log = config.root / ORTHANC_LOG
    log.write_text(STRANGER, encoding="utf-8")
    follower = LogFollower(config, journal)
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


def test_a_log_that_was_rotated_is_read_from_its_beginning(config: Config, journal: Journal) -> None:
    log = config.root / ORTHANC_LOG
    log.write_text("something\n" * 100, encoding="utf-8")
    follower = LogFollower(config, journal)
    log.write_text(STRANGER, encoding="utf-8")
    follower.step()
    assert [one["times"] for one in found(journal)] == [1]
    log.unlink()
    follower.step()
    assert len(found(journal)) == 1
