"""One run at a time, and on a local disk only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.screen.run_lock import LOCAL_FILE_SYSTEMS, check_local, file_system, hold
from tests.bmd_edge.screen.mounts import private
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


MOUNTS = b"""\
22 1 0:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:2 / /srv rw shared:1 - xfs /dev/vdb rw
31 30 0:3 / /srv/films\\040and\\040more ro,nosuid - nfs4 server:/films rw,vers=4.2
32 22 0:4 / /mnt/pacs rw - cifs //pacs/films rw
33 22 0:5 / /mnt/both rw - ext4 /dev/vdc rw
34 22 0:6 / /mnt/both rw - fuse.sshfs host: rw
35 22 0:7 / /mnt/R\xc3\xb6ntgen rw - cifs //nas/x rw
36 22 0:8 / /mnt/R\xf6ntgen rw - 9p host rw
37 22 0:9 / /mnt/a\\134040b rw - virtiofs host rw
38 22 0:9 / /mnt/no\xc2\xa0break\xe2\x80\xa8line rw - fuse.rclone host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [(b"/home/x", "ext4"), (b"/srv/films and more/a/b", "nfs4"), (b"/srv/filmsx", "xfs"), (b"/mnt/pacs", "cifs"),
     (b"/mnt/both/x", "fuse.sshfs"),
     ("/mnt/Röntgen/out".encode(), "cifs"), ("/mnt/Röntgen/out".encode("latin-1"), "9p"),
     (b"/mnt/a\\040b/out", "virtiofs"), ("/mnt/no\xa0break\u2028line/x".encode(), "fuse.rclone"), (b"/mnt/R", "ext4")],
)  # fmt: skip
def test_file_systems_are_told_apart(path: bytes, kind: str) -> None:
    assert file_system(Path(os.fsdecode(path)), MOUNTS) == kind


def test_where_no_mount_is_known_nothing_is_said() -> None:
    assert file_system(Path("/x"), b"") is None


def screened_on(kind: str, folder: Path, out: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Screen into `out` as if it were on a file system of this kind, beside a mount point that is no UTF-8."""
    table = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:9 / /mnt/\xff\xfe rw - cifs //nas/y rw\n"
    table += b"40 22 0:50 / %b rw - %b //nas/x rw\n" % (os.fsencode(out.parent), kind.encode())
    (tmp_path / "mountinfo").write_bytes(table)
    command = [sys.executable, "-m", "bmd_edge.cli.main", "screen", folder, "--out", out, "--threads", "1"]
    return private('mount --bind "$1" /proc/$$/mountinfo; shift; exec "$@"', tmp_path / "mountinfo", *command)


@pytest.mark.parametrize("kind", ["9p", "fuse.gvfsd-fuse", "vboxsf", "fuse.vmhgfs-fuse", "davfs", "of tomorrow"])
@pytest.mark.parametrize("name", ["Xray", "Röntgen"])
def test_results_elsewhere_than_on_a_disk_of_this_machine_are_refused(
    kind: str, name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / name / "out"
    table = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:9 / /mnt/\xff\xfe rw - cifs //nas/y rw\n"
    table += b"40 22 0:50 / %b rw - %b //nas/x rw\n" % (os.fsencode(out.parent), kind.split()[0].encode())
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: table if path.name == "mountinfo" else read(path))
    with pytest.raises(UsageError, match=rf"network file system \({kind.split()[0]}\): give a folder on a disk"):
        names_read(folder, out)
    assert not (out / "ledger.sqlite").exists()
    assert names_read(folder, tmp_path / "out")[0].films["read"] == 3


def test_the_command_refuses_a_share_with_an_umlaut_and_takes_a_disk(folder: Path, tmp_path: Path) -> None:
    said = {}
    for kind in ("cifs", "ext4"):
        out = tmp_path / f"Röntgen {kind}".replace(" ", "") / "out"
        out.mkdir(parents=True)
        said[kind] = screened_on(kind, folder, out, tmp_path)
    assert (said["cifs"].returncode, "network file system (cifs)" in said["cifs"].stderr) == (2, True)
    assert said["ext4"].returncode == 3, said["ext4"].stderr


def test_this_machines_disk_is_one(tmp_path: Path) -> None:
    assert file_system(tmp_path, Path("/proc/self/mountinfo").read_bytes()) in LOCAL_FILE_SYSTEMS
    check_local(tmp_path)
