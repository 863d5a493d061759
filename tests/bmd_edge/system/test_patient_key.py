"""The key of the pseudonyms: made once, kept from others, and never guessed where it cannot be kept."""

from pathlib import Path

import pytest

from bmd_edge.system.patient_key import fingerprint, patient_key


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    key = patient_key()
    path = tmp_path / "bmd-edge" / "patient.key"
    assert key is not None
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert patient_key() == key
    assert patient_key(tmp_path / "other.key") != key


def test_where_no_key_can_be_kept_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert patient_key(tmp_path / "file" / "patient.key") is None
    (tmp_path / "odd.key").write_text("abc\n")
    assert patient_key(tmp_path / "odd.key") is None


def test_a_fingerprint_tells_keys_apart_and_is_none() -> None:
    assert fingerprint(b"a" * 32) != fingerprint(b"b" * 32)
    assert fingerprint(b"a" * 32) == fingerprint(b"a" * 32)
    assert len(fingerprint(b"a" * 32)) == 16
