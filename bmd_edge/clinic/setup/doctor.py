"""What `bmd-edge clinic doctor` looks at: whether a box is as clinic.toml says, and whether it can go on."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from bmd_edge.clinic.config import RESOURCES, Config, Destination, Tls, address
from bmd_edge.clinic.delivery.answers import REASONS, Answer, Next, Unreachable, answer_to
from bmd_edge.clinic.delivery.dicom import associated
from bmd_edge.clinic.delivery.fhir import fhir_record
from bmd_edge.clinic.delivery.stow import stow_archive
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.heads import NAME as HEADS
from bmd_edge.clinic.journal.heads import lost_head
from bmd_edge.clinic.journal.store import NAME as JOURNAL
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import PATIENT_KEY, SERVER
from bmd_edge.clinic.setup.certificates import ends
from bmd_edge.clinic.setup.derived import derived
from bmd_edge.errors import UsageError
from bmd_edge.language import ENGLISH, Language
from bmd_edge.screen.run_lock import check_local
from bmd_edge.system.check import Check

WARN_DAYS = 30
_PAGE_S = 10.0
_DEBIAN_ORTHANC = 8042
"""HTTP port of the Orthanc that Debian's package starts by itself."""


def examine(config: Config) -> Iterator[Check]:
    """Look at everything, one check after the other."""
    yield Check(True, "clinic.toml", config.digest[:16])
    yield from _files(config)
    yield from folder(config)
    yield from certificates(config)
    try:
        if (config.root / JOURNAL).is_file():
            with closing(Journal(config.root)) as journal:
                yield from _journal(config, journal)
        else:
            yield Check(True, "journal", "is made at the first start")
    except (OSError, UsageError) as error:
        yield Check(False, "journal", str(error))
    yield from _orthanc(config)
    if config.page.bind:
        yield _page(config.page.bind)
    for name, pacs in config.pacs.items():
        yield _approved(config, name)
        yield _asked(config, name, pacs)


def _files(config: Config) -> Iterator[Check]:
    for name, text in derived(config).items():
        path = config.path.parent / name
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        yield Check(same, name, "follows from clinic.toml" if same else "does not: run `bmd-edge clinic init` again")


def folder(config: Config, language: Language = ENGLISH) -> Iterator[Check]:
    """The box's folder: where it lies, who can look into it, and how much room there is; what fails in `language`."""
    root, what = config.root, language("box's folder")
    if not root.is_dir():
        yield Check(False, what, language("is not there: run `bmd-edge clinic init`"))
        return
    try:
        check_local(root)
        yield Check(True, what, "on a disk of this machine")
    except UsageError:
        yield Check(False, what, language("is on a network file system: give box.root a disk of this machine"))
    mode = root.stat().st_mode & 0o077
    said = language("is open: chmod go= {folder}", folder=root) if mode else "is closed"
    yield Check(not mode, language("box's folder, for others"), said)
    free_mb, least_mb = shutil.disk_usage(root).free // 1_000_000, config.box.min_free_mb
    said = language("{free} MB free, films are taken down to {least} MB", free=free_mb, least=least_mb)
    enough = free_mb >= least_mb
    yield Check(enough, language("room for films"), said if enough else f"{said}: {language('free some space')}")
    key = (root / PATIENT_KEY).is_file()
    yield Check(key, PATIENT_KEY, "is there" if key else language("is missing: restore the backup's"))


def certificates(config: Config, language: Language = ENGLISH) -> Iterator[Check]:
    """How long the certificates of the doors last, where any is open by TLS; what fails in `language`."""
    if not (config.door.dicom_tls or config.door.stow_tls):
        return
    for file in (config.tls.certificate, config.tls.ca):
        path = config.root / file
        what = language("certificate {name}", name=path.name)
        try:
            days = (ends(path) - datetime.now(UTC)).days
        except UsageError:
            yield Check(False, what, language("is not there or is none: run `bmd-edge clinic init`"))
            continue
        fine = days >= WARN_DAYS
        said = language("{days} days left", days=days)
        yield Check(fine, what, said if fine else f"{said}: {_renewed(config, file, language)}")


def _renewed(config: Config, file: str, language: Language) -> str:
    """How a certificate is made new: `clinic init` leaves alone what is there."""
    if config.tls != Tls():
        return language("put a new one in its place, then `systemctl reload bmd-edge-nginx`")
    if file == config.tls.ca:
        return language("remove everything in tls, run `bmd-edge clinic init`, bring every unit its new certificate")
    return language(
        "remove box.crt and box.key in tls, run `bmd-edge clinic init`, then `systemctl reload bmd-edge-nginx`"
    )


def _journal(config: Config, journal: Journal) -> Iterator[Check]:
    (sound,) = journal.rows("PRAGMA integrity_check(1)")
    fine = sound[0] == "ok"
    yield Check(
        fine,
        "journal",
        "whole" if fine else "damaged: stop the box, then `bmd-edge clinic restore` with the newest backup",
    )
    broken, gone = journal.broken_event(), lost_head(config.root, journal)
    (events,) = journal.rows("SELECT COUNT(*) AS n FROM event")
    said = f"{events['n']} events follow from each other"
    if broken is not None:
        said = f"event {broken} was edited, removed or moved: find out by whom, and compare it with a backup"
    elif gone is not None:
        said = f"event {gone} of {HEADS} is gone: rows were removed, or an older journal put here by hand"
    yield Check(broken is None and gone is None, "audit", said)
    yield clock(journal)
    films = films_in(journal, "received", "screening", "ready")
    lost = [film for film in films if not film_path(config.root, film.film_key).is_file()]
    said = (
        f"{len(films)} films in work" if not lost else f"{len(lost)} of {len(films)} films have no file: restore them"
    )
    yield Check(not lost, "spool", said)
    if any(pacs.commit for pacs in config.pacs.values()):
        yield _heard(config, journal)
    if config.door.dicom:
        started = journal.rows("SELECT detail FROM event WHERE what='guard_started' ORDER BY n DESC LIMIT 1")
        current = bool(started) and config.digest in started[0]["detail"]
        said = "started with this clinic.toml" if current else "not started with this clinic.toml: restart Orthanc"
        yield Check(current, "guard", said)


def clock(journal: Journal, language: Language = ENGLISH) -> Check:
    """Whether this machine's clock was set back: what is to be sent again then waits for it to catch up; what fails in
    `language`.
    """
    (newest,) = journal.rows("SELECT MAX(at) AS at FROM event")
    behind = round((newest["at"] or 0) - journal.clock())
    said = language("{behind} s behind the newest event: set it right", behind=behind) if behind >= 1 else "fine"
    return Check(behind < 1, language("clock"), said)


def _heard(config: Config, journal: Journal) -> Check:
    """Whether archives can report what they have committed to: of the port's owner the journal knows."""
    last = journal.rows("SELECT what FROM event WHERE what LIKE 'commitment\\_%' ESCAPE '\\' ORDER BY n DESC LIMIT 1")
    bind = config.commitment.bind
    if not last or last[0]["what"] == "commitment_open":
        return Check(True, "commitment", f"archives report to {bind}")
    return Check(False, "commitment", f"another program has {bind}: end it, or name another address, here and there")


def _page(bind: str) -> Check:
    """Films go on without the page, so nothing else tells that another program has its port."""
    connection = HTTPConnection(*address(bind), timeout=_PAGE_S)
    try:
        with closing(connection):
            connection.request("GET", "/icon.svg")
            ours = (connection.getresponse().getheader("Server") or "").startswith(SERVER)
    except ConnectionRefusedError:
        return Check(False, "page", f"nobody answers at {bind}: start bmd-edge-serve")
    except (OSError, HTTPException):
        ours = False
    said = f"another program has {bind}: end it, or name another port as page.bind"
    return Check(ours, "page", f"http://{bind}/" if ours else said)


def _orthanc(config: Config) -> Iterator[Check]:
    if config.door.dicom:
        port = address(config.door.dicom)[1]
        answers = listens(port)
        yield Check(answers, "C-STORE", f"port {port} " + ("answers" if answers else "is closed: start Orthanc"))
    other = listens(_DEBIAN_ORTHANC)
    said = "runs: systemctl disable --now orthanc" if other else "does not run"
    yield Check(not other, "Debian's own Orthanc", said)


def listens(port: int) -> bool:
    """Whether somebody answers at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return not probe.connect_ex(("127.0.0.1", port))


def _approved(config: Config, name: str) -> Check:
    said = "results are delivered" if config.delivers_to(name) else "not delivering: no approval named in clinic.toml"
    if config.pacs[name].test:
        said = "an archive for tests, which gets results without an approval too"
    return Check(True, f"archive {name}", said)


def _asked(config: Config, name: str, pacs: Destination) -> Check:
    """Whether an archive is there, is one, and lets this box in: asked by what changes nothing."""
    what = f"archive {name} answers"
    try:
        answer, said = _LOOKS[pacs.kind](config, pacs)
    except Unreachable as error:
        answer, said = error.answer, ""
    if answer.next is Next.SENT:
        return Check(True, what, f"{said} {answer.status}")
    where = f"{pacs.ae_title} at {pacs.host}:{pacs.port}" if pacs.kind == "dicom" else pacs.url
    sentence, remedy = REASONS[answer.reason]
    return Check(False, what, f"{where}: {sentence} {remedy} {answer.status}".strip())


def _echo(config: Config, pacs: Destination) -> tuple[Answer, str]:
    """C-ECHO, which an archive answers to senders that it knows."""
    with associated(config, pacs, [build_context(Verification)]) as made:
        status = made.send_c_echo()
    return answer_to(int(status.Status) if "Status" in status else None), "C-ECHO"


def _stow(config: Config, pacs: Destination) -> tuple[Answer, str]:
    with stow_archive(config, pacs) as archive:
        return archive.look(), "a request without objects:"


def _fhir(config: Config, pacs: Destination) -> tuple[Answer, str]:
    with fhir_record(config, pacs) as record:
        return record.look(), "FHIR R4, a resource that is not there:"


_LOOKS = {"dicom": _echo, "stow": _stow, RESOURCES: _fhir}
