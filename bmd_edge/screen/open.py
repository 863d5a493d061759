"""The public ways in: a verified bundle that opens screeners, and a screener in one step."""

import os
from dataclasses import fields, replace
from typing import Any

from bmd_edge.bundle.bundle import Signed, VerifiedBundle, read_bundle
from bmd_edge.errors import BundleError
from bmd_edge.film.scale import GivenSpacing
from bmd_edge.screen.screener import Screener


class Bundle(VerifiedBundle):
    """A verified bundle that opens screeners; made by `bmd_edge.open_bundle`. What it holds: `VerifiedBundle`."""

    __slots__ = ()

    def screener(
        self,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        spacing_mm: float | GivenSpacing | None = None,
        recalibration: str | os.PathLike[str] | None = None,
    ) -> Screener:
        """Open the networks; arguments and errors as for `bmd_edge.Screener`. Use it as a context manager."""
        return Screener(self, device, precision, threads, spacing_mm, recalibration=recalibration)


def open_bundle(path: str | os.PathLike[str] | None = None, key: str | os.PathLike[str] | None = None) -> Bundle:
    """Read and verify the bundle in folder `path`; None is the one embedded in the package.

    With the file `key`, the public key of an elliptic curve as PEM, only a bundle that its owner signed is opened.

    Raises:
        BundleError: names the first thing that is wrong and what to do about it.
        UsageError, MissingExtra: the key cannot be used, or what checks signatures is not installed.
    """
    verified = read_bundle(path, key)
    return Bundle(**{field.name: getattr(verified, field.name) for field in fields(verified)})


def open_screener(
    bundle: str | os.PathLike[str] | None,
    patient_key: bytes | None = None,
    signed: Signed | None = None,
    accession: bool = False,
    **settings: Any,
) -> Screener:
    """Open a screener on the bundle in folder `bundle`, None for the embedded one; `settings` as for `Screener`.

    `patient_key` and `accession` are set as `Screener` explains. `signed` is that of the bundle as it was opened with a
    key: BundleError if another bundle is there now.
    """
    opened = read_bundle(bundle)
    if signed and opened.digest != signed.digest:
        raise BundleError("the bundle is not the one whose signature was checked, it has changed just now: start anew")
    screener = Screener(replace(opened, signed=signed), **settings)
    screener.patient_key, screener.accession = patient_key, accession
    return screener
