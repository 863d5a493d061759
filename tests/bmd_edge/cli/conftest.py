"""A bundle, a folder of films, and the program inside this process."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from bmd_edge.cli import main
from tests.support.bundles import tiny_bundle
from tests.support.screening import drawn_screener, hip_dicom


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").root


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "right.dcm").write_bytes(hip_dicom("R"))
    (folder / "pelvis.dcm").write_bytes(hip_dicom("RL", bone=2100))
    return folder


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run the program in this process, reading drawn films: returns exit code, stdout, stderr."""
    import_module("bmd_edge.screen.run")  # whose annotations need the real one
    monkeypatch.setattr("bmd_edge.screen.workers.Crew", lambda *_: drawn_screener())

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bmd-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        streams = capfd.readouterr()
        return end.value.code or 0, streams.out, streams.err

    return call
