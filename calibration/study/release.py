"""What may leave a clinic: counts that hide small cells, and no second summary of almost the same subjects.

The ledger of what was released lies in the user's configuration folder and never leaves it: it holds salted hashes of
the subjects, for the comparison.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.system.files import replace_file
from bmd_edge.system.places import configuration
from calibration.pairs.pairs import Pair

SMALLEST = 5
"""The smallest cell that may be told; counts are rounded to multiples of it."""


def blurred(count: int) -> int | None:
    """A count as it may be told, a multiple of five; None below five."""
    return None if count < SMALLEST else SMALLEST * round(count / SMALLEST)


def merged(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason as they may be told: small ones become "other", which is told if it is not small."""
    large = {name: n for name, n in counts.items() if n >= SMALLEST}
    large["other"] = large.get("other", 0) + sum(n for n in counts.values() if n < SMALLEST)
    return {name: told for name, n in sorted(large.items()) if (told := blurred(n)) is not None}


def small(*cells: Iterable[str]) -> bool:
    """Whether one of the cells must not be told: it holds fewer than five subjects, however many hips or films."""
    return any(len(set(subjects)) < SMALLEST for subjects in cells)


# -- the ledger -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cells:
    """Two counts that a summary lets be reckoned: right and wrong answers of one kind."""

    kind: str
    right: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Release:
    """One summary: subject -> what of it was used; whose answers were counted; the counts that it told."""

    subjects: dict[str, str]
    answers: str
    told: tuple[Cells, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """The clinic's random name, the salt of its hashes, and its releases, oldest first."""

    clinic: str
    salt: str
    releases: tuple[Release, ...] = ()


def ledger_file() -> Path:
    """Where the ledger lies."""
    return configuration() / "study-summaries.json"


def read_ledger(path: Path) -> Ledger:
    """The ledger in `path`, a new one where there is none; UsageError where it is damaged."""
    if not path.exists():
        return Ledger(secrets.token_hex(8), secrets.token_hex(16))
    try:
        return parse(Ledger, read_json(path.read_bytes(), path.name), path.name)
    except (OSError, BundleError) as error:
        raise UsageError(
            f"{path.name} in the configuration folder cannot be read ({error}): without it nobody can tell which"
            " summaries were released; put it back from a copy"
        ) from error


def used(ledger: Ledger, pairs: Sequence[Pair]) -> dict[str, str]:
    """Salted hash of each subject with DEXA -> hash of its hips and their DEXA, whether they got a number or not."""
    hips: dict[str, list[str]] = {}
    for one in pairs:
        if any(one.dexa_gcm2.values()):
            facts = [one.film, one.side, one.dexa_gcm2, one.has_t_score]
            hips.setdefault(one.subject, []).append(json.dumps(facts, sort_keys=True))
    return {_hash(ledger, subject): _hash(ledger, *sorted(some)) for subject, some in hips.items()}


def _hash(ledger: Ledger, *texts: str) -> str:
    return hashlib.sha256("\n".join((ledger.salt, *texts)).encode()).hexdigest()[:24]


def too_near(ledger: Ledger, now: Release, cells: Cells) -> int | None:
    """Number of the first earlier summary from which these cells can be subtracted to a cell below five.

    That can be where one summary holds all subjects of the other. The same subjects, counted in the same way, are told
    again; counted in another way, they differ by those who are counted otherwise.
    """
    for number, before in enumerate(ledger.releases, start=1):
        same = now.subjects == before.subjects
        nested = not now.subjects.keys() - before.subjects.keys() or not before.subjects.keys() - now.subjects.keys()
        for one in before.told if nested else ():
            right, wrong = abs(one.right - cells.right), abs(one.wrong - cells.wrong)
            if now.answers != before.answers:  # the number of a kind is known all the same
                right = wrong = abs(one.right + one.wrong - cells.right - cells.wrong)
            if one.kind == cells.kind and any(n < SMALLEST and not (same and n == 0) for n in (right, wrong)):
                return number
    return None


def record(ledger: Ledger, release: Release, path: Path) -> None:
    """Check a release against all before it, and write it down before it is made.

    Raises:
        UsageError: fewer than five subjects came, went or changed since another release.
    """
    now = release.subjects
    for number, before in enumerate((one.subjects for one in ledger.releases), start=1):
        came, went = len(now.keys() - before.keys()), len(before.keys() - now.keys())
        changed = sum(now[name] != before[name] for name in now.keys() & before.keys())
        if any(0 < n < SMALLEST for n in (came, went, changed)):
            raise UsageError(
                f"fewer than {SMALLEST} subjects came, went or changed since summary {number} of this clinic: the two"
                " together would tell about them; release again when more have changed"
            )
    if release not in ledger.releases:
        ledger = Ledger(ledger.clinic, ledger.salt, (*ledger.releases, release))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path, mode=0o600) as file:
        file.write(json.dumps(asdict(ledger), indent=1) + "\n")
