"""The box's own authority: certificates for the box and for each X-ray unit, made and read by OpenSSL's command."""

import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bmd_edge.errors import UsageError

AUTHORITY_DAYS, DAYS = 3650, 825
_KEY = ["-newkey", "rsa:3072", "-nodes"]  # RSA: older X-ray units know no other


def make_authority(folder: Path) -> None:
    """Make `ca.crt` and `ca.key` in `folder`, unless there is one; whoever has `ca.key` can name new units."""
    if (folder / "ca.crt").exists():
        return
    made = ["-x509", "-days", str(AUTHORITY_DAYS), "-subj", "/CN=bmd-edge clinic authority"]
    limits = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl("req", *_KEY, *made, *limits, "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    (folder / "ca.key").chmod(0o600)


def make_certificate(folder: Path, name: str, addresses: tuple[str, ...] = (), days: int = DAYS) -> None:
    """Make NAME.crt and NAME.key in `folder`, signed by its authority, unless they are there.

    `addresses` are the IP addresses at which others find the box; without them it is a sender's certificate. UsageError
    where the authority's key has been taken away.
    """
    if (folder / f"{name}.crt").exists():
        return
    if not (folder / "ca.key").exists():
        raise UsageError(f"{name} needs a certificate: bring ca.key back to {folder} for as long as this command runs")
    use = "serverAuth,clientAuth" if addresses else "clientAuth"
    more = ["-addext", f"extendedKeyUsage={use}", "-addext", "basicConstraints=critical,CA:FALSE"]
    if addresses:
        more += ["-addext", "subjectAltName=" + ",".join(f"IP:{one}" for one in addresses)]
    with tempfile.TemporaryDirectory() as scratch:
        request = Path(scratch) / "request"
        _openssl("req", *_KEY, "-subj", f"/CN={name}", *more, "-keyout", folder / f"{name}.key", "-out", request)
        (folder / f"{name}.key").chmod(0o600)
        by: list[str | Path] = [
            "-CA",
            folder / "ca.crt",
            "-CAkey",
            folder / "ca.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
        ]
        _openssl("x509", "-req", "-days", str(days), "-in", request, *by, "-out", folder / f"{name}.crt")


def ends(certificate: Path) -> datetime:
    """When a certificate ends; UsageError where it is none."""
    try:
        said = _openssl("x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", certificate)
    except UsageError as error:
        raise UsageError(f"{certificate.name}: {error}") from None
    return datetime.strptime(said.strip(), "notAfter=%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)


def _openssl(*command: str | Path) -> str:
    try:
        done = subprocess.run(["openssl", *command], capture_output=True, text=True, umask=0o077)
    except FileNotFoundError:
        raise UsageError("openssl is not installed: apt-get install openssl") from None
    if done.returncode:
        raise UsageError(f"openssl {command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout
