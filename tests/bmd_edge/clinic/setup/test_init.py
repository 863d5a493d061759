"""`clinic init` writes what a box needs, and never over what somebody has written."""

from pathlib import Path

import pytest

from bmd_edge.clinic.config import read_config
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.clinic.setup.init import Wishes, clinic_toml, make_certificates, prepare, write_config
from bmd_edge.errors import UsageError
from tests.support import clinic


def wishes(place: Path, **others: object) -> Wishes:
    given: dict[str, object] = {
        "units": ("xray1=XRAY1@10.20.0.11",),
        "pacs": "PACS@10.30.0.2:11112",
        "tls": "127.0.0.1",
    }
    given |= {"root": str(place / "root"), "ae_title": "BMDEDGE", "vlan": "", "folder": "", "approval": ""}
    return Wishes(**(given | others))  # type: ignore[arg-type]


@pytest.mark.parametrize("others", [{}, {"tls": "", "vlan": "10.0.0.1"}, {"tls": "", "units": (), "pacs": ""},
                                    {"folder": '/films "of" today\\now'}, {"approval": 'EK "1"'}])  # fmt: skip
def test_what_was_asked_for_stands_in_clinic_toml(tmp_path: Path, others: dict[str, object]) -> None:
    asked = wishes(tmp_path, **others)
    config = write_config(tmp_path / "etc", clinic_toml(asked))
    assert config.path.stat().st_mode & 0o007 == 0
    assert config.door.folder == asked.folder
    assert config.door.vlan == bool(asked.vlan)
    assert (config.door.dicom_tls, config.door.stow_tls) == (
        ("127.0.0.1:2762", "127.0.0.1:8443") if asked.tls else ("", "")
    )
    assert set(config.units) == ({"xray1"} if asked.units else set())
    assert config.approval == asked.approval
    assert (config.page.bind, config.page.names) == ("127.0.0.1:8080", False)
    if asked.pacs:
        assert config.pacs["main"].commit
        assert config.delivers_to("main") == bool(asked.approval)


@pytest.mark.parametrize(
    ("others", "what"),
    [
        ({"units": ("XRAY1@10.20.0.11",)}, "--unit is NAME=AE_TITLE@HOST"),
        ({"pacs": "PACS@10.30.0.2"}, "--pacs is AE_TITLE@HOST:PORT"),
        ({"vlan": "10.0.0.1"}, "--tls or --vlan"),
        ({"tls": "box.clinic"}, r"clinic.toml line 2: door.dicom_tls"),
        ({"root": "relative"}, r"clinic.toml line 1: box.root"),
    ],
)
def test_a_wrong_wish_is_told_and_leaves_nothing(tmp_path: Path, others: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        write_config(tmp_path / "etc", clinic_toml(wishes(tmp_path, **others)))
    assert not (tmp_path / "etc" / "clinic.toml").exists()


def test_what_somebody_has_written_stays(tmp_path: Path) -> None:
    config = write_config(tmp_path / "etc", clinic_toml(wishes(tmp_path)))
    with pytest.raises(UsageError, match="there already"):
        write_config(tmp_path / "etc", clinic_toml(wishes(tmp_path)))
    assert len(prepare(config)) == 6
    assert prepare(config) == []
    key = (config.root / PATIENT_KEY).read_bytes()
    (tmp_path / "etc" / "nginx.conf").write_text("edited", encoding="utf-8")
    assert prepare(config) == ["nginx.conf"]
    assert (tmp_path / "etc" / "nginx.conf.before").read_text(encoding="utf-8") == "edited"
    assert (config.root / PATIENT_KEY).read_bytes() == key
    assert config.root.stat().st_mode & 0o777 == 0o700


def test_a_box_with_films_gets_no_new_key(tmp_path: Path) -> None:
    config = write_config(tmp_path / "etc", clinic_toml(wishes(tmp_path)))
    prepare(config)
    (config.root / "journal.sqlite").touch()
    (config.root / PATIENT_KEY).unlink()
    prepare(config)
    assert not (config.root / PATIENT_KEY).exists()


def test_certificates_are_made_once_for_box_and_units(tmp_path: Path) -> None:
    config = write_config(tmp_path / "etc", clinic_toml(wishes(tmp_path)))
    prepare(config)
    with clinic.quick_keys():
        make_certificates(config)
        before = {path.name: path.read_bytes() for path in (config.root / "tls").iterdir()}
        make_certificates(read_config(config.path))
    assert {path.name: path.read_bytes() for path in (config.root / "tls").iterdir()} == before
    assert {"ca.crt", "ca.key", "box.crt", "box.key", "xray1.crt", "xray1.key"} <= set(before)
    assert {path.stat().st_mode & 0o077 for path in (config.root / "tls").iterdir()} == {0}
    (config.root / "tls/ca.key").unlink()  # as the page asks; then comes another unit
    make_certificates(config)
    (config.root / "tls/xray1.crt").unlink()
    with pytest.raises(UsageError, match=r"xray1 needs a certificate: bring ca\.key back"):
        make_certificates(config)


def test_where_the_clinic_has_its_own_authority_none_is_made(tmp_path: Path) -> None:
    text = clinic_toml(wishes(tmp_path)) + '[tls]\nca = "/etc/ssl/clinic.crt"\n'
    config = write_config(tmp_path / "etc", text)
    prepare(config)
    make_certificates(config)
    assert list((config.root / "tls").iterdir()) == []
