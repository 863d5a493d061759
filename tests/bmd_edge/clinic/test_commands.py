"""The commands of the back half: what they print and how they end; those of the setup stand in tests of the setup."""

import subprocess
import sys
from pathlib import Path

from bmd_edge.clinic.journal.store import Journal
from tests.bmd_edge.clinic.delivery.archives import Archive
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.support.screening import hip_dicom


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bmd_edge", "clinic", *map(str, words)], capture_output=True, text=True, timeout=120
    )


def test_the_commands_print_and_end_as_they_say(tmp_path: Path) -> None:
    config = box(tmp_path, Archive(11112).lines())
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R"))
    done = run("results", "--config", config.path)
    assert (done.returncode, done.stdout.count("waiting")) == (0, 1)
    assert "Research use only" in done.stderr
    quiet = run("send", "--config", config.path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr.strip()) == (0, "", "Nothing hangs.")
    held = run("send", "--held", "--dry-run", "--config", config.path)
    assert (held.returncode, held.stderr.strip()) == (0, "0 objects would be sent again.")
    wrong = run("send", "--film", "zz", "--config", config.path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("bmd-edge: 0 films")


def test_a_backup_is_made_and_restored_by_command(tmp_path: Path) -> None:
    config = box(tmp_path)
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R"))
    made = run("backup", tmp_path / "backup", "--config", config.path)
    assert (made.returncode, made.stdout) == (0, "")
    assert "1 new films and objects" in made.stderr
    again = run("restore", tmp_path / "backup", "--config", config.path)
    assert (again.returncode, again.stdout) == (0, "")
    assert "Start the services" in again.stderr
    wrong = run("restore", tmp_path, "--config", config.path)
    assert (wrong.returncode, wrong.stderr.startswith("bmd-edge: that folder holds no backup")) == (2, True)
