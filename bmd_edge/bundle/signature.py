"""The signature of a bundle, checked offline with the public key of who is said to have signed it.

It is OpenSSF Model Signing's, in key mode: a Sigstore bundle (DSSE envelope, in-toto statement of every file's SHA-256)
in `bundle.sig`. Hashes in the manifest find damage; only a signature finds who makes them anew.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from bmd_edge.bundle.layout import SIGNATURE
from bmd_edge.errors import BundleError, MissingExtra, UsageError

KEY_HELP = (
    "make a pair with: openssl ecparam -name prime256v1 -genkey -noout -out private.pem; "
    "openssl ec -in private.pem -pubout -out public.pem"
)
_CHANGED = re.compile(r"Hash mismatch for \W*([\w.-]+)")


def check_signature(bundle: Path, public_key: Path) -> str:
    """Check the signature of the bundle in a folder, over all of its files; returns the SHA-256 of the key's file.

    Raises:
        BundleError: there is no signature, another key made it, or a file is not as it was signed.
        UsageError: the key cannot be used.
        MissingExtra: model-signing is not installed.
    """
    _, verifying, hashing = library()
    if not (bundle / SIGNATURE).is_file():
        raise BundleError(f"the bundle is not signed: {SIGNATURE} is missing; ask its maker for a signed one")
    config = verifying.Config().set_hashing_config(signed_files(hashing))
    try:
        config = config.use_elliptic_key_verifier(public_key=public_key)
        name = hashlib.sha256(public_key.read_bytes()).hexdigest()
    except (OSError, ValueError, AttributeError) as error:
        raise unusable(public_key, "public", error) from error
    try:
        config.verify(bundle, bundle / SIGNATURE)
    except Exception as error:  # the library's, protobuf's and cryptography's errors have no common base
        changed = ", ".join(_CHANGED.findall(str(error)))
        reason = f"changed since: {changed}" if changed else str(error).strip(" .") or type(error).__name__
        raise BundleError(f"the signature does not hold: {reason}; do not use this bundle") from error
    return name


def unusable(key: Path, kind: str, error: Exception) -> UsageError:
    """What is said of the file of a "public" or "private" key that the library did not take."""
    if isinstance(error, OSError):
        return UsageError(f"{str(key)!r}: {error.strerror}: give the file of a {kind} key")
    # It asks any key for its curve.
    why = "it is of another kind, RSA for one" if isinstance(error, AttributeError) else str(error)
    return UsageError(f"{key.name} is no {kind} key of an elliptic curve: {why}; {KEY_HELP}")


def signed_files(hashing: Any) -> Any:
    """Every file of the folder but the signature; no links, and no exception for a repository's own files."""
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def library() -> tuple[Any, Any, Any]:
    """Model-signing's modules for signing, verifying and hashing; MissingExtra if it is not installed."""
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise MissingExtra(error.name or "model-signing", "sign") from error
    return signing, verifying, hashing
