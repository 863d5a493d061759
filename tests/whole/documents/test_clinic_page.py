"""What the clinic box's page shows is run: its steps in a folder, its commands on a box; its settings are read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config, read_config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.backup import back_up
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support.screening import hip_dicom

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "bmd_edge" / "clinic" / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
PROGRAM = "/opt/bmd-edge/venv/bin/bmd-edge"
MAY_FAIL = ("room", "Debian's")
"""What doctor says of the machine itself."""


def steps() -> list[str]:
    """What stands in blocks behind the prompt of root, each command in a line of its own."""
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    return [one.replace("\\\n", "") for one in re.findall(r"^# ((?:.*\\\n)*.*)$", blocks, re.MULTILINE)]


def inside(step: str, place: Path) -> str:
    """A step with the folders of a machine inside `place`, run by whoever runs this, without systemd."""
    step = step.partition(" && systemctl")[0].replace("runuser -u bmd-edge -- ", "")
    step = step.replace(PROGRAM, f"{sys.executable} -m bmd_edge.cli.main")
    step = re.sub(r"(clinic init /etc/bmd-edge)(?= )", rf"\1 --root {place}/var/lib/bmd-edge", step)
    return re.sub(r"(?<![\w/])/etc/", f"{place}/etc/", step)


def test_the_steps_make_a_box_and_doctor_says_what_does_not_run(tmp_path: Path) -> None:
    for name in ("etc/systemd/system", "etc/logrotate.d", "var/lib"):
        (tmp_path / name).mkdir(parents=True)
    said, ran = {}, [step for step in steps() if PROGRAM in step or step.startswith("cp /etc/bmd-edge/")]
    assert sum(PROGRAM in step for step in ran) >= 3
    for step in ran:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        command = ["bash", "-c", inside(step, tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == (4 if step.endswith("doctor") else 0), (step, done.stderr)
        said[step.rpartition("clinic ")[2]] = done.stdout
    failed = set(re.findall(r"^FAIL  (\S+)", said["doctor"], re.MULTILINE))
    assert failed <= {"C-STORE", "archive", "page", *MAY_FAIL}, said["doctor"]  # nothing runs here
    assert sorted(path.name for path in (tmp_path / "etc/systemd/system").iterdir()) == [
        f"bmd-edge-{name}.service" for name in ("nginx", "orthanc", "serve")
    ]
    assert read_config(tmp_path / "etc/bmd-edge/clinic.toml").approval == "EK 2026-117"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A box that has read one film, and a backup beside it."""
    config = box(tmp_path_factory.mktemp("full"), 'pacs.main = { kind = "stow", url = "http://127.0.0.1:9/x" }')
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R"))
        read_all(config, journal)
    back_up(config, config.root.with_name("backup"))
    return config


SHOWN = sorted({one for one in re.findall(r"`(bmd-edge clinic [^`\n]+)`", PROSE) if "`" not in one})
RUN_ON = {"serve", "watch", "init"}
"""Those that run until they are ended, or that the steps run."""


@pytest.mark.parametrize("command", SHOWN)
def test_the_commands_that_it_names_do_something_on_a_box(full: Config, command: str) -> None:
    words = command.split()[2:]
    if words[0] in RUN_ON:
        pytest.skip("runs on, or is run above")
    with Journal(full.root) as journal:
        film = films.films_since(journal, 0)[0].film_key
    words = [{"ID": film[:16], "DIR": str(full.root.with_name("backup"))}.get(one, one) for one in words]
    run = [sys.executable, "-m", "bmd_edge.cli.main", "clinic", *words, "--config", str(full.path)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode in (0, 3, 4), done.stderr
    assert done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_settings_that_it_names_are_read(tmp_path: Path) -> None:
    shown = [one for one in re.findall(r"`([\w.]+ = [^`]+)`", PROSE)]
    assert len(shown) >= 8
    for one in shown:
        name = one.partition(" ")[0]
        line = (
            one.replace("NAME", "other").replace("https://...", "https://archive.clinic/x").replace('"..."', '"EK 1"')
        )
        lines = {
            "objects": f'pacs.main = {{ kind = "stow", url = "https://pacs.clinic/x", {line} }}',
            "tls": f'pacs.main = {{ kind = "dicom", ae_title = "PACS", host = "10.30.0.2", {line} }}',
            "commit": f'pacs.main = {{ kind = "dicom", ae_title = "PACS", host = "10.30.0.2", {line} }}',
            "test": f'pacs.main = {{ kind = "stow", url = "http://127.0.0.1/x", {line} }}',
            "vlan": f'door = {{ dicom = "10.20.0.5:4242", {line} }}',
            "names": f'page = {{ bind = "127.0.0.1:8080", {line} }}',
            "box": "",
        }
        more = re.sub(r"box = \{ \.\.\.|\}", "", line) if name == "box" else ""
        head = f'box = {{ root = "/var/lib/bmd-edge"{more} }}'
        unit = 'units.xray1 = { ae_title = "XRAY1", host = "10.20.0.11" }'
        path = tmp_path / "clinic.toml"
        path.write_text(f"{head}\n{unit}\n{lines.get(name, line)}\n", encoding="utf-8")
        path.chmod(0o600)
        assert read_config(path), one
