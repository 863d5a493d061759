"""What `doctor` says of this machine, and how it ends when something is wrong."""

import re
import sys
from pathlib import Path

import pytest

from bmd_edge.cli import main
from bmd_edge.errors import EngineError
from bmd_edge.pixels import jpeg
from tests.bmd_edge.cli.program import program


def test_doctor(bundle: Path) -> None:
    done = program("doctor", bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "python",
        "onnxruntime",
        "JPEG 2000",
        "1.2.840.10008.1.2.4.90",
        "self-test of bmd, int8",
        "all files verified",
    ):
        assert said in done.stdout
    assert "FAIL" not in done.stdout


def test_doctor_names_a_failed_self_test(bundle: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_bundle: object, model: str, _engine: object) -> dict[str, float]:
        raise EngineError(f"{model} is off by 1")

    monkeypatch.setattr("bmd_edge.cli.doctor.self_test", fail)
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    assert re.search("FAIL +self-test of finder, fp32 +finder is off by 1", capsys.readouterr().out)


def test_doctor_tests_the_decoders(bundle: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    good = jpeg._DECODERS["jpeg_ls"]
    monkeypatch.setitem(jpeg._DECODERS, "jpeg_ls", lambda data: good(data) + 1)
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    said = capsys.readouterr().out
    assert re.search("FAIL +reads JPEG-LS Lossless +decodes wrongly: pip install", said)
    assert re.search("ok +reads JPEG 2000 Lossless", said)


@pytest.mark.parametrize(
    ("wheels", "said"), [([], "onnxruntime is not installed"), (["onnxruntime", "onnxruntime-gpu"], "both")]
)
def test_doctor_names_a_missing_or_doubled_engine(bundle: Path, capsys, monkeypatch, wheels, said) -> None:
    monkeypatch.setattr("bmd_edge.cli.doctor.versions", lambda: dict.fromkeys(wheels, "1"))
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("machine", "said"),
    [("x86_64", "x86_64"), ("aarch64", "aarch64, tried under an emulator only"), ("riscv64", "riscv64, never tried")],
)
def test_doctor_says_what_is_known_of_the_processor(bundle: Path, capsys, monkeypatch, machine: str, said: str) -> None:
    monkeypatch.setattr("bmd_edge.cli.doctor.platform.machine", lambda: machine)
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert not end.value.code
    assert re.search(f"^ok +processor +{said}", capsys.readouterr().out, re.MULTILINE)
