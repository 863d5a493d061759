"""Films in the journal: received -> screening -> ready -> done; beside them quarantined.

`screening` is a lease: after a restart the film is received again, and `tries` tells how often its reading began.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from bmd_edge.clinic.journal.store import Journal

SPOOL, OUTBOX = "spool", "outbox"
"""Folders in the box's root: films as they came, and objects as they go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The columns of table `film` that the bytes of a film tell."""

    film_key: str
    sop_uid: str
    pixel_sha: str
    header_sha: str
    identity: str
    syntax: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival(Content):
    """A film at the door, and how it came."""

    door: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRow(Arrival):
    """A film that was taken. `n` is its place in the order of arrival; `report` is FilmReport as JSON."""

    n: int
    received_at: float
    state: str
    reason: str
    tries: int
    basis: str
    report: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """A finished object: bytes that lie at `path` (relative to the root), synced, with this hash; only sent from now.

    kind: sr | sc | gsps | pdf | fhir. version: 1, or one more than that of the object it replaces.
    """

    uid: str
    film_key: str
    kind: str
    version: int
    replaces: str | None
    sha256: str
    path: str
    size: int
    made_at: float
    approval: str = ""


REMOVED = "removed"
"""Reason of a film that is done: its files are there no more, for the archives have its results."""


class Known(StrEnum):
    """What the journal knows of a film that arrives."""

    NEW = "new"  # nothing, or another header, or the same pixels may stand in another syntax
    AGAIN = "again"  # the very film, whatever its encoding
    CONFLICT = "conflict"  # another film under its SOP Instance UID


def film_path(root: Path, film_key: str) -> Path:
    """Where a film lies, whatever its state."""
    return root / SPOOL / f"{film_key}.dcm"


def known(journal: Journal, film: Arrival) -> tuple[Known, str]:
    """What is known of this film, and the film_key of the one it is, or contradicts ("" for none)."""
    query = "SELECT * FROM film WHERE sop_uid=? AND state<>'quarantined' ORDER BY n"
    same_uid = journal.rows(query, film.sop_uid)
    for row in same_uid:
        mine = film.identity, film.pixel_sha, film.header_sha
        if mine == (row["identity"], row["pixel_sha"], row["header_sha"]):
            return Known.AGAIN, row["film_key"]
    for row in same_uid:
        other_pixels = film.pixel_sha != row["pixel_sha"] and film.syntax == row["syntax"]
        if film.identity != row["identity"] or other_pixels:
            return Known.CONFLICT, row["film_key"]
    return Known.NEW, ""


def take(journal: Journal, film: Arrival) -> Known:
    """Write a film into the journal, where it is not yet: as received, or quarantined where it contradicts another.

    Its file is whole and synced in the spool. A conflict that came before changes nothing. A film that comes again is
    read again where the reader has another bundle, recalibration or approval than the one that has read it.
    """
    with journal.change() as db:
        what, other = known(journal, film)
        state = {Known.NEW: "received", Known.CONFLICT: "quarantined"}.get(what)
        if state is None:
            journal.record("film_again", other, door=film.door, unit=film.unit)
            if other == film.film_key:  # the very file: its door puts it where it was
                db.execute("UPDATE film SET reason='' WHERE film_key=? AND reason=?", (other, REMOVED))
            known_now = film.unit and db.execute(
                "UPDATE film SET door=?, unit=? WHERE film_key=? AND unit=''", (film.door, film.unit, other)
            )
            if (known_now and known_now.rowcount) or _is_out_of_date(journal, other):
                read_again(journal, other, "read with something else before")
            return what
        reason = "sop_uid_conflict" if what is Known.CONFLICT else ""
        row = {**asdict(film), "received_at": journal.clock(), "state": state, "reason": reason}
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        new = db.execute(f"INSERT OR IGNORE INTO film ({names}) VALUES ({marks})", row).rowcount
        journal.record(f"film_{state}" if new else "film_conflict_again", film.film_key, door=film.door, unit=film.unit)
        return what


def _is_out_of_date(journal: Journal, film_key: str) -> bool:
    """Whether a film was read with something else than what reads now; not one whose header was corrected since, or
    that cannot be read again.
    """
    newest = "n=(SELECT MAX(n) FROM film AS other WHERE other.sop_uid=film.sop_uid AND other.state<>'quarantined')"
    query = f"SELECT 1 FROM film, reader WHERE film_key=? AND film.basis<>reader.basis AND reason<>? AND {newest}"
    return bool(journal.rows(query, film_key, REMOVED))


def film(journal: Journal, film_key: str) -> FilmRow | None:
    """The film of this key."""
    return next(iter(_films(journal, "film_key=?", film_key)), None)


def films_in(journal: Journal, *states: str) -> list[FilmRow]:
    """Films in these states, in the order of their arrival."""
    marks = ", ".join("?" * len(states))
    return _films(journal, f"state IN ({marks})", *states)


def films_since(journal: Journal, since: float) -> list[FilmRow]:
    """Films that were received at or after a time, in the order of their arrival."""
    return _films(journal, "received_at>=?", since)


def newest_films(journal: Journal, since: float, most: int) -> list[FilmRow]:
    """The films that were received last, at or after a time: the newest first, `most` of them."""
    inside = "n IN (SELECT n FROM film WHERE received_at>=? ORDER BY n DESC LIMIT ?)"
    return _films(journal, inside, since, most)[::-1]


def count_since(journal: Journal, since: float) -> int:
    """How many films were received at or after a time."""
    return int(journal.rows("SELECT COUNT(*) AS n FROM film WHERE received_at>=?", since)[0]["n"])


def films_of(journal: Journal, sop_uid: str) -> list[FilmRow]:
    """Films of this SOP Instance UID: one for each header that came, and those that contradict each other."""
    return _films(journal, "sop_uid=?", sop_uid)


def films_named(journal: Journal, prefix: str) -> list[FilmRow]:
    """Films whose key begins with these hex digits."""
    return _films(journal, "substr(film_key, 1, ?)=?", len(prefix), prefix)


def read_with(journal: Journal, basis: str, notice: str) -> None:
    """Note what the reader that now starts works with.

    `basis` names everything that an answer rests on beside the film; `notice` has to stand beside every number.
    """
    with journal.change() as db:
        db.execute("DELETE FROM reader")
        db.execute("INSERT INTO reader VALUES (?)", (basis,))
        journal.record("reader_opened", basis=basis, notice=notice)


def start(journal: Journal, basis: str) -> FilmRow | None:
    """Lease the film that has waited longest: received -> screening, with what it is read with."""
    with journal.change() as db:
        found = _films(journal, "state='received'", limit=1)
        if not found:
            return None
        values = (basis, found[0].film_key)
        db.execute("UPDATE film SET state='screening', tries=tries+1, basis=? WHERE film_key=?", values)
        journal.record("film_screening", found[0].film_key, basis=basis, tries=found[0].tries + 1)
        return film(journal, found[0].film_key)


def release_leases(journal: Journal) -> None:
    """After a restart: screening -> received, sending -> ready."""
    with journal.change() as db:
        films = db.execute("UPDATE film SET state='received' WHERE state='screening'").rowcount
        sent = db.execute("UPDATE delivery SET state='ready' WHERE state='sending'").rowcount
        if films or sent:
            journal.record("leases_released", films=films, deliveries=sent)


def finish(journal: Journal, film_key: str, report: str, objects: Iterable[ObjectRow], reason: str = "") -> None:
    """screening -> ready, with the film's finished objects; -> done where there are none that are new.

    `objects` lie synced in the outbox; one whose UID the journal has is left as it is.
    """
    with journal.change() as db:
        new = 0
        for made in objects:
            row = asdict(made)
            marks = ", ".join(f":{name}" for name in row)
            new += db.execute(f"INSERT OR IGNORE INTO object ({', '.join(row)}) VALUES ({marks})", row).rowcount
        state = "ready" if new else "done"
        _move(journal, film_key, "screening", state, reason, report=report, objects=new)


def give_back(journal: Journal, film_key: str) -> None:
    """Screening -> received: it was not read, through no fault of its own."""
    with journal.change() as db:
        _move(journal, film_key, "screening", "received", "")
        db.execute("UPDATE film SET tries=tries-1 WHERE film_key=?", (film_key,))


def quarantine(journal: Journal, film_key: str, reason: str) -> None:
    """Screening -> quarantined: its decoded pixels contradict those of a film of the same SOP Instance UID."""
    _move(journal, film_key, "screening", "quarantined", reason)


def read_again(journal: Journal, film_key: str, reason: str) -> bool:
    """-> received: after a recalibration, with a new bundle, or on demand; False where the film waits already."""
    with journal.change() as db:
        where = "film_key=? AND state IN ('ready', 'done')"
        moved = db.execute(f"UPDATE film SET state='received', tries=0, reason=? WHERE {where}", (reason, film_key))
        if moved.rowcount:
            journal.record("film_read_again", film_key, reason=reason)
        return bool(moved.rowcount)


def settle(journal: Journal) -> None:
    """ready -> done for films all of whose objects are where they were to go: each was asked for and none is open."""
    open_delivery = "d.state IN ('ready', 'sending', 'held') OR (d.state='sent' AND d.commitment)"
    query = f"""SELECT film_key FROM film WHERE state='ready'
        AND EXISTS (SELECT 1 FROM object o JOIN delivery d ON d.uid=o.uid WHERE o.film_key=film.film_key)
        AND NOT EXISTS (SELECT 1 FROM object o JOIN delivery d ON d.uid=o.uid
                        WHERE o.film_key=film.film_key AND ({open_delivery}))"""
    with journal.change():
        for row in journal.rows(query):
            _move(journal, row["film_key"], "ready", "done", "")


def settled(journal: Journal, before: float, most: int) -> list[FilmRow]:
    """Films that have been done since before a time, all of whose results the archives have; not what was removed, nor
    what somebody has to look at.
    """
    inside = """n IN (SELECT n FROM film f WHERE state='done' AND reason NOT IN ('no_objects', ?) AND received_at<?
        AND NOT EXISTS (SELECT 1 FROM object o JOIN delivery d ON d.uid=o.uid
                        WHERE o.film_key=f.film_key AND d.since>=?) ORDER BY n LIMIT ?)"""
    return _films(journal, inside, REMOVED, before, before, most)


def remove(journal: Journal, film_key: str) -> None:
    """A film that is done keeps its row, and no files."""
    with journal.change() as db:
        if db.execute("UPDATE film SET reason=? WHERE film_key=? AND state='done'", (REMOVED, film_key)).rowcount:
            journal.record("film_removed", film_key)


def objects_of(journal: Journal, film_key: str) -> list[ObjectRow]:
    """The objects made of a film, the latest version last."""
    rows = journal.rows("SELECT * FROM object WHERE film_key=? ORDER BY version, kind", film_key)
    return [ObjectRow(**dict(row)) for row in rows]


def pictures_since(journal: Journal, since: float) -> dict[str, ObjectRow]:
    """film_key -> the newest picture (sc) of each film that was received at or after a time."""
    query = """SELECT object.* FROM object JOIN film USING (film_key)
        WHERE film.received_at>=? AND kind='sc' ORDER BY version"""
    return {row["film_key"]: ObjectRow(**dict(row)) for row in journal.rows(query, since)}


def picture_of(journal: Journal, film_key: str, version: int) -> ObjectRow | None:
    """The picture (sc) of this film in this version of its result."""
    rows = journal.rows("SELECT * FROM object WHERE film_key=? AND kind='sc' AND version=?", film_key, version)
    return ObjectRow(**dict(rows[0])) if rows else None


def latest_object(journal: Journal, sop_uid: str, kind: str) -> ObjectRow | None:
    """The newest object of this kind made of a film of this SOP Instance UID, whichever of its headers came."""
    query = """SELECT object.* FROM object JOIN film USING (film_key) WHERE film.sop_uid=? AND object.kind=?
        ORDER BY object.version DESC LIMIT 1"""
    rows = journal.rows(query, sop_uid, kind)
    return ObjectRow(**dict(rows[0])) if rows else None


def _move(journal: Journal, film_key: str, before: str, after: str, reason: str, **more: object) -> None:
    """One change of state; ValueError where the film is not in the state `before`, so that no lease is ended twice."""
    report = more.pop("report", None)
    with journal.change() as db:
        values = (after, reason, report, film_key, before)
        query = "UPDATE film SET state=?, reason=?, report=COALESCE(?, report) WHERE film_key=? AND state=?"
        if not db.execute(query, values).rowcount:
            raise ValueError(f"film {film_key[:16]} is not {before}")
        journal.record(f"film_{after}", film_key, **({"reason": reason} if reason else {}), **more)


def _films(journal: Journal, where: str, *values: object, limit: int = -1) -> list[FilmRow]:
    names = ", ".join(field.name for field in fields(FilmRow))
    rows = journal.rows(f"SELECT {names} FROM film WHERE {where} ORDER BY n LIMIT ?", *values, limit)
    return [FilmRow(**dict(row)) for row in rows]
