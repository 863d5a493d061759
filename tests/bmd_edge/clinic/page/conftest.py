"""One day of films for all tests that only look at it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from tests.support.clinic import free_port
from tests.support.clinic.films_of_a_day import films_of_a_day


@pytest.fixture(scope="session")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, str]]:
    return films_of_a_day(tmp_path_factory.mktemp("day"))


@pytest.fixture
def keys(first_day: tuple[Config, dict[str, str]]) -> dict[str, str]:
    """The films' ids by their names."""
    return first_day[1]


@pytest.fixture
def config(first_day: tuple[Config, dict[str, str]], tmp_path: Path) -> Config:
    """A copy of that day's box, for a test to do with what it wants."""
    made = first_day[0]
    shutil.copytree(made.root, tmp_path / "root")
    page = replace(made.page, bind=f"127.0.0.1:{free_port()}")
    return replace(made, box=replace(made.box, root=str(tmp_path / "root")), page=page)


@pytest.fixture
def journal(config: Config) -> Iterator[Journal]:
    with Journal(config.root) as opened:
        with opened.change() as db:  # however long ago the day was made, it was sent just now
            db.execute("UPDATE delivery SET since = ?", (opened.clock(),))
        yield opened
