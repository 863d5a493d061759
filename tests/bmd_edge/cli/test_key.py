"""The key of the pseudonyms goes from one user's folder to another's by a file, and is never shown."""

from pathlib import Path

import pytest

from bmd_edge.system.patient_key import fingerprint, key_file, patient_key


def test_a_key_goes_from_one_machine_to_another(inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "one"))
    code, out, _ = inside("key", "export", tmp_path / "file")
    key = patient_key()
    assert key is not None
    assert (code, f"Key {fingerprint(key)} is exported." in out, key.hex() in out) == (0, True, False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "two"))
    patient_key()
    code, _, err = inside("key", "import", tmp_path / "file")
    assert (code, "give --replace" in err) == (2, True)
    code, out, _ = inside("key", "import", tmp_path / "file", "--replace")
    assert (code, f"Key {fingerprint(key)} is imported." in out) == (0, True)
    assert patient_key() == key
    code, out, _ = inside("key", "import", tmp_path / "file")
    assert (code, out) == (0, f"Key {fingerprint(key)} is this user's already: nothing has changed.\n")
    assert key_file() == tmp_path / "two" / "bmd-edge" / "patient.key"


def test_nothing_else_is_done_with_a_key(inside, tmp_path: Path) -> None:
    assert inside("key", "print", tmp_path / "file")[0] == 2
