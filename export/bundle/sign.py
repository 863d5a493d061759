"""Sign a bundle with a private key, and verify it offline with the public one: `bmd-edge sign`, `bmd-edge verify`.

The signature is OpenSSF Model Signing's, in key mode: a Sigstore bundle (DSSE envelope, in-toto statement of every
file's SHA-256) in `bundle.sig`. Hashes in the manifest find damage; only a signature finds who makes them anew.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import SIGNATURE
from bmd_edge.errors import BundleError, MissingExtra, UsageError

_CHANGED = re.compile(r"Hash mismatch for \W*([\w.-]+)")
_KEY_HELP = "make a pair with: openssl ecparam -name prime256v1 -genkey -noout -out k.pem; openssl ec -in k.pem -pubout"


def sign(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    key: Annotated[Path, typer.Option(help="Private key of an elliptic curve (P-256, P-384, P-521), PEM.")],
) -> None:
    """Sign a bundle: writes bundle.sig into it, replacing an earlier one."""
    sign_bundle(read_bundle(bundle), key)
    typer.echo(f"{bundle / SIGNATURE} signs {read_bundle(bundle).digest}")


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    key: Annotated[Path, typer.Option(help="Public key of the signer, PEM.")],
) -> None:
    """Verify a bundle's files and its signature, offline; ends with 4 if anything is not as it was signed."""
    opened = read_bundle(bundle)
    verify_bundle(opened, key)
    typer.echo(f"{bundle} {opened.manifest.version} {opened.digest} is as the owner of the key signed it")


def sign_bundle(bundle: VerifiedBundle, private_key: Path) -> None:
    """Write the signature file of an opened bundle.

    Raises:
        UsageError: the key cannot be used.
        MissingExtra: model-signing is not installed.
    """
    signing, _, hashing = _library()
    config = signing.Config().set_hashing_config(_files(hashing))
    try:
        config = config.use_elliptic_key_signer(private_key=private_key)
    except (OSError, ValueError, TypeError, AttributeError) as error:  # TypeError: the key is locked by a password
        raise UsageError(f"{private_key.name} is no private key of an elliptic curve: {error}; {_KEY_HELP}") from error
    config.sign(bundle.root, bundle.root / SIGNATURE)


def verify_bundle(bundle: VerifiedBundle, public_key: Path) -> None:
    """Check the signature of an opened bundle over all of its files.

    Raises:
        BundleError: there is no signature, another key made it, or a file is not as it was signed.
        UsageError: the key cannot be used.
        MissingExtra: model-signing is not installed.
    """
    _, verifying, hashing = _library()
    if not (bundle.root / SIGNATURE).is_file():
        raise BundleError(f"the bundle is not signed: {SIGNATURE} is missing")
    config = verifying.Config().set_hashing_config(_files(hashing))
    try:
        config = config.use_elliptic_key_verifier(public_key=public_key)
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{public_key.name} is no public key of an elliptic curve: {error}; {_KEY_HELP}") from error
    try:
        config.verify(bundle.root, bundle.root / SIGNATURE)
    except Exception as error:  # the library's, protobuf's and cryptography's errors have no common base
        changed = ", ".join(_CHANGED.findall(str(error)))
        reason = f"changed since: {changed}" if changed else str(error).strip(" .") or type(error).__name__
        raise BundleError(f"the signature does not hold: {reason}; do not use this bundle") from error


def _files(hashing: Any) -> Any:
    """Every file of the folder but the signature; no links, and no exception for a repository's own files."""
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _library() -> tuple[Any, Any, Any]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise MissingExtra(error.name or "model-signing", "sign") from error
    return signing, verifying, hashing
