"""The public way in: a verified bundle that opens screeners."""

import os
from dataclasses import fields

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.film.scale import GivenSpacing
from bmd_edge.screen.screener import Screener


class Bundle(VerifiedBundle):
    """A verified bundle that opens screeners; made by `bmd_edge.open_bundle`.

    `root` is its folder, `digest` the SHA-256 of its manifest, which names every file of it; `signed` holds digest and
    key where a signature was checked, else None.
    """

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
