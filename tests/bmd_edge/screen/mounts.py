"""Mounts that only one command sees: nothing of the machine is changed."""

import shutil
import subprocess
from pathlib import Path

import pytest

READ_ONLY = (
    'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && ! touch "$1/x" 2> /dev/null && shift && exec "$@"'
)


def private(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script with `words` as its arguments, in a mount namespace of its own; skips where there is none."""
    namespace = ["unshare", "-rm"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives nobody mounts of his own")
    command = [*namespace, "bash", "-c", script, "bash", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def read_only(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command for which nothing in `folder` can be written."""
    return private(READ_ONLY, folder, *command)
