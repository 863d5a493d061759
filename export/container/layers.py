"""The container's layers in a folder, without a container: `python -m export.container.layers OUT [--extra EXTRA]`.

The build stage's own RUN lines are run as they stand, in bubblewrap, on this machine's system in place of the base
image; /opt lies in OUT. What a build stage needs is then there, and `shut_in` runs a command as the finished container
does: no network, nothing to be written but its own places, an unprivileged user. It proves the lines, not the image.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINERFILE = Path(__file__).with_name("Containerfile")
INSTALLED = "opt/bmd-edge"


def read_stage(text: str, stage_number: int) -> tuple[dict[str, str], list[str]]:
    """Environment (ENV and ARG) and commands (RUN) of a stage of a Containerfile: 1 builds, 2 is the container."""
    stage = re.split(r"^FROM .*$", text, flags=re.MULTILINE)[stage_number]
    settings = dict(
        word.split("=", 1)
        for line in re.findall(r"^(?:ENV|ARG) (.+)$", stage, re.MULTILINE)
        for word in shlex.split(line)
    )
    return settings, re.findall(r"^RUN (.+)$", stage, re.MULTILINE)


def build(out: Path, extra: str = "cpu") -> None:
    """Make the new folder `out`: the checkout's files in opt/src, and what the build stage makes beside them.

    Raises:
        CalledProcessError: a command of the Containerfile failed.
        FileExistsError: `out` is there.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (out / "opt/src" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, out / "opt/src" / name)
    settings, commands = read_stage(CONTAINERFILE.read_text(encoding="utf-8"), 1)
    place = [
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--bind",
        out / "opt",
        "/opt",
    ]
    for command in commands:
        words = ["bwrap", *map(str, place), "--chdir", "/opt/src", "/bin/sh", "-ec", command]
        subprocess.run(words, env=os.environ | settings | {"EXTRA": extra}, check=True)


def shut_in(out: Path, command: Sequence[str], places: Mapping[str, Path]) -> subprocess.CompletedProcess[str]:
    """Run a command of the installed environment as the finished container does, in the environment that it states.

    `places` is path inside -> folder of this machine; these and a /tmp of its own may be written, and nothing else.
    """
    own = ("dev", "proc", "tmp", "opt", *(inside.split("/")[1] for inside in places))
    system = [f"/{name}" for name in sorted(os.listdir("/")) if name not in own]
    words = ["--tmpfs", "/", *(word for path in system for word in ("--ro-bind", path, path))]
    words += ["--ro-bind", str(out / INSTALLED), f"/{INSTALLED}", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]
    words += [str(word) for inside, folder in places.items() for word in ("--bind", folder, inside)]
    words += ["--remount-ro", "/", "--unshare-all", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL"]
    words += ["--chdir", "/tmp", "--clearenv"]
    settings, _ = read_stage(CONTAINERFILE.read_text(encoding="utf-8"), 2)
    for name, value in settings.items():
        words += ["--setenv", name, value.replace("$PATH", "/usr/bin:/bin")]
    return subprocess.run(["bwrap", *words, "--", *command], capture_output=True, text=True, check=False)


def digest(folder: Path) -> str:
    """SHA-256 over names, modes, links and bytes of a folder: equal for equal layers, whatever their times."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        whole.update(f"{path.relative_to(folder)}\0{facts.st_mode:o}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest()


def main() -> None:
    """Build the layers, and print the digest of what the container would hold."""
    parser = argparse.ArgumentParser(prog="python -m export.container.layers", description=__doc__.split(":")[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--extra", default="cpu", choices=["cpu", "clinic"])
    asked = parser.parse_args()
    if asked.out.exists():
        sys.exit(f"{asked.out} exists: give a new folder")
    if shutil.which("bwrap") is None:
        sys.exit("bwrap is not installed: apt-get install bubblewrap")
    try:
        build(asked.out, asked.extra)
    except subprocess.CalledProcessError as error:
        sys.exit(f"this line of the Containerfile failed with {error.returncode}: {error.cmd[-1]}")
    sys.stdout.write(f"{digest(asked.out / INSTALLED)}  {asked.out / INSTALLED}\n")


if __name__ == "__main__":
    main()
