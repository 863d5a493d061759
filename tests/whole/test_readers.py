"""What others have put in a file's place is neither waited for nor followed, through whichever door it is read."""

import ast
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bmd_edge.bundle.manifest import FileFacts
from bmd_edge.bundle.verify import read_verified
from bmd_edge.engine.engine_files import EngineCache, EngineTarget
from bmd_edge.errors import BmdEdgeError, FilmFailed, FilmRefused
from bmd_edge.film.read import name_of, read_film
from bmd_edge.measure.recalibration import open_recalibration
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.system.files import NotRegular, TooLarge, read_file
from tests.support import films
from tests.support.screening import drawn_bundle, drawn_screener

ROOT = Path(__file__).parents[2]
TARGET = EngineTarget("a" * 64, "10.13.2.6", "Test GPU", "8.7", "12.9", "{}")


def film(path: Path) -> None:
    read_film(path)


def screened(path: Path) -> None:
    with drawn_screener() as screener:
        if reason := screener.read(path).reason:
            raise FilmRefused(reason)


def in_a_folder(path: Path) -> None:
    with drawn_screener() as screener:
        ((_, outcome),) = screener.examine([FilmJob(os.fsencode(path), path.name)])
        if outcome.report.reason:
            raise FilmRefused(outcome.report.reason)


def member(path: Path) -> None:
    data = films.dicom_bytes()
    read_verified(path, {path.name: FileFacts(len(data), hashlib.sha256(data).hexdigest())})


def timing(path: Path) -> None:
    cache = EngineCache(path.parent)
    os.symlink(path, path.parent / f"{TARGET.machine_key[:16]}.timing")
    cache.timing(TARGET)


def key(path: Path) -> None:
    cache = EngineCache(path.parent)
    path.rename(path.parent / "key")
    cache._key()


def recalibration(path: Path) -> None:
    open_recalibration(path, drawn_bundle())


THINGS: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "circle": lambda path: path.symlink_to(path),
}


@pytest.mark.timeout(60)  # a reader that waits for a pipe's writer waits for ever
@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(
    ("door", "says"),
    [
        (film, "not_a_regular_file"),
        (screened, "not_a_regular_file"),
        (member, "thing is not a regular file"),
        (key, "not this user's alone"),
        (recalibration, "thing is not a regular file"),
    ],
)
def test_what_is_no_file_is_neither_read_nor_waited_for(
    door: Callable[[Path], None], says: str, thing: str, tmp_path: Path
) -> None:
    THINGS[thing](tmp_path / "thing")
    with pytest.raises(BmdEdgeError, match=says):
        door(tmp_path / "thing")


@pytest.mark.parametrize(
    ("door", "says"),
    [
        (in_a_folder, "not_a_regular_file"),
        (member, "link is not a regular file"),
        (timing, "not a compiled engine's"),
        (key, "not this user's alone"),
    ],
)
def test_a_link_is_not_followed(door: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(films.dicom_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "film")
    with pytest.raises(BmdEdgeError, match=says):
        door(tmp_path / "link")


def test_who_names_a_link_himself_gets_what_it_leads_to(tmp_path: Path) -> None:
    data = films.dicom_bytes()
    (tmp_path / "film").write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "film")
    assert read_film(tmp_path / "link").film_id == read_film(data).film_id
    with drawn_screener() as screener:
        assert screener.read(tmp_path / "link").film_id == read_film(data).film_id
    assert name_of(tmp_path / "link") is None
    with pytest.raises(BmdEdgeError, match="link is a DICOM film; its place is"):
        recalibration(tmp_path / "link")


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    assert read_file(path, 200) == bytes(range(200))
    with pytest.raises(TooLarge) as caught:
        read_file(path, 199)
    assert (caught.value.size_bytes, caught.value.head) == (200, bytes(range(132)))
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "none", 1)
    with pytest.raises(NotRegular):
        read_file("/dev/zero", 1)


def test_a_file_that_is_longer_than_its_size_says_is_read_to_the_limit() -> None:
    """As one that grows while it is read: the kernel says that these hold nothing."""
    path = Path("/proc/self/limits")
    assert path.stat().st_size == 0
    whole = path.read_bytes()
    assert read_file(path, len(whole)) == whole
    with pytest.raises(TooLarge):
        read_file(path, len(whole) - 1)


def test_memory_is_short_only_for_films(tmp_path: Path) -> None:
    """What is no film stays refused, however little memory there is: more memory would not make it one."""
    (tmp_path / "film").write_bytes(films.dicom_bytes())
    (tmp_path / "text").write_bytes(b"x" * 10_000)
    with drawn_screener() as screener:
        screener.most_bytes = 5_000
        said = {name: screener.read(tmp_path / name) for name in ("film", "text")}
    assert {name: (one.status, one.reason) for name, one in said.items()} == {
        "film": ("failed", "out_of_memory"),
        "text": ("refused", "not_dicom"),
    }
    with pytest.raises(FilmFailed, match="out_of_memory"):
        read_film(tmp_path / "film", most_bytes=5_000)


def test_there_is_one_reader() -> None:
    """No other file opens what it must first look at: `bmd_edge.system.files` does."""
    names = {"O_NOFOLLOW", "O_NONBLOCK", "S_ISREG", "S_ISFIFO"}
    found = {
        str(path.relative_to(ROOT))
        for package in ("bmd_edge", "trainer", "export", "calibration")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in names) or (isinstance(node, ast.Name) and node.id in names)
    }
    # The plan of a folder looks at what it lists, and opens nothing.
    assert found == {"bmd_edge/system/files.py", "bmd_edge/screen/folder_plan.py"}
