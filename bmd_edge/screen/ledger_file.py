"""The file of a ledger: its tables, how one of an earlier version is taken over, and how one is only read."""

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import mkdtemp

from bmd_edge.errors import UsageError
from bmd_edge.screen import folders

NAME = "ledger.sqlite"
LAYOUT = 7
_ABSENT = "TABLE absent (key BLOB PRIMARY KEY, film_now TEXT NOT NULL)"  # what is known of films that are not there
_TABLES = f"""
CREATE TABLE IF NOT EXISTS films (
    key BLOB PRIMARY KEY,       -- the folder's name and the path there, the system's bytes
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    settings TEXT NOT NULL,     -- Screener.settings_digest
    film_id TEXT,
    status TEXT NOT NULL,
    report TEXT NOT NULL,       -- FilmReport as JSON
    picture BLOB,               -- bmd_edge.report.thumbnail.Thumbnail: JPEG, its size, the film's size
    width_px INTEGER,
    height_px INTEGER,
    film_width_px INTEGER,
    film_height_px INTEGER,
    changed_ns INTEGER          -- NULL where an earlier version has not kept it
);
CREATE INDEX IF NOT EXISTS stamps ON films (size, mtime_ns);
CREATE {_ABSENT.replace("TABLE", "TABLE IF NOT EXISTS")};
CREATE {folders.TABLE.replace("TABLE", "TABLE IF NOT EXISTS")};
DROP TABLE IF EXISTS written;
CREATE TABLE written (          -- the results files hold just these films: one row, none while they do not
    settings TEXT NOT NULL,
    summary TEXT NOT NULL       -- RunSummary as JSON
);
DROP TRIGGER IF EXISTS put;
DROP TRIGGER IF EXISTS forget;
DROP TRIGGER IF EXISTS mark;
DROP TRIGGER IF EXISTS unmark;
CREATE TRIGGER put AFTER INSERT ON films BEGIN DELETE FROM written; END;
CREATE TRIGGER forget AFTER DELETE ON films BEGIN
    DELETE FROM written; DELETE FROM absent WHERE key=OLD.key;
END;
CREATE TRIGGER mark AFTER INSERT ON absent BEGIN DELETE FROM written; END;
CREATE TRIGGER unmark AFTER DELETE ON absent BEGIN DELETE FROM written; END;
"""


def open_to_write(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Open a ledger, made if it is missing; one of an earlier version is taken over, at once or not at all."""
    db = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")  # NORMAL would lose the last rows in a power cut
    before = _layout(db)
    if before < LAYOUT:
        column = "ALTER TABLE films ADD COLUMN changed_ns INTEGER;" * (0 < before < 5)
        db.executescript(f"BEGIN; {column} {_TABLES}")
        if 0 < before < 7:
            folders.add_earlier(db)
        db.execute(f"PRAGMA user_version={LAYOUT}")
        db.execute("COMMIT")
    return db


def open_to_read(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Open a ledger without writing beside it.

    Without a log beside it nobody writes to it, and it is read as it stands. With one (a run is at work, or was killed)
    SQLite needs an index of that log; where it can neither read nor make one, it reads a copy of both.
    """
    log = path.with_name(f"{NAME}-wal")
    logged = log.is_file() and log.stat().st_size > 0
    try:
        return stack.enter_context(closing(_connected(path, "mode=ro" if logged else "immutable=1")))
    except sqlite3.OperationalError:
        if not logged:
            raise
    copy = Path(mkdtemp(prefix="bmd-edge-"))
    stack.callback(shutil.rmtree, copy, ignore_errors=True)
    for one in (path, log):
        shutil.copyfile(one, copy / one.name)
    return stack.enter_context(closing(_connected(copy / NAME, "mode=rw")))


def _layout(db: sqlite3.Connection) -> int:
    layout = int(db.execute("PRAGMA user_version").fetchone()[0])
    if layout > LAYOUT:
        raise UsageError(f"{NAME} was made by a later version of bmd-edge: use that one, or give another --out")
    return layout


def _connected(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        layout = _layout(db)
        db.execute("PRAGMA temp_store=MEMORY")
        if layout < LAYOUT:
            _as_if_taken_over(db, layout)
        db.execute("SELECT count(*) FROM (SELECT 1 FROM films LIMIT 1)")
    except BaseException:
        db.close()
        raise
    return db


def _as_if_taken_over(db: sqlite3.Connection, layout: int) -> None:
    """Let a ledger of an earlier version that is only read look as one that was taken over: it knew no folders."""
    db.create_function("earlier", 1, lambda key: folders.EARLIER + b"/" + key, deterministic=True)
    columns = [column for _, column, *_ in db.execute("PRAGMA main.table_info(films)") if column != "key"]
    also = ", NULL AS changed_ns" * (layout < 5)
    db.execute(f"CREATE TEMP VIEW films AS SELECT earlier(key) AS key, {', '.join(columns)}{also} FROM main.films")
    if layout < 4:  # nothing is marked yet
        db.execute(f"CREATE TEMP {_ABSENT}")
    else:
        db.execute("CREATE TEMP VIEW absent AS SELECT earlier(key) AS key, film_now FROM main.absent")
    db.execute(f"CREATE TEMP {folders.TABLE}")
