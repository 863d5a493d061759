"""Sign a bundle with a private key, and verify it offline with the public one: `bmd-edge sign`, `bmd-edge verify`."""

from pathlib import Path
from typing import Annotated

import typer

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import SIGNATURE
from bmd_edge.bundle.signature import library, signed_files, unusable
from bmd_edge.errors import UsageError


def sign(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    key: Annotated[Path, typer.Option(help="Private key of an elliptic curve (P-256, P-384, P-521), PEM.")],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="Its first line unlocks the key; /dev/stdin is one too."),
    ] = None,
) -> None:
    """Sign a bundle: writes bundle.sig into it, replacing an earlier one."""
    passphrase = passphrase_file.read_bytes().partition(b"\n")[0].rstrip(b"\r") if passphrase_file else None
    sign_bundle(read_bundle(bundle), key, passphrase)
    typer.echo(f"{bundle / SIGNATURE} signs {read_bundle(bundle).digest}")


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    key: Annotated[Path, typer.Option(help="Public key of the signer, PEM.")],
) -> None:
    """Verify a bundle's files and its signature, offline; ends with 4 if anything is not as it was signed."""
    opened = read_bundle(bundle, key)
    typer.echo(f"{bundle} {opened.manifest.version} {opened.digest} is as the owner of the key signed it")


def sign_bundle(bundle: VerifiedBundle, private_key: Path, passphrase: bytes | None = None) -> None:
    """Write the signature file of an opened bundle; `passphrase` unlocks the key.

    Raises:
        UsageError: the key cannot be used.
        MissingExtra: model-signing is not installed.
    """
    signing, _, hashing = library()
    config = signing.Config().set_hashing_config(signed_files(hashing))
    try:
        # Bytes, whatever the library's annotation says: cryptography takes no str.
        config = config.use_elliptic_key_signer(private_key=private_key, password=passphrase)
    except TypeError as error:
        unlocked = "is not locked: leave --passphrase-file out"
        what = unlocked if "not encrypted" in str(error) else "is locked: give --passphrase-file with its passphrase"
        raise UsageError(f"{private_key.name} {what}") from error
    except (OSError, ValueError, AttributeError) as error:
        if passphrase and "password" in str(error).lower():
            raise UsageError(
                f"{private_key.name} is locked, by another passphrase than that of --passphrase-file"
            ) from error
        raise unusable(private_key, "private", error) from error
    config.sign(bundle.root, bundle.root / SIGNATURE)
