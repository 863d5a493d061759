"""`bmd-edge clinic init`: a folder for `clinic.toml` and what follows from it, and the box's own folder."""

import os
from pathlib import Path

from bmd_edge.clinic.config import NAME, Config, read_config
from bmd_edge.clinic.journal.films import OUTBOX, SPOOL
from bmd_edge.clinic.setup.derived import derived
from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_bytes

_FOLDERS = (SPOOL, OUTBOX, "log", "nginx", "tls")


def write_config(folder: Path, text: str) -> Config:
    """Write a new `clinic.toml`, which others cannot read; UsageError where there is one, or the text is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / NAME
    if path.exists():
        raise UsageError(f"{NAME} is there already: edit it, then run the same command without other options")
    replace_bytes(path, text.encode(), mode=0o640)
    try:
        return read_config(path)
    except UsageError:
        path.unlink()
        raise


def prepare(config: Config) -> list[str]:
    """Make the box's folders, and the derived files beside `clinic.toml`; returns the names of those that are new.

    A file that differs is kept as NAME.before.
    """
    config.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FOLDERS:
        (config.root / name).mkdir(mode=0o700, exist_ok=True)
    changed = []
    for name, text in derived(config).items():
        path = config.path.parent / name
        if path.exists():
            if path.read_text(encoding="utf-8") == text:
                continue
            os.replace(path, path.with_name(f"{name}.before"))
        replace_bytes(path, text.encode(), mode=0o640)
        changed.append(name)
    return changed
