"""Small pictures, and whose they are."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.films import film, picture_of
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.pictures import SMALL_PX, identity_of, small_film
from bmd_edge.report.kept_report import report_of
from tests.support.screening import CANARY, drawn

YELLOW = np.array([255, 224, 74])


def picture(config: Config, journal: Journal, key: str) -> Path:
    made = picture_of(journal, key, 1)
    assert made is not None
    return config.root / made.path


def test_it_is_known_whose_a_film_is(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    said = identity_of(picture(config, journal, keys["kept"]))
    assert said == ("ACC-1001", CANARY.replace("^", " "), False)
    assert identity_of(picture(config, journal, keys["burned"])).burned_in
    hostile = identity_of(picture(config, journal, keys["hostile"]))
    assert hostile.name == "<script>alert(1)</script> \\x1b[31m"  # no control character is left


def test_a_small_film_is_whole_and_has_its_landmarks_where_they_are(
    config: Config, journal: Journal, keys: dict[str, str]
) -> None:
    row = film(journal, keys["sent"])
    assert row is not None
    assert row.report is not None
    shown = np.asarray(Image.open(io.BytesIO(small_film(picture(config, journal, keys["sent"])))), float)
    rows, columns = drawn("RL", 2300).shape
    assert max(shown.shape[:2]) == SMALL_PX
    assert shown.shape[0] / shown.shape[1] == pytest.approx(rows / columns, rel=0.01)
    points = [point for hip in report_of(json.loads(row.report), None).hips for point in hip.landmarks_px.values()]
    assert len(points) == 12
    for x, y in points:
        down, across = round(y * shown.shape[0] / rows), round(x * shown.shape[1] / columns)
        near = shown[max(down - 2, 0) : down + 3, max(across - 2, 0) : across + 3].reshape(-1, 3)
        assert np.abs(near - YELLOW).sum(axis=1).min() < 60, (x, y)


def test_a_picture_that_was_moved_away_is_an_oserror(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    gone = picture(config, journal, keys["kept"])
    gone.unlink()
    for take in (identity_of, small_film):
        with pytest.raises(OSError, match="No such file"):
            take(gone)
