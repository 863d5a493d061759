"""A disk whose power can be cut: what a program did not sync is gone.

The disk is an ext4 file system in a file, mounted through a loop device. Unsynced data waits in the kernel's memory, so
a copy of that file holds what the disk would hold after a power cut at that moment. While programs go on writing, only
a copy that is made at once is such a moment: on a file system that shares blocks between files, XFS here.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SIZE_BYTES = 64 << 20
_AROUND = 32
"""How many disks the file system around a busy one has room for."""


@dataclass(frozen=True)
class Disk:
    """A mounted disk: `folder` is where programs write, `image` what the disk itself holds."""

    image: Path
    folder: Path

    def cut(self, name: str) -> Path:
        """The power goes now, for a copy of the disk; the disk itself goes on."""
        copy = self.image.with_name(f"{name}.img")
        subprocess.run(["cp", "--reflink=auto", self.image, copy], check=True)
        return copy

    @contextmanager
    def left(self, copy: Path) -> Iterator[Path]:
        """A folder with what a power cut has left; the copy is gone after that."""
        with _mounted(copy, self.image.with_name("left")) as left:
            yield left
        copy.unlink()

    @contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Yield a folder with what would be left if the power went now; the disk itself goes on."""
        with self.left(self.cut("copy")) as left:
            yield left


@contextmanager
def disk(place: Path, *, busy: bool = False, size: int = _SIZE_BYTES) -> Iterator[Disk]:
    """Make a disk in the empty folder `place`; skips the test where no disk can be made, with the reason.

    A `busy` disk may be written to while its power is cut. `size` is in bytes.
    """
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    if not busy:
        with _ext4(place, size) as made:
            yield made
        return
    with (
        _mounted(
            _image(place / "around.img", _AROUND * size, "mkfs.xfs", "-m", "reflink=1"), place / "around"
        ) as around,
        _ext4(around, size) as made,
    ):
        yield made


@contextmanager
def _ext4(place: Path, size: int) -> Iterator[Disk]:
    image = _image(place / "disk.img", size, "mkfs.ext4")
    # commit: the kernel must not write on its own what the program did not sync.
    with _mounted(image, place / "disk", "commit=600") as folder:
        yield Disk(image, folder)


def _image(path: Path, size: int, *mkfs: str) -> Path:
    if missing := [name for name in (mkfs[0], "mount", "umount") if not shutil.which(name)]:
        pytest.skip(f"{missing[0]} is not installed")
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run([*mkfs, "-q", path], check=True)
    return path


@contextmanager
def _mounted(image: Path, folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-o", ",".join(["loop", *options]), image, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no loop device: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    """The loop device of a disk inside is let go a moment after that was unmounted."""
    end = time.monotonic() + 60
    while (done := subprocess.run(["umount", folder], capture_output=True)).returncode and time.monotonic() < end:
        time.sleep(0.2)
    done.check_returncode()
