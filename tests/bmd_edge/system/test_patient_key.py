"""The key of the pseudonyms: made once, kept from others, and never guessed where it cannot be kept."""

from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.system.patient_key import export_key, fingerprint, import_key, patient_key


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


def test_a_key_is_shared_by_a_file(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here.key", tmp_path / "new" / "there.key", tmp_path / "file"
    key = export_key(file, here)
    assert key == patient_key(here)
    assert file.stat().st_mode & 0o777 == 0o600
    for _ in range(2):  # the second time it is there already
        assert import_key(file, there) == patient_key(there) == key
    assert there.stat().st_mode & 0o777 == 0o600


def test_no_file_is_written_over_by_an_export(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear colleague")
    with pytest.raises(UsageError, match="give another name"):
        export_key(tmp_path / "letter", tmp_path / "key")
    assert (tmp_path / "letter").read_text() == "Dear colleague"


def test_another_key_is_replaced_only_where_somebody_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    key, own = export_key(file, tmp_path / "here.key"), patient_key(tmp_path / "there.key")
    assert own is not None
    with pytest.raises(UsageError, match=rf"another key \({fingerprint(own)}\).*--replace"):
        import_key(file, tmp_path / "there.key")
    assert patient_key(tmp_path / "there.key") == own
    assert import_key(file, tmp_path / "there.key", replace=True) == key == patient_key(tmp_path / "there.key")
    (tmp_path / "broken.key").write_text("abc\n")
    with pytest.raises(UsageError, match="another key, and"):
        import_key(file, tmp_path / "broken.key")


@pytest.mark.parametrize("text", ["", "abc\n", "0" * 62, "0" * 66, "0" * 10_000, "\udcff"])
def test_what_is_no_key_is_not_imported(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(text.encode("utf-8", "surrogateescape"))
    for file in (tmp_path / "file", tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match=f"{file.name}.* holds no key"):
            import_key(file, tmp_path / "own.key")
    assert not (tmp_path / "own.key").exists()
