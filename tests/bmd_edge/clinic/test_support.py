"""What `bmd-edge support` writes: enough to mend a fault, and nothing of a patient."""

import shutil
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.support import LEFT_OUT, support_text
from bmd_edge.errors import UsageError
from bmd_edge.screen.run import screen_folder
from bmd_edge.system.check import Check
from tests.bmd_edge.cli.program import program
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support.screening import drawn_screener, hip_dicom

CHECKS = [Check(True, "numpy", "2.1"), Check(False, "bundle", "is missing")]
OF_PATIENTS = {
    "PatientName": "CANARY^Grace^M", "PatientID": "CANARY-4711", "PatientBirthDate": "19510317",
    "AccessionNumber": "ACC99CANARY", "PatientAge": "071Y",
}  # fmt: skip
SECRETS = ("canary", "grace", "4711", "19510317", "acc99")


@pytest.fixture
def day(tmp_path: Path) -> tuple[Config, Path]:
    """A box that has read two films and refused one, whose logs quote patients as none should, and a folder."""
    more = """# of Mrs CANARY
[pacs.web]
kind = "stow"
url = "https://pacs.clinic/dicom-web"
"""
    config = box(tmp_path / "box", more)
    with Journal(config.root) as journal:
        put(
            config,
            journal,
            *(hip_dicom(side, **OF_PATIENTS) for side in "RL"),
            hip_dicom("R", implant="R", **OF_PATIENTS),
        )
        read_all(config, journal)
        assert {film.state for film in films.films_since(journal, 0)} == {"ready"}
    log = config.root / "log"
    log.mkdir(exist_ok=True)
    (log / "orthanc.log").write_text(
        "W0517 a line\nE0517 Bad patient CANARY^Grace^M (4711) of 19510317\nE0517 acc99canary\n"
    )
    (log / "nginx.log").write_bytes(b"dicom 10.0.0.1 SUCCESS 200 -\nstow \xff\x1b[31m\n")
    folder = tmp_path / "CANARY"
    folder.mkdir()
    (folder / "CANARY_Grace.dcm").write_bytes(hip_dicom("R", **OF_PATIENTS))
    (folder / "text.dcm").write_text("CANARY")
    with drawn_screener() as screener:
        screen_folder(screener, folder, tmp_path / "out")
    return config, tmp_path / "out"


def test_the_text_holds_nothing_of_a_patient(day: tuple[Config, Path]) -> None:
    config, out = day
    text = "\n".join(support_text(CHECKS, out, config.path))
    assert not [secret for secret in SECRETS if secret in text.lower()]
    assert text.count(LEFT_OUT) == 2
    assert '"patient_key"' not in text


UTF8 = "ISO_IR 192"


@pytest.mark.parametrize(
    ("header", "quoted"),
    [
        ({"PatientName": "Li^Wu"}, b"E0517 Li^Wu came"),
        ({"PatientName": "NGUYEN_ANNA"}, b"E0517 Nguyen, Anna"),
        ({"SpecificCharacterSet": UTF8, "PatientName": "山田^太郎"}, "E0517 患者山田です".encode()),
        ({"SpecificCharacterSet": UTF8, "PatientName": "林"}, "E0517 林".encode()),
        ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "MÜLLER"}, "E0517 Müller".encode()),
        ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "MÜLLER"}, "E0517 MÜLLER".encode("latin-1")),
        ({"OtherPatientNames": "MAIDEN^NAME"}, b"E0517 maiden"),
        ({"ReferringPhysicianName": "DRHOUSE"}, b"E0517 DRHOUSE"),
    ],
)
def test_a_name_is_known_in_every_script_and_spelling(header: dict[str, str], quoted: bytes, tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R", **header))
    (config.root / "log" / "orthanc.log").write_bytes(b"W0517 a line, 12:34\n" + quoted + b"\nW0517 in the end\n")
    lines = list(support_text([], None, config.path))
    assert lines[-3:] == ["W0517 a line, 12:34", LEFT_OUT, "W0517 in the end"]


def test_an_id_of_digits_leaves_the_time_of_day_alone(tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R", PatientID="12-34", AccessionNumber="7"))
    (config.root / "log" / "orthanc.log").write_bytes(b"12:34 of 7\n")
    assert list(support_text([], None, config.path))[-1] == "12:34 of 7"


def test_the_text_says_what_somebody_needs_who_mends_a_fault(day: tuple[Config, Path]) -> None:
    config, out = day
    lines = list(support_text(CHECKS, out, config.path))
    text = "\n".join(lines)
    assert "research use only" in lines[0]
    assert "FAIL  bundle" in text
    assert 'film_reasons = {"not_dicom": 1}' in text
    assert '"numpy": ' in text
    assert '"ae_title": "XRAY1"' in text
    assert "https://pacs.clinic/dicom-web" in text
    assert "film: state ready, reason , door dicom, unit xray1, syntax 1.2.840.10008.1.2.1, n 2" in text
    assert "film: state ready, reason implant, door dicom" in text
    assert "film_ready" in text
    assert "W0517 a line" in text
    assert "dicom 10.0.0.1 SUCCESS 200 -" in text


def test_the_command_writes_a_text_that_cannot_harm_a_terminal(day: tuple[Config, Path], tmp_path: Path) -> None:
    config, out = day
    written = tmp_path / "support.txt"
    done = program("support", "--out", written, "--results", out, "--config", config.path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("Read it before you send it.\n")
    text = written.read_text(encoding="utf-8")
    assert not [secret for secret in SECRETS if secret in (text + done.stderr + done.stdout).lower()]
    assert "self-test of bmd, int8" in text
    assert "\x1b" not in text


def test_without_a_box_or_results_it_says_what_the_machine_is() -> None:
    text = "\n".join(support_text(CHECKS, None, None))
    assert "== doctor" in text
    assert "==" not in text.split("== doctor")[1]


def test_a_folder_that_holds_no_results_is_told(day: tuple[Config, Path], tmp_path: Path) -> None:
    _, out = day
    shutil.copytree(out, tmp_path / "other")
    for content in (None, "{", "[]"):
        (tmp_path / "other" / "run.json").unlink() if content is None else (tmp_path / "other" / "run.json").write_text(
            content
        )
        with pytest.raises(UsageError, match="--results"):
            list(support_text(CHECKS, tmp_path / "other", None))
