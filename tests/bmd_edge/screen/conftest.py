"""A folder of films and of what is none."""

from pathlib import Path

import pytest

from tests.bmd_edge.screen.screened import three_films
from tests.support.screening import hip_dicom


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    (folder / "sub").mkdir(parents=True)
    (folder / "right.dcm").write_bytes(hip_dicom("R"))
    (folder / "sub" / "pelvis.dcm").write_bytes(hip_dicom("RL", implant="L"))
    (folder / "implant.dcm").write_bytes(hip_dicom("R", implant="R"))
    (folder / "nothing.dcm").write_bytes(hip_dicom(""))
    (folder / "cut.dcm").write_bytes(hip_dicom("R")[:-1000])
    (folder / "empty").write_bytes(b"")
    (folder / "LICENSE.txt").write_text("text")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three_films(tmp_path / "films")
