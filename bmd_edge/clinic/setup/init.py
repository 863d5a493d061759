"""`bmd-edge clinic init`: a folder for `clinic.toml` and what follows from it, the box's own folder, certificates."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bmd_edge.clinic.config import NAME, Config, Tls, address, read_config
from bmd_edge.clinic.journal.films import OUTBOX, SPOOL
from bmd_edge.clinic.journal.store import NAME as JOURNAL
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from bmd_edge.clinic.setup.derived import derived
from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_bytes
from bmd_edge.system.patient_key import patient_key

_FOLDERS = (SPOOL, OUTBOX, "log", "nginx", "tls")
_DICOM, _DICOM_TLS, _STOW_TLS, _PAGE = 4242, 2762, 8443, 8080


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What `clinic init` is told; "" is no. units: "NAME=AE_TITLE@HOST". pacs: "AE_TITLE@HOST:PORT".

    tls: the address at which units reach the box by TLS. vlan: the same without TLS. folder: one to watch.
    approval: number of the study or of the ethics approval.
    """

    root: str
    ae_title: str
    units: tuple[str, ...]
    pacs: str
    tls: str
    vlan: str
    folder: str
    approval: str


def clinic_toml(wishes: Wishes) -> str:
    """The text of a new `clinic.toml`; UsageError where a wish is not of its form."""
    if wishes.tls and wishes.vlan:
        raise UsageError("give --tls or --vlan, not both; `tls = true` of a unit in clinic.toml tells them apart later")
    box = {"root": wishes.root, "ae_title": wishes.ae_title, "min_free_mb": 5000}
    door: dict[str, object] = {"dicom": f"{wishes.vlan or '127.0.0.1'}:{_DICOM}"}
    if wishes.tls:
        door |= {"dicom_tls": f"{wishes.tls}:{_DICOM_TLS}", "stow_tls": f"{wishes.tls}:{_STOW_TLS}"}
    if wishes.vlan:
        door["vlan"] = True
    lines = [_line("box", box), _line("door", door | {"folder": wishes.folder})]
    for unit in wishes.units:
        name, equals, rest = unit.partition("=")
        title, at, host = rest.partition("@")
        if not (equals and at):
            raise UsageError(f"--unit is NAME=AE_TITLE@HOST, such as xray1=XRAY1@10.20.0.11, not {unit!r}")
        lines.append(_line(f"units.{name}", {"ae_title": title, "host": host}))
    if wishes.pacs:
        title, at, place = wishes.pacs.partition("@")
        host, colon, port = place.rpartition(":")
        if not (at and colon and port.isdecimal()):
            raise UsageError(f"--pacs is AE_TITLE@HOST:PORT, such as PACS@10.30.0.2:11112, not {wishes.pacs!r}")
        pacs = {"kind": "dicom", "ae_title": title, "host": host, "port": int(port), "commit": True}
        lines.append(_line("pacs.main", pacs))
    lines.append(_line("page", {"bind": f"127.0.0.1:{_PAGE}", "names": False}))
    lines.append("# Without the number of a study or of an ethics approval nothing is delivered. Research use only.")
    lines.append(f"approval = {json.dumps(wishes.approval)}" if wishes.approval else '# approval = "..."')
    return "\n".join(lines) + "\n"


def _line(name: str, values: Mapping[str, object]) -> str:
    """One inline table; what JSON writes of a text, a number and a truth value TOML reads the same."""
    return f"{name} = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in values.items())} }}"


def write_config(folder: Path, text: str) -> Config:
    """Write a new `clinic.toml`, which others cannot read; UsageError where there is one, or the text is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / NAME
    if path.exists():
        raise UsageError(f"{NAME} is there already: edit it, then run the same command without other options")
    replace_bytes(path, text.encode(), mode=0o640)
    try:
        return read_config(path)
    except UsageError:
        path.unlink()
        raise


def prepare(config: Config) -> list[str]:
    """Make the box's folders, the key of its journal, and the derived files beside `clinic.toml`.

    Returns the names of the derived files that are new. One that differs is kept as NAME.before.
    """
    config.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FOLDERS:
        (config.root / name).mkdir(mode=0o700, exist_ok=True)
    if not (config.root / JOURNAL).exists():  # where films were taken with another key, the box must not go on
        patient_key(config.root / PATIENT_KEY)
    changed = []
    for name, text in derived(config).items():
        path = config.path.parent / name
        if path.exists():
            if path.read_text(encoding="utf-8") == text:
                continue
            replace_bytes(path.with_name(f"{name}.before"), path.read_bytes(), mode=0o640)
        replace_bytes(path, text.encode(), mode=0o640)
        changed.append(name)
    return changed


def make_certificates(config: Config) -> None:
    """An authority, a certificate for the box and one for each unit, in the box's folder `tls`; what is there stays.

    None where `[tls]` names files of the clinic's own.
    """
    addresses = {address(text)[0] for text in (config.door.dicom_tls, config.door.stow_tls) if text}
    if not addresses or config.tls != Tls():
        return
    folder = config.root / "tls"
    make_authority(folder)
    make_certificate(folder, "box", tuple(sorted(addresses)))
    for name in config.units:
        make_certificate(folder, name)
