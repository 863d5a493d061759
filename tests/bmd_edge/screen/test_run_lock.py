"""One run at a time, and on a local disk only."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.screen import run_lock
from bmd_edge.screen.run_lock import check_local, file_system, hold
from tests.bmd_edge.screen.screened import names_read


def test_a_second_run_is_refused_and_names_the_first(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with hold(out), pytest.raises(UsageError, match=rf"process {os.getpid()}\)"):
        names_read(folder, out)
    assert names_read(folder, out)[0].films["read"] == 3


def test_the_command_ends_with_2_while_another_process_holds_the_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = "import sys, time; from pathlib import Path; from bmd_edge.screen.run_lock import hold\n"
    code += "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    command = [sys.executable, "-m", "bmd_edge.cli.main", "screen", folder, "--out", out, "--threads", "1"]
    with subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"another run (process {holder.pid}) writes to this --out" in done.stderr
        assert not (out / "ledger.sqlite").exists()
        holder.kill()  # the lock goes with the process, however it ends
    assert names_read(folder, out)[0].films["read"] == 3


MOUNTS = """\
22 1 0:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:2 / /srv rw shared:1 - xfs /dev/vdb rw
31 30 0:3 / /srv/films\\040and\\040more ro,nosuid - nfs4 server:/films rw,vers=4.2
32 22 0:4 / /mnt/pacs rw - cifs //pacs/films rw
33 22 0:5 / /mnt/both rw - ext4 /dev/vdc rw
34 22 0:6 / /mnt/both rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/x", "ext4"), ("/srv/films and more/a/b", "nfs4"), ("/srv/filmsx", "xfs"), ("/mnt/pacs", "cifs"),
     ("/mnt/both/x", "fuse.sshfs")],
)  # fmt: skip
def test_file_systems_are_told_apart(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_results_on_a_network_file_system_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = file_system(tmp_path, Path("/proc/self/mountinfo").read_text())
    assert re.fullmatch("[a-z0-9.]+", kind or "")
    check_local(tmp_path)
    monkeypatch.setattr(run_lock, "NETWORK_FILE_SYSTEMS", {kind})
    with pytest.raises(UsageError, match=rf"network file system \({kind}\): give a folder on a disk"):
        names_read(folder, tmp_path / "out")
