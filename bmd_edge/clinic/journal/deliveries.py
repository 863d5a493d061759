"""Deliveries in the journal: ready -> sending -> sent -> committed, and held(reason) for what needs a person.

`sending` is a lease: after a restart the object is ready again, and the same bytes go out a second time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Row

from bmd_edge.clinic.journal.films import REMOVED, settle
from bmd_edge.clinic.journal.store import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An object on its way to a destination: columns of `delivery`, and of its object what sending needs."""

    uid: str
    destination: str
    commitment: bool
    state: str
    reason: str
    tries: int
    next_try: float
    since: float
    last_status: str
    asked: str
    asks: int
    film_key: str
    kind: str
    version: int
    path: str
    sha256: str
    made_at: float


_QUERY = """SELECT delivery.*, object.film_key, object.kind, object.version, object.path, object.sha256, object.made_at
    FROM delivery JOIN object USING (uid) JOIN film USING (film_key)"""


def newest_object(journal: Journal) -> int:
    """The number of the object that was made last; 0 where there is none."""
    return int(journal.rows("SELECT COALESCE(MAX(rowid), 0) AS n FROM object")[0]["n"])


def address(
    journal: Journal, destination: str, kinds: Iterable[str], commitment: bool, unapproved: bool = False
) -> int:
    """Make a delivery to `destination` of every object of these kinds that has none; returns how many are new.

    Objects that name no approval are left out, but for a destination that may have `unapproved` ones; and those whose
    files were removed.
    """
    with journal.change() as db:
        new = 0
        for kind in kinds:
            query = "INSERT OR IGNORE INTO delivery (uid, destination, commitment, state, since) "
            query += "SELECT uid, ?, ?, 'ready', ? FROM object JOIN film USING (film_key) "
            query += "WHERE kind=? AND (approval<>'' OR ?) AND film.reason<>?"
            new += db.execute(query, (destination, commitment, journal.clock(), kind, unapproved, REMOVED)).rowcount
        if new:
            journal.record("addressed", destination=destination, objects=new)
        return new


def lease(journal: Journal, destination: str, most: int = 100) -> list[Delivery]:
    """What is due at a destination now, ready -> sending, in the order of the films."""
    with journal.change() as db:
        where = "destination=? AND delivery.state='ready' AND next_try<=? ORDER BY film.n, object.version, kind LIMIT ?"
        due = _deliveries(journal, where, destination, journal.clock(), most)
        for one in due:
            values = (journal.clock(), one.uid, destination)
            db.execute("UPDATE delivery SET state='sending', since=? WHERE uid=? AND destination=?", values)
        return due


def is_replaced(journal: Journal, one: Delivery) -> bool:
    """Whether a newer version of this object, whichever header it was made of, goes to the same destination."""
    query = """SELECT 1 FROM object mine JOIN film f ON f.film_key=mine.film_key JOIN film g ON g.sop_uid=f.sop_uid
        JOIN object newer ON newer.film_key=g.film_key AND newer.kind=mine.kind AND newer.version>mine.version
        JOIN delivery d ON d.uid=newer.uid AND d.destination=? WHERE mine.uid=? LIMIT 1"""
    return bool(journal.rows(query, one.destination, one.uid))


def sent(journal: Journal, uid: str, destination: str, status: str) -> None:
    """Sending -> sent: the archive has answered that it has it; whether it keeps it, is to be asked anew."""
    with journal.change() as db:
        _move(journal, uid, destination, "sending", "sent", "", status)
        db.execute("UPDATE delivery SET asked='' WHERE uid=? AND destination=?", (uid, destination))


def committed(journal: Journal, uid: str, destination: str) -> None:
    """Sent -> committed: the archive answers for it."""
    _move(journal, uid, destination, "sent", "committed", "", "")


def try_again(journal: Journal, uid: str, destination: str, status: str, reason: str, next_try: float) -> None:
    """sending or sent -> ready, not before `next_try`; one more of its tries."""
    with journal.change() as db:
        _move(journal, uid, destination, "sending, sent", "ready", reason, status)
        query = "UPDATE delivery SET tries=tries+1, next_try=? WHERE uid=? AND destination=?"
        db.execute(query, (next_try, uid, destination))


def hold(journal: Journal, uid: str, destination: str, status: str, reason: str) -> None:
    """-> held: it is not sent again before a person releases it."""
    _move(journal, uid, destination, "ready, sending, sent", "held", reason, status)


def release(journal: Journal, destination: str | None = None) -> int:
    """held -> ready, of one destination or all; returns how many."""
    with journal.change() as db:
        where, values = ("AND destination=?", [destination]) if destination else ("", [])
        query = f"UPDATE delivery SET state='ready', reason='', next_try=0, since=?, asks=0 WHERE state='held' {where}"
        freed = db.execute(query, [journal.clock(), *values]).rowcount
        if freed:
            journal.record("released", destination=destination or "all", objects=freed)
        return freed


def asked(journal: Journal, uids: Iterable[str], destination: str, transaction: str) -> None:
    """Note a storage commitment request: its transaction UID, and one more of the asks."""
    with journal.change() as db:
        query = "UPDATE delivery SET asked=?, asks=asks+1, since=? WHERE uid=? AND destination=? AND state='sent'"
        db.executemany(query, [(transaction, journal.clock(), uid, destination) for uid in uids])


def uncommitted(journal: Journal, destination: str, before: float) -> list[Delivery]:
    """Objects that are there, for which a commitment was not asked, or not answered since `before`."""
    where = "destination=? AND delivery.state='sent' AND commitment AND (asked='' OR since<=?) ORDER BY film.n, kind"
    return _deliveries(journal, where, destination, before)


def asked_in(journal: Journal, transaction: str) -> list[Delivery]:
    """Objects that this storage commitment request is the last one about."""
    return _deliveries(journal, "delivery.state='sent' AND asked=? AND asked<>'' ORDER BY film.n, kind", transaction)


def unanswered(journal: Journal, before: float) -> list[Delivery]:
    """Objects that were there before this time and are not committed yet, though that was wanted."""
    return _deliveries(journal, "delivery.state='sent' AND commitment AND since<=? ORDER BY film.n, kind", before)


def unaddressed(journal: Journal, destination: str, kind: str) -> list[Row]:
    """`film_key`, `made_at` and `approval` of the objects of this kind that have no delivery to a destination."""
    query = """SELECT film_key, made_at, approval FROM object JOIN film USING (film_key) WHERE kind=? AND reason<>?
        AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.uid=object.uid AND d.destination=?) ORDER BY made_at"""
    return journal.rows(query, kind, REMOVED, destination)


def of_film(journal: Journal, film_key: str) -> list[Delivery]:
    """All deliveries of a film's objects."""
    return _deliveries(journal, "object.film_key=? ORDER BY destination, object.version, kind", film_key)


def of_films_since(journal: Journal, since: float) -> list[Delivery]:
    """All deliveries of the objects of films that were received at or after a time."""
    return _deliveries(journal, "film.received_at>=? ORDER BY destination, object.version, kind", since)


def counted(journal: Journal) -> dict[tuple[str, str], int]:
    """How many objects stand in each state at each destination."""
    query = "SELECT state, destination, COUNT(*) AS n FROM delivery GROUP BY destination, state"
    return {(row["state"], row["destination"]): row["n"] for row in journal.rows(query)}


def oldest_unsent(journal: Journal) -> float | None:
    """When the oldest object was made that a destination has not yet; None where none waits."""
    query = """SELECT MIN(made_at) AS oldest FROM delivery JOIN object USING (uid)
        WHERE state IN ('ready', 'sending', 'held')"""
    (row,) = journal.rows(query)
    return None if row["oldest"] is None else float(row["oldest"])


def in_state(journal: Journal, *states: str) -> list[Delivery]:
    """Deliveries in these states, in the order of the films."""
    marks = ", ".join("?" * len(states))
    return _deliveries(journal, f"delivery.state IN ({marks}) ORDER BY film.n, kind", *states)


def _move(journal: Journal, uid: str, destination: str, before: str, after: str, reason: str, status: str) -> None:
    """One change of state; ValueError where the delivery is in none of the states `before`."""
    with journal.change() as db:
        states = before.split(", ")
        marks = ", ".join("?" * len(states))
        query = f"""UPDATE delivery SET state=?, reason=?, since=?,
            last_status=CASE ? WHEN '' THEN last_status ELSE ? END
            WHERE uid=? AND destination=? AND state IN ({marks})"""
        values = (after, reason, journal.clock(), status, status, uid, destination, *states)
        if not db.execute(query, values).rowcount:
            raise ValueError(f"object {uid} is not {before} to {destination}")
        (row,) = journal.rows("SELECT film_key FROM object WHERE uid=?", uid)
        detail = {"uid": uid, "destination": destination, "status": status, "reason": reason}
        journal.record(f"object_{after}", row["film_key"], **{name: text for name, text in detail.items() if text})
        if after in ("sent", "committed"):
            settle(journal)


def _deliveries(journal: Journal, where: str, *values: object) -> list[Delivery]:
    rows = [dict(row) for row in journal.rows(f"{_QUERY} WHERE {where}", *values)]
    return [Delivery(**{**row, "commitment": bool(row["commitment"])}) for row in rows]
