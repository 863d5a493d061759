"""The user's folders (XDG Base Directory Specification)."""

import os
from pathlib import Path


def engine_cache() -> Path:
    """The user's folder for compiled engines (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bmd-edge" / "tensorrt"


def configuration() -> Path:
    """The user's folder for what is to be kept."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "bmd-edge"


def phantom_cache() -> Path:
    """The phantom's place in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bmd-edge" / "phantom"
