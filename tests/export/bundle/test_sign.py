"""Signing: what was signed verifies anywhere and offline, and nothing else does."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import SIGNATURE
from bmd_edge.bundle.signature import KEY_HELP, check_signature
from bmd_edge.errors import BundleError, MissingExtra, UsageError
from export.bundle.sign import sign, sign_bundle, verify
from tests.support.bundles import tiny_bundle


def write_keys(folder: Path, name: str, private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[Path, Path]:
    pem = serialization.Encoding.PEM
    folder.mkdir(exist_ok=True)
    own, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    own.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return own, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"), "own", ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]) -> Path:
    bundle = tiny_bundle(tmp_path_factory.mktemp("signed") / "b")
    sign_bundle(bundle, keys[0])
    return bundle.root


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> VerifiedBundle:
    return read_bundle(shutil.copytree(signed, tmp_path / "moved and renamed"))


def test_a_signed_bundle_opens_and_verifies_offline(
    copy: VerifiedBundle, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    check_signature(copy.root, keys[1])
    assert read_bundle(copy.root).digest == copy.digest


def test_a_forger_with_new_hashes_is_found(copy: VerifiedBundle, keys: tuple[Path, Path]) -> None:
    manifest = json.loads((copy.root / "manifest.json").read_text())
    manifest["validity"]["notice"] = "Approved."
    (copy.root / "manifest.json").write_text(json.dumps(manifest))
    forged = read_bundle(copy.root)  # whole by its own hashes
    with pytest.raises(BundleError, match=r"does not hold: changed since: manifest\.json; do not use this bundle"):
        check_signature(forged.root, keys[1])


def test_every_file_is_signed(copy: VerifiedBundle, keys: tuple[Path, Path]) -> None:
    for path in sorted(copy.root.iterdir()):
        if path.name == SIGNATURE:
            continue
        raw = path.read_bytes()
        path.write_bytes(raw + b" ")
        with pytest.raises(BundleError, match=f"changed since: {path.name}"):
            check_signature(copy.root, keys[1])
        path.write_bytes(raw)
    (copy.root / ".gitignore").write_text("x")
    with pytest.raises(BundleError, match="Extra files"):
        check_signature(copy.root, keys[1])


def test_another_key_does_not_verify(copy: VerifiedBundle, tmp_path: Path) -> None:
    own, public = write_keys(tmp_path / "keys", "other", ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(BundleError, match="the signature does not hold: Key mismatch"):
        check_signature(copy.root, public)
    sign_bundle(copy, own)  # signing again replaces the signature
    check_signature(copy.root, public)


def test_a_broken_or_absent_signature_is_refused(copy: VerifiedBundle, keys: tuple[Path, Path]) -> None:
    raw = (copy.root / SIGNATURE).read_bytes()
    payload = json.loads(raw)["dsseEnvelope"]["payload"].encode()
    for broken in (b"", b"{}", raw[:-40], raw.replace(payload, payload[:99] + b"AAAA" + payload[103:])):
        (copy.root / SIGNATURE).write_bytes(broken)
        with pytest.raises(BundleError, match="the signature does not hold"):
            check_signature(copy.root, keys[1])
    (copy.root / SIGNATURE).unlink()
    with pytest.raises(BundleError, match="not signed"):
        check_signature(copy.root, keys[1])


def test_keys_that_cannot_be_used_name_the_remedy(
    copy: VerifiedBundle, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_keys(tmp_path / "keys", "rsa", rsa.generate_private_key(65537, 2048))
    (tmp_path / "text.pem").write_text("no key")
    for private in (keys[1], other[0], tmp_path / "text.pem"):
        with pytest.raises(UsageError, match=r"no private key of an elliptic curve.*openssl ecparam"):
            sign_bundle(copy, private)
    for public in (keys[0], other[1], tmp_path / "text.pem"):
        with pytest.raises(UsageError, match=r"no public key of an elliptic curve.*openssl ecparam"):
            check_signature(copy.root, public)
    for call, key in ((sign_bundle, other[0]), (check_signature, other[1])):
        with pytest.raises(UsageError, match="it is of another kind, RSA for one; make a pair"):
            call(copy if call is sign_bundle else copy.root, key)
    for call, kind in ((sign_bundle, "private"), (check_signature, "public")):
        with pytest.raises(UsageError, match=f"No such file or directory: give the file of a {kind} key$"):
            call(copy if call is sign_bundle else copy.root, tmp_path / "nowhere.pem")


def test_a_locked_key_is_unlocked_by_its_passphrase_alone(
    copy: VerifiedBundle, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    locked, word, wrong = (tmp_path / name for name in ("locked.pem", "word", "wrong"))
    command = ["openssl", "ec", "-in", keys[0], "-aes256", "-passout", "pass:open sesame", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    word.write_text("open sesame\n")
    wrong.write_text("sesame\n")
    for file, what in ((None, "is locked: give --passphrase-file"), (wrong, "locked, by another passphrase")):
        with pytest.raises(UsageError, match=what):
            sign(copy.root, locked, file)
    wrong.write_text("\n")
    for file in (word, wrong):
        with pytest.raises(UsageError, match="is not locked: leave --passphrase-file out"):
            sign(copy.root, keys[0], file)
    (copy.root / SIGNATURE).unlink()
    sign(copy.root, locked, word)
    check_signature(copy.root, keys[1])


def test_the_page_makes_a_pair_of_keys_and_a_signed_copy_of_the_embedded_bundle(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "export/README.md").read_text(encoding="utf-8")
    lines = page.split("## How do I sign it")[1].split("```console\n")[1].split("```")[0].splitlines()
    for line in lines:
        command = line.removeprefix("$ ").replace("bmd-edge ", f"{sys.executable} -m bmd_edge ")
        command = command.replace("python -c", f"{sys.executable} -c")
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
    assert "is as the owner of the key signed it" in done.stdout
    assert KEY_HELP.removeprefix("make a pair with: ").split("; ") == [line.removeprefix("$ ") for line in lines[:2]]


def test_without_the_extra_it_is_named(
    copy: VerifiedBundle, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(MissingExtra, match=r"'\.\[sign\]' in a checkout"):
        check_signature(copy.root, keys[1])


def test_the_commands_say_what_they_did(
    copy: VerifiedBundle, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sign(copy.root, keys[0])
    verify(copy.root, keys[1])
    printed = capsys.readouterr().out
    assert printed.count(copy.digest) == 2
    (copy.root / "run.py").write_text("x")
    with pytest.raises(BundleError, match="unexpected entry"):
        verify(copy.root, keys[1])
