"""A box with one unit, XRAY1 on this machine, and its journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return clinic.box(tmp_path)


@pytest.fixture
def journal(config: Config) -> Iterator[Journal]:
    with Journal(config.root) as opened:
        yield opened
