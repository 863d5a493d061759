"""The folders that a ledger knows, so that films of one name in two folders are two films.

The key of a film begins with the name of its folder and a slash. The ledger knows a folder by a hash of its path, for
a path may hold a patient's name, and by its films: one that holds at least half of the films of another, byte by byte
and under their names, is that folder, moved or mounted elsewhere.
"""

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from bmd_edge.film.film import same_film

EARLIER = b"earlier"
"""The folder of films that an earlier version has kept: it did not note which one that was."""
TABLE = "TABLE folders (place TEXT PRIMARY KEY, name BLOB NOT NULL UNIQUE)"
OF_A_HIP = "json_array_length(report, '$.hips') > 0"
"""Something was said of a hip: a number, or why there is none."""


def add_earlier(db: sqlite3.Connection) -> None:
    """Put all films of a ledger that knew no folders into the one of that name."""
    keys = [(_key(EARLIER, key), key) for (key,) in db.execute("SELECT key FROM films")]
    db.execute("INSERT OR IGNORE INTO folders VALUES ('', ?)", (EARLIER,))
    _rename(db, keys)


def _key(folder: bytes, path: bytes) -> bytes:
    return b"%b/%b" % (folder, path)


def _rename(db: sqlite3.Connection, keys: list[tuple[bytes, bytes]]) -> None:
    """Give films other keys: (new, old)."""
    for table in ("films", "absent"):
        db.executemany(f"UPDATE OR REPLACE {table} SET key=? WHERE key=?", keys)
    db.execute("DELETE FROM written")


def beginning(db: sqlite3.Connection, folder: Path) -> bytes | None:
    """What the keys of the films in `folder` begin with; None where neither it is known nor one that it lies in."""
    path = folder.resolve()
    for up in (path, *path.parents):
        if found := db.execute("SELECT name FROM folders WHERE place=?", (_place(up),)).fetchone():
            return _key(found[0], b"") if up == path else _key(found[0], os.fsencode(path.relative_to(up)) + b"/")
    return None


def _place(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def add(db: sqlite3.Connection, folder: Path) -> bytes:
    """Make a folder known, by a name that no other one has; returns what the keys of its films begin with."""
    path = folder.resolve()
    called = os.fsencode(path.name) or b"films"
    taken = set(names(db))
    free = (called if n == 1 else b"%b (%d)" % (called, n) for n in count(1))
    name = next(name for name in free if name not in taken)
    db.execute("INSERT INTO folders VALUES (?,?)", (_place(path), name))
    return _key(name, b"")


def take_in(db: sqlite3.Connection, folder: Path, home: bytes, paths: Iterable[bytes]) -> bool:
    """Let known folders that lie in `folder` be parts of it, whose entries are `paths`; whether there were any."""
    own = home.partition(b"/")[0]
    places = {place: name for place, name in db.execute("SELECT place, name FROM folders") if name != own}
    inside = {os.path.dirname(path) for path in paths} - {b""} if places else set()
    inside |= {os.fsencode(up) for one in inside for up in Path(os.fsdecode(one)).parents if up.name}
    found = {
        places[place]: path for path in inside if (place := _place(folder.resolve() / os.fsdecode(path))) in places
    }
    for name, path in found.items():
        keys = [key for key in _keys(db) if key.startswith(_key(name, b""))]
        _rename(db, [(home + path + key[len(name) :], key) for key in keys])
        db.execute("DELETE FROM folders WHERE name=?", (name,))
    return bool(found)


def _keys(db: sqlite3.Connection) -> list[bytes]:
    return [key for (key,) in db.execute("SELECT key FROM films")]


def several(db: sqlite3.Connection) -> bool:
    """Whether there are films of more than one folder."""
    names = "SELECT DISTINCT substr(key, 1, instr(key, x'2f')) FROM films"
    return int(db.execute(f"SELECT count(*) FROM ({names})").fetchone()[0]) > 1


def names(db: sqlite3.Connection) -> list[bytes]:
    """The names of all folders."""
    return [name for (name,) in db.execute("SELECT name FROM folders")]


def forget(db: sqlite3.Connection, name: bytes) -> int:
    """Forget a folder and its films; returns how many results these were."""
    keys = [(key,) for key in _keys(db) if key.startswith(_key(name, b""))]
    db.executemany("DELETE FROM films WHERE key=?", keys)
    db.execute("DELETE FROM folders WHERE name=?", (name,))
    return len(keys)


def settle(db: sqlite3.Connection, home: bytes) -> list[bytes]:
    """Take in the films of each folder that has moved to where the keys begin with `home`.

    That is one of which at least half of the films lie here under their names; each of the others is missing, or
    another film has its name. Returns the names of such folders.
    """
    moved: list[bytes] = []
    if not several(db):
        return moved
    here: dict[bytes, str] = {}
    folders = defaultdict(list)
    for key, film, status, said in db.execute(f"SELECT key, film_id, status, {OF_A_HIP} FROM films"):
        name, _, path = key.partition(b"/")
        is_film = film is not None and status != "left_out"
        if key.startswith(home):
            here[key[len(home) :]] = film or ""
        if name != home.partition(b"/")[0]:
            folders[name].append((path, film or "", is_film, said))
    for name, films in folders.items():
        found = [
            path in here and same_film(here[path], film)
            for path, film, is_film, _ in films
            if is_film and b"\0" not in path
        ]
        if sum(found) and 2 * sum(found) >= len(found):
            for path, film, is_film, said in films:
                _take_over(db, _key(name, path), home + path, film, here.get(path), is_film, said)
            db.execute("DELETE FROM folders WHERE name=?", (name,))
            moved.append(name)
    return moved


def _take_over(
    db: sqlite3.Connection, old: bytes, new: bytes, film: str, there: str | None, is_film: bool, said: bool
) -> None:
    """Put what is known of one film of a folder that has moved under its `new` key, where `there` lies now."""
    if there is not None and said and not same_film(there, film):
        new, mark = b"%b\0%b" % (new, film.encode()), "replaced"
    elif there is None and is_film:
        mark = "missing"
    else:
        db.execute("DELETE FROM films WHERE key=?", (old,))
        return
    _rename(db, [(new, old)])
    if b"\0" not in old:  # else it is marked
        db.execute("INSERT OR REPLACE INTO absent VALUES (?,?)", (new, mark))
