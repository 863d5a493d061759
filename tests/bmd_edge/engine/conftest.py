"""What tests of engines share."""

from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.engine_files import EngineCache
from tests.support.bundles import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")
