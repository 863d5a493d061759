"""A disk whose power can be cut: what a program did not sync is gone.

The disk is an ext4 file system in a file, mounted through a loop device. Unsynced data waits in the kernel's memory, so
a copy of that file holds what the disk would hold after a power cut at that moment.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SIZE_BYTES = 64 << 20


@dataclass(frozen=True)
class Disk:
    """A mounted disk: `folder` is where programs write, `image` what the disk itself holds."""

    image: Path
    folder: Path

    @contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Yield a folder with what would be left if the power went now; the disk itself goes on."""
        copy = self.image.with_name("copy.img")
        shutil.copyfile(self.image, copy)
        with _mounted(copy, self.image.with_name("left")) as left:
            yield left


@contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """Make a disk in the empty folder `place`; skips the test where no disk can be made, with the reason."""
    if missing := [name for name in ("mkfs.ext4", "mount", "umount") if not shutil.which(name)]:
        pytest.skip(f"{missing[0]} is not installed")
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    image = place / "disk.img"
    with image.open("wb") as file:
        file.truncate(_SIZE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    with _mounted(image, place / "disk") as folder:
        yield Disk(image, folder)


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    # commit: the kernel must not write on its own what the program did not sync.
    command = ["mount", "-o", "loop,commit=600", image, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no loop device: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
