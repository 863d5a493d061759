from pathlib import Path

import pytest

from bmd_edge.system.places import engine_cache


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engine_cache() == tmp_path / "bmd-edge" / "tensorrt"
