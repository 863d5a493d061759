"""Folders of files that are there as a whole or not at all."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_folder


def write_tree(out: Path, files: Mapping[str, bytes]) -> None:
    """Write files, each by its path below `out`, beside it; then move the folder to its place.

    Raises:
        UsageError: `out` exists; what a server may be reading is not changed under its hands.
    """
    if out.exists():
        raise UsageError(f"{out.name} exists: give a new folder for OUT, or remove the old one first")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=out.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        for name, data in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(data)
        replace_folder(made, out, Path(scratch) / "old")
