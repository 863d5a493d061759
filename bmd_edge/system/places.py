"""The user's folders (XDG Base Directory Specification)."""

import os
from pathlib import Path

from bmd_edge.errors import UsageError


def engine_cache() -> Path:
    """The user's folder for compiled engines."""
    return _folder("XDG_CACHE_HOME", ".cache") / "tensorrt"


def configuration() -> Path:
    """The user's folder for what is to be kept."""
    return _folder("XDG_CONFIG_HOME", ".config")


def phantom_cache() -> Path:
    """The phantom's place in the user's cache folder."""
    return _folder("XDG_CACHE_HOME", ".cache") / "phantom"


def _folder(variable: str, below_home: str) -> Path:
    """Raises UsageError for an account without a home, as services and containers have it."""
    if given := os.environ.get(variable):
        return Path(given) / "bmd-edge"
    try:
        return Path.home() / below_home / "bmd-edge"
    except RuntimeError:
        raise UsageError(f"this account has no home folder: set {variable} to a folder that it may write to") from None
