"""The results of a day, for machines and for people; and the commands that print them."""

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.results import lines, since
from bmd_edge.errors import UsageError
from bmd_edge.language import language
from bmd_edge.report.results import json_line
from tests.bmd_edge.clinic.reading.readers import box, drawn_reader, put
from tests.support.screening import hip_dicom


def test_the_lines_are_those_of_screen_in_the_order_of_arrival(tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root) as journal, drawn_reader() as reader:
        keys = put(config, journal, hip_dicom("RL"), hip_dicom("R", implant="R"), hip_dicom("L"))
        for key in keys[:2]:
            report = reader.read(films.film_path(config.root, key), file=f"{key}.dcm")
            films.start(journal, "b")
            films.finish(journal, key, json_line(report), [], report.reason or "")
        read, refused = (json.loads(line) for line in lines(journal, 0, as_json=True))
        assert (read["status"], refused["reason"]) == ("read", "implant")
        shown = list(lines(journal, 0, as_json=False))
        assert len(shown) == 3
        first = read["hips"][0]["estimates"][0]
        assert f"R femoral neck {first['bmd_gcm2']:.3f} ({first['low_gcm2']:.3f} to" in shown[0]
        assert "no number: The hip holds an implant." in shown[1]
        assert "waiting" in shown[2]
        german = list(lines(journal, 0, False, language("de")))
        assert f"R Schenkelhals {first['bmd_gcm2']:.3f} ({first['low_gcm2']:.3f} bis" in german[0]
        assert "kein Wert: Die Hüfte enthält ein Implantat." in german[1]
        assert list(lines(journal, 0, True, language("de"))) == list(lines(journal, 0, True))
        assert all("not delivered" in line and "xray1" in line for line in shown)
        assert list(lines(journal, time.time() + 60, as_json=False)) == []


def test_a_day_and_a_time_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime(2026, 5, 17, 12).timestamp()
    assert since(None, noon) == since("2026-05-17", noon) == noon - 12 * 3600
    assert since("2026-05-17 08:30", noon) == noon - 3.5 * 3600
    with pytest.raises(UsageError, match="--since"):
        since("yesterday", noon)
