"""`clinic.toml`, the one file of settings of a clinic box.

What is not known, of another type or unsafe is a UsageError that names the line. Standard library only: the guard
inside Orthanc reads it too.
"""

import hashlib
import ipaddress
import os
import re
import stat
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bmd_edge.clinic.toml_tables import Lines, built
from bmd_edge.errors import UsageError, none_of
from bmd_edge.language import LANGUAGES, Language, language_of

NAME = "clinic.toml"
KINDS = ("sr", "sc")
"""Kinds of objects that are made of every film, and that an archive gets unless it names others."""
ON_REQUEST = ("gsps", "pdf")
"""Kinds that are made where an archive of clinic.toml asks for them."""
RESOURCES = "fhir"
"""The kind that a record gets, and the word for a record in clinic.toml."""
_MOST_APPROVAL = 64  # characters that the picture of a result and a line of the terminal have room for
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")  # PS3.5 6.2, AE
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")  # RFC 1123, 2.1
_URL = re.compile(rf"https?://({_HOST.pattern}|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?(/[!$->@-~]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The box itself. root: folder of journal, spool and outbox. min_free_mb: with less, no film is taken. scratch:
    folder in memory for what Orthanc notes of films while they pass. keep_days: a film's files are kept so many days
    after the archives have its results; 0 keeps them for good.
    """

    root: str
    ae_title: str = "BMDEDGE"
    min_free_mb: int = 5000
    scratch: str = "/run/bmd-edge"
    keep_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where films come in, as "address:port" or "" for a door that is closed; folder: one that is watched.

    dicom: C-STORE without TLS. dicom_tls, stow_tls: C-STORE and STOW-RS behind nginx, each sender with a certificate.
    vlan: the network of a plain `dicom` is nobody else's.
    """

    dicom: str = "127.0.0.1:4242"
    dicom_tls: str = ""
    stow_tls: str = ""
    folder: str = ""
    vlan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An X-ray unit that may send films. tls: by `dicom_tls`, where `dicom` is open to the network too.

    spacing_if_missing_mm: its detector's pixel size, for films that state none.
    """

    ae_title: str
    host: str
    port: int = 104
    tls: bool = False
    spacing_if_missing_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An archive, or a record. kind: "dicom" (C-STORE to ae_title at host:port), "stow" (STOW-RS to url) or "fhir"
    (FHIR R4 at url, which gets resources and no objects).

    commit: ask for storage commitment. objects: which kinds it gets. ca: the authority of its certificate.
    test: it is nobody's record, and gets results without an approval; on this machine only, for behind a tunnel that
    begins here may be any archive.
    """

    kind: str
    ae_title: str = ""
    host: str = ""
    port: int = 104
    url: str = ""
    tls: bool = False
    ca: str = ""
    commit: bool = False
    test: bool = False
    objects: tuple[str, ...] = KINDS

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of objects that go there."""
        return (RESOURCES,) if self.kind == RESOURCES else self.objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """Where archives report what they have committed to, "address:port"."""

    bind: str = "127.0.0.1:11113"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of today's films and the metrics, by HTTP at "address:port" of this machine alone, "" for none.

    names: the page shows patients' names, and films whose header says that a name is burned in.
    """

    bind: str = ""
    names: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of this box's TLS; relative ones lie in its root."""

    certificate: str = "tls/box.crt"
    key: str = "tls/box.key"
    ca: str = "tls/ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What films are read with: as the options of `bmd-edge screen`. timeout_s: for one film, then its reader ends."""

    bundle: str = ""
    recalibration: str = ""
    device: str = "auto"
    precision: str = "auto"
    timeout_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file. approval: number of the study or of the ethics approval, at most 64 characters; without one
    nothing is delivered, but to an archive for tests. language: of what people are told, a code of
    `bmd_edge.language.LANGUAGES`, "" for that of the locale. digest: of the file's bytes.
    """

    box: Box
    door: Doors = field(default_factory=Doors)
    units: dict[str, Unit] = field(default_factory=dict)
    pacs: dict[str, Destination] = field(default_factory=dict)
    commitment: Commitment = field(default_factory=Commitment)
    page: Page = field(default_factory=Page)
    tls: Tls = field(default_factory=Tls)
    reading: Reading = field(default_factory=Reading)
    approval: str = ""
    language: str = ""
    path: Path = Path()
    digest: str = ""

    @property
    def root(self) -> Path:
        """The box's folder."""
        return Path(self.box.root)

    @property
    def spoken(self) -> Language:
        """The language that people are spoken to in."""
        return language_of(self.language)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of objects that are made of a film: those of every film, then what an archive asks for."""
        asked = {kind for pacs in self.pacs.values() for kind in pacs.kinds}
        return (*KINDS, *(kind for kind in (*ON_REQUEST, RESOURCES) if kind in asked))

    def delivers_to(self, destination: str) -> bool:
        """Whether results may go there: an approval is named, or it is an archive for tests."""
        return bool(self.approval) or self.pacs[destination].test

    def unit_of(self, ae_title: str) -> tuple[str, Unit] | None:
        """The unit of this AE title, and its name; case does not count, as for Orthanc."""
        wanted = ae_title.strip().casefold()
        return next((one for one in self.units.items() if one[1].ae_title.casefold() == wanted), None)


def read_config(path: Path) -> Config:
    """Read `clinic.toml`; UsageError names the file's line and the remedy, OSError where it cannot be read."""
    name, path = path.name, path.resolve()  # what follows from it names it
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        remedy = f"name the {NAME} that `bmd-edge clinic init` has written, --config FILE"
        raise UsageError(f"{name}: {error.strerror}: {remedy}") from None
    if path.stat().st_mode & (stat.S_IRWXO):
        raise UsageError(f"{name} can be read by everybody: chmod o= {name}")
    try:
        text = data.decode()
        loaded = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{name} is no TOML: {error}") from None
    lines = Lines(name, text)
    config = built(Config, loaded, "", lines, {"path": path, "digest": hashlib.sha256(data).hexdigest()})
    _check(config, lines)
    return config


def read_own_config(path: Path) -> Config:
    """As `read_config`; UsageError also where the box is another user's, who could not use what this one writes."""
    config = read_config(path)
    if config.root.is_dir() and (owner := config.root.stat().st_uid) != os.geteuid():
        raise UsageError(f"the box is user {owner}'s: run this as that user, `runuser -u NAME -- ...`")
    return config


def address(text: str) -> tuple[str, int]:
    """ "host:port" -> (host, port); an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _check(config: Config, lines: Lines) -> None:
    door = config.door
    _check_box(config.box, lines)
    _check_approval(config.approval, lines)
    if config.language not in ("", *LANGUAGES):
        raise lines.error("language", none_of(config.language, LANGUAGES))
    for name in ("dicom", "dicom_tls", "stow_tls"):
        if text := getattr(door, name):
            _check_address(text, f"door.{name}", lines)
    _check_address(config.commitment.bind, "commitment.bind", lines)
    if config.page.bind:
        _check_address(config.page.bind, "page.bind", lines)
        if not _is_loopback(address(config.page.bind)[0]):
            raise lines.error("page.bind", "must be of this machine alone, as 127.0.0.1: let nginx stand before it")
    if door.dicom and not _is_loopback(address(door.dicom)[0]) and not door.vlan:
        raise lines.error("door.dicom", "is open to the network without TLS: use dicom_tls, or say vlan = true")
    if (door.dicom_tls or door.stow_tls or door.vlan) and not config.units:
        raise lines.error("door", "is open to the network, and no unit is named: add units.NAME")
    _check_units(config, lines)
    for name, pacs in config.pacs.items():
        _check_destination(pacs, f"pacs.{name}", lines)


def _check_box(box: Box, lines: Lines) -> None:
    for name in ("root", "scratch"):
        if not Path(getattr(box, name)).is_absolute():
            raise lines.error(f"box.{name}", "must be the whole path of a folder")
    for name, least in (("min_free_mb", 1), ("keep_days", 0)):
        if getattr(box, name) < least:
            raise lines.error(f"box.{name}", f"must be {least} or more")
    _check_ae_title(box.ae_title, "box.ae_title", lines)


def _check_approval(text: str, lines: Lines) -> None:
    """It is drawn into every picture, whose font has no accents."""
    if len(text) > _MOST_APPROVAL or text != text.strip() or not (text.isascii() and text.isprintable()):
        raise lines.error("approval", f"must be 1 to {_MOST_APPROVAL} letters without accents, digits and signs")


def _check_units(config: Config, lines: Lines) -> None:
    titles: dict[str, str] = {}
    for name, unit in config.units.items():
        _check_name(name, key := f"units.{name}", lines)
        if name == "folder":
            raise lines.error(key, "is the name of the watched folder: give another one")
        _check_ae_title(unit.ae_title, f"{key}.ae_title", lines)
        _check_host(unit.host, f"{key}.host", lines)
        if titles.setdefault(unit.ae_title.casefold(), name) != name:
            raise lines.error(f"{key}.ae_title", f"is that of {titles[unit.ae_title.casefold()]} too")
        if (spacing := unit.spacing_if_missing_mm) is not None and not 0 < spacing < 10:
            raise lines.error(f"{key}.spacing_if_missing_mm", "must be a pixel size in mm")


def _check_destination(pacs: Destination, key: str, lines: Lines) -> None:
    _check_name(key.partition(".")[2], key, lines)
    if pacs.kind not in (kinds := ("dicom", "stow", RESOURCES)):
        raise lines.error(f"{key}.kind", none_of(pacs.kind, kinds))
    for name in set(pacs.objects).difference(known := (*KINDS, *ON_REQUEST)):
        raise lines.error(f"{key}.objects", none_of(name, known))
    if pacs.kind == RESOURCES and pacs.objects != KINDS:
        raise lines.error(f"{key}.objects", "is for archives: a record gets resources")
    if pacs.kind != "dicom" and not _is_url(pacs.url):
        raise lines.error(f"{key}.url", "must be the address of a STOW-RS or FHIR service, https://..., without ? # @")
    if pacs.test and not _is_loopback(host_of(pacs)):
        raise lines.error(f"{key}.test", "is for an archive on this machine only: name an approval instead")
    if pacs.kind == "dicom":
        _check_ae_title(pacs.ae_title, f"{key}.ae_title", lines)
        _check_host(pacs.host, f"{key}.host", lines)
        return
    if pacs.url.startswith("http:") and not _is_loopback(host_of(pacs)):
        raise lines.error(f"{key}.url", "must be https: results would cross the network as they are")
    if pacs.commit:
        raise lines.error(f"{key}.commit", "is for kind dicom only: no other has storage commitment")


def _check_name(name: str, key: str, lines: Lines) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
        raise lines.error(key, "a name has at most 32 letters, digits, - and _")


def _check_ae_title(title: str, key: str, lines: Lines) -> None:
    if not _AE_TITLE.fullmatch(title):
        raise lines.error(key, "must be an AE title: 1 to 16 characters, no backslash")


def _check_host(host: str, key: str, lines: Lines) -> None:
    if not _HOST.fullmatch(host) and not is_address(host):
        raise lines.error(key, "must be a host's name or address")


def _is_url(text: str) -> bool:
    """Whether it is http or https, a host, a port and a path: what else a url may have would not be sent."""
    try:
        return bool(_URL.fullmatch(text)) and urlsplit(text).port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _check_address(text: str, key: str, lines: Lines) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise lines.error(key, 'must be "address:port"')
    if not is_address(host.strip("[]")):
        raise lines.error(key, 'must be "address:port", with an IP address of this machine')


def host_of(pacs: Destination) -> str:
    """The host of an archive, a name or an address."""
    return pacs.host if pacs.kind == "dicom" else urlsplit(pacs.url).hostname or ""


def port_of(pacs: Destination) -> int:
    """The port of an archive."""
    port = pacs.port if pacs.kind == "dicom" else urlsplit(pacs.url).port
    return port or (443 if pacs.url.startswith("https:") else 80)


def is_address(host: str) -> bool:
    """Whether this is an IP address and no name."""
    with suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
