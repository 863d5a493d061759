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
from tests.bmd_edge.clinic.objects.said import said_of
from tests.support.screening import CANARY, drawn, hip_dicom

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


def damaged(data: bytes) -> list[bytes]:
    """What a disk makes of a file."""
    at = data.index(b"\xe0\x7f\x10\x00OB\0\0") + 8
    shorter = data[:at] + (8).to_bytes(4, "little") + b"\0" * 8
    return [b"", data[:100], data[: len(data) // 2], b"\0" * len(data), shorter]


def test_a_picture_that_a_disk_has_damaged_is_an_oserror(
    config: Config, journal: Journal, keys: dict[str, str], tmp_path: Path
) -> None:
    whole = picture(config, journal, keys["kept"]).read_bytes()
    for n, data in enumerate(damaged(whole)):
        path = tmp_path / f"{n}.dcm"
        path.write_bytes(data)
        with pytest.raises(OSError, match="is not the picture that was made"):
            small_film(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
def test_a_name_of_thousands_of_letters_is_shown_shortened(tmp_path: Path) -> None:
    made = said_of(hip_dicom("R", PatientName="N" * 10_000, AccessionNumber="A" * 10_000))[1]["sc"]
    (tmp_path / "long.dcm").write_bytes(made.data)
    said = identity_of(tmp_path / "long.dcm")
    assert (said.name, said.accession) == (f"{'N' * 100}…", f"{'A' * 100}…")


def test_a_picture_that_was_moved_away_is_an_oserror(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    gone = picture(config, journal, keys["kept"])
    gone.unlink()
    for take in (identity_of, small_film):
        with pytest.raises(OSError, match="No such file"):
            take(gone)
