"""A box with results in its outbox, made once and copied for each test."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery import deliver as deliver_module
from bmd_edge.clinic.delivery.commitment import Reports, listening
from bmd_edge.clinic.delivery.deliver import deliver
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.films import ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.reading.reader import Result, ResultJob
from bmd_edge.clinic.reading.work import _keep
from tests.bmd_edge.clinic.delivery.archives import data_set
from tests.bmd_edge.clinic.reading.readers import box, drawn_reader, put
from tests.support.screening import hip_dicom


@pytest.fixture(scope="session")
def full_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a box with two films, one of them refused, and their four objects."""
    config = box(tmp_path_factory.mktemp("full"))
    with Journal(config.root) as journal, drawn_reader() as reader:
        put(config, journal, hip_dicom("R"), hip_dicom("R", implant="R"))
        while film := films.start(journal, "b"):
            path = str(films.film_path(config.root, film.film_key)).encode()
            job = ResultJob(path, f"{film.film_key}.dcm", received_at=film.received_at)
            ((_, result),) = reader.examine([job])
            assert isinstance(result, Result)
            _keep(config, journal, film, result)
    return config.root


class Served:
    """A box whose deliveries run while `delivering` lasts."""

    def __init__(self, config: Config, journal: Journal) -> None:
        self.config, self.journal = config, journal

    @property
    def objects(self) -> list[ObjectRow]:
        rows = self.journal.rows("SELECT film_key FROM film ORDER BY n")
        return [one for row in rows for one in films.objects_of(self.journal, row["film_key"])]

    def made(self) -> dict[str, str]:
        """UID -> SHA-256 of the data set that was made."""
        root = self.config.root
        return {one.uid: hashlib.sha256(data_set((root / one.path).read_bytes())).hexdigest() for one in self.objects}

    def states(self) -> dict[str, int]:
        """How many deliveries are in which state, with the reason and the archive's status."""
        query = "SELECT state || ' ' || reason || ' ' || last_status AS said, COUNT(*) AS n FROM delivery GROUP BY said"
        return {" ".join(row["said"].split()): row["n"] for row in self.journal.rows(query)}

    @contextmanager
    def delivering(self, name: str = "main") -> Iterator[None]:
        stop, failed, reports = Event(), [], Reports(self.journal)

        def run() -> None:
            try:
                deliver(self.config, self.journal, name, stop, reports)
            except BaseException as error:  # noqa: BLE001 - seen by the test below
                failed.append(error)

        with listening(self.config, reports):
            thread = Thread(target=run)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(60)
        assert not failed
        assert not thread.is_alive()

    def until(self, wanted: Callable[[dict[str, int]], Any], seconds: float = 60.0) -> dict[str, int]:
        """Wait until the states are as `wanted`."""
        wait = Event()
        for _ in range(int(seconds / 0.05)):
            if wanted(found := self.states()):
                return found
            wait.wait(0.05)
        raise AssertionError(self.states())


def all_sent(states: dict[str, int]) -> bool:
    """Whether the four objects are there."""
    return sum(n for said, n in states.items() if said.startswith(("sent", "committed"))) == 4


@pytest.fixture
def served(full_root: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Opens a copy of the full box with these lines at the end of its clinic.toml."""
    opened: list[Journal] = []

    def make(lines: str, **settings: Any) -> Served:
        config = box(tmp_path, lines, **settings)
        shutil.copytree(full_root, config.root, dirs_exist_ok=True)
        opened.append(Journal(config.root))
        return Served(config, opened[-1])

    yield make
    for journal in opened:
        journal.close()


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried soon."""
    monkeypatch.setattr(deliver_module, "delay_s", lambda tries: 0.3 * tries)
