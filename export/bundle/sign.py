"""Sign a bundle with a private key, and verify it offline with the public one: `bmd-edge sign`, `bmd-edge verify`."""

from pathlib import Path
from typing import Annotated

import typer

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import SIGNATURE
from bmd_edge.bundle.signature import KEY_HELP, library, signed_files
from bmd_edge.errors import UsageError


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
    opened = read_bundle(bundle, key)
    typer.echo(f"{bundle} {opened.manifest.version} {opened.digest} is as the owner of the key signed it")


def sign_bundle(bundle: VerifiedBundle, private_key: Path) -> None:
    """Write the signature file of an opened bundle.

    Raises:
        UsageError: the key cannot be used.
        MissingExtra: model-signing is not installed.
    """
    signing, _, hashing = library()
    config = signing.Config().set_hashing_config(signed_files(hashing))
    try:
        config = config.use_elliptic_key_signer(private_key=private_key)
    except (OSError, ValueError, TypeError, AttributeError) as error:  # TypeError: the key is locked by a password
        raise UsageError(f"{private_key.name} is no private key of an elliptic curve: {error}; {KEY_HELP}") from error
    config.sign(bundle.root, bundle.root / SIGNATURE)
