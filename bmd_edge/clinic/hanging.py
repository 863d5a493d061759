"""What hangs in the box, since when, why, and what to do about it; and the results of a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.delivery.deliver import COMMIT_WITHIN_S
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.errors import UsageError
from bmd_edge.language import ENGLISH, Language

PATIENCE_S = 900.0
"""An object that is tried for longer hangs; so does a film that waits."""
WHAT = {
    "held": ("{n} object to {archive} held", "{n} objects to {archive} held"),
    "tried": ("{n} object to {archive} still tried", "{n} objects to {archive} still tried"),
    "not_committed": ("{n} object to {archive} not committed", "{n} objects to {archive} not committed"),
    "not_sent": ("{n} object to {archive} not sent", "{n} objects to {archive} not sent"),
    "not_read": ("{n} film not read", "{n} films not read"),
    "quarantined": ("{n} film in quarantine", "{n} films in quarantine"),
    "no_object": ("{n} film without an object", "{n} films without an object"),
}
"""What may hang: of one, of several."""
UNAPPROVED = (
    "They were made before an approval was named and do not name it.",
    "`bmd-edge clinic send --film ID` makes a film's results anew, with the approval.",
)
NOT_DELIVERING = ("No approval is named, so nothing is delivered.", 'Write approval = "..." into clinic.toml.')
NOT_READ = ("They wait to be read.", "Look whether `bmd-edge clinic serve` runs, and what it logs.")
QUARANTINED = (
    "Another film came with the same SOP Instance UID and other content.",
    "Find out which is right; the second copy lies in the spool and has no result.",
)
NO_OBJECTS = (
    "Their header cannot be repeated in an object, so they have a result without one.",
    "Look at them with `bmd-edge clinic results`; report it with the film's id.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """Things that hang for one reason: `what`, a key of `WHAT`, at which archive ("" for films) and how many, `since`
    when the oldest does (seconds since 1970).

    why: the code of the reason, and the archive's status where it gave one. sentence, remedy: of that code.
    """

    what: str
    archive: str
    n: int
    since: float
    why: str
    sentence: str
    remedy: str
    films: tuple[str, ...]

    def counted(self, language: Language = ENGLISH) -> str:
        """`what` with its number: 1 object to main held, 3 objects to main held."""
        return language(WHAT[self.what][self.n != 1], n=self.n, archive=self.archive)

    def line(self) -> str:
        """One line for the terminal; films by the start of their ids, five at most."""
        when = datetime.fromtimestamp(self.since).strftime("%Y-%m-%d %H:%M")
        some = ", ".join(film[:16] for film in self.films[:5]) + (" ..." if len(self.films) > 5 else "")
        return f"{self.counted()} since {when} ({self.why}): {self.sentence} {self.remedy} Films: {some}"


def hanging(config: Config, journal: Journal, archive_patience_s: float = PATIENCE_S) -> list[Hanging]:
    """Everything that waits for a person or has waited too long, the oldest first.

    `archive_patience_s`: for how long an object may be tried before it hangs.
    """
    return sorted(
        [*_deliveries(journal, archive_patience_s), *_undelivered(config, journal), *_films(journal)],
        key=lambda one: one.since,
    )


def _deliveries(journal: Journal, patience_s: float) -> Iterator[Hanging]:
    now = journal.clock()
    groups: dict[tuple[str, str, str], list[deliveries.Delivery]] = {}
    for one in deliveries.in_state(journal, "held", "ready", "sending"):  # what is tried just now hangs too
        if one.state == "held" or (one.reason and now - one.made_at > patience_s):
            what = "held" if one.state == "held" else "tried"
            groups.setdefault((one.destination, what, f"{one.reason} {one.last_status}".strip()), []).append(one)
    for one in deliveries.unanswered(journal, now - COMMIT_WITHIN_S):
        groups.setdefault((one.destination, "not_committed", "no_commitment"), []).append(one)
    for (destination, what, why), found in groups.items():
        sentence, remedy = REASONS[why.split()[0]]
        since = min(one.since if what == "held" else one.made_at for one in found)
        yield _one(what, destination, why, since, (sentence, remedy), [one.film_key for one in found])


def _undelivered(config: Config, journal: Journal) -> Iterator[Hanging]:
    """Objects that are addressed to nobody, though there is an archive."""
    for name, wanted in config.pacs.items():
        rows = [row for kind in wanted.kinds for row in deliveries.unaddressed(journal, name, kind)]
        waiting = [
            row for row in rows if not config.delivers_to(name) or not (row["approval"] or config.pacs[name].test)
        ]
        if waiting:
            words, why = (UNAPPROVED, "unapproved") if config.delivers_to(name) else (NOT_DELIVERING, "no_approval")
            since = min(row["made_at"] for row in waiting)
            yield _one("not_sent", name, why, since, words, [row["film_key"] for row in waiting])


def _films(journal: Journal) -> Iterator[Hanging]:
    late = journal.clock() - PATIENCE_S
    waiting = [one for one in films.films_in(journal, "received", "screening") if one.received_at < late]
    quarantined = films.films_in(journal, "quarantined")
    bare = [one for one in films.films_in(journal, "done") if one.reason == "no_objects"]
    for found, what, why, words in (
        (waiting, "not_read", "waiting", NOT_READ),
        (quarantined, "quarantined", "sop_uid_conflict", QUARANTINED),
        (bare, "no_object", "no_objects", NO_OBJECTS),
    ):
        if found:
            yield _one(what, "", why, found[0].received_at, words, [one.film_key for one in found])


def _one(what: str, archive: str, why: str, since: float, words: tuple[str, str], keys: list[str]) -> Hanging:
    sentence, remedy = words
    unique = tuple(dict.fromkeys(keys))
    return Hanging(
        what=what, archive=archive, n=len(keys), since=since, why=why, sentence=sentence, remedy=remedy, films=unique
    )


def read_again(journal: Journal, film_id: str, dry_run: bool = False) -> str:
    """Have a film read again, named by the start of its id; returns a sentence of what is done.

    UsageError where no film or several bear the name, or it may not be read.
    """
    found = films.films_named(journal, film_id)
    if len(found) != 1:
        raise UsageError(f"{len(found)} films have an id that begins so: `bmd-edge clinic results` prints ids")
    (one,) = found
    if one.state not in ("ready", "done"):
        raise UsageError(f"film {one.film_key[:16]} is {one.state}: only one that was read can be read again")
    if one.reason == films.REMOVED:
        raise UsageError(f"film {one.film_key[:16]} was removed after keep_days: have it sent again first")
    if not dry_run:
        films.read_again(journal, one.film_key, "asked for")
    done = "would be" if dry_run else "is"
    return f"film {one.film_key[:16]} {done} read again; a result that differs is a new version"
